//! The table by itself: limits, clusters, wrap-around, long use, and a random walk beside a map.

use super::tags::{FarCount, GROUP};
use super::{
    Entry, FamilyPlace, InFamily, IndexTooLarge, InsertError, Kind, Lookup, PROBES_MAX, TableWriter,
};
use crate::base::random::Random;
use crate::base::slab::Key;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::vec::Vec;

fn entry(kind: Kind, index: u32, generation: u32) -> Entry {
    Entry::new(kind, Key { index, generation }).unwrap()
}

fn live(index: u32) -> Entry {
    entry(Kind::Synchronized, index, 1)
}

/// So many different hashes with the given home and second group.
fn hashes(table: &TableWriter<3>, home: usize, second: usize, count: usize) -> Vec<u32> {
    let table = &table.table;
    let fits = |hash: &u32| table.home(*hash) == home && table.second(*hash) == second;
    (0..u32::MAX).filter(fits).take(count).collect()
}

fn has_far(table: &TableWriter<3>, group: usize) -> bool {
    [0, 0x100].into_iter().any(|hash| table.table.tags.load(group).has_far(FarCount::of(hash)))
}

fn remove(table: &mut TableWriter<3>, hash: u32, tuple: &[u32; 3]) -> Option<Entry> {
    let (place, _) = table.locate(hash, tuple)?;
    table.remove(place, hash)
}

/// Whether the writer and a reader agree that the tuple has this entry.
fn finds<const WORDS: usize>(
    table: &TableWriter<WORDS>,
    hash: u32,
    tuple: &[u32; WORDS],
    entry: Option<Entry>,
) -> bool {
    let seen = table.reader().find(hash, tuple);
    table.find(hash, tuple) == entry && seen == entry.map_or(Lookup::Absent, Lookup::Found)
}

