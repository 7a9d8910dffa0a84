//! Which slots of a level hold timers.

use super::SLOTS;

/// A set of slots.
#[derive(Debug)]
pub(super) struct Occupied {
    words: [u64; SLOTS / 64],
    /// Which of the words are not zero.
    summary: u32,
}

const _: () = assert!(SLOTS / 64 == 32, "the summary has a bit for each word");

impl Occupied {
    pub(super) const NONE: Self = Self { words: [0; SLOTS / 64], summary: 0 };

    #[inline]
    pub(super) fn insert(&mut self, slot: usize) {
        self.words[slot / 64] |= 1 << (slot % 64);
        self.summary |= 1 << (slot / 64);
    }

    #[inline]
    pub(super) fn remove(&mut self, slot: usize) {
        let word = &mut self.words[slot / 64];
        *word &= !(1 << (slot % 64));
        if *word == 0 {
            self.summary &= !(1 << (slot / 64));
        }
    }

    /// The first slot, counted from `start` and around the end.
    #[inline]
    pub(super) fn first_from(&self, start: usize) -> Option<usize> {
        if self.summary == 0 {
            return None;
        }
        let here = self.words[start / 64] >> (start % 64);
        if here != 0 {
            return Some(start + here.trailing_zeros() as usize);
        }
        // The words after this one; if they are empty, those before it and this one's lower half.
        let later = self.summary & (u32::MAX << 1 << (start / 64));
        let candidates = if later == 0 { self.summary } else { later };
        let word = candidates.trailing_zeros() as usize;
        Some(word * 64 + self.words[word].trailing_zeros() as usize)
    }
}
