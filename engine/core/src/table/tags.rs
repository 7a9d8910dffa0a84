//! Groups of seven slots, and one word for each group: a tag of each slot, and how many entries had to go on.
//!
//! A tag is a byte: 0 for an empty slot, else eight bits of the hash. Probing reads words and looks only at slots
//! whose tag agrees, so a look-up in vain, which a peer can cause at will, seldom touches the slots, which for a
//! million entries lie outside all caches.
//!
//! The eighth byte counts *far* entries: those for which this group had no room, nor had their other one, and those
//! for which it is one of the groups between their second one and where they lie. There are two counts, by a bit of
//! the hash, so that fewer look-ups go on in vain. A count that has reached 15 stays there.

use super::Place;
use crate::base::OutOfMemory;
use crate::base::prefetch::prefetch;
use crate::base::sync::{AtomicU64, Ordering};
use alloc::vec::Vec;
use core::ops::Range;

/// Slots of a group. A model check is content with two.
pub(super) const GROUP: usize = if cfg!(loom) { 2 } else { 7 };
/// The lowest bit of each tag.
const LOW_BITS: u64 = 0x0101_0101_0101_0101 >> (64 - 8 * GROUP);
/// The highest bit of each tag.
const HIGH_BITS: u64 = LOW_BITS << 7;

const _: () = assert!(GROUP < u64::BITS as usize / 8, "one byte is left for the counts");

/// What is known of a slot by its byte.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Tag(u8);

impl Tag {
    /// The slot holds nothing.
    pub(super) const EMPTY: Self = Self(0);

    /// The tag of an entry: the lower eight bits of its hash, 1 if they are 0.
    #[inline]
    pub(super) const fn of(hash: u32) -> Self {
        let bits = hash as u8;
        Self(bits | (bits == 0) as u8)
    }
}

/// Where in a word the far entries are counted that are like one with a given hash.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct FarCount {
    shift: u32,
}

impl FarCount {
    /// Bits of a count.
    const BITS: u32 = 4;
    /// The count that stays.
    const STUCK: u64 = (1 << Self::BITS) - 1;

    /// By the lowest bit of the hash that takes no part in the tag.
    #[inline]
    pub(super) const fn of(hash: u32) -> Self {
        Self { shift: u64::BITS - 2 * Self::BITS + (hash >> 8 & 1) * Self::BITS }
    }
}

/// The word of one group as it was at one moment; the first slot's tag in the lowest byte.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Word(u64);

impl Word {
    /// How many slots are empty.
    #[inline]
    pub(super) const fn room(self) -> u32 {
        self.empty_slots().count_ones()
    }

    /// The first empty slot.
    #[inline]
    pub(super) fn empty_slot(self) -> Option<usize> {
        SlotsOfGroup(self.empty_slots()).next()
    }

    /// The highest bit of each byte that is zero, and no other.
    #[inline]
    const fn empty_slots(self) -> u64 {
        // A sum of two of seven bits carries into the eighth unless one is zero, and not beyond.
        !(((self.0 & !HIGH_BITS) + (HIGH_BITS - LOW_BITS)) | self.0) & HIGH_BITS
    }

    /// The slots with this tag and, rarely, one more behind one of them.
    #[inline]
    pub(super) fn candidates(self, tag: Tag) -> SlotsOfGroup {
        let difference = self.0 ^ (u64::from(tag.0) * LOW_BITS);
        // Bytes that are zero; a borrow out of one can only reach the bytes above it.
        SlotsOfGroup(difference.wrapping_sub(LOW_BITS) & !difference & HIGH_BITS)
    }

    /// The tag of one slot.
    #[inline]
    pub(super) const fn tag(self, offset: usize) -> Tag {
        Tag((self.0 >> (8 * offset)) as u8)
    }

    /// Whether a far entry is counted.
    #[inline]
    pub(super) const fn has_far(self, far: FarCount) -> bool {
        self.far(far) != 0
    }

    const fn far(self, far: FarCount) -> u64 {
        self.0 >> far.shift & FarCount::STUCK
    }

    const fn with_tag(self, offset: usize, tag: Tag) -> Self {
        let shift = 8 * offset;
        Self(self.0 & !(0xff << shift) | (tag.0 as u64) << shift)
    }

