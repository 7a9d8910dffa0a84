//! The one writer's side of the table.

use super::entry::Entry;
use super::reader::TableReader;
use super::tags::{FarCount, Tag};
use super::{ConnectionTable, Place};
use crate::base::OutOfMemory;
use crate::base::sync::Arc;
use core::fmt;
use core::ops::Range;

/// A home with so many empty slots takes an entry without a look at the second group.
const ROOM_AMPLE: u32 = if cfg!(loom) { 1 } else { 2 };
/// With so many groups for each entry outside of its home, look-ups had better not read the second group at once.
const GROUPS_FOR_A_STRAY: usize = 8;

/// The handle of the thread that owns the table. There is one, and only it can change entries; it reads them
/// without the readers' checks.
///
/// All methods take the tuple's hash from the caller: any function of the tuple, the same at each call, that a peer
/// cannot steer (keyed) and all of whose 32 bits are as good as random.
#[derive(Debug)]
pub struct TableWriter<const WORDS: usize> {
    pub(super) table: Arc<ConnectionTable<WORDS>>,
    len: usize,
    /// How many entries do not lie at home.
    pub(super) strays: usize,
    connections_max: usize,
    changes: u32,
}

/// Why an entry was not inserted. The table is as before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum InsertError {
    /// The table holds `connections_max` entries, or this hash's part of it is overcrowded (its home and more than
    /// 100 groups in a row are full; with a good hash that does not happen).
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

impl<const WORDS: usize> TableWriter<WORDS> {
    /// An empty table for `connections_max` entries, which fill at most 11/14 of its slots (20 bytes each for IPv4, 44 for
    /// IPv6, and 8/7 of a byte for tags). Memory is touched as slots are used.
    ///
    /// # Errors
    /// [`OutOfMemory`] if the address space cannot be reserved or `connections_max` is above 11/14 of 2³¹.
    pub fn new(connections_max: usize) -> Result<Self, OutOfMemory> {
        let table = Arc::new(ConnectionTable::new(connections_max)?);
        Ok(Self { table, len: 0, strays: 0, connections_max, changes: 0 })
    }

    /// A handle for reading on any thread, for as long as it is kept.
    pub fn reader(&self) -> TableReader<WORDS> {
        TableReader::new(Arc::clone(&self.table))
    }

    /// The entry of a tuple.
    #[inline(always)]
    pub fn find(&self, hash: u32, tuple: &[u32; WORDS]) -> Option<Entry> {
        self.locate(hash, tuple).map(|(_, entry)| entry)
    }

    /// The entry of a tuple and where it lies.
    #[inline(always)]
    pub fn locate(&self, hash: u32, tuple: &[u32; WORDS]) -> Option<(Place, Entry)> {
        let slots = &self.table.slots;
        self.search(hash, |place| {
            if slots.holds(place, tuple) { slots.entry(place).map(|entry| (place, entry)) } else { None }
        })
    }

    /// Enters a tuple, and says where. The entry must differ from all that other tuples had, at least from those of the
    /// last minutes: a key from a slab does (readers recognise by it what they read, see the [module](super)).
    ///
    /// # Errors
    /// [`InsertError::Exists`] if it has an entry, [`InsertError::Full`] if there is no room.
    pub fn insert(&mut self, hash: u32, tuple: &[u32; WORDS], entry: Entry) -> Result<Place, InsertError> {
        if let Some(existing) = self.find(hash, tuple) {
            return Err(InsertError::Exists(existing));
        }
        self.insert_new(hash, tuple, entry)
    }

    /// The same for a tuple that has just been looked up, and has no entry.
    ///
    /// # Errors
    /// [`InsertError::Full`] if there is no room.
    #[inline(always)]
    pub fn insert_new(
        &mut self,
        hash: u32,
        tuple: &[u32; WORDS],
        entry: Entry,
    ) -> Result<Place, InsertError> {
        debug_assert!(self.find(hash, tuple).is_none(), "{tuple:?} has an entry");
        if self.len == self.connections_max {
            return Err(InsertError::Full);
        }
        let place = self.vacancy(hash).ok_or(InsertError::Full)?;
        let Self { table, len, strays, changes, .. } = self;
        table.slots.write(place, tuple, entry);
        *strays += usize::from(place.group() != table.home(hash));
        table.for_each_passed(hash, place, |group| table.tags.count_far(group, FarCount::of(hash)));
        table.tags.set(place, Tag::of(hash));
        *len += 1;
        *changes = changes.wrapping_add(1);
        Ok(place)
    }

