//! One slot: an entry, its tuple, and the word that guards both.
//!
//! The guard word is `version (21 bits) | being written (1 bit) | distance (10 bits)`: how many groups the entry
//! lies from its home, which removal needs to know. Whether a slot is in use, its tag says.
//!
//! Each change takes the next version, so a reader could mistake new contents for old only if it paused in the
//! midst of reading a slot while that one slot changed an exact multiple of 2²¹ times.

use super::entry::Entry;
use crate::base::OutOfMemory;
use crate::base::sync::{AtomicU32, Ordering, fence};
use alloc::vec::Vec;

const DISTANCE_BITS: u32 = 10;
const WRITING: u32 = 1 << DISTANCE_BITS;
const VERSION_ONE: u32 = WRITING << 1;

/// How many groups a probe looks at; an entry's distance is below this. In an array filled to 7/8 by a good
/// hash, hardly ever are 250 groups in a row full.
pub(super) const PROBES_MAX: usize = 1 << DISTANCE_BITS;

/// Any contents will do for a slot whose tag says that it is empty; at first they are zero.
#[cfg_attr(not(loom), derive(zerocopy::FromZeros))]
#[derive(Debug)]
#[repr(C)]
pub(super) struct Slot<const WORDS: usize> {
    guard: AtomicU32,
    place: AtomicU32,
    generation: AtomicU32,
    tuple: [AtomicU32; WORDS],
}

#[cfg(not(loom))]
const _: () =
    assert!(size_of::<Slot<{ super::WORDS_V4 }>>() == 24 && size_of::<Slot<{ super::WORDS_V6 }>>() == 48);

/// What the guard word says about a slot.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Guard(u32);

impl Guard {
    /// How many groups the entry lies from its home.
    #[inline]
    pub(super) fn distance(self) -> usize {
        self.0 as usize % PROBES_MAX
    }

    #[inline]
    fn is_being_written(self) -> bool {
        self.0 & WRITING != 0
    }
}

/// What a reader on another thread finds in a slot.
pub(super) enum Match {
    /// Another tuple, or one that is just changing: if the reader's tuple is meant to be here, the move counter
    /// tells.
    Other,
    /// The reader's tuple, with this entry.
    Same(Entry),
    /// The slot changed while it was read.
    Changing,
}

impl<const WORDS: usize> Slot<WORDS> {
    /// So many empty slots. The memory is touched only when a slot is written.
    #[cfg(not(loom))]
    pub(super) fn new_array(count: usize) -> Result<Vec<Self>, OutOfMemory> {
        use zerocopy::FromZeros;
        Self::new_vec_zeroed(count).map_err(|_| OutOfMemory::for_array::<Self>(count))
    }

    /// So many empty slots; loom's atomics cannot be zeroed memory.
    #[cfg(loom)]
    #[allow(clippy::unnecessary_wraps)]
    pub(super) fn new_array(count: usize) -> Result<Vec<Self>, OutOfMemory> {
        let slot = |_| Self {
            guard: AtomicU32::new(0),
            place: AtomicU32::new(0),
            generation: AtomicU32::new(0),
            tuple: core::array::from_fn(|_| AtomicU32::new(0)),
        };
        Ok((0..count).map(slot).collect())
    }

    /// The guard as the writer left it; for the writer only.
    #[inline]
    pub(super) fn guard(&self) -> Guard {
        Guard(self.guard.load(Ordering::Relaxed))
    }

    /// Whether the tuple is this one; of use to a reader only together with the guard.
    #[inline]
    pub(super) fn holds(&self, tuple: &[u32; WORDS]) -> bool {
        // No early exit: of the few words, all are on the same line.
        let differences =
            self.tuple.iter().zip(tuple).map(|(word, wanted)| word.load(Ordering::Relaxed) ^ wanted);
        differences.fold(0, |all, difference| all | difference) == 0
    }

    /// The entry; of use to a reader only together with the guard.
    #[inline]
    pub(super) fn entry(&self) -> Entry {
        Entry::from_parts(self.place.load(Ordering::Relaxed), self.generation.load(Ordering::Relaxed))
    }

    /// The tuple; for the writer only.
    #[inline]
    pub(super) fn tuple(&self) -> [u32; WORDS] {
        core::array::from_fn(|word| self.tuple[word].load(Ordering::Relaxed))
    }

    /// Fills the slot, whatever it held, with an entry that lies `distance` groups from its home. Writer only.
    #[inline]
    pub(super) fn write(&self, distance: usize, tuple: &[u32; WORDS], entry: Entry) {
        debug_assert!(distance < PROBES_MAX, "the distance must fit its bits");
        let guard = self.begin(distance);
        for (word, value) in self.tuple.iter().zip(tuple) {
            word.store(*value, Ordering::Relaxed);
        }
        self.finish(guard, entry);
    }

    /// Changes the entry of a slot in use and leaves its tuple alone. Writer only.
    #[inline]
    pub(super) fn write_entry(&self, entry: Entry) {
        let guard = self.begin(self.guard().distance());
        self.finish(guard, entry);
    }

    /// Marks the slot as being written and returns its guard for when that is done.
    #[inline]
    fn begin(&self, distance: usize) -> u32 {
        let version = (self.guard().0 & !(VERSION_ONE - 1)).wrapping_add(VERSION_ONE);
        let guard = version | distance as u32;
        self.guard.store(guard | WRITING, Ordering::Relaxed);
        // Release pairs with the acquire fences of readers: who read a word stored below and then fences sees
        // the mark, and all that came before it.
        fence(Ordering::Release);
        guard
    }

    #[inline]
    fn finish(&self, guard: u32, entry: Entry) {
        self.place.store(entry.place(), Ordering::Relaxed);
        self.generation.store(entry.generation(), Ordering::Relaxed);
        // Release pairs with the acquire load in `read`: who sees this guard sees these words.
        self.guard.store(guard, Ordering::Release);
    }

    /// Compares with `tuple` and takes the entry if it is the same; on any thread.
    #[inline]
    pub(super) fn read(&self, tuple: &[u32; WORDS]) -> Match {
        // Acquire pairs with the release store in `finish`: who sees a guard sees the words written under it.
        let guard = Guard(self.guard.load(Ordering::Acquire));
        if !self.holds(tuple) {
            return Match::Other;
        }
        if guard.is_being_written() {
            return Match::Changing;
        }
        let entry = self.entry();
        // Acquire pairs with the release fence in `begin`: if any word read above is newer than `guard`, the
        // load below sees a newer guard.
        fence(Ordering::Acquire);
        if Guard(self.guard.load(Ordering::Relaxed)) == guard { Match::Same(entry) } else { Match::Changing }
    }
}
