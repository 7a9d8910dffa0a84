//! A random walk of the wheel beside a sorted map.

use super::tests::expire_all;
use super::{HORIZON, Instant, TimerWheel};
use crate::base::time::Duration;
use proptest::prelude::*;
use std::collections::BTreeMap;

#[derive(Clone, Debug)]
enum Step {
    Arm(u32, Duration),
    Disarm(u32),
    Advance(Duration),
    /// One call with a small batch, so that due timers stay behind.
    AdvanceOnce(Duration),
}

/// Spans of every magnitude, from nanoseconds to weeks.
fn span() -> impl Strategy<Value = Duration> {
    (0_u32..52, any::<u64>()).prop_map(|(bits, value)| Duration::from_nanos(value & ((2 << bits) - 1)))
}

fn step(maximum: u32) -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..maximum, span()).prop_map(|(index, span)| Step::Arm(index, span)),
        1 => (0..maximum).prop_map(Step::Disarm),
        2 => span().prop_map(Step::Advance),
        1 => span().prop_map(Step::AdvanceOnce),
    ]
}

/// The oracle: each armed index with the first tick at which it may fire.
#[derive(Default)]
struct Oracle {
    armed: BTreeMap<u32, u64>,
}

impl Oracle {
    /// The wheel stands at `now_tick` and looks no further than its horizon.
    fn arm(&mut self, index: u32, deadline: Instant, now_tick: u64) {
        let tick = deadline.as_nanos().div_ceil(65_536).min(now_tick + HORIZON);
        let entry = self.armed.entry(index).or_insert(tick);
        *entry = tick.min(*entry);
    }

    /// Checks that all of `fired` were due at `now`, and that nothing due is left if the wheel says so.
    fn check_fired(&mut self, now: Instant, fired: &[u32], next: Option<Instant>) {
        let now_tick = now.as_nanos() / 65_536;
        for index in fired {
            let tick = self.armed.remove(index).expect("only armed timers fire, and once");
            assert!(tick <= now_tick, "{index} fired early");
        }
        if next.is_none_or(|next| next > now) {
            assert!(self.armed.values().all(|tick| *tick > now_tick), "late at {now:?}");
        }
    }
}

proptest! {
    #[test]
    fn a_wheel_is_a_sorted_map(start in span(), steps in prop::collection::vec(step(40), 1..200)) {
        let mut now = Instant::ZERO + start;
        let mut wheel = TimerWheel::new(40, now).unwrap();
        let mut oracle = Oracle::default();
        for step in steps {
            match step {
                Step::Arm(index, span) => {
                    oracle.arm(index, now + span, wheel.now_tick);
                    wheel.arm(index, now + span);
                }
                Step::Disarm(index) => {
                    wheel.disarm(index);
                    oracle.armed.remove(&index);
                }
                Step::Advance(span) => {
                    now += span;
                    let fired = expire_all(&mut wheel, now);
                    oracle.check_fired(now, &fired, wheel.next_expiry());
                }
                Step::AdvanceOnce(span) => {
                    now += span;
                    let mut batch = [0; 1];
                    let taken = wheel.expire(now, &mut batch);
                    oracle.check_fired(now, &batch[..taken], wheel.next_expiry());
                }
            }
            prop_assert_eq!(wheel.len(), oracle.armed.len());
            for index in 0..40 {
                let tick = oracle.armed.get(&index).map(|tick| Instant::from_nanos(tick << 16));
                prop_assert_eq!(wheel.armed_at(index), tick);
            }
            let first = oracle.armed.values().min().map(|tick| Instant::from_nanos(tick << 16));
            prop_assert_eq!(wheel.next_expiry().is_some(), first.is_some());
            prop_assert!(wheel.next_expiry() <= first.map(|first| first.max(now)));
        }
    }
}
