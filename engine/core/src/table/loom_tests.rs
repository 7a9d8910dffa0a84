//! Model checks: one writer and one reader on a table of five groups of two slots, in all interleavings with up
//! to three (once two) preemptions and with all values that the memory model lets a load return.

use super::{Entry, Kind, Lookup, TableWriter};
use crate::base::slab::Key;
use core::sync::atomic::{AtomicU32, Ordering};
use loom::thread;

type Tuple = [u32; 2];

const A: Tuple = [1, 0x10];
const B: Tuple = [2, 0x20];
const C: Tuple = [3, 0x30];
const E: Tuple = [5, 0x50];
const F: Tuple = [6, 0x60];
/// Differs from `A` in one word and from `B` in the other.
const D: Tuple = [1, 0x20];

/// The tuple's hash: home is the same for all (two fit), and so is the second group (two more fit; what comes after
/// that is far). The tag is that of the first word, so that `A` and `D` have the same.
fn hash(table: &TableWriter<2>, tuple: Tuple) -> u32 {
    let belongs = |hash: &u32| table.table.home(*hash) == 0 && table.table.second(*hash) == 2;
    (0..u32::MAX).map(|upper| upper << 7 | tuple[0]).find(belongs).unwrap()
}

fn remove(table: &mut TableWriter<2>, tuple: Tuple) {
    let hash = hash(table, tuple);
    let (place, _) = table.locate(hash, &tuple).unwrap();
    table.remove(place, hash).unwrap();
}

fn change(table: &mut TableWriter<2>, tuple: Tuple) {
    let (place, _) = table.locate(hash(table, tuple), &tuple).unwrap();
    table.set_entry(place, changed(tuple));
}

fn entry(tuple: Tuple) -> Entry {
    Entry::new(Kind::Synchronized, Key { index: tuple[0], generation: tuple[1] }).unwrap()
}

fn changed(tuple: Tuple) -> Entry {
    Entry::new(Kind::TimeWait, Key { index: tuple[0] + 100, generation: tuple[1] + 100 }).unwrap()
}

fn insert(table: &mut TableWriter<2>, tuple: Tuple) {
    table.insert(hash(table, tuple), &tuple, entry(tuple)).unwrap();
}

/// How often each answer was given, over all interleavings.
#[derive(Default)]
struct Answers {
    found: AtomicU32,
    changed: AtomicU32,
    absent: AtomicU32,
}

