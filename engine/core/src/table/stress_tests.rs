//! Real threads on real memory: a writer that churns, readers that check every answer.

use super::{Entry, Kind, Lookup, TableReader, TableWriter};
use crate::base::random::Random;
use crate::base::slab::Key;
use core::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Tuples that are in the table all the time, and those that come and go around them.
const STEADY: u32 = 64;
const CHURNED: u32 = 192;
/// Few homes, so that most entries lie outside of theirs.
const HOMES: u32 = 24;

fn hash(number: u32) -> u32 {
    (number % HOMES).wrapping_mul(0x0101_0101)
}

fn tuple(number: u32) -> [u32; 3] {
    [number, !number, number.rotate_left(7)]
}

/// An entry whose parts all follow from the tuple's number and a version, so that a mix is recognised.
fn entry(number: u32, version: u32) -> Entry {
    let kind = if version.is_multiple_of(2) { Kind::Synchronized } else { Kind::TimeWait };
    Entry::new(kind, Key { index: (version << 8 | number) & Entry::INDEX_MAX, generation: version }).unwrap()
}

fn write(mut table: TableWriter<3>, until: Instant) -> u32 {
    let mut random = Random::from_seed(1);
    let mut version = 0_u32;
    while Instant::now() < until {
        for _ in 0..100 {
            version = version.wrapping_add(1) & 0x003f_ffff;
            let number = random.below(u64::from(STEADY + CHURNED)) as u32;
            let (hash, tuple, entry) = (hash(number), tuple(number), entry(number, version));
            if number < STEADY {
                let (place, _) = table.locate(hash, &tuple).unwrap();
                table.set_entry(place, entry);
            } else if let Some((place, _)) = table.locate(hash, &tuple) {
                table.remove(place, hash);
            } else {
                table.insert(hash, &tuple, entry).unwrap();
            }
        }
    }
    version
}

/// Looks tuples up until told to stop; returns how many steady ones it found.
fn read(reader: &TableReader<3>, seed: u64, stop: &AtomicBool) -> u64 {
    let mut random = Random::from_seed(seed);
    let mut found = 0;
    while !stop.load(Ordering::Relaxed) {
        let number = random.below(u64::from(STEADY + CHURNED)) as u32;
        match reader.find(hash(number), &tuple(number)) {
            Lookup::Found(seen) => {
                assert_eq!(seen, entry(number, seen.generation()), "a mix of two entries");
                found += u64::from(number < STEADY);
            }
            Lookup::Absent => assert!(number >= STEADY, "an entry was missed that was there throughout"),
            Lookup::Uncertain => {}
        }
    }
    found
}

#[test]
fn readers_see_whole_entries_and_miss_none() {
    let mut table = TableWriter::<3>::new((STEADY + CHURNED) as usize).unwrap();
    for number in 0..STEADY {
        table.insert(hash(number), &tuple(number), entry(number, 0)).unwrap();
    }
    let reader = table.reader();
    let stop = AtomicBool::new(false);
    let until = Instant::now() + Duration::from_millis(600);
    thread::scope(|scope| {
        let readers = [2, 3].map(|seed| {
            let (reader, stop) = (reader.clone(), &stop);
            scope.spawn(move || read(&reader, seed, stop))
        });
        let changes = scope.spawn(move || write(table, until)).join().unwrap();
        stop.store(true, Ordering::Relaxed);
        assert!(changes > 0);
        for reader in readers {
            assert!(reader.join().unwrap() > 0, "no look-up succeeded");
        }
    });
    // The writer is gone, the table is not.
    assert!((0..STEADY).all(|number| reader.find(hash(number), &tuple(number)).found().is_some()));
}
