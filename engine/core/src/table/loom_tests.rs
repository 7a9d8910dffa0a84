//! Model checks: one writer and one reader on a table of four groups of two slots, in all interleavings with up
//! to three (once two) preemptions and with all values that the memory model lets a load return.

use super::tags::Tag;
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

/// The tuple's hash: the home is the same for all (two fit, then two in the next group), the tag is that of the
/// first word, so that `A` and `D` have the same.
fn hash(table: &TableWriter<2>, tuple: Tuple) -> u32 {
    let belongs = |hash: &u32| {
        let home = table.table.home(*hash);
        home.group == 0 && home.tag == Tag::from_bits(u64::from(tuple[0]))
    };
    (0..u32::MAX).find(belongs).unwrap()
}

fn remove(table: &mut TableWriter<2>, tuple: Tuple) {
    table.remove(hash(table, tuple), &tuple).unwrap();
}

fn change(table: &mut TableWriter<2>, tuple: Tuple) {
    table.set_entry(hash(table, tuple), &tuple, changed(tuple)).unwrap();
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
    assert_eq!(check(&[A], B, |table| insert(table, B)), [true, false, true]);
}

#[test]
fn loom_insert_hides_nobody() {
    assert_eq!(check(&[A, B], B, |table| insert(table, C)), [true, false, false]);
}

#[test]
fn loom_removal_that_moves_an_entry_hides_it_from_nobody() {
    for sought in [B, C] {
        let given = check(&[A, B, C], sought, |table| {
            remove(table, A);
        });
        assert_eq!(given, [true, false, false]);
    }
}

#[test]
fn loom_removal_that_moves_two_entries_hides_neither() {
    for sought in [C, F] {
        let given = check(&[A, B, C, E, F], sought, |table| {
            remove(table, A);
        });
        assert_eq!(given, [true, false, false]);
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
    let given = check(&[A, B, C], A, |table| {
        remove(table, A);
    });
    assert_eq!(given, [true, false, true]);
}

#[test]
fn loom_change_of_state_is_seen_whole_or_not_at_all() {
    let given = check(&[A], A, |table| {
        change(table, A);
    });
    assert_eq!(given, [true, true, false]);
}

#[test]
fn loom_move_and_change_of_state_lose_neither() {
    let given = check(&[A, B, C], C, |table| {
        remove(table, A);
        change(table, C);
    });
    assert_eq!(given, [true, true, false]);
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
fn loom_slot_in_change_never_answers_for_a_mix_of_tuples() {
    // Half of A and half of B make D, which was never there.
    let given = check(&[A, C, B], D, |table| {
        remove(table, A);
    });
    assert_eq!(given, [false, false, true]);
}
