//! Groups of eight slots, and one byte for each slot: empty or not, and seven bits of the hash.
//!
//! A group's bytes are one word. Probing reads words and looks only at slots whose bits agree, so a look-up in
//! vain, which a peer can cause at will, seldom touches the slots, which for a million entries lie outside all
//! caches.

use crate::base::OutOfMemory;
use crate::base::prefetch::prefetch;
use crate::base::sync::{AtomicU64, Ordering};
use alloc::vec::Vec;
use core::ops::Range;

/// Slots of a group. A model check is content with two.
pub(super) const GROUP: usize = if cfg!(loom) { 2 } else { 8 };
/// The lowest bit of each byte that is in use.
const LOW_BITS: u64 = 0x0101_0101_0101_0101 >> (64 - 8 * GROUP);
/// The highest bit of each byte that is in use: set in every tag of a slot that is not empty.
const HIGH_BITS: u64 = LOW_BITS << 7;

/// What is known of a slot by its byte.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Tag(u8);

impl Tag {
    /// The slot holds nothing.
    pub(super) const EMPTY: Self = Self(0);

    /// The tag of an entry, from the lower seven of these bits.
    #[inline]
    pub(super) const fn from_bits(bits: u64) -> Self {
        Self(bits as u8 | 0x80)
    }
}

/// The tags of one group as they were at one moment; the first slot's in the lowest byte.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct GroupTags(u64);

impl GroupTags {
    /// Whether no slot is empty.
    #[inline]
    pub(super) fn is_full(self) -> bool {
        self.0 & HIGH_BITS == HIGH_BITS
    }

    /// An empty slot: the preferred one, or the next one round the group.
    #[inline]
    pub(super) fn empty_slot(self, preferred: usize) -> Option<usize> {
        let empty = !self.0 & HIGH_BITS;
        let behind = empty >> (8 * preferred) << (8 * preferred);
        let best = if behind == 0 { empty } else { behind };
        (best != 0).then(|| best.trailing_zeros() as usize / 8)
    }

    /// The slots with this tag and, rarely, one more behind one of them.
    #[inline]
    pub(super) fn candidates(self, tag: Tag) -> SlotsOfGroup {
        let difference = self.0 ^ (u64::from(tag.0) * LOW_BITS);
        // Bytes that are zero; a borrow out of one can only reach the bytes above it.
        SlotsOfGroup(difference.wrapping_sub(LOW_BITS) & !difference & HIGH_BITS)
    }

    /// The slots that are in use.
    #[inline]
    pub(super) fn in_use(self) -> SlotsOfGroup {
        SlotsOfGroup(self.0 & HIGH_BITS)
    }

    /// The tag of one slot.
    #[inline]
    pub(super) fn tag(self, offset: usize) -> Tag {
        Tag((self.0 >> (8 * offset)) as u8)
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

/// The tags of all groups. With one writer, a byte is changed by a load and a store.
#[derive(Debug)]
pub(super) struct Tags(Vec<AtomicU64>);

impl Tags {
    /// So many groups of empty slots; `groups` is a power of two.
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

    /// The tags of a group, whose number wraps round.
    ///
    /// Relaxed. The writer reads its own stores; a reader that ends its search in vain fences before it trusts
    /// the result.
    #[inline]
    pub(super) fn load(&self, group: usize) -> GroupTags {
        GroupTags(self.word(group).load(Ordering::Relaxed))
    }

    /// Sets one tag of a group. Writer only.
    #[inline]
    pub(super) fn set(&self, group: usize, offset: usize, tag: Tag) {
        let (word, shift) = (self.word(group), 8 * offset);
        let others = word.load(Ordering::Relaxed) & !(0xff << shift);
        // Release pairs with the acquire fence at the end of a reader's search: who passed over this slot, or
        // stopped at it, because of this tag sees the count of the move before it.
        word.store(others | u64::from(tag.0) << shift, Ordering::Release);
    }

    #[inline]
    pub(super) fn prefetch(&self, group: usize) {
        prefetch(self.word(group));
    }

    pub(super) fn address_range(&self) -> Range<usize> {
        let start = self.0.as_ptr().addr();
        start..start + size_of_val(self.0.as_slice())
    }

    #[inline]
    fn word(&self, group: usize) -> &AtomicU64 {
        &self.0[group & (self.0.len() - 1)]
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::{GROUP, GroupTags, Tag, Tags};
    use proptest::prelude::*;
    use std::vec::Vec;

    /// The tags of a group: an array says the same.
    fn group(bits: &[Option<u64>]) -> (GroupTags, Vec<Tag>) {
        let expected: Vec<Tag> = bits.iter().map(|bits| bits.map_or(Tag::EMPTY, Tag::from_bits)).collect();
        let tags = Tags::new(2).unwrap();
        for (offset, tag) in expected.iter().enumerate() {
            tags.set(1, offset, Tag::from_bits(99));
            tags.set(3, offset, *tag);
        }
        assert_eq!(tags.load(0).in_use().count(), 0);
        (tags.load(1), expected)
    }

    proptest! {
        #[test]
        fn a_word_is_an_array(
            bits in prop::collection::vec(prop::option::weighted(0.8, 0_u64..4), GROUP),
            sought in 0_u64..4,
            preferred in 0..GROUP,
        ) {
            let (group, expected) = group(&bits);
            prop_assert!((0..GROUP).all(|offset| group.tag(offset) == expected[offset]));
            prop_assert!(group.in_use().eq((0..GROUP).filter(|offset| expected[*offset] != Tag::EMPTY)));
            prop_assert_eq!(group.is_full(), !expected.contains(&Tag::EMPTY));
            let round = (preferred..GROUP).chain(0..preferred);
            let empty: Vec<usize> = round.filter(|offset| expected[*offset] == Tag::EMPTY).collect();
            prop_assert_eq!(group.empty_slot(preferred), empty.first().copied());
            let candidates: Vec<usize> = group.candidates(Tag::from_bits(sought)).collect();
            let same = |offset: &usize| expected[*offset] == Tag::from_bits(sought);
            prop_assert!((0..GROUP).filter(same).all(|offset| candidates.contains(&offset)));
            // The first candidate is never wrong, and no empty slot is one.
            prop_assert_eq!(candidates.first().copied(), (0..GROUP).find(same));
            prop_assert!(candidates.iter().all(|offset| expected[*offset] != Tag::EMPTY));
        }
    }
}
