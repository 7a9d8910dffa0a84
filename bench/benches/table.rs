//! Look-ups in the connection table in random order, beside a plain hash map that is given the same hashes.
//!
//! *In a row*: each look-up waits for the one before, as if each came with a frame of its own. *In batches*: 32 at a
//! time, which the table is told ahead. The table is full, the map as full as it makes itself for so many; *used* says
//! that every entry was replaced several times. A second thread sweeps the whole table in some samples.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use bywash_bench::turns::{Contestant, each, take_turns};
use bywash_core::base::random::Random;
use bywash_core::base::slab::Key;
use bywash_core::table::{Entry, Kind, TableReader, TableWriter};
use bywash_core::wire::hash::TupleHasher;
use criterion::{Criterion, criterion_group, criterion_main};
use hashbrown::HashTable;

const ENTRIES: u32 = 1_000_000;
/// Look-ups of one sample.
const LOOKUPS: u32 = 1 << 18;
const BATCH: usize = 32;
const TURNS: usize = 15;
const HASHER: TupleHasher = TupleHasher::new([0x0123_4567_89ab_cdef, 0x0f1e_2d3c_4b5a_6978]);

/// What is looked up; the hash is known, as it is to a shard when it looks up.
#[derive(Clone, Copy)]
struct Sought {
    hash: u64,
    words: [u32; 3],
}

impl Sought {
    fn random(random: &mut Random) -> Self {
        let words = [0xc612_0001, random.next_u32(), random.next_u32()];
        Self { hash: HASHER.v4(words), words }
    }
}

/// Whether entries were replaced since the table was filled.
#[derive(Clone, Copy)]
enum Age {
    New,
    Used,
}

trait Table: Sized {
    const NAME: &str;
    fn new() -> Self;
    fn insert(&mut self, sought: &Sought, index: u32);
    fn remove(&mut self, sought: &Sought);
    /// 1 if it is there, else 0.
    fn find(&self, sought: &Sought) -> usize;
    fn announce(&self, batch: &[Sought]);
}

impl Table for TableWriter<3> {
    const NAME: &str = "table";

    fn new() -> Self {
        Self::new(ENTRIES as usize).expect("memory for the table")
    }

    fn insert(&mut self, sought: &Sought, index: u32) {
        let entry = Entry::new(Kind::Synchronized, Key { index, generation: 1 }).expect("a small index");
        self.insert(sought.hash as u32, &sought.words, entry).expect("room");
    }

    fn remove(&mut self, sought: &Sought) {
        let hash = sought.hash as u32;
        let (place, _) = self.locate(hash, &sought.words).expect("what was inserted");
        self.remove(place, hash);
    }

    #[inline]
    fn find(&self, sought: &Sought) -> usize {
        // The generation, not whether there is one: the next look-up must wait for memory, not for a guess.
        self.find(sought.hash as u32, &sought.words).map_or(0, |entry| entry.generation() as usize)
    }

    fn announce(&self, batch: &[Sought]) {
        for sought in batch {
            self.prefetch(sought.hash as u32);
        }
        for sought in batch {
            self.prefetch_slot(sought.hash as u32);
        }
    }
}

/// The map: the same key words and a value of the same size.
type Map = HashTable<([u32; 3], [u32; 2])>;

impl Table for Map {
    const NAME: &str = "hashbrown";

    fn new() -> Self {
        Self::with_capacity(ENTRIES as usize)
    }

    fn insert(&mut self, sought: &Sought, index: u32) {
        self.insert_unique(sought.hash, (sought.words, [index, 1]), |(words, _)| HASHER.v4(*words));
    }

    fn remove(&mut self, sought: &Sought) {
        let entry = self.find_entry(sought.hash, |(words, _)| *words == sought.words);
        entry.expect("what was inserted").remove();
    }

    #[inline]
    fn find(&self, sought: &Sought) -> usize {
        self.find(sought.hash, |(words, _)| *words == sought.words).map_or(0, |(_, value)| value[1] as usize)
    }

    fn announce(&self, _: &[Sought]) {}
}

/// A full table, what it holds, and as many that it does not hold.
struct Filled<T> {
    table: T,
    present: Vec<Sought>,
    absent: Vec<Sought>,
    random: Random,
    place: usize,
}

impl<T: Table> Filled<T> {
    fn new(age: Age) -> Self {
        let mut random = Random::from_seed(7);
        let mut table = T::new();
        let mut some = || (0..ENTRIES).map(|_| Sought::random(&mut random)).collect::<Vec<_>>();
        let (present, absent) = (some(), some());
        for (index, sought) in present.iter().enumerate() {
            table.insert(sought, index as u32);
        }
        let mut this = Self { table, present, absent, random, place: 0 };
        match age {
            Age::New => {}
            Age::Used => this.replace(6 * ENTRIES),
        }
        this
    }

