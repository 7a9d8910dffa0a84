//! The wheel: resolution, laziness, long jumps, and a random walk beside a sorted map.

use super::{Instant, TICK_SHIFT, TimerWheel};
use crate::base::time::Duration;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::vec;
use std::vec::Vec;

const TICK: Duration = Duration::from_nanos(TimerWheel::TICK_NANOS);

fn wheel(maximum: u32) -> TimerWheel {
    TimerWheel::new(maximum, Instant::ZERO).unwrap()
}

/// Everything that expires by `now`, in order.
fn expire_all(wheel: &mut TimerWheel, now: Instant) -> Vec<u32> {
    let (mut all, mut batch) = (vec![], [0; 3]);
    loop {
        let taken = wheel.expire(now, &mut batch);
        all.extend_from_slice(&batch[..taken]);
        if wheel.next_expiry().is_none_or(|next| next > now) {
            return all;
        }
    }
}

#[test]
fn never_early_and_at_most_one_tick_late() {
    for nanos in [0, 1, 65_535, 65_536, 65_537, 16_777_216, 16_777_217, 5_000_000_000, 7_200_000_000_000] {
        let deadline = Instant::from_nanos(nanos);
        let mut wheel = wheel(1);
        wheel.arm(0, deadline);
        if nanos > 0 {
            assert_eq!(expire_all(&mut wheel, deadline - Duration::from_nanos(1)), [], "{deadline:?}");
        }
        assert_eq!(expire_all(&mut wheel, deadline + TICK), [0], "{deadline:?}");
        assert!(wheel.is_empty());
    }
}

#[test]
fn arming_later_is_lazy_and_earlier_is_not() {
    let mut wheel = wheel(1);
    wheel.arm(0, Instant::from_secs(2));
    let armed_at = wheel.armed_at(0).unwrap();
    assert!(armed_at >= Instant::from_secs(2) && armed_at < Instant::from_secs(2) + TICK);
    wheel.arm(0, Instant::from_secs(3));
    assert_eq!(wheel.armed_at(0), Some(armed_at));
    wheel.arm(0, Instant::from_secs(1));
    assert!(wheel.armed_at(0) < Some(armed_at));
    assert_eq!(wheel.len(), 1);
    assert_eq!(expire_all(&mut wheel, Instant::from_millis(1_001)), [0]);
    assert_eq!(wheel.armed_at(0), None);
}

#[test]
fn disarmed_timers_do_not_fire() {
    let mut wheel = wheel(5);
    for index in 0..5 {
        wheel.arm(index, Instant::from_millis(10));
    }
    // The first, the last and a middle one of the list.
    for index in [4, 0, 2, 2] {
        wheel.disarm(index);
    }
    assert_eq!(wheel.len(), 2);
    let mut fired = expire_all(&mut wheel, Instant::from_secs(1));
    fired.sort_unstable();
    assert_eq!(fired, [1, 3]);
    assert_eq!(wheel.next_expiry(), None);
}

#[test]
fn a_due_timer_can_still_be_disarmed_or_kept() {
    let mut wheel = wheel(4);
    for index in 0..4 {
        wheel.arm(index, Instant::from_millis(1));
    }
    let mut batch = [0];
    assert_eq!(wheel.expire(Instant::from_secs(1), &mut batch), 1);
    assert!(wheel.next_expiry().unwrap() <= Instant::from_secs(1));
    let rest: Vec<u32> = (0..4).filter(|index| *index != batch[0]).collect();
    wheel.disarm(rest[1]);
    wheel.arm(rest[0], Instant::from_secs(9));
    let mut fired = expire_all(&mut wheel, Instant::from_secs(1));
    fired.sort_unstable();
    assert_eq!(fired, [rest[0], rest[2]]);
}

#[test]
fn a_deadline_in_the_past_is_due_at_once() {
    let mut wheel = wheel(1);
    let now = Instant::from_secs(100);
    assert_eq!(expire_all(&mut wheel, now), []);
    wheel.arm(0, Instant::from_secs(1));
    assert_eq!(wheel.next_expiry().map(Instant::as_secs), Some(99));
    assert_eq!(expire_all(&mut wheel, now), [0]);
}

