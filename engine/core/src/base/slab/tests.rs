//! Slabs: keys, reuse, limits, and a random walk beside a map.

use super::{Key, PlainSlab, Slab, Slotted};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::format;
use std::vec::Vec;

/// A block that keeps its generation inside.
#[derive(Debug)]
struct Block {
    payload: u64,
    generation: u32,
}

impl Slotted for Block {
    fn generation(&self) -> u32 {
        self.generation
    }

    fn set_generation(&mut self, generation: u32) {
        self.generation = generation;
    }
}

fn block(payload: u64) -> Block {
    Block { payload, generation: 77 }
}

#[test]
fn a_key_ends_with_its_value() {
    let mut slab = Slab::new(2).unwrap();
    let first = slab.insert(block(1)).unwrap();
    assert_eq!(first, Key { index: 0, generation: 1 });
    assert_eq!(slab.get(first).unwrap().payload, 1);
    assert_eq!(slab.remove(first).unwrap().payload, 1);
    assert!(slab.get(first).is_none());
    assert!(slab.remove(first).is_none());
    let second = slab.insert(block(2)).unwrap();
    assert_eq!(second, Key { index: 0, generation: 3 });
    assert!(slab.get_mut(first).is_none());
    assert_eq!(slab.get_mut(second).unwrap().payload, 2);
}

#[test]
fn even_generations_and_unused_places_open_nothing() {
    let mut slab = Slab::new(4).unwrap();
    let key = slab.insert(block(1)).unwrap();
    slab.remove(key);
    assert!(slab.get(Key { index: 0, generation: 2 }).is_none());
    assert!(slab.remove(Key { index: 0, generation: 2 }).is_none());
    assert!(slab.get(Key { index: 3, generation: 1 }).is_none());
    assert!(slab.key_at(0).is_none());
    assert_eq!(slab.len(), 0);
}

#[test]
fn a_full_slab_gives_the_value_back() {
    let mut slab = PlainSlab::new(1).unwrap();
    let key = slab.insert("kept").unwrap();
    assert_eq!(slab.next_key(), None);
    assert_eq!(slab.insert("refused"), Err("refused"));
    assert_eq!(slab.get(key), Some(&"kept"));
    let mut none: PlainSlab<u8> = PlainSlab::new(0).unwrap();
    assert_eq!(none.insert(1), Err(1));
}

#[test]
fn an_impossible_maximum_is_an_error() {
    let error = PlainSlab::<[u64; 1 << 30]>::new(u32::MAX).unwrap_err();
    assert!(error.bytes > 1 << 60);
    assert!(format!("{error}").contains(&format!("{}", error.bytes)));
}

#[test]
fn the_array_never_moves() {
    let mut slab = PlainSlab::new(1_000).unwrap();
    let range = slab.address_range();
    assert!(range.len() >= 1_000 * size_of::<super::PlainSlot<u64>>());
    for value in 0..1_000_u64 {
        slab.insert(value).unwrap();
    }
    assert_eq!(slab.address_range(), range);
    assert!(range.contains(&core::ptr::from_ref(slab.at(999)).addr()));
}

#[test]
fn a_generation_that_comes_round_stays_odd() {
    let mut slab = Slab::new(1).unwrap();
    let key = slab.insert(block(1)).unwrap();
    slab.remove(key);
    slab.values[0].generation = u32::MAX - 1;
    let last = slab.insert(block(2)).unwrap();
    assert_eq!(last.generation, u32::MAX);
    slab.remove(last);
    assert_eq!(slab.insert(block(3)).unwrap().generation, 1);
}

#[test]
fn keys_are_numbers_too() {
    let key = Key { index: 12, generation: 35 };
    assert_eq!(Key::from_u64(key.to_u64()), key);
    assert_eq!(format!("{key:?} {key}"), "12.35 12.35");
}

#[derive(Clone, Debug)]
enum Step {
    Insert(u64),
    /// Removes one of the keys ever given out, dead ones included.
    Remove(usize),
    Change(usize, u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => any::<u64>().prop_map(Step::Insert),
        2 => any::<usize>().prop_map(Step::Remove),
        1 => (any::<usize>(), any::<u64>()).prop_map(|(which, value)| Step::Change(which, value)),
    ]
}

proptest! {
    #[test]
    fn a_slab_is_a_map(steps in prop::collection::vec(step(), 1..200), maximum in 1_u32..20) {
        let mut slab = PlainSlab::new(maximum).unwrap();
        let mut model = BTreeMap::new();
        let mut given: Vec<Key> = Vec::new();
        for step in steps {
            match step {
                Step::Insert(value) => {
                    let expected = slab.next_key();
                    let inserted = slab.insert(value).ok();
                    prop_assert_eq!(inserted, expected);
                    prop_assert_eq!(inserted.is_none(), model.len() == maximum as usize);
                    if let Some(key) = inserted {
                        prop_assert!(model.insert(key, value).is_none());
                        given.push(key);
                    }
                }
                Step::Remove(which) if !given.is_empty() => {
                    let key = given[which % given.len()];
                    prop_assert_eq!(slab.remove(key).copied(), model.remove(&key));
                }
                Step::Change(which, value) if !given.is_empty() => {
                    let key = given[which % given.len()];
                    if let Some(place) = slab.get_mut(key) {
                        *place = value;
                    }
                    if let Some(place) = model.get_mut(&key) {
                        *place = value;
                    }
                }
                Step::Remove(_) | Step::Change(..) => {}
            }
            prop_assert_eq!(slab.len(), model.len());
            for key in &given {
                prop_assert_eq!(slab.get(*key), model.get(key));
            }
let live: Vec<Key> = slab.keys().collect();
            prop_assert!(live.iter().eq(model.keys()));
        }
    }
}