impl Answers {
    fn count(&self, tuple: Tuple, lookup: Lookup) {
        let counter = match lookup {
            Lookup::Found(seen) if seen == entry(tuple) => &self.found,
            Lookup::Found(seen) if seen == changed(tuple) => &self.changed,
            Lookup::Found(seen) => panic!("{tuple:?} never had the entry {seen:?}"),
            Lookup::Absent => &self.absent,
            Lookup::Uncertain => return,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Which answers were given at all: found, found changed, absent.
    fn given(&self) -> [bool; 3] {
        [&self.found, &self.changed, &self.absent].map(|counter| counter.load(Ordering::Relaxed) > 0)
    }
}

/// Runs `write` on a table that holds `before`, while another thread looks `sought` up; returns which answers
/// the other thread was given in some interleaving.
fn check(before: &'static [Tuple], sought: Tuple, write: fn(&mut TableWriter<2>)) -> [bool; 3] {
    let answers = std::sync::Arc::new(Answers::default());
    let counted = answers.clone();
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(move || {
        let mut table = TableWriter::<2>::new(7).unwrap();
        for tuple in before {
            insert(&mut table, *tuple);
        }
        let (reader, answers, hash) = (table.reader(), counted.clone(), hash(&table, sought));
        let other = thread::spawn(move || answers.count(sought, reader.find(hash, &sought)));
        write(&mut table);
        other.join().unwrap();
    });
    answers.given()
}

#[test]
fn loom_insert_is_seen_whole_or_not_at_all() {
    // At home, in the second group, behind it.
    for before in [&[A][..], &[A, C], &[A, C, E, F]] {
        assert_eq!(check(before, B, |table| insert(table, B)), [true, false, true]);
    }
}

#[test]
fn loom_insert_hides_nobody() {
    assert_eq!(check(&[A, B], B, |table| insert(table, C)), [true, false, false]);
    assert_eq!(check(&[A, B, C, E], E, |table| insert(table, F)), [true, false, false]);
}

#[test]
fn loom_removal_hides_nobody() {
    for sought in [B, C] {
        assert_eq!(check(&[A, B, C], sought, |table| remove(table, A)), [true, false, false]);
    }
    assert_eq!(check(&[A, B, C, E], E, |table| remove(table, C)), [true, false, false]);
    for removed in [A, C] {
        let before = if removed == A { &[A, B, C, E, F] } else { &[C, B, A, E, F] };
        assert_eq!(check(before, F, |table| remove(table, A)), [true, false, false], "{removed:?}");
    }
}

#[test]
fn loom_removal_and_return_hide_nobody() {
    let given = check(&[A, B, C], C, |table| {
        remove(table, A);
        insert(table, A);
    });
    assert_eq!(given, [true, false, false]);
}

#[test]
fn loom_removal_is_seen_whole_or_not_at_all() {
    for before in [&[A, B][..], &[B, C, A], &[B, C, E, F, A]] {
        assert_eq!(check(before, A, |table| remove(table, A)), [true, false, true]);
    }
}

#[test]
fn loom_change_of_state_is_seen_whole_or_not_at_all() {
    assert_eq!(check(&[A], A, |table| change(table, A)), [true, true, false]);
}

#[test]
fn loom_return_to_another_place_is_seen_whole_or_not_at_all() {
    let given = check(&[A, B, C], C, |table| {
        remove(table, C);
        remove(table, A);
        insert(table, C);
        change(table, C);
    });
    assert_eq!(given, [true, true, true]);
}

#[test]
fn loom_answers_do_not_go_back_in_time() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(2);
    model.check(|| {
        let mut table = TableWriter::<2>::new(7).unwrap();
        for tuple in [A, B, C] {
            insert(&mut table, tuple);
        }
        let (reader, hash) = (table.reader(), hash(&table, C));
        let other = thread::spawn(move || {
            let answers = [(); 2].map(|()| reader.find(hash, &C));
            assert_ne!(answers, [Lookup::Found(changed(C)), Lookup::Found(entry(C))]);
        });
        remove(&mut table, A);
        change(&mut table, C);
        other.join().unwrap();
    });
}

#[test]
fn loom_removal_that_the_reader_knows_of_is_final() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let mut table = TableWriter::<2>::new(7).unwrap();
        insert(&mut table, A);
        let (reader, hash) = (table.reader(), hash(&table, A));
        let is_removed = loom::sync::Arc::new(loom::sync::atomic::AtomicU32::new(0));
        let told = is_removed.clone();
        let other = thread::spawn(move || {
            if told.load(Ordering::Acquire) == 1 {
                assert_eq!(reader.find(hash, &A).found(), None);
            }
        });
        remove(&mut table, A);
        is_removed.store(1, Ordering::Release);
        // The same slot and the same tag.
        insert(&mut table, D);
        other.join().unwrap();
    });
}

#[test]
fn loom_reused_slot_never_answers_for_its_former_tuple() {
    for sought in [A, D] {
        let given = check(&[A], sought, |table| {
            remove(table, A);
            insert(table, D);
        });
        assert_eq!(given, [true, false, true]);
    }
}

#[test]
fn loom_slot_that_gets_its_former_tuple_back_never_answers_for_the_one_between() {
    let given = check(&[A], A, |table| {
        remove(table, A);
        insert(table, D);
        remove(table, D);
        insert(table, A);
        change(table, A);
    });
    assert_eq!(given, [true, true, true]);
}

#[test]
fn loom_slot_in_change_never_answers_for_a_mix_of_tuples() {
    // Half of A and half of B make D, which was never there.
    let given = check(&[A], D, |table| {
        remove(table, A);
        insert(table, B);
    });
    assert_eq!(given, [false, false, true]);
}
