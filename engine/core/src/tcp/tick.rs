//! Deadlines in four bytes: the wheel's ticks, wrapping.

use crate::base::time::{Duration, Instant};

/// A point in time in ticks of 2^16 ns (65.5 µs), wrapping after 78 hours; 0 is "none".
///
/// Deadlines of a connection lie at most a few hours ahead, so comparing within half the space is enough.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Tick(u32);

impl Tick {
    /// No deadline.
    pub const NONE: Self = Self(0);
    /// Nanoseconds of one tick, as a power of two.
    const SHIFT: u32 = 16;
    /// Nanoseconds of one tick.
    pub const NANOS: u64 = 1 << Self::SHIFT;

    /// The first tick that is not before `at`.
    #[inline]
    pub const fn at(at: Instant) -> Self {
        Self::of_begun(at.as_nanos() + (Self::NANOS - 1))
    }

    /// The tick in which this nanosecond lies.
    #[inline(always)]
    pub const fn of_begun(ns: u64) -> Self {
        let tick = (ns >> Self::SHIFT) as u32;
        Self(if tick == 0 { 1 } else { tick })
    }

    /// Whether there is a deadline.
    #[inline]
    pub const fn is_set(self) -> bool {
        self.0 != 0
    }

    /// Whether there is a deadline and `now` has reached it.
    #[inline]
    pub const fn is_due(self, now: Instant) -> bool {
        let tick = (now.as_nanos() >> Self::SHIFT) as u32;
        self.is_set() && (tick.wrapping_sub(self.0) as i32) >= 0
    }

    /// The earlier of two deadlines; none is later than any.
    #[inline]
    pub const fn earliest(self, other: Self) -> Self {
        if !self.is_set() || (other.is_set() && (other.0.wrapping_sub(self.0) as i32) < 0) {
            other
        } else {
            self
        }
    }

    /// Whether there is a deadline and it is not after `other`, which is one, too.
    #[inline(always)]
    pub const fn is_set_before(self, other: Self) -> bool {
        self.is_set() && (other.0.wrapping_sub(self.0) as i32) >= 0
    }

    /// The deadline that is `us` microseconds, rounded down to ticks, before this one.
    #[inline]
    pub const fn earlier_by_us(self, us: u32) -> Self {
        Self::nonzero(self.0.wrapping_sub(ticks(us)))
    }

    /// The deadline that is `us` microseconds, rounded down to ticks, and one tick after this one.
    #[inline]
    pub const fn later_by_us(self, us: u32) -> Self {
        Self::nonzero(self.0.wrapping_add(ticks(us) + 1))
    }

    /// Whether it is set, after `start`, and not after `end`; both are set.
    #[inline]
    pub const fn is_between(self, start: Self, end: Self) -> bool {
        self.is_set() && self.0.wrapping_sub(start.0).wrapping_sub(1) < end.0.wrapping_sub(start.0)
    }

    const fn nonzero(tick: u32) -> Self {
        Self(if tick == 0 { 1 } else { tick })
    }

    /// The instant it stands for, seen from `now` (which lies within 39 hours of it).
    #[inline]
    pub fn instant(self, now: Instant) -> Instant {
        let tick = (now.as_nanos() >> Self::SHIFT) as u32;
        let ahead = self.0.wrapping_sub(tick) as i32;
        if ahead <= 0 {
            now
        } else {
            let start = Instant::from_nanos(now.as_nanos() >> Self::SHIFT << Self::SHIFT);
            start + Duration::from_nanos((ahead as u64) << Self::SHIFT)
        }
    }
}

/// Whole ticks in `us` microseconds.
const fn ticks(us: u32) -> u32 {
    ((us as u64 * 1_000) >> Tick::SHIFT) as u32
}

#[cfg(test)]
mod tests {
    use super::Tick;
    use crate::base::time::{Duration, Instant};

    #[test]
    fn a_deadline_is_never_early_and_late_by_a_tick_at_most() {
        for start in [0, 1, 65_535, 65_536, (u64::from(u32::MAX) << 16) - 3] {
            let now = Instant::from_nanos(start);
            let tick = Tick::at(now + Duration::from_millis(40));
            assert!(!tick.is_due(now + Duration::from_millis(39)));
            assert!(tick.is_due(now + Duration::from_millis(41)));
            assert!(tick.instant(now) >= now + Duration::from_millis(40));
        }
    }

    #[test]
    fn none_is_never_due_and_never_earliest() {
        assert!(!Tick::NONE.is_due(Instant::from_nanos(u64::MAX / 2)));
        let tick = Tick::at(Instant::from_nanos(1 << 20));
        assert_eq!(Tick::NONE.earliest(tick), tick);
        assert_eq!(tick.earliest(Tick::NONE), tick);
    }
}