    /// Changes the entry (its kind, its key, or both) that lies at `place`.
    #[inline]
    pub fn set_entry(&mut self, place: Place, entry: Entry) {
        debug_assert!(self.table.slots.entry(place).is_some(), "{place:?} is empty");
        self.table.slots.write_entry(place, entry);
        self.changes = self.changes.wrapping_add(1);
    }

    /// Takes out what lies at `place`, under the hash with which it was inserted, and returns its entry; `None`, and no
    /// change, if nothing lies there.
    #[inline(always)]
    pub fn remove(&mut self, place: Place, hash: u32) -> Option<Entry> {
        let Self { table, len, strays, changes, .. } = self;
        let entry = table.slots.entry(place)?;
        debug_assert!(table.holds_tag(place, Tag::of(hash)), "{place:?} is not one of hash {hash:#x}");
        table.slots.clear(place);
        table.tags.set(place, Tag::EMPTY);
        *strays -= usize::from(place.group() != table.home(hash));
        table.for_each_passed(hash, place, |group| table.tags.uncount_far(group, FarCount::of(hash)));
        *len -= 1;
        *changes = changes.wrapping_add(1);
        Some(entry)
    }

    /// The entry at a place, or `None` if nothing lies there.
    ///
    /// # Panics
    /// If the table has no such place; so do the other methods that take one.
    #[inline]
    pub fn entry(&self, place: Place) -> Option<Entry> {
        self.table.slots.entry(place)
    }

    /// The tuple of the entry at a place; any tuple if nothing lies there.
    #[inline]
    pub fn tuple(&self, place: Place) -> [u32; WORDS] {
        self.table.slots.tuple(place)
    }

    /// Asks for the words with which a look-up of `hash` begins.
    #[inline]
    pub fn prefetch(&self, hash: u32) {
        self.table.prefetch(hash);
    }

    /// Reads those words and asks for the slot that a look-up of `hash` reads first: call [`prefetch`](Self::prefetch)
    /// some time before, and look up some time after.
    #[inline]
    pub fn prefetch_slot(&self, hash: u32) {
        if let Some(place) = self.search(hash, Some) {
            self.table.slots.prefetch(place);
        }
    }

    /// Counts insertions, removals and changes of entries, and wraps: as long as it stays the same, so does every answer.
    #[inline]
    pub fn changes(&self) -> u32 {
        self.changes
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
        [self.table.slots.address_range(), self.table.tags.address_range()]
    }

    /// The faster one of two ways to the same answer.
    #[inline(always)]
    fn search<R>(&self, hash: u32, look: impl FnMut(Place) -> Option<R>) -> Option<R> {
        if self.strays * GROUPS_FOR_A_STRAY < self.table.tags.groups() {
            self.table.search_home_first(hash, look)
        } else {
            self.table.search(hash, look)
        }
    }

    /// An empty slot for an entry of this hash: in the emptier of its two groups if home is nearly full, else at home.
    fn vacancy(&self, hash: u32) -> Option<Place> {
        let table = &self.table;
        let room = |group: usize| table.tags.load(group).room();
        let (home, second) = (table.home(hash), table.second(hash));
        let stays = room(home) >= ROOM_AMPLE || room(home) > 0 && room(home) >= room(second);
        let group = if stays { home } else { table.further(hash).find(|group| room(*group) > 0)? };
        table.tags.load(group).empty_slot().map(|offset| Place::new(group, offset))
    }
}

impl<const WORDS: usize> ConnectionTable<WORDS> {
    fn holds_tag(&self, place: Place, tag: Tag) -> bool {
        self.tags.load(place.group()).tag(place.offset()) == tag
    }

    /// Shows `count` each group that counts an entry of `hash` at `place` as a far one.
    #[inline]
    fn for_each_passed(&self, hash: u32, place: Place, count: impl Fn(usize)) {
        let (home, second, group) = (self.home(hash), self.second(hash), place.group());
        if group == home || group == second {
            return;
        }
        count(home);
        self.further(hash).take_while(|passed| *passed != group).for_each(count);
    }
}