#[test]
fn far_deadlines_survive_revolutions() {
    let day = Duration::from_secs(86_400);
    let mut wheel = wheel(3);
    wheel.arm(0, Instant::ZERO + day * 40);
    wheel.arm(1, Instant::FAR_FUTURE);
    wheel.arm(2, Instant::ZERO + day * 4);
    assert_eq!(expire_all(&mut wheel, Instant::ZERO + day * 3), []);
    assert_eq!(expire_all(&mut wheel, Instant::ZERO + day * 5), [2]);
    assert_eq!(expire_all(&mut wheel, Instant::ZERO + day * 39), []);
    assert_eq!(expire_all(&mut wheel, Instant::ZERO + day * 4_000), [0]);
    assert_eq!(expire_all(&mut wheel, Instant::from_nanos(u64::MAX - 1)), []);
    assert_eq!(wheel.len(), 1);
    wheel.disarm(1);
    assert_eq!(wheel.next_expiry(), None);
}

#[test]
fn time_that_runs_backward_moves_nothing() {
    let mut wheel = wheel(1);
    expire_all(&mut wheel, Instant::from_secs(10));
    wheel.arm(0, Instant::from_secs(11));
    assert_eq!(expire_all(&mut wheel, Instant::from_secs(1)), []);
    assert_eq!(expire_all(&mut wheel, Instant::from_secs(10)), []);
    assert_eq!(expire_all(&mut wheel, Instant::from_millis(11_001)), [0]);
}

#[test]
fn sleeping_until_the_next_expiry_wakes_few_times_and_in_time() {
    for millis in [1, 20, 200, 60_000, 7_200_000, 500_000_000] {
        let deadline = Instant::from_millis(millis);
        let mut wheel = wheel(1);
        wheel.arm(0, deadline);
        for _ in 0..6 {
            let Some(wake) = wheel.next_expiry() else { break };
            if !expire_all(&mut wheel, wake).is_empty() {
                assert!(wake >= deadline && wake < deadline + TICK, "{deadline:?} at {wake:?}");
            }
        }
        assert!(wheel.is_empty(), "{deadline:?}");
    }
}

#[test]
fn one_call_does_bounded_work_and_the_next_goes_on() {
    let mut wheel = wheel(1_000);
    let deadline = Instant::from_secs(2);
    for index in 0..1_000 {
        wheel.arm(index, deadline);
    }
    let now = deadline + TICK;
    let mut batch = [0; 10];
    // Each timer cascades once, and a call is allowed 80 cascades: 12 calls find nothing due yet.
    for _ in 0..12 {
        assert_eq!(wheel.expire(now, &mut batch), 0);
        assert!(wheel.next_expiry().unwrap() <= now);
    }
    assert_eq!(wheel.expire(now, &mut batch), batch.len());
    assert_eq!(expire_all(&mut wheel, now).len(), 1_000 - batch.len());
    assert!(wheel.is_empty());
}

#[test]
fn timers_on_their_way_down_can_be_changed() {
    let mut wheel = wheel(100);
    for index in 0..100 {
        wheel.arm(index, Instant::from_secs(2));
    }
    let now = Instant::from_secs(3);
    assert_eq!(wheel.expire(now, &mut [0]), 0);
    assert!(wheel.next_expiry().unwrap() <= now);
    for index in 0..50 {
        wheel.disarm(index);
    }
    for index in 50..75 {
        wheel.arm(index, Instant::from_secs(1));
    }
    let mut fired = expire_all(&mut wheel, now);
    fired.sort_unstable();
    assert!(fired.into_iter().eq(50..100));
}

#[test]
fn ticks_are_fine_enough() {
    assert!(TICK <= Duration::from_micros(66));
    assert_eq!(TICK.as_nanos(), 1 << TICK_SHIFT);
}

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
    fn arm(&mut self, index: u32, deadline: Instant) {
        let tick = deadline.as_nanos().div_ceil(65_536);
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
    fn a_wheel_is_a_sorted_map(start in span(), steps in prop::collection::vec(step(12), 1..120)) {
        let mut now = Instant::ZERO + start;
        let mut wheel = TimerWheel::new(12, now).unwrap();
        let mut oracle = Oracle::default();
        for step in steps {
            match step {
                Step::Arm(index, span) => {
                    wheel.arm(index, now + span);
                    oracle.arm(index, now + span);
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
            for index in 0..12 {
                let tick = oracle.armed.get(&index).map(|tick| Instant::from_nanos(tick << 16));
                prop_assert_eq!(wheel.armed_at(index), tick);
            }
            let first = oracle.armed.values().min().map(|tick| Instant::from_nanos(tick << 16));
            prop_assert_eq!(wheel.next_expiry().is_some(), first.is_some());
            prop_assert!(wheel.next_expiry() <= first.map(|first| first.max(now)));
        }
    }
}
