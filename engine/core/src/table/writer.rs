//! The one writer's side of the table.

use super::entry::Entry;
use super::reader::TableReader;
use super::slot::PROBES_MAX;
use super::tags::{GROUP, Tag};
use super::{ConnectionTable, Home, Slot};
use crate::base::OutOfMemory;
use crate::base::sync::{Arc, Ordering};
use core::fmt;
use core::ops::Range;

/// The handle of the thread that owns the table. There is one, and only it can change entries; it reads them
/// without the readers' checks.
///
/// All methods take the tuple's hash from the caller: any function of the tuple, the same at each call, that a
/// peer cannot steer (keyed).
#[derive(Debug)]
pub struct TableWriter<const WORDS: usize> {
    pub(super) table: Arc<ConnectionTable<WORDS>>,
    len: usize,
    connections_max: usize,
}

/// Why an entry was not inserted. The table is as before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum InsertError {
    /// The table holds `connections_max` entries, or this hash's part of it is overcrowded (8,192 slots in a row
    /// are full; with a good hash that does not happen).
    Full,
    /// The tuple has this entry already.
    Exists(Entry),
}

impl fmt::Display for InsertError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => formatter.write_str("the connection table is full: raise connections_max"),
            Self::Exists(entry) => write!(formatter, "the tuple belongs to connection {}", entry.key()),
        }
    }
}

impl core::error::Error for InsertError {}

/// A group and an offset in it, in one word. The group may lie beyond the last one and then wraps round.
#[derive(Clone, Copy)]
struct Place(usize);

impl Place {
    #[inline]
    fn new(group: usize, offset: usize) -> Self {
        Self(group * GROUP + offset)
    }

    #[inline]
    fn group(self) -> usize {
        self.0 / GROUP
    }

    #[inline]
    fn offset(self) -> usize {
        self.0 % GROUP
    }
}

/// Where a probe ended.
enum Probe {
    /// At the entry that was sought.
    Hit(Place),
    /// At a group with room, so many groups from home.
    Room { distance: usize },
    /// Nowhere within the farthest distance.
    Crowded,
}

impl<const WORDS: usize> TableWriter<WORDS> {
    /// An empty table for `connections_max` entries, which fill at most 7/8 of its slots (24 bytes each for
    /// IPv4, 48 for IPv6, and a tag of one byte; their number is a power of two). Memory is touched as slots are
    /// used.
    ///
    /// # Errors
    /// [`OutOfMemory`] if the address space cannot be reserved or `connections_max` is above 7/8 of 2³¹.
    pub fn new(connections_max: usize) -> Result<Self, OutOfMemory> {
        Ok(Self { table: Arc::new(ConnectionTable::new(connections_max)?), len: 0, connections_max })
    }

    /// A handle for reading on any thread, for as long as it is kept.
    pub fn reader(&self) -> TableReader<WORDS> {
        TableReader::new(Arc::clone(&self.table))
    }

    /// The entry of a tuple.
    #[inline]
    pub fn find(&self, hash: u32, tuple: &[u32; WORDS]) -> Option<Entry> {
        match self.probe(hash, tuple) {
            Probe::Hit(place) => Some(self.slot(place).entry()),
            Probe::Room { .. } | Probe::Crowded => None,
        }
    }

    /// Enters a tuple.
    ///
    /// # Errors
    /// [`InsertError::Exists`] if it has an entry, [`InsertError::Full`] if there is no room.
    #[inline]
    pub fn insert(&mut self, hash: u32, tuple: &[u32; WORDS], entry: Entry) -> Result<(), InsertError> {
        match self.probe(hash, tuple) {
            Probe::Hit(place) => Err(InsertError::Exists(self.slot(place).entry())),
            Probe::Room { distance } if self.len < self.connections_max => {
                self.fill(hash, distance, tuple, entry);
                self.len += 1;
                Ok(())
            }
            Probe::Room { .. } | Probe::Crowded => Err(InsertError::Full),
        }
    }

    /// Changes the entry of a tuple (its kind, its key, or both) and returns the former one; `None`, and no
    /// change, if the tuple has none.
    #[inline]
    pub fn set_entry(&mut self, hash: u32, tuple: &[u32; WORDS], entry: Entry) -> Option<Entry> {
        match self.probe(hash, tuple) {
            Probe::Hit(place) => {
                let slot = self.slot(place);
                let former = slot.entry();
                slot.write_entry(entry);
                Some(former)
            }
            Probe::Room { .. } | Probe::Crowded => None,
        }
    }

