//! The list beside a plain queue.

use super::TimeWaits;
use crate::base::time::Instant;
use crate::table::{FamilyPlace, InFamily, Place};
use crate::tcp::seq::SequenceNumber;
use crate::tcp::tick::Tick;
use crate::tcp::time_wait::TimeWait;
use proptest::prelude::*;
use std::collections::{BTreeSet, VecDeque};

fn tick(step: usize) -> Tick {
    Tick::at(Instant::from_nanos((step as u64 + 1) << 20))
}

fn record(step: usize, ts_recent: Option<u32>) -> TimeWait {
    let number = step as u32;
    TimeWait {
        place: FamilyPlace::new(InFamily::V4(Place::new(step, 3))),
        snd_nxt: SequenceNumber(number.wrapping_mul(0x9e37_79b9)),
        rcv_nxt: SequenceNumber(!number),
        window: 0xfff0_u16.wrapping_add(step as u16),
        ts_recent,
        expires_at: tick(step),
    }
}

#[derive(Clone, Debug)]
enum Step {
    Insert(Option<u32>),
    Restart(prop::sample::Index),
    Remove(prop::sample::Index),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => any::<Option<u32>>().prop_map(Step::Insert),
        2 => any::<prop::sample::Index>().prop_map(Step::Restart),
        3 => any::<prop::sample::Index>().prop_map(Step::Remove),
    ]
}

proptest! {
    #[test]
    fn records_end_in_the_order_of_their_clocks(
        steps in prop::collection::vec(step(), 1..200),
        maximum in 1_u32..20,
    ) {
        let mut all = TimeWaits::new(maximum).unwrap();
        let mut model: VecDeque<(u32, TimeWait)> = VecDeque::new();
        let mut generations = BTreeSet::new();
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::Insert(ts_recent) => {
                    let record = record(number, ts_recent);
                    let key = all.insert(&record);
                    prop_assert_eq!(key.is_some(), model.len() < maximum as usize);
                    if let Some(key) = key {
                        prop_assert!(key.generation % 2 == 1 && generations.insert(key.generation));
                        prop_assert!(key.index < maximum && model.iter().all(|(index, _)| *index != key.index));
                        model.push_back((key.index, record));
                    }
                }
                Step::Restart(which) if !model.is_empty() => {
                    let (index, mut record) = model.remove(which.index(model.len())).unwrap();
                    record.expires_at = tick(number);
                    all.restart(index, record.expires_at);
                    model.push_back((index, record));
                }
                Step::Remove(which) if !model.is_empty() => {
                    let (index, record) = model.remove(which.index(model.len())).unwrap();
                    prop_assert_eq!(all.remove(index), record);
                }
                Step::Restart(_) | Step::Remove(_) => {}
            }
            prop_assert_eq!(all.len(), model.len());
            prop_assert!(model.iter().all(|(index, record)| all.at(*index) == *record));
        }
        while let Some((index, record)) = model.pop_front() {
            prop_assert_eq!(all.first(), Some((index, record.expires_at)));
            all.remove(index);
        }
        prop_assert!(all.is_empty() && all.first().is_none());
    }
}
