//! Which connection a four-tuple belongs to: written by one shard, read by all, without locks.
//!
//! Groups of seven slots, as many as are needed. A hash has two groups: its *home*, and a *second* one, which takes
//! an entry when home is nearly full and the second one is emptier. If both are full, the entry goes to the first
//! group behind the second one that has room. A group's word holds a tag of each slot and counts the entries that
//! had to go on, so a look-up reads two words and the slot whose tag agrees. Two choices keep a table good that is
//! full and in which entries have come and gone for long; with one choice a look-up in vain would then pass 190
//! groups.
//!
//! **Entries never move**, so a [`Place`] is good for as long as the entry is there, and a reader cannot miss an entry
//! that is there throughout its look-up. A slot's tuple is written only while its entry is marked as absent; a
//! reader that finds the same entry before and after it has compared the tuple knows that they belong together.
//! For that, one entry must not be entered for two tuples: a slab's keys differ in their generation.
//!
//! The arrays are type-stable and not freed before the last reader, so all of this is safe code. Memory is
//! touched only where entries lie. `WORDS` is the size of the tuple: [`WORDS_V4`] or [`WORDS_V6`].

mod entry;
#[cfg(all(test, loom))]
mod loom_tests;
mod place;
mod reader;
mod slot;
#[cfg(all(test, not(loom)))]
mod stress_tests;
mod tags;
#[cfg(all(test, not(loom)))]
mod tests;
mod writer;

pub use entry::{Entry, IndexTooLarge, Kind};
pub use place::{FamilyPlace, InFamily, Place};
pub use reader::{Lookup, TableReader};
pub use writer::{InsertError, TableWriter};

use crate::base::OutOfMemory;
use core::hint::select_unpredictable;
use slot::Slots;
use tags::{FarCount, GROUP, Tag, Tags, Word};

/// Words of a tuple of IPv4 addresses and ports: 12 bytes.
pub const WORDS_V4: usize = 3;
/// Words of a tuple of IPv6 addresses and ports: 36 bytes.
pub const WORDS_V6: usize = 9;

/// Entries fill at most so many of so many slots: 11/14. In a full table in which all has changed ten times over, 5 % of
/// the entries are far then, and 6 % of the look-ups in vain go on for them; at 7/8 it would be 18 % and most.
const LOAD_MAX: (usize, usize) = (11, 14);
/// Most slots of a table: a [`FamilyPlace`] needs one of 32 bits.
const SLOTS_MAX: usize = 1 << 31;
/// Groups that a look-up visits at most. In a full table hardly an entry lies in the 20th.
const PROBES_MAX: usize = if cfg!(loom) { 4 } else { 128 };

/// What the writer and the readers of one table share. Made by [`TableWriter::new`].
#[derive(Debug)]
pub struct ConnectionTable<const WORDS: usize> {
    slots: Slots<WORDS>,
    tags: Tags,
}

impl<const WORDS: usize> ConnectionTable<WORDS> {
    fn new(connections_max: usize) -> Result<Self, OutOfMemory> {
        let error = OutOfMemory::for_array::<[u32; WORDS]>(connections_max);
        let groups = groups_for(connections_max).ok_or(error)?;
        Ok(Self { slots: Slots::new(groups * GROUP)?, tags: Tags::new(groups)? })
    }

    /// The first group for a hash, by its upper bits. (Tags are its lower ones.)
    #[inline]
    fn home(&self, hash: u32) -> usize {
        self.scaled(hash)
    }

    /// The second group for a hash: all its bits take part in the upper ones of the product.
    #[inline]
    fn second(&self, hash: u32) -> usize {
        // 2^32 divided by the golden ratio (Knuth, TAOCP vol. 3, 6.4).
        self.scaled(hash.wrapping_mul(0x9e37_79b1))
    }

    /// A fraction of 2^32 as a fraction of all groups.
    #[inline]
    fn scaled(&self, hash: u32) -> usize {
        ((u64::from(hash) * self.tags.groups() as u64) >> u32::BITS) as usize
    }

