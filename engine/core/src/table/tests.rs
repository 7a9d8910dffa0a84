//! The table by itself: limits, clusters, wrap-around, and a random walk beside a map.

use super::slot::PROBES_MAX;
use super::tags::GROUP;
use super::{ConnectionTable, Entry, IndexTooLarge, InsertError, Kind, Lookup, TableWriter};
use crate::base::random::Random;
use crate::base::slab::Key;
use crate::base::sync::Ordering;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::vec::Vec;

fn entry(kind: Kind, index: u32, generation: u32) -> Entry {
    Entry::new(kind, Key { index, generation }).unwrap()
}

fn live(index: u32) -> Entry {
    entry(Kind::Synchronized, index, 1)
}

/// So many different hashes with the given home group.
fn hashes<const WORDS: usize>(table: &ConnectionTable<WORDS>, home: usize, count: usize) -> Vec<u32> {
    (0..u32::MAX).filter(|hash| table.home(*hash).group == home).take(count).collect()
}

#[test]
fn entries_keep_all_their_bits() {
    for kind in [Kind::SynReceived, Kind::Synchronized, Kind::SynSent, Kind::TimeWait] {
        for (index, generation) in [(0, 0), (Entry::INDEX_MAX, u32::MAX), (0x1234_5678, 9)] {
            let mut table = TableWriter::<3>::new(10).unwrap();
            let entry = entry(kind, index, generation);
            table.insert(1, &[1, 2, 3], entry).unwrap();
            assert_eq!(table.find(1, &[1, 2, 3]), Some(entry));
            assert_eq!(table.reader().find(1, &[1, 2, 3]), Lookup::Found(entry));
        }
    }
    let index = Entry::INDEX_MAX + 1;
    assert_eq!(Entry::new(Kind::SynSent, Key { index, generation: 1 }), Err(IndexTooLarge { index }));
}

#[test]
fn each_word_of_the_tuple_counts() {
    let mut table = TableWriter::<9>::new(100).unwrap();
    let tuple = [7; 9];
    table.insert(5, &tuple, live(1)).unwrap();
    for word in 0..9 {
        let mut other = tuple;
        other[word] ^= 1 << 31;
        assert_eq!(table.find(5, &other), None);
        assert_eq!(table.reader().find(5, &other), Lookup::Absent);
        table.insert(5, &other, live(2 + word as u32)).unwrap();
    }
    assert_eq!(table.find(5, &tuple), Some(live(1)));
    assert_eq!(table.len(), 10);
}

#[test]
fn inserting_twice_reports_the_first() {
    let mut table = TableWriter::<3>::new(1).unwrap();
    table.insert(5, &[1, 2, 3], live(1)).unwrap();
    // Even when the table is full.
    assert_eq!(table.insert(5, &[1, 2, 3], live(2)), Err(InsertError::Exists(live(1))));
    assert_eq!(table.insert(5, &[1, 2, 4], live(2)), Err(InsertError::Full));
    assert_eq!(table.remove(5, &[1, 2, 3]), Some(live(1)));
    assert_eq!(table.insert(5, &[1, 2, 4], live(2)), Ok(()));
}

#[test]
fn a_change_of_state_stays_in_place() {
    let mut table = TableWriter::<3>::new(10).unwrap();
    assert_eq!(table.set_entry(5, &[1, 2, 3], live(1)), None);
    assert_eq!(table.find(5, &[1, 2, 3]), None);
    table.insert(5, &[1, 2, 3], entry(Kind::SynReceived, 4, 1)).unwrap();
    assert_eq!(table.set_entry(5, &[1, 2, 3], live(9)), Some(entry(Kind::SynReceived, 4, 1)));
    assert_eq!(table.reader().find(5, &[1, 2, 3]), Lookup::Found(live(9)));
    assert_eq!(table.len(), 1);
}

#[test]
fn removal_closes_gaps_across_the_end_of_the_array() {
    // Four groups. The last one overflows round the end into the first two, which have entries of their own.
    let mut order = Vec::new();
    let mut table = TableWriter::<3>::new(28).unwrap();
    for (home, count) in [(3, 9), (0, 8), (1, 4), (3, 3)] {
        let new = hashes(&table.table, home, 12);
        order.extend(new.into_iter().filter(|hash| !order.contains(hash)).take(count).collect::<Vec<u32>>());
    }
    for (index, hash) in order.iter().enumerate() {
        table.insert(*hash, &[*hash; 3], live(index as u32)).unwrap();
    }
    assert_eq!(table.len(), 24);
    assert!(table.table.moves.0.load(Ordering::Relaxed) == 0);
    for (index, hash) in order.iter().enumerate() {
        assert_eq!(table.remove(*hash, &[*hash; 3]), Some(live(index as u32)));
        for (other, hash) in order.iter().enumerate() {
            let expected = (other > index).then_some(live(other as u32));
            assert_eq!(table.find(*hash, &[*hash; 3]), expected);
            assert_eq!(table.reader().find(*hash, &[*hash; 3]).found(), expected);
        }
    }
    assert!(table.table.moves.0.load(Ordering::Relaxed) >= 4);
    assert!((0..4).all(|group| table.table.tags.load(group).in_use().next().is_none()));
}

