//! How often one connection answers segments that should not have come: challenge ACKs (RFC 5961 section 7), and ACKs of
//! bare segments outside the window, which two ends that disagree would otherwise exchange for ever.

/// Answers that a connection may give in one go; ten in five seconds is what RFC 5961 section 7 suggests.
const BURST_MAX: u32 = 10;

/// An hour: what the clock of milliseconds can tell apart.
const INTERVAL_MAX_MS: u32 = 3_600_000;

/// What one connection has spent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InvalidBudget {
    /// When all is paid back, ms, wrapping.
    paid_at_ms: u32,
}

impl InvalidBudget {
    /// Whether one more is allowed at `now_ms` (wrapping), when one is paid back in each `interval_ms`
    /// (`tcp_invalid_ratelimit`; 0: always).
    pub fn allow(&mut self, now_ms: u32, interval_ms: u32) -> bool {
        let interval_ms = interval_ms.min(INTERVAL_MAX_MS);
        let owed = self.paid_at_ms.wrapping_sub(now_ms);
        // Further ahead than it can ever be: it lies in the past, or was never set.
        let owed = if owed > BURST_MAX * interval_ms { 0 } else { owed };
        let is_allowed = owed + interval_ms <= BURST_MAX * interval_ms;
        if is_allowed {
            self.paid_at_ms = now_ms.wrapping_add(owed + interval_ms);
        }
        is_allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_at_once_and_one_for_each_interval() {
        for start in [0, 12_345, u32::MAX - 1_000] {
            let mut budget = InvalidBudget::default();
            // What was never set lies five seconds ahead once in 49 days, which only makes the first answers fewer.
            budget.allow(start.wrapping_sub(100_000), 500);
            let mut count = |ms: u32| (0..100).filter(|_| budget.allow(start.wrapping_add(ms), 500)).count();
            assert_eq!((count(0), count(0), count(499), count(500), count(501)), (10, 0, 0, 1, 0));
            assert_eq!((count(2_000), count(60_000), count(3_000_000_000)), (3, 10, 10), "from {start}");
        }
    }

    #[test]
    fn without_an_interval_there_is_no_limit() {
        let mut budget = InvalidBudget::default();
        assert!((0..1_000).all(|_| budget.allow(7, 0)));
    }
}
