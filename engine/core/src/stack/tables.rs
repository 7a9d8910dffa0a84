//! The connection tables of both families behind one look-up.

use crate::base::OutOfMemory;
use crate::table::{Entry, FamilyPlace, InFamily, InsertError, Lookup, TableReader, TableWriter};
use crate::tcp::isn::{FlowSecret, Secrets};
use crate::wire::Tuple;
use crate::wire::hash::TupleHasher;

use super::config::LocalAddress;

/// A tuple as the tables hold it, with its hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hashed {
    /// The hash, the same on all shards.
    pub hash: u32,
    words: Words,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Words {
    V4([u32; 3]),
    V6([u32; 9]),
}

impl Hashed {
    /// Hashes `tuple`.
    #[inline]
    pub fn of(tuple: &Tuple, hasher: &TupleHasher) -> Self {
        match tuple.words_v4() {
            Some(words) => Self::v4(words, hasher),
            None => {
                let words = tuple.words_v6();
                Self { hash: hasher.v6(words) as u32, words: Words::V6(words) }
            }
        }
    }

    /// Hashes an IPv4 tuple that was read as words.
    #[inline]
    pub fn v4(words: [u32; 3], hasher: &TupleHasher) -> Self {
        Self::known_v4(words, hasher.v4(words) as u32)
    }

    /// What the numbers of the connection begin with.
    #[inline]
    pub fn flow(&self, secrets: &Secrets) -> FlowSecret {
        match &self.words {
            Words::V4(words) => secrets.flow_of(words),
            Words::V6(words) => secrets.flow_of(words),
        }
    }

    /// An IPv4 tuple whose hash is known.
    #[inline]
    pub fn known_v4(words: [u32; 3], hash: u32) -> Self {
        Self { hash, words: Words::V4(words) }
    }
}

/// Both tables, written by their shard.
pub struct Tables {
    v4: TableWriter<3>,
    v6: TableWriter<9>,
}

impl Tables {
    /// Room for `connections_max` entries of each family that `addresses` of ours have; memory is touched as it is used.
    ///
    /// # Errors
    /// [`OutOfMemory`].
    pub fn new(connections_max: usize, addresses: &[LocalAddress]) -> Result<Self, OutOfMemory> {
        let has_v4 = addresses.iter().any(|local| local.cidr.address().is_v4());
        let has_v6 = addresses.iter().any(|local| !local.cidr.address().is_v4());
        let room = |has: bool| if has { connections_max } else { 0 };
        Ok(Self { v4: TableWriter::new(room(has_v4))?, v6: TableWriter::new(room(has_v6))? })
    }

    /// The entry of a tuple. Out of line: the in-order path has [`find_v4`](Self::find_v4).
    #[inline(never)]
    pub fn find(&self, tuple: &Hashed) -> Option<Entry> {
        match &tuple.words {
            Words::V4(words) => self.v4.find(tuple.hash, words),
            Words::V6(words) => self.v6.find(tuple.hash, words),
        }
    }

    /// The entry of an IPv4 tuple.
    #[inline(always)]
    pub fn find_v4(&self, hash: u32, words: &[u32; 3]) -> Option<Entry> {
        self.v4.find(hash, words)
    }

    /// Asks for the words with which a look-up of an IPv4 tuple begins.
    #[inline(always)]
    pub fn prefetch_v4(&self, hash: u32) {
        self.v4.prefetch(hash);
    }

    /// Asks for what such a look-up reads next; it reads the first now.
    #[inline(always)]
    pub fn prefetch_slot_v4(&self, hash: u32) {
        self.v4.prefetch_slot(hash);
    }

    /// Adds an entry for a tuple that has just been looked up and has none, and says where.
    ///
    /// # Errors
    /// [`InsertError::Full`].
    // Out of line, so that the table's own is in it and nowhere else.
    #[inline(never)]
    pub fn insert(&mut self, tuple: &Hashed, entry: Entry) -> Result<FamilyPlace, InsertError> {
        let place = match &tuple.words {
            Words::V4(words) => InFamily::V4(self.v4.insert_new(tuple.hash, words, entry)?),
            Words::V6(words) => InFamily::V6(self.v6.insert_new(tuple.hash, words, entry)?),
        };
        Ok(FamilyPlace::new(place))
    }

    /// Changes the entry at a place.
    #[inline]
    pub fn set_entry(&mut self, place: FamilyPlace, entry: Entry) {
        match place.get() {
            InFamily::V4(place) => self.v4.set_entry(place, entry),
            InFamily::V6(place) => self.v6.set_entry(place, entry),
        }
    }

    /// Removes the entry at a place; `hasher` is the one that hashed its tuple.
    #[inline(never)]
    pub fn remove(&mut self, place: FamilyPlace, hasher: &TupleHasher) {
        match place.get() {
            InFamily::V4(place) => {
                let hash = hasher.v4(self.v4.tuple(place)) as u32;
                self.v4.remove(place, hash);
            }
            InFamily::V6(place) => {
                let hash = hasher.v6(self.v6.tuple(place)) as u32;
                self.v6.remove(place, hash);
            }
        }
    }

    /// The entry at a place, if there is one.
    #[inline]
    pub fn entry(&self, place: FamilyPlace) -> Option<Entry> {
        match place.get() {
            InFamily::V4(place) => self.v4.entry(place),
            InFamily::V6(place) => self.v6.entry(place),
        }
    }

    /// The tuple of the entry at a place.
    #[inline]
    pub fn tuple(&self, place: FamilyPlace) -> Tuple {
        match place.get() {
            InFamily::V4(place) => Tuple::from_words_v4(self.v4.tuple(place)),
            InFamily::V6(place) => Tuple::from_words_v6(self.v6.tuple(place)),
        }
    }

    /// Asks for the words with which a look-up will begin.
    #[inline]
    pub fn prefetch(&self, tuple: &Hashed) {
        match &tuple.words {
            Words::V4(_) => self.v4.prefetch(tuple.hash),
            Words::V6(_) => self.v6.prefetch(tuple.hash),
        }
    }

    /// Counts what is inserted, removed and changed in both tables, and wraps: as long as it stays the same, so does
    /// every answer.
    #[inline]
    pub fn changes(&self) -> u32 {
        self.v4.changes().wrapping_add(self.v6.changes())
    }

    /// Entries of both families.
    pub fn len(&self) -> usize {
        self.v4.len() + self.v6.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Readers of both, for other threads.
    pub fn readers(&self) -> (TableReader<3>, TableReader<9>) {
        (self.v4.reader(), self.v6.reader())
    }

    /// Where the arrays of both lie, for advice about huge pages.
    pub fn address_ranges(&self) -> impl Iterator<Item = core::ops::Range<usize>> {
        self.v4.address_ranges().into_iter().chain(self.v6.address_ranges())
    }
}

/// Whether another shard owns a tuple.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Published {
    /// It does.
    Yes,
    /// It does not.
    No,
    /// Its table changed too fast to say: nothing irrevocable may be done.
    Unsure,
}

/// Looks a tuple up in another shard's tables.
pub fn look_up_published(v4: &TableReader<3>, v6: &TableReader<9>, tuple: &Hashed) -> Published {
    let found = match &tuple.words {
        Words::V4(words) => v4.find(tuple.hash, words),
        Words::V6(words) => v6.find(tuple.hash, words),
    };
    match found {
        Lookup::Found(_) => Published::Yes,
        Lookup::Absent => Published::No,
        Lookup::Uncertain => Published::Unsure,
    }
}
