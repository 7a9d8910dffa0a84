//! The connection table.

use bywash_core::base::random::Random;
use bywash_core::base::slab::Key;
use bywash_core::stack::tables::{Hashed, Tables};
use bywash_core::stack::{LocalAddress, Ownership};
use bywash_core::table::{Entry, FamilyPlace, Kind};
use bywash_core::wire::hash::TupleHasher;
use bywash_core::wire::{Address, Cidr};

use super::Stage;

/// Entries that are always there.
const ENTRIES: u32 = 10_000;
/// As many as are ever there.
const ENTRIES_MAX: usize = ENTRIES as usize + 4096;

struct Filled {
    tables: Tables,
    hasher: TupleHasher,
}

impl Filled {
    fn new() -> Self {
        let cidr = Cidr::new(Address::v4([198, 18, 0, 1]), 24).expect("24 bits are a prefix");
        let addresses = [LocalAddress { cidr, ownership: Ownership::Owned }];
        let tables = Tables::new(ENTRIES_MAX, &addresses).expect("memory for a small table");
        let mut filled = Self { tables, hasher: TupleHasher::new([1, 2]) };
        for number in 0..ENTRIES {
            filled.insert(number);
        }
        filled
    }

    #[inline]
    fn hashed(&self, number: u32) -> Hashed {
        Hashed::v4(words(number), &self.hasher)
    }

    #[inline]
    fn insert(&mut self, number: u32) -> FamilyPlace {
        let entry = Entry::new(Kind::Synchronized, Key { index: number, generation: 1 });
        let entry = entry.expect("a small index");
        self.tables.insert(&self.hashed(number), entry).expect("room for it")
    }

    /// Removes what has been inserted, by the places that were given for it.
    #[inline]
    fn remove(&mut self, places: &mut Vec<FamilyPlace>) {
        places.drain(..).for_each(|place| self.tables.remove(place, &self.hasher));
    }
}

/// The words of a tuple by its number: one server, clients with many addresses.
fn words(number: u32) -> [u32; 3] {
    [0xc612_0001, 0xc613_0000 + number / 60_000, 7 << 16 | (1024 + number % 60_000)]
}

/// Look-ups in random order.
pub(super) struct Demux {
    filled: Filled,
    tuples: Vec<[u32; 3]>,
    found: usize,
}

impl Demux {
    pub(super) fn hit() -> Self {
        Self::new(0, 1)
    }

    pub(super) fn miss() -> Self {
        Self::new(ENTRIES, 0)
    }

    fn new(first: u32, found: usize) -> Self {
        let mut random = Random::from_seed(1);
        let tuple = |_| words(first + random.below(u64::from(ENTRIES)) as u32);
        let tuples = (0..Self::AT_ONCE).map(tuple).collect();
        Self { filled: Filled::new(), tuples, found }
    }
}

impl Stage for Demux {
    fn run(&mut self, count: u32) {
        let mut found = 0;
        for tuple in &self.tuples[..count as usize] {
            let hashed = Hashed::v4(*tuple, &self.filled.hasher);
            found += usize::from(self.filled.tables.find(&hashed).is_some());
        }
        assert_eq!(found, self.found * count as usize);
    }
}

pub(super) struct Insert {
    filled: Filled,
    inserted: Vec<FamilyPlace>,
}

impl Insert {
    pub(super) fn new() -> Self {
        Self { filled: Filled::new(), inserted: Vec::with_capacity(ENTRIES_MAX) }
    }
}

impl Stage for Insert {
    fn prepare(&mut self, _: u32) {
        self.filled.remove(&mut self.inserted);
        assert_eq!(self.filled.tables.len(), ENTRIES as usize);
    }

    fn run(&mut self, count: u32) {
        for number in ENTRIES..ENTRIES + count {
            self.inserted.push(self.filled.insert(number));
        }
    }
}

pub(super) struct Remove {
    filled: Filled,
    inserted: Vec<FamilyPlace>,
}

impl Remove {
    pub(super) fn new() -> Self {
        Self { filled: Filled::new(), inserted: Vec::with_capacity(ENTRIES_MAX) }
    }
}

impl Stage for Remove {
    fn prepare(&mut self, count: u32) {
        assert_eq!(self.filled.tables.len(), ENTRIES as usize);
        for number in ENTRIES..ENTRIES + count {
            self.inserted.push(self.filled.insert(number));
        }
    }

    fn run(&mut self, _: u32) {
        self.filled.remove(&mut self.inserted);
    }
}
