//! Groups of seven slots, and one word for each group: a tag of each slot, and how many entries went elsewhere.
//!
//! A tag is a byte: 0 for an empty slot, else seven bits of the hash. Probing reads words and looks only at slots
//! whose tag agrees, so a look-up in vain, which a peer can cause at will, seldom touches the slots, which for a
//! million entries lie outside all caches.
//!
//! The eighth byte counts entries that do not lie here: *near* ones, whose home this group is and which lie in their
//! second group; and *far* ones, whose home it is or which would have gone here as to their second group or behind
//! it, and which lie behind that. A count that has reached 15 stays there: look-ups go on in vain now and then.

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
/// The highest bit of each tag: set for every slot that is not empty.
const HIGH_BITS: u64 = LOW_BITS << 7;

const _: () = assert!(GROUP < u64::BITS as usize / 8, "one byte is left for the counts");

/// What is known of a slot by its byte.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Tag(u8);

impl Tag {
    /// The slot holds nothing.
    pub(super) const EMPTY: Self = Self(0);

    /// The tag of an entry: the lower seven bits of its hash.
    #[inline]
    pub(super) const fn of(hash: u32) -> Self {
        Self(hash as u8 | 0x80)
    }
}

/// Which entries a count is of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stray {
    /// Home is this group, and it lies in its second one.
    Near,
    /// It lies behind its second group, and this one is its home, its second one, or one between the two places.
    Far,
}

impl Stray {
    /// Bits of a count.
    const BITS: u32 = 4;
    /// The count that stays.
    const STUCK: u64 = (1 << Self::BITS) - 1;

    const fn shift(self) -> u32 {
        match self {
            Self::Near => u64::BITS - 2 * Self::BITS,
            Self::Far => u64::BITS - Self::BITS,
        }
    }
}

/// The word of one group as it was at one moment; the first slot's tag in the lowest byte.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Word(u64);

impl Word {
    /// How many slots are empty.
    #[inline]
    pub(super) const fn room(self) -> u32 {
        (!self.0 & HIGH_BITS).count_ones()
    }

    /// The first empty slot.
    #[inline]
    pub(super) fn empty_slot(self) -> Option<usize> {
        SlotsOfGroup(!self.0 & HIGH_BITS).next()
    }

    /// The slots with this tag and, rarely, one more behind one of them; never an empty one.
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

    /// Whether an entry whose home this group is may lie elsewhere.
    #[inline]
    pub(super) const fn has_strays(self) -> bool {
        self.0 >> Stray::Near.shift() != 0
    }

    /// Whether a far entry is counted.
    #[inline]
    pub(super) const fn has_far(self) -> bool {
        self.count(Stray::Far) != 0
    }

    const fn count(self, stray: Stray) -> u64 {
        self.0 >> stray.shift() & Stray::STUCK
    }

    const fn with_tag(self, offset: usize, tag: Tag) -> Self {
        let shift = 8 * offset;
        Self(self.0 & !(0xff << shift) | (tag.0 as u64) << shift)
    }

    const fn with_one_more(self, stray: Stray) -> Self {
        if self.count(stray) == Stray::STUCK { self } else { Self(self.0 + (1 << stray.shift())) }
    }

    const fn with_one_less(self, stray: Stray) -> Self {
        match self.count(stray) {
            0 | Stray::STUCK => self,
            _ => Self(self.0 - (1 << stray.shift())),
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

    /// Counts one more entry that lies elsewhere. Writer only.
    #[inline]
    pub(super) fn count(&self, group: usize, stray: Stray) {
        self.change(group, |word| word.with_one_more(stray));
    }

    /// Takes back what [`count`](Self::count) did. Writer only.
    #[inline]
    pub(super) fn uncount(&self, group: usize, stray: Stray) {
        self.change(group, |word| word.with_one_less(stray));
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
mod tests {
    use super::{GROUP, Place, Stray, Tag, Tags, Word};
    use proptest::prelude::*;
    use std::vec::Vec;

    /// The word of a group: an array says the same.
    fn word(tags: &[Tag]) -> Word {
        let groups = Tags::new(3).unwrap();
        for (offset, tag) in tags.iter().enumerate() {
            groups.set(Place::new(1, offset), Tag::of(99));
            groups.set(Place::new(1, offset), *tag);
        }
        assert_eq!((groups.load(0), groups.load(2)), (Word(0), Word(0)));
        groups.load(1)
    }

    #[test]
    fn counts_are_kept_apart_and_stick_at_their_maximum() {
        let groups = Tags::new(1).unwrap();
        groups.set(Place::new(0, GROUP - 1), Tag::of(0x7f));
        for (stray, other) in [(Stray::Near, Stray::Far), (Stray::Far, Stray::Near)] {
            for expected in 1..15 {
                groups.count(0, stray);
                assert_eq!((groups.load(0).count(stray), groups.load(0).count(other)), (expected, 0));
            }
            assert_eq!((groups.load(0).has_strays(), groups.load(0).has_far()), (true, stray == Stray::Far));
            (0..14).for_each(|_| groups.uncount(0, stray));
            assert_eq!((groups.load(0).count(stray), groups.load(0).has_strays()), (0, false));
        }
        (0..16).for_each(|_| groups.count(0, Stray::Far));
        (0..16).for_each(|_| groups.uncount(0, Stray::Far));
        assert_eq!((groups.load(0).count(Stray::Far), groups.load(0).count(Stray::Near)), (15, 0));
        assert_eq!((groups.load(0).room(), groups.load(0).tag(GROUP - 1)), (6, Tag::of(0x7f)));
    }

    proptest! {
        #[test]
        fn a_word_is_an_array(
            bits in prop::collection::vec(prop::option::weighted(0.8, 0_u32..4), GROUP),
            sought in 0_u32..4,
            strays in 0..4,
        ) {
            let expected: Vec<Tag> = bits.iter().map(|bits| bits.map_or(Tag::EMPTY, Tag::of)).collect();
            let word = (0..strays).fold(word(&expected), |word, _| word.with_one_more(Stray::Far));
            prop_assert!((0..GROUP).all(|offset| word.tag(offset) == expected[offset]));
            let empty = |offset: &usize| expected[*offset] == Tag::EMPTY;
            prop_assert_eq!(word.room() as usize, (0..GROUP).filter(empty).count());
            prop_assert_eq!(word.empty_slot(), (0..GROUP).find(empty));
            let candidates: Vec<usize> = word.candidates(Tag::of(sought)).collect();
            let same = |offset: &usize| expected[*offset] == Tag::of(sought);
            prop_assert!((0..GROUP).filter(same).all(|offset| candidates.contains(&offset)));
            // The first candidate is never wrong, and no empty slot is one.
            prop_assert_eq!(candidates.first().copied(), (0..GROUP).find(same));
            prop_assert!(candidates.iter().all(|offset| expected[*offset] != Tag::EMPTY));
        }
    }
}