    const fn with_one_more(self, far: FarCount) -> Self {
        if self.far(far) == FarCount::STUCK { self } else { Self(self.0 + (1 << far.shift)) }
    }

    const fn with_one_less(self, far: FarCount) -> Self {
        match self.far(far) {
            0 | FarCount::STUCK => self,
            _ => Self(self.0 - (1 << far.shift)),
        }
    }
}

/// Iterates over some slots of a group, by their offset in it: those whose highest bit is set.
pub(super) struct SlotsOfGroup(u64);

impl Iterator for SlotsOfGroup {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        if self.0 == 0 {
            return None;
        }
        let offset = self.0.trailing_zeros() as usize / 8;
        self.0 &= self.0 - 1;
        Some(offset)
    }
}

impl SlotsOfGroup {
    /// These slots of a first group, and those of a second one.
    #[inline]
    pub(super) fn and(self, Self(second): Self) -> SlotsOfTwoGroups {
        SlotsOfTwoGroups(self.0 >> 1 | second)
    }
}

/// Iterates over some slots of two groups: for those of the second, the highest bit of their byte is set, for those of
/// the first the bit below.
pub(super) struct SlotsOfTwoGroups(u64);

/// A slot of one of two groups.
pub(super) struct SlotOfTwo {
    pub(super) is_of_first: bool,
    pub(super) offset: usize,
}

impl Iterator for SlotsOfTwoGroups {
    type Item = SlotOfTwo;

    #[inline]
    fn next(&mut self) -> Option<SlotOfTwo> {
        if self.0 == 0 {
            return None;
        }
        let bit = self.0.trailing_zeros() as usize;
        self.0 &= self.0 - 1;
        Some(SlotOfTwo { is_of_first: bit.is_multiple_of(2), offset: bit / 8 })
    }
}

/// The words of all groups. With one writer, a word is changed by a load and a store.
///
/// All relaxed: entries never move, so a reader that misses a tag which was there before its look-up began would
/// break the coherence of one word; and what it finds under a tag, the slot itself vouches for.
#[derive(Debug)]
pub(super) struct Tags(Vec<AtomicU64>);

impl Tags {
    /// So many groups of empty slots.
    #[cfg(not(loom))]
    pub(super) fn new(groups: usize) -> Result<Self, OutOfMemory> {
        use zerocopy::FromZeros;
        AtomicU64::new_vec_zeroed(groups).map(Self).map_err(|_| OutOfMemory::for_array::<AtomicU64>(groups))
    }

    /// So many groups of empty slots; loom's atomics cannot be zeroed memory.
    #[cfg(loom)]
    #[allow(clippy::unnecessary_wraps)]
    pub(super) fn new(groups: usize) -> Result<Self, OutOfMemory> {
        Ok(Self((0..groups).map(|_| AtomicU64::new(0)).collect()))
    }

    /// How many groups there are.
    #[inline]
    pub(super) fn groups(&self) -> usize {
        self.0.len()
    }

    /// The word of a group.
    #[inline]
    pub(super) fn load(&self, group: usize) -> Word {
        Word(self.0[group].load(Ordering::Relaxed))
    }

    /// Sets the tag of one slot. Writer only.
    #[inline]
    pub(super) fn set(&self, place: Place, tag: Tag) {
        self.change(place.group(), |word| word.with_tag(place.offset(), tag));
    }

    /// Counts one more far entry. Writer only.
    #[inline]
    pub(super) fn count_far(&self, group: usize, far: FarCount) {
        self.change(group, |word| word.with_one_more(far));
    }

    /// Takes back what [`count_far`](Self::count_far) did. Writer only.
    #[inline]
    pub(super) fn uncount_far(&self, group: usize, far: FarCount) {
        self.change(group, |word| word.with_one_less(far));
    }

    #[inline]
    fn change(&self, group: usize, change: impl Fn(Word) -> Word) {
        let word = &self.0[group];
        word.store(change(Word(word.load(Ordering::Relaxed))).0, Ordering::Relaxed);
    }

    #[inline]
    pub(super) fn prefetch(&self, group: usize) {
        prefetch(&self.0[group]);
    }

    pub(super) fn address_range(&self) -> Range<usize> {
        let start = self.0.as_ptr().addr();
        start..start + size_of_val(self.0.as_slice())
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