    /// Replaces so many entries, each by one that was absent.
    fn replace(&mut self, count: u32) {
        for _ in 0..count {
            let index = self.random.below(u64::from(ENTRIES)) as usize;
            self.table.remove(&self.present[index]);
            std::mem::swap(&mut self.present[index], &mut self.absent[index]);
            self.table.insert(&self.present[index], index as u32);
        }
    }

    fn sought(&self, which: Which) -> &[Sought] {
        match which {
            Which::Hits => &self.present,
            Which::Misses => &self.absent,
        }
    }

    /// Each look-up's place follows from the one before.
    fn in_a_row(&mut self, which: Which) -> f64 {
        let sought = self.sought(which);
        let step = match which {
            Which::Hits => 0,
            Which::Misses => 1,
        };
        let mut place = self.place % (sought.len() - LOOKUPS as usize);
        let begin = Instant::now();
        for _ in 0..LOOKUPS {
            place += self.table.find(&sought[place]) + step;
        }
        let elapsed = begin.elapsed();
        self.place = black_box(place);
        each(elapsed, LOOKUPS)
    }

    fn in_batches(&mut self, which: Which) -> f64 {
        let sought = self.sought(which);
        let place = self.place % (sought.len() - LOOKUPS as usize);
        let begin = Instant::now();
        let found: usize = sought[place..place + LOOKUPS as usize]
            .chunks(BATCH)
            .map(|batch| {
                self.table.announce(batch);
                batch.iter().map(|sought| self.table.find(sought)).sum::<usize>()
            })
            .sum();
        let elapsed = begin.elapsed();
        assert_eq!(found, if matches!(which, Which::Hits) { LOOKUPS as usize } else { 0 });
        self.place = place + LOOKUPS as usize;
        each(elapsed, LOOKUPS)
    }

    fn replaced(&mut self) -> f64 {
        let begin = Instant::now();
        self.replace(LOOKUPS);
        each(begin.elapsed(), LOOKUPS)
    }

    fn measure(&mut self, what: What) -> f64 {
        match what {
            What::InARow(which) => self.in_a_row(which),
            What::InBatches(which) => self.in_batches(which),
            What::Replace => self.replaced(),
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Which {
    Hits,
    Misses,
}

#[derive(Clone, Copy, Debug)]
enum What {
    InARow(Which),
    InBatches(Which),
    Replace,
}

const ALL: [What; 5] = [
    What::InARow(Which::Hits),
    What::InARow(Which::Misses),
    What::InBatches(Which::Hits),
    What::InBatches(Which::Misses),
    What::Replace,
];

fn beside_a_map(_: &mut Criterion) {
    for age in [Age::New, Age::Used] {
        let (mut map, mut table) = (Filled::<Map>::new(age), Filled::<TableWriter<3>>::new(age));
        let used = match age {
            Age::New => "",
            Age::Used => ", used",
        };
        for what in ALL {
            let title = format!("a million entries{used}: {what:?}");
            let map = Contestant::new(Map::NAME, || map.measure(what));
            let table = Contestant::new(<TableWriter<3> as Table>::NAME, || table.measure(what));
            take_turns(&title, "ns", TURNS, &mut [map, table]);
        }
    }
}

/// A thread that looks all entries up again and again while it is told to.
struct Sweeper {
    sweeps: AtomicBool,
    ends: AtomicBool,
}

impl Sweeper {
    fn run(&self, reader: &TableReader<3>, sought: &[Sought]) -> u64 {
        let mut found = 0;
        let mut entries = sought.iter().cycle();
        while !self.ends.load(Ordering::Relaxed) {
            if !self.sweeps.load(Ordering::Relaxed) {
                std::hint::spin_loop();
                continue;
            }
            for sought in entries.by_ref().take(256) {
                found += u64::from(reader.find(sought.hash as u32, &sought.words).found().is_some());
            }
        }
        found
    }
}

fn with_a_reader(_: &mut Criterion) {
    let mut table = Filled::<TableWriter<3>>::new(Age::Used);
    let (reader, mut sought) = (table.table.reader(), table.present.clone());
    // Not in the order in which the writer goes through them.
    sought.sort_by_key(|sought| sought.words);
    let sweeper = Arc::new(Sweeper { sweeps: AtomicBool::new(false), ends: AtomicBool::new(false) });
    let shared = Arc::clone(&sweeper);
    let thread = thread::spawn(move || shared.run(&reader, &sought));
    for what in ALL {
        let table = std::cell::RefCell::new(&mut table);
        let sample = |sweeps: bool| {
            sweeper.sweeps.store(sweeps, Ordering::Relaxed);
            table.borrow_mut().measure(what)
        };
        let alone = Contestant::new("the writer alone", || sample(false));
        let swept = Contestant::new("while another thread sweeps the table", || sample(true));
        take_turns(&format!("writer and reader: {what:?}"), "ns", TURNS, &mut [alone, swept]);
    }
    sweeper.ends.store(true, Ordering::Relaxed);
    let found = thread.join().expect("the reader does not panic");
    assert!(found > 0, "the reader found nothing");
}

criterion_group!(benches, beside_a_map, with_a_reader);
criterion_main!(benches);
