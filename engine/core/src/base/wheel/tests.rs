//! The wheel: resolution, laziness, long jumps, bounded work.

use super::{Instant, LEVELS, TICK_SHIFT, TimerWheel};
use crate::base::time::Duration;
use std::vec;
use std::vec::Vec;

const TICK: Duration = Duration::from_nanos(TimerWheel::TICK_NANOS);

fn wheel(maximum: u32) -> TimerWheel {
    TimerWheel::new(maximum, Instant::ZERO).unwrap()
}

/// Everything that expires by `now`, in order.
pub(super) fn expire_all(wheel: &mut TimerWheel, now: Instant) -> Vec<u32> {
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
fn deadlines_survive_many_revolutions() {
    let day = Duration::from_secs(86_400);
    let mut wheel = wheel(2);
    let mut now = Instant::ZERO;
    // The low half of a tick wraps every 3.26 days.
    for turn in 0..40 {
        wheel.arm(turn % 2, now + day);
        assert_eq!(expire_all(&mut wheel, now + day - Duration::from_nanos(1)), [], "{now:?}");
        now += day;
        assert_eq!(expire_all(&mut wheel, now + TICK), [turn % 2], "{now:?}");
    }
    assert_eq!(wheel.next_expiry(), None);
}

#[test]
fn deadlines_beyond_the_horizon_expire_there() {
    let horizon = TICK * (1 << 31);
    for start in [Instant::ZERO, Instant::from_secs(400_000)] {
        let mut wheel = TimerWheel::new(2, start).unwrap();
        wheel.arm(0, Instant::FAR_FUTURE);
        wheel.arm(1, start + horizon - Duration::from_secs(1));
        assert!(wheel.armed_at(0).unwrap() > start + horizon - TICK);
        assert_eq!(expire_all(&mut wheel, start + horizon - Duration::from_secs(1) + TICK), [1]);
        assert_eq!(expire_all(&mut wheel, start + horizon - TICK), []);
        assert_eq!(expire_all(&mut wheel, start + horizon), [0]);
    }
}

#[test]
fn at_the_end_of_time_nothing_overflows() {
    let mut wheel = wheel(1);
    expire_all(&mut wheel, Instant::from_nanos(u64::MAX - 1));
    wheel.arm(0, Instant::FAR_FUTURE);
    assert_eq!(expire_all(&mut wheel, Instant::from_nanos(u64::MAX - 1)), []);
    assert_eq!(wheel.next_expiry(), Some(Instant::FAR_FUTURE));
}

/// Lists of several chunks, from whose midst indices leave: every index stays in exactly one list.
#[test]
fn long_lists_lose_and_repeat_nothing() {
    const COUNT: u32 = 200;
    let mut wheel = wheel(COUNT);
    let deadline = |index: u32| Instant::from_millis(10 + u64::from(index % 3) * 5_000);
    for round in 0..5 {
        for index in 0..COUNT {
            wheel.arm(index, deadline(index) + Duration::from_secs(round * 100));
        }
        let leaves = |index: u32| (index * 7 + round as u32).is_multiple_of(5);
        for index in (0..COUNT).filter(|index| leaves(*index)) {
            wheel.disarm(index);
        }
        let mut fired = expire_all(&mut wheel, Instant::from_secs(round * 100 + 50));
        fired.sort_unstable();
        assert!(fired.into_iter().eq((0..COUNT).filter(|index| !leaves(*index))), "round {round}");
        assert!(wheel.is_empty());
    }
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
    for millis in [1, 20, 200, 60_000, 7_200_000, 140_000_000] {
        let deadline = Instant::from_millis(millis);
        let mut wheel = wheel(1);
        wheel.arm(0, deadline);
        for _ in 0..LEVELS {
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
