//! The slots: of each an entry and its tuple.
//!
//! The entry is a number of 64 bits, 0 if there is none. It guards the tuple: that is written only while there is no
//! entry. So a reader that sees one entry before and after it has read the tuple knows that they belong
//! together, unless the slot was emptied and filled with another tuple *and the same entry* meanwhile; a slab gives
//! out the same key again after 2³¹ uses of one of its places.
//!
//! Slots lie in pairs, so that numbers of 64 bits and tuples of an odd count of words leave no gap.

use super::Place;
use super::entry::Entry;
use crate::base::OutOfMemory;
use crate::base::prefetch::prefetch;
use crate::base::sync::{AtomicU32, AtomicU64, Ordering, fence};
use alloc::vec::Vec;
use core::ops::Range;

/// Two slots. All zero is empty.
#[cfg_attr(not(loom), derive(zerocopy::FromZeros))]
#[derive(Debug)]
#[repr(C)]
struct Pair<const WORDS: usize> {
    entries: [AtomicU64; 2],
    tuples: [[AtomicU32; WORDS]; 2],
}

/// Bytes of one slot.
#[cfg(not(loom))]
pub(super) const fn slot_size<const WORDS: usize>() -> usize {
    size_of::<Pair<WORDS>>() / 2
}

#[cfg(not(loom))]
const _: () = assert!(slot_size::<{ super::WORDS_V4 }>() == 20 && slot_size::<{ super::WORDS_V6 }>() == 44);

/// What a reader on another thread finds in a slot.
pub(super) enum Match {
    /// Another tuple, or none.
    Other,
    /// The reader's tuple, with this entry.
    Same(Entry),
    /// The slot changed while it was read.
    Changing,
}

/// All slots of a table. Those whose names begin with `write` or `clear` are for the one writer.
#[derive(Debug)]
pub(super) struct Slots<const WORDS: usize>(Vec<Pair<WORDS>>);

impl<const WORDS: usize> Slots<WORDS> {
    /// So many empty slots. The memory is touched only when a slot is written.
    #[cfg(not(loom))]
    pub(super) fn new(count: usize) -> Result<Self, OutOfMemory> {
        use zerocopy::FromZeros;
        let pairs = count.div_ceil(2);
        let error = OutOfMemory::for_array::<Pair<WORDS>>(pairs);
        Pair::new_vec_zeroed(pairs).map(Self).map_err(|_| error)
    }

    /// So many empty slots; loom's atomics cannot be zeroed memory.
    #[cfg(loom)]
    #[allow(clippy::unnecessary_wraps)]
    pub(super) fn new(count: usize) -> Result<Self, OutOfMemory> {
        let pair = |_| Pair {
            entries: core::array::from_fn(|_| AtomicU64::new(0)),
            tuples: core::array::from_fn(|_| core::array::from_fn(|_| AtomicU32::new(0))),
        };
        Ok(Self((0..count.div_ceil(2)).map(pair).collect()))
    }

    #[inline]
    fn entry_word(&self, place: Place) -> &AtomicU64 {
        &self.0[place.slot() / 2].entries[place.slot() % 2]
    }

    #[inline]
    fn tuple_words(&self, place: Place) -> &[AtomicU32; WORDS] {
        &self.0[place.slot() / 2].tuples[place.slot() % 2]
    }

    /// Whether the tuple is this one; of use to a reader only together with the entry.
    #[inline]
    pub(super) fn holds(&self, place: Place, tuple: &[u32; WORDS]) -> bool {
        // No early exit: of the few words, all are on the same line.
        let words = self.tuple_words(place).iter().zip(tuple);
        let differences = words.map(|(word, wanted)| word.load(Ordering::Relaxed) ^ wanted);
        differences.fold(0, |all, difference| all | difference) == 0
    }

    /// The entry, if there is one.
    #[inline]
    pub(super) fn entry(&self, place: Place) -> Option<Entry> {
        Entry::from_bits(self.entry_word(place).load(Ordering::Relaxed))
    }

    /// The tuple, or that of a former entry; of use to a reader only together with the entry.
    #[inline]
    pub(super) fn tuple(&self, place: Place) -> [u32; WORDS] {
        let words = self.tuple_words(place);
        core::array::from_fn(|word| words[word].load(Ordering::Relaxed))
    }

    /// Fills an empty slot.
    #[inline]
    pub(super) fn write(&self, place: Place, tuple: &[u32; WORDS], entry: Entry) {
        // Release pairs with the acquire fence in `read`: who saw a word that is stored below sees that the
        // former entry is gone.
        fence(Ordering::Release);
        for (word, value) in self.tuple_words(place).iter().zip(tuple) {
            word.store(*value, Ordering::Relaxed);
        }
        self.write_entry(place, entry);
    }

    /// Changes the entry of a slot and leaves its tuple alone.
    #[inline]
    pub(super) fn write_entry(&self, place: Place, entry: Entry) {
        // Release pairs with the acquire load in `read`: who sees this entry sees its tuple, or a later one.
        self.entry_word(place).store(entry.to_bits(), Ordering::Release);
    }

    /// Empties a slot.
    #[inline]
    pub(super) fn clear(&self, place: Place) {
        self.entry_word(place).store(0, Ordering::Relaxed);
    }

    /// Compares with `tuple` and takes the entry if it is the same; on any thread.
    #[inline]
    pub(super) fn read(&self, place: Place, tuple: &[u32; WORDS]) -> Match {
        let word = self.entry_word(place);
        // Acquire pairs with the release store in `write_entry`.
        let bits = word.load(Ordering::Acquire);
        let Some(entry) = Entry::from_bits(bits) else { return Match::Other };
        if !self.holds(place, tuple) {
            return Match::Other;
        }
        // Acquire pairs with the release fence in `write`: if any word read above belongs to a later tuple, the
        // load below does not see the entry from before.
        fence(Ordering::Acquire);
        if word.load(Ordering::Relaxed) == bits { Match::Same(entry) } else { Match::Changing }
    }

    #[inline]
    pub(super) fn prefetch(&self, place: Place) {
        prefetch(self.entry_word(place));
        // A pair may straddle two lines; the entry is before its tuple.
        if let Some(last) = self.tuple_words(place).last() {
            prefetch(last);
        }
    }

    pub(super) fn address_range(&self) -> Range<usize> {
        let start = self.0.as_ptr().addr();
        start..start + size_of_val(self.0.as_slice())
    }
}
