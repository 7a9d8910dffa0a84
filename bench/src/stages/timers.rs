//! The timing wheel.

use std::hint::black_box;

use bywash_core::base::random::Random;
use bywash_core::base::time::{Duration, Instant};
use bywash_core::base::wheel::TimerWheel;

use super::Stage;

const TIMERS: u32 = 4096;
/// Deadlines lie between this and twice this after the wheel's time.
const SPAN: Duration = Duration::from_millis(200);
/// Timers that expire in one call at most.
const BATCH: usize = 64;

struct Wheel {
    wheel: TimerWheel,
    now: Instant,
    /// How far away each timer is.
    spans: Vec<Duration>,
}

impl Wheel {
    fn new() -> Self {
        let mut random = Random::from_seed(1);
        let mut span = || SPAN + Duration::from_nanos(random.below(SPAN.as_nanos()));
        Self {
            wheel: TimerWheel::new(TIMERS, Instant::ZERO).expect("memory for a small wheel"),
            now: Instant::ZERO,
            spans: (0..TIMERS).map(|_| span()).collect(),
        }
    }

    #[inline]
    fn arm(&mut self, count: u32, later: Duration) {
        for (index, span) in (0..count).zip(&self.spans) {
            self.wheel.arm(index, self.now + *span + later);
        }
    }

    #[inline]
    fn disarm(&mut self, count: u32) {
        (0..count).for_each(|index| self.wheel.disarm(index));
    }
}

pub(super) struct Arm(Wheel);

impl Arm {
    pub(super) fn new() -> Self {
        Self(Wheel::new())
    }
}

impl Stage for Arm {
    fn prepare(&mut self, _: u32) {
        self.0.disarm(TIMERS);
        assert!(self.0.wheel.is_empty());
    }

    fn run(&mut self, count: u32) {
        self.0.arm(count, Duration::ZERO);
    }
}

pub(super) struct Later(Wheel);

impl Later {
    pub(super) fn new() -> Self {
        let mut wheel = Wheel::new();
        wheel.arm(TIMERS, Duration::ZERO);
        Self(wheel)
    }
}

impl Stage for Later {
    fn run(&mut self, count: u32) {
        self.0.arm(count, Duration::from_millis(10));
    }
}

pub(super) struct Disarm(Wheel);

impl Disarm {
    pub(super) fn new() -> Self {
        Self(Wheel::new())
    }
}

impl Stage for Disarm {
    fn prepare(&mut self, count: u32) {
        assert!(self.0.wheel.is_empty());
        self.0.arm(count, Duration::ZERO);
    }

    fn run(&mut self, count: u32) {
        self.0.disarm(count);
    }
}

pub(super) struct Expire {
    wheel: Wheel,
    batch: [u32; BATCH],
}

impl Expire {
    pub(super) fn new() -> Self {
        Self { wheel: Wheel::new(), batch: [0; BATCH] }
    }
}

impl Stage for Expire {
    fn prepare(&mut self, count: u32) {
        assert!(self.wheel.wheel.is_empty());
        self.wheel.arm(count, Duration::ZERO);
    }

    fn run(&mut self, count: u32) {
        let mut expired = 0;
        while expired < count as usize {
            let taken = self.wheel.wheel.expire(self.wheel.now, &mut self.batch);
            expired += taken;
            if taken < BATCH {
                self.wheel.now += Duration::from_millis(1);
            }
        }
    }
}

pub(super) struct Idle {
    wheel: Wheel,
    batch: [u32; BATCH],
}

impl Idle {
    pub(super) fn new() -> Self {
        let mut wheel = Wheel::new();
        wheel.arm(TIMERS, Duration::from_secs(3600));
        Self { wheel, batch: [0; BATCH] }
    }
}

impl Stage for Idle {
    fn run(&mut self, count: u32) {
        for _ in 0..count {
            // A microsecond to a turn: nothing is ever due.
            self.wheel.now += Duration::from_micros(1);
            let taken = self.wheel.wheel.expire(black_box(self.wheel.now), &mut self.batch);
            assert_eq!(taken, 0);
            black_box(self.wheel.wheel.next_expiry());
        }
    }
}