    /// Takes a tuple out and returns its entry, if it had one.
    #[inline]
    pub fn remove(&mut self, hash: u32, tuple: &[u32; WORDS]) -> Option<Entry> {
        match self.probe(hash, tuple) {
            Probe::Hit(place) => {
                let entry = self.slot(place).entry();
                self.close_gap(place);
                self.len -= 1;
                Some(entry)
            }
            Probe::Room { .. } | Probe::Crowded => None,
        }
    }

    /// Asks for the cache lines on which a look-up of `hash` begins.
    #[inline]
    pub fn prefetch(&self, hash: u32) {
        self.table.prefetch(hash);
    }

    /// How many entries there are.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no entry.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many entries there can be.
    #[inline]
    pub fn capacity(&self) -> usize {
        self.connections_max
    }

    /// Where the arrays of slots and of tags lie: for advice about huge pages.
    pub fn address_ranges(&self) -> [Range<usize>; 2] {
        let slots = self.table.slots.as_ptr().addr();
        let end = slots + self.table.slots.len() * size_of::<Slot<WORDS>>();
        [slots..end, self.table.tags.address_range()]
    }

    #[inline]
    fn slot(&self, place: Place) -> &Slot<WORDS> {
        self.table.slot(place.group(), place.offset())
    }

    #[inline(always)]
    fn probe(&self, hash: u32, tuple: &[u32; WORDS]) -> Probe {
        let Home { group, tag, .. } = self.table.home(hash);
        let tags = self.table.tags.load(group);
        for offset in tags.candidates(tag) {
            if self.table.slot(group, offset).holds(tuple) {
                return Probe::Hit(Place::new(group, offset));
            }
        }
        if tags.is_full() { self.probe_further(hash, tuple) } else { Probe::Room { distance: 0 } }
    }

    /// Goes on behind a home group that is full and does not hold the tuple.
    #[cold]
    #[inline(never)]
    fn probe_further(&self, hash: u32, tuple: &[u32; WORDS]) -> Probe {
        let Home { group: home, tag, .. } = self.table.home(hash);
        for distance in 1..PROBES_MAX {
            let group = home + distance;
            let tags = self.table.tags.load(group);
            let found = tags.candidates(tag).find(|offset| self.table.slot(group, *offset).holds(tuple));
            if let Some(offset) = found {
                return Probe::Hit(Place::new(group, offset));
            }
            if !tags.is_full() {
                return Probe::Room { distance };
            }
        }
        Probe::Crowded
    }

    /// Puts an entry into the group, so far from its home, in which there is room.
    #[inline]
    fn fill(&self, hash: u32, distance: usize, tuple: &[u32; WORDS], entry: Entry) {
        let Home { group: home, offset: preferred, tag } = self.table.home(hash);
        let group = home + distance;
        let Some(offset) = self.table.tags.load(group).empty_slot(preferred) else {
            unreachable!("the probe ended at this group because it has room");
        };
        self.table.slot(group, offset).write(distance, tuple, entry);
        self.table.tags.set(group, offset, tag);
    }

    /// Empties a place. If entries had to go past its group because that was full, one of them is first moved
    /// into the place, and its former place is the gap, and so on.
    fn close_gap(&self, mut gap: Place) {
        let tags = &self.table.tags;
        let mut group = gap.group();
        // There is a group with room: the load is at most 7/8. An entry never lies beyond it.
        while tags.load(group).is_full() {
            group += 1;
            if let Some((offset, distance)) = self.movable(group, gap.group()) {
                let slot = self.table.slot(group, offset);
                self.slot(gap).write(distance, &slot.tuple(), slot.entry());
                tags.set(gap.group(), gap.offset(), tags.load(group).tag(offset));
                self.count_move();
                gap = Place::new(group, offset);
            }
        }
        tags.set(gap.group(), gap.offset(), Tag::EMPTY);
    }

    /// An entry of `group` that may as well lie in the earlier group `to`: its offset, and its distance there.
    fn movable(&self, group: usize, to: usize) -> Option<(usize, usize)> {
        self.table.tags.load(group).in_use().find_map(|offset| {
            let distance = self.table.slot(group, offset).guard().distance();
            Some((offset, distance.checked_sub(group - to)?))
        })
    }

    /// Counts an entry that now stands in two slots, before the later of them is overwritten or emptied.
    #[inline]
    fn count_move(&self) {
        let moves = self.table.moves.0.load(Ordering::Relaxed);
        // Release pairs with the acquire load of a reader's beginning: who starts from this count sees the
        // copy and its tag. (Who sees the later slot or its tag changed sees this count, by their own release.)
        self.table.moves.0.store(moves + 1, Ordering::Release);
    }
}
