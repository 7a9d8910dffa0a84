//! Which connection a four-tuple belongs to: written by one shard, read by all, without locks.
//!
//! A power of two of groups of eight slots, with a tag byte for each slot; open addressing. An entry lies in
//! the group of its hash or, if that is full, in the first later one that is not. Removal from a full group
//! moves an entry back into the gap if one had to go past it, so there are no tombstones and no decay. Each
//! slot is guarded by a sequence counter: a reader on any thread takes what it finds only if the slot did not
//! change while it read. Because removal moves entries, one more counter tells a reader that found nothing
//! whether an entry may have slipped past it; it then looks again, a bounded number of times.
//!
//! The arrays are type-stable and not freed before the last reader, so all of this is safe code. Memory is
//! touched only where entries lie. `WORDS` is the size of the tuple: [`WORDS_V4`] or [`WORDS_V6`].

mod entry;
#[cfg(all(test, loom))]
mod loom_tests;
mod reader;
mod slot;
#[cfg(all(test, not(loom)))]
mod stress_tests;
mod tags;
#[cfg(all(test, not(loom)))]
mod tests;
mod writer;

pub use entry::{Entry, IndexTooLarge, Kind};
pub use reader::{Lookup, TableReader};
pub use writer::{InsertError, TableWriter};

use crate::base::OutOfMemory;
use crate::base::prefetch::prefetch;
use crate::base::sync::{AtomicU64, CacheAligned};
use alloc::vec::Vec;
use slot::Slot;
use tags::{GROUP, Tag, Tags};

/// Words of a tuple of IPv4 addresses and ports: 12 bytes.
pub const WORDS_V4: usize = 3;
/// Words of a tuple of IPv6 addresses and ports: 36 bytes.
pub const WORDS_V6: usize = 9;

/// Most slots that a table has: a home position is taken from a hash of 32 bits.
const SLOTS_MAX: usize = 1 << 31;
/// Fewest slots that a table has.
const SLOTS_MIN: usize = 8;

/// What the writer and the readers of one table share. Made by [`TableWriter::new`].
#[derive(Debug)]
pub struct ConnectionTable<const WORDS: usize> {
    slots: Vec<Slot<WORDS>>,
    tags: Tags,
    /// 64 less the binary logarithm of the number of slots.
    home_shift: u32,
    /// How many entries were ever moved by removals.
    moves: CacheAligned<AtomicU64>,
}

impl<const WORDS: usize> ConnectionTable<WORDS> {
    fn new(connections_max: usize) -> Result<Self, OutOfMemory> {
        let slots =
            slots_for(connections_max).ok_or(OutOfMemory::for_array::<Slot<WORDS>>(connections_max))?;
        Ok(Self {
            slots: Slot::new_array(slots)?,
            tags: Tags::new(slots / GROUP)?,
            home_shift: u64::BITS - slots.ilog2(),
            moves: CacheAligned(AtomicU64::new(0)),
        })
    }

    /// Where a hash belongs. All its bits take part: a shard's flows may have some of them in common, namely
    /// those by which the NIC chose the shard.
    #[inline]
    fn home(&self, hash: u32) -> Home {
        // 2^64 divided by the golden ratio (Knuth, TAOCP vol. 3, 6.4).
        let spread = u64::from(hash).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let slot = (spread >> self.home_shift) as usize;
        // Bits that take no part in the slot: there are at most 2^31 slots.
        let tag = Tag::from_bits(spread >> 25);
        Home { group: slot / GROUP, offset: slot % GROUP, tag }
    }

    /// A slot of a group, whose number wraps round.
    #[inline]
    fn slot(&self, group: usize, offset: usize) -> &Slot<WORDS> {
        &self.slots[(group * GROUP + offset) & (self.slots.len() - 1)]
    }

    /// Asks for the cache lines on which a look-up of `hash` begins.
    #[inline]
    fn prefetch(&self, hash: u32) {
        let Home { group, offset, .. } = self.home(hash);
        self.tags.prefetch(group);
        prefetch(self.slot(group, offset));
        // A slot may straddle two lines, and the next one is the likeliest place if the home was taken.
        prefetch(self.slot(group, (offset + 1) % GROUP));
    }
}

/// Where a hash belongs.
#[derive(Clone, Copy)]
struct Home {
    /// The first group in which its entry may lie.
    group: usize,
    /// The slot of a group in which the entry lies if it was empty.
    offset: usize,
    /// The tag of its entry.
    tag: Tag,
}

/// The power of two of which `connections_max` entries fill at most 7/8, or `None` if it is too large.
const fn slots_for(connections_max: usize) -> Option<usize> {
    // Saturation makes too large a number fail the test below.
    let slots = (connections_max.saturating_mul(8).div_ceil(7)).next_power_of_two();
    let slots = if slots < SLOTS_MIN { SLOTS_MIN } else { slots };
    if connections_max <= SLOTS_MAX / 8 * 7 { Some(slots) } else { None }
}

const _: () = assert!(matches!(slots_for(7), Some(8)) && matches!(slots_for(8), Some(16)));
const _: () = assert!(matches!(slots_for(SLOTS_MAX / 8 * 7), Some(SLOTS_MAX)));