#[test]
fn an_overcrowded_home_is_full_and_nothing_is_lost() {
    let mut table = TableWriter::<3>::new(20_000).unwrap();
    let mut inserted = 0;
    let refused = loop {
        match table.insert(1, &[inserted, 0, 0], live(inserted)) {
            Ok(()) => inserted += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(refused, InsertError::Full);
    assert_eq!(inserted as usize, PROBES_MAX * GROUP);
    let reader = table.reader();
    for index in 0..inserted {
        assert_eq!(reader.find(1, &[index, 0, 0]), Lookup::Found(live(index)));
    }
    assert_eq!(reader.find(1, &[inserted, 0, 0]), Lookup::Absent);
    for index in 0..inserted {
        assert_eq!(table.remove(1, &[index, 0, 0]), Some(live(index)));
    }
    assert!(table.is_empty());
}

#[test]
fn a_table_filled_to_its_maximum_works() {
    let mut table = TableWriter::<3>::new(7 * 512).unwrap();
    assert_eq!(table.table.slots.len(), 4_096);
    let mut random = Random::from_seed(1);
    let tuples: Vec<[u32; 3]> =
        (0..table.capacity() as u32).map(|index| [index, random.next_u32(), 0]).collect();
    for tuple in &tuples {
        table.insert(tuple[1], tuple, live(tuple[0])).unwrap();
    }
    assert_eq!(table.insert(1, &[1, 1, 1], live(1)), Err(InsertError::Full));
    let reader = table.reader();
    for tuple in &tuples {
        assert_eq!(table.find(tuple[1], tuple), Some(live(tuple[0])));
        assert_eq!(reader.find(tuple[1], tuple), Lookup::Found(live(tuple[0])));
    }
    assert_eq!(reader.find(3, &[1, 1, 1]), Lookup::Absent);
}

#[test]
fn hashes_alike_in_their_low_bits_spread() {
    let mut table = TableWriter::<3>::new(10_000).unwrap();
    for index in 0..10_000_u32 {
        table.insert(index << 7 | 0x55, &[index, 0, 0], live(index)).unwrap();
    }
    // 0.61 of the slots are in use; one group in eight is full by chance, and few entries lie outside theirs.
    let table = &table.table;
    let groups = table.slots.len() / GROUP;
    let full = (0..groups).filter(|group| table.tags.load(*group).is_full()).count();
    assert!(full < groups / 4, "{full} of {groups} groups are full");
}

#[test]
fn an_impossible_maximum_is_an_error() {
    assert!(TableWriter::<9>::new(usize::MAX).is_err());
    assert!(TableWriter::<3>::new(super::SLOTS_MAX).is_err());
    assert_eq!(TableWriter::<3>::new(0).unwrap().insert(1, &[1; 3], live(1)), Err(InsertError::Full));
}

#[derive(Clone, Debug)]
enum Step {
    Insert(u32, u32),
    Change(u32, u32),
    Remove(u32),
}

/// Tuples from a small set, with hashes that share few homes.
fn step() -> impl Strategy<Value = Step> {
    let tuple = 0_u32..40;
    prop_oneof![
        3 => (tuple.clone(), 0..Entry::INDEX_MAX).prop_map(|(tuple, index)| Step::Insert(tuple, index)),
        1 => (tuple.clone(), 0..Entry::INDEX_MAX).prop_map(|(tuple, index)| Step::Change(tuple, index)),
        2 => tuple.prop_map(Step::Remove),
    ]
}

proptest! {
    #[test]
    fn a_table_is_a_map(
        steps in prop::collection::vec(step(), 1..300),
        spread in 1_u32..40,
        connections_max in 1_usize..29,
    ) {
        let mut table = TableWriter::<3>::new(connections_max).unwrap();
        let reader = table.reader();
        let mut model = BTreeMap::new();
        let hash = |tuple: u32| (tuple % spread).wrapping_mul(0x0123_4567);
        for step in steps {
            match step {
                Step::Insert(tuple, index) => {
                    let expected = match model.get(&tuple) {
                        Some(entry) => Err(InsertError::Exists(*entry)),
                        None if model.len() == connections_max => Err(InsertError::Full),
                        None => Ok(()),
                    };
                    prop_assert_eq!(table.insert(hash(tuple), &[0, tuple, 1], live(index)), expected);
                    if expected.is_ok() {
                        model.insert(tuple, live(index));
                    }
                }
                Step::Change(tuple, index) => {
                    let next = entry(Kind::TimeWait, index, index);
                    let former = model.get_mut(&tuple).map(|place| core::mem::replace(place, next));
                    prop_assert_eq!(table.set_entry(hash(tuple), &[0, tuple, 1], next), former);
                }
                Step::Remove(tuple) => {
                    prop_assert_eq!(table.remove(hash(tuple), &[0, tuple, 1]), model.remove(&tuple));
                }
            }
            prop_assert_eq!(table.len(), model.len());
            for tuple in 0..40 {
                let expected = model.get(&tuple).copied();
                prop_assert_eq!(table.find(hash(tuple), &[0, tuple, 1]), expected);
                let seen = reader.find(hash(tuple), &[0, tuple, 1]);
                prop_assert_eq!(seen, expected.map_or(Lookup::Absent, Lookup::Found));
            }
        }
    }
}