    /// The group behind a group.
    #[inline]
    fn behind(&self, group: usize) -> usize {
        if group + 1 == self.tags.groups() { 0 } else { group + 1 }
    }

    /// The groups behind home in which the entries of a hash may lie, in the order in which they are tried: the second
    /// one and those behind it.
    #[inline]
    fn further(&self, hash: u32) -> impl Iterator<Item = usize> {
        let following = |group: &usize| Some(self.behind(*group));
        core::iter::successors(Some(self.second(hash)), following).take(PROBES_MAX - 1)
    }

    /// Shows `look` each slot in which the entry of `hash` may lie, until it answers. Reads the words of both groups at once,
    /// so that nothing is guessed: a wrong guess while a word is on its way from memory costs as much as the word.
    #[inline(always)]
    fn search<R>(&self, hash: u32, mut look: impl FnMut(Place) -> Option<R>) -> Option<R> {
        let (home, second, tag) = (self.home(hash), self.second(hash), Tag::of(hash));
        let (home_word, second_word) = (self.tags.load(home), self.tags.load(second));
        for candidate in home_word.candidates(tag).and(second_word.candidates(tag)) {
            let group = select_unpredictable(candidate.is_of_first, home, second);
            let found = look(Place::new(group, candidate.offset));
            if found.is_some() {
                return found;
            }
        }
        let far = FarCount::of(hash);
        // Both tests in one: each by itself would be guessed wrong more often.
        let is_far = home_word.has_far(far) & second_word.has_far(far);
        if is_far { self.search_far(hash, look) } else { None }
    }

    /// The same, for a table in which hardly an entry lies outside of its home.
    #[inline(always)]
    fn search_home_first<R>(&self, hash: u32, mut look: impl FnMut(Place) -> Option<R>) -> Option<R> {
        let (home, tag) = (self.home(hash), Tag::of(hash));
        let word = self.tags.load(home);
        for offset in word.candidates(tag) {
            let found = look(Place::new(home, offset));
            if found.is_some() {
                return found;
            }
        }
        self.search_out_of_line(hash, look)
    }

    #[inline(never)]
    fn search_out_of_line<R>(&self, hash: u32, look: impl FnMut(Place) -> Option<R>) -> Option<R> {
        self.search(hash, look)
    }

    /// The same for the groups behind the second one.
    #[cold]
    fn search_far<R>(&self, hash: u32, mut look: impl FnMut(Place) -> Option<R>) -> Option<R> {
        let (tag, far) = (Tag::of(hash), FarCount::of(hash));
        for group in self.further(hash).skip(1) {
            let word = self.tags.load(group);
            let found = word.candidates(tag).find_map(|offset| look(Place::new(group, offset)));
            if found.is_some() || !word.has_far(far) {
                return found;
            }
        }
        None
    }

    /// Asks for the words with which a look-up of `hash` begins.
    #[inline]
    fn prefetch(&self, hash: u32) {
        self.tags.prefetch(self.home(hash));
        self.tags.prefetch(self.second(hash));
    }
}

/// How many groups `connections_max` entries need, or `None` if they are too many.
const fn groups_for(connections_max: usize) -> Option<usize> {
    let (filled, of) = LOAD_MAX;
    if connections_max > SLOTS_MAX / of * filled - GROUP {
        return None;
    }
    let groups = (connections_max * of).div_ceil(filled * GROUP);
    Some(if groups == 0 { 1 } else { groups })
}

const _: () = assert!(groups_for(0).is_some() && groups_for(SLOTS_MAX).is_none());

/// Bytes that an entry takes in a full table, its share of free slots included, rounded up.
#[cfg(not(loom))]
pub(crate) const fn bytes_per_entry<const WORDS: usize>() -> usize {
    let (filled, of) = LOAD_MAX;
    let group = size_of::<Word>() + GROUP * slot::slot_size::<WORDS>();
    (group * of).div_ceil(GROUP * filled)
}

#[cfg(not(loom))]
const _: () = assert!(bytes_per_entry::<WORDS_V4>() == 27 && bytes_per_entry::<WORDS_V6>() == 58);