#[test]
fn entries_keep_all_their_bits() {
    for kind in [Kind::SynReceived, Kind::Synchronized, Kind::SynSent, Kind::TimeWait] {
        for (index, generation) in [(0, 0), (Entry::INDEX_MAX, u32::MAX), (0x0234_5678, 9)] {
            let mut table = TableWriter::<3>::new(10).unwrap();
            let entry = entry(kind, index, generation);
            table.insert(1, &[1, 2, 3], entry).unwrap();
            assert!(finds(&table, 1, &[1, 2, 3], Some(entry)));
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
        assert!(finds(&table, 5, &other, None));
        table.insert(5, &other, live(2 + word as u32)).unwrap();
    }
    assert_eq!(table.find(5, &tuple), Some(live(1)));
    assert_eq!(table.len(), 10);
}

#[test]
fn inserting_twice_reports_the_first() {
    let mut table = TableWriter::<3>::new(1).unwrap();
    let place = table.insert(5, &[1, 2, 3], live(1)).unwrap();
    // Even when the table is full.
    assert_eq!(table.insert(5, &[1, 2, 3], live(2)), Err(InsertError::Exists(live(1))));
    assert_eq!(table.insert(5, &[1, 2, 4], live(2)), Err(InsertError::Full));
    assert_eq!(table.remove(place, 5), Some(live(1)));
    assert_eq!(table.remove(place, 5), None);
    assert!(table.insert(5, &[1, 2, 4], live(2)).is_ok());
    assert_eq!(table.len(), 1);
}

#[test]
fn what_is_inserted_stays_in_its_place() {
    let mut table = TableWriter::<3>::new(10).unwrap();
    let half_open = entry(Kind::SynReceived, 4, 1);
    let place = table.insert(5, &[1, 2, 3], half_open).unwrap();
    assert_eq!(table.locate(5, &[1, 2, 3]), Some((place, half_open)));
    assert_eq!((table.entry(place), table.tuple(place)), (Some(half_open), [1, 2, 3]));
    table.set_entry(place, live(9));
    assert!(finds(&table, 5, &[1, 2, 3], Some(live(9))));
    for place in [InFamily::V4(place), InFamily::V6(place)] {
        assert_eq!(FamilyPlace::new(place).get(), place);
    }
    assert_eq!(table.remove(place, 5), Some(live(9)));
    assert_eq!((table.entry(place), table.len()), (None, 0));
    assert!(finds(&table, 5, &[1, 2, 3], None));
}

#[test]
fn whatever_may_change_an_answer_is_counted() {
    let mut table = TableWriter::<3>::new(1).unwrap();
    let mut seen = Vec::from([table.changes()]);
    let place = table.insert(5, &[1, 2, 3], live(1)).unwrap();
    seen.push(table.changes());
    table.set_entry(place, live(2));
    seen.push(table.changes());
    assert!(table.insert(5, &[1, 2, 3], live(3)).is_err() && table.insert(6, &[6; 3], live(3)).is_err());
    assert_eq!(table.changes(), seen[2]);
    table.remove(place, 5);
    seen.push(table.changes());
    assert!((0..4).all(|this| (0..this).all(|former| seen[this] != seen[former])), "{seen:?}");
}

#[test]
fn entries_go_to_the_second_group_and_behind_it_round_the_end() {
    // Eight groups. Behind the last one is the first one.
    let mut table = TableWriter::<3>::new(43).unwrap();
    let last = table.table.tags.groups() - 1;
    assert_eq!(last, 7);
    // As many far ones as can be counted.
    let hashes = hashes(&table, 3, last, 28);
    for (index, hash) in hashes.iter().enumerate() {
        table.insert(*hash, &[*hash; 3], live(index as u32)).unwrap();
    }
    let group_of =
        |table: &TableWriter<3>, hash: u32| table.locate(hash, &[hash; 3]).map(|(place, _)| place.group());
    let count = |group| hashes.iter().filter(|hash| group_of(&table, **hash) == Some(group)).count();
    assert_eq!([3, last, 0, 1, 2, 4].map(count), [7, 7, 7, 7, 0, 0]);
    for (index, hash) in hashes.iter().enumerate() {
        assert_eq!(remove(&mut table, *hash, &[*hash; 3]), Some(live(index as u32)));
        for (other, hash) in hashes.iter().enumerate() {
            assert!(finds(&table, *hash, &[*hash; 3], (other > index).then_some(live(other as u32))));
        }
    }
    assert!((0..8).all(|group| !has_far(&table, group)), "counts are taken back");
}

#[test]
fn a_home_that_is_nearly_full_shares_with_a_second_group_that_is_not() {
    let mut table = TableWriter::<3>::new(43).unwrap();
    let hashes = hashes(&table, 3, 5, 12);
    let places: Vec<usize> =
        hashes.iter().map(|hash| table.insert(*hash, &[*hash; 3], live(0)).unwrap().group()).collect();
    assert_eq!(places, [3, 3, 3, 3, 3, 3, 5, 5, 5, 5, 5, 5]);
}

#[test]
fn an_overcrowded_home_is_full_and_nothing_is_lost() {
    let mut table = TableWriter::<3>::new(20_000).unwrap();
    let mut places = Vec::new();
    let refused = loop {
        match table.insert(1, &[places.len() as u32, 0, 0], live(places.len() as u32)) {
            Ok(place) => places.push(place),
            Err(error) => break error,
        }
    };
    assert_eq!((refused, places.len()), (InsertError::Full, PROBES_MAX * GROUP));
    assert!((0..=places.len() as u32).all(|index| {
        finds(&table, 1, &[index, 0, 0], ((index as usize) < places.len()).then_some(live(index)))
    }));
    for (index, place) in places.into_iter().enumerate() {
        assert_eq!(table.remove(place, 1), Some(live(index as u32)));
    }
    assert!(table.is_empty());
}

/// How many words of tags a look-up in vain reads.
fn words_read(table: &TableWriter<3>, hash: u32) -> usize {
    let (table, far) = (&table.table, FarCount::of(hash));
    let has_far = |group: &usize| table.tags.load(*group).has_far(far);
    let passed = table.further(hash).take_while(has_far).count();
    2 + if has_far(&table.home(hash)) { passed } else { 0 }
}

#[test]
fn a_full_table_stays_good_however_often_its_entries_change() {
    let mut table = TableWriter::<3>::new(100_000).unwrap();
    let mut random = Random::from_seed(1);
    let count = table.capacity() as u32;
    let new = |index: u32, random: &mut Random, table: &mut TableWriter<3>| {
        let tuple = [index, random.next_u32(), random.next_u32()];
        table.insert(tuple[1], &tuple, live(index)).unwrap();
        tuple
    };
    let mut tuples: Vec<[u32; 3]> = (0..count).map(|index| new(index, &mut random, &mut table)).collect();
    assert_eq!(table.insert(1, &[count, 1, 1], live(1)), Err(InsertError::Full));
    for _ in 0..8 * count {
        let index = random.below(u64::from(count)) as u32;
        let tuple = tuples[index as usize];
        assert_eq!(remove(&mut table, tuple[1], &tuple), Some(live(index)));
        tuples[index as usize] = new(index, &mut random, &mut table);
    }
    assert!(tuples.iter().all(|tuple| finds(&table, tuple[1], tuple, Some(live(tuple[0])))));
    let read: usize = (0..count).map(|_| words_read(&table, random.next_u32())).sum();
    let read = read as f64 / f64::from(count);
    assert!((2.0..2.2).contains(&read), "a look-up in vain reads {read} words");
    assert!(tuples.iter().all(|tuple| remove(&mut table, tuple[1], tuple).is_some()));
    let left = (0..table.table.tags.groups()).filter(|group| has_far(&table, *group));
    assert_eq!((table.strays, left.count()), (0, 0));
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
                    let inserted = table.insert(hash(tuple), &[0, tuple, 1], live(index));
                    prop_assert_eq!(inserted.map(|_| ()), expected);
                    if expected.is_ok() {
                        model.insert(tuple, live(index));
                    }
                }
                Step::Change(tuple, index) => {
                    let next = entry(Kind::TimeWait, index, index);
                    let former = model.get_mut(&tuple).map(|entry| core::mem::replace(entry, next));
                    let found = table.locate(hash(tuple), &[0, tuple, 1]);
                    prop_assert_eq!(found.map(|(_, entry)| entry), former);
                    if let Some((place, _)) = found {
                        prop_assert_eq!(table.tuple(place), [0, tuple, 1]);
                        table.set_entry(place, next);
                    }
                }
                Step::Remove(tuple) => {
                    prop_assert_eq!(remove(&mut table, hash(tuple), &[0, tuple, 1]), model.remove(&tuple));
                }
            }
            prop_assert_eq!(table.len(), model.len());
            for tuple in 0..40 {
                prop_assert!(finds(&table, hash(tuple), &[0, tuple, 1], model.get(&tuple).copied()));
            }
        }
    }
}
