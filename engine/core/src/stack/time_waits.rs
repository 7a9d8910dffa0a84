//! All connections in TIME_WAIT, in the order in which they end.

use alloc::vec::Vec;
use core::ops::Range;

use crate::base::OutOfMemory;
use crate::base::slab::Key;
use crate::table::{Entry, FamilyPlace};
use crate::tcp::seq::SequenceNumber;
use crate::tcp::tick::Tick;
use crate::tcp::time_wait::TimeWait;

/// Records of one array in a list. All wait equally long, so the one that is put in last, or whose clock was started
/// again last, ends last: putting it at the back keeps the list sorted, and no timer is needed.
#[derive(Debug)]
pub(super) struct TimeWaits {
    records: Vec<Record>,
    /// First of those that are free.
    free: Link,
    first: Link,
    last: Link,
    len: u32,
    maximum: u32,
    /// That of the last key: each differs from all others of the last 2^31.
    generation: u32,
}

/// A [`TimeWait`] in as few bytes as possible.
#[derive(Clone, Copy, Debug)]
#[repr(C, packed(2))]
struct Record {
    place: FamilyPlace,
    snd_nxt: SequenceNumber,
    rcv_nxt: SequenceNumber,
    ts_recent: u32,
    expires_at: Tick,
    next: Link,
    previous: FlaggedLink,
    window: u16,
}

/// Index of another record, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Link(u32);

impl Link {
    /// Above all indices.
    const NONE: Self = Self(u32::MAX >> 1);

    fn index(self) -> Option<u32> {
        (self != Self::NONE).then_some(self.0)
    }
}

/// A link, and whether timestamps were agreed.
#[derive(Clone, Copy, Debug)]
struct FlaggedLink(u32);

impl FlaggedLink {
    const TIMESTAMPS: u32 = 1 << 31;

    fn new(link: Link, timestamps: bool) -> Self {
        Self(link.0 | if timestamps { Self::TIMESTAMPS } else { 0 })
    }

    fn link(self) -> Link {
        Link(self.0 & !Self::TIMESTAMPS)
    }

    fn timestamps(self) -> bool {
        self.0 & Self::TIMESTAMPS != 0
    }
}

#[cfg(not(loom))]
const _: () = {
    use crate::table::{WORDS_V4, WORDS_V6, bytes_per_entry};
    // The generation is in the table, list and free list are in the record.
    let record = size_of::<Record>();
    assert!(record == 30 && Entry::INDEX_MAX < Link::NONE.0);
    assert!(
        bytes_per_entry::<WORDS_V4>() + record <= 64 && bytes_per_entry::<WORDS_V6>() + record <= 64 + 24
    );
};

impl TimeWaits {
    /// Room for `maximum` at a time; memory is touched as it is used.
    ///
    /// # Errors
    /// [`OutOfMemory`].
    pub(super) fn new(maximum: u32) -> Result<Self, OutOfMemory> {
        let mut records = Vec::new();
        let error = OutOfMemory::for_array::<Record>(maximum as usize);
        records.try_reserve_exact(maximum as usize).map_err(|_| error)?;
        let none = Link::NONE;
        Ok(Self { records, free: none, first: none, last: none, len: 0, maximum, generation: 1 })
    }

    /// Puts a record in that ends after all that are there, and returns its key; `None` if there is no room.
    pub(super) fn insert(&mut self, record: &TimeWait) -> Option<Key> {
        let TimeWait { place, snd_nxt, rcv_nxt, window, ts_recent, expires_at } = *record;
        if self.len == self.maximum {
            return None;
        }
        let record = Record {
            place,
            snd_nxt,
            rcv_nxt,
            ts_recent: ts_recent.unwrap_or(0),
            expires_at,
            next: Link::NONE,
            previous: FlaggedLink::new(Link::NONE, ts_recent.is_some()),
            window,
        };
        let index = match self.free.index() {
            Some(index) => {
                self.free = self.records[index as usize].next;
                self.records[index as usize] = record;
                index
            }
            None => {
                self.records.push(record);
                self.records.len() as u32 - 1
            }
        };
        self.push_back(index);
        self.len += 1;
        self.generation = self.generation.wrapping_add(2);
        Some(Key { index, generation: self.generation })
    }

    /// The record at an index that the caller knows to be in use: from the table.
    pub(super) fn at(&self, index: u32) -> TimeWait {
        let Record { place, snd_nxt, rcv_nxt, ts_recent, expires_at, next: _, previous, window } =
            self.records[index as usize];
        let ts_recent = previous.timestamps().then_some(ts_recent);
        TimeWait { place, snd_nxt, rcv_nxt, window, ts_recent, expires_at }
    }

    /// Starts the clock of the record at an index in use again: it ends after all others.
    pub(super) fn restart(&mut self, index: u32, expires_at: Tick) {
        self.unlink(index);
        self.records[index as usize].expires_at = expires_at;
        self.push_back(index);
    }

    /// Takes the record at an index in use out.
    pub(super) fn remove(&mut self, index: u32) -> TimeWait {
        let record = self.at(index);
        self.unlink(index);
        self.records[index as usize].next = self.free;
        self.free = Link(index);
        self.len -= 1;
        record
    }

    /// Which one ends first, and when.
    #[inline]
    pub(super) fn first(&self) -> Option<(u32, Tick)> {
        self.first.index().map(|index| (index, self.records[index as usize].expires_at))
    }

    /// How many there are.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether there is none.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many there can be.
    pub(super) fn capacity(&self) -> usize {
        self.maximum as usize
    }

    /// Where the array lies, used or not: for advice about huge pages.
    pub(super) fn address_range(&self) -> Range<usize> {
        let start = self.records.as_ptr().addr();
        start..start + self.records.capacity() * size_of::<Record>()
    }

    fn push_back(&mut self, index: u32) {
        let last = core::mem::replace(&mut self.last, Link(index));
        self.set_next(last, Link(index));
        self.set_previous(Link(index), last);
        self.set_next(Link(index), Link::NONE);
    }

    fn unlink(&mut self, index: u32) {
        let Record { next, previous, .. } = self.records[index as usize];
        self.set_next(previous.link(), next);
        self.set_previous(next, previous.link());
    }

    /// What comes after `link`; after none comes the first.
    fn set_next(&mut self, link: Link, next: Link) {
        match link.index() {
            Some(index) => self.records[index as usize].next = next,
            None => self.first = next,
        }
    }

    /// What comes before `link`; before none comes the last.
    fn set_previous(&mut self, link: Link, previous: Link) {
        match link.index() {
            Some(index) => {
                let record = &mut self.records[index as usize];
                record.previous = FlaggedLink::new(previous, record.previous.timestamps());
            }
            None => self.last = previous,
        }
    }
}

#[cfg(test)]
mod tests;
