//! Times in which nothing gets through, and times in which everything takes longer.

use bywash_core::base::time::{Duration, Instant};

/// A part of a world's time.
#[derive(Clone, Copy, Debug)]
pub struct Period {
    /// Its begin.
    pub from: Instant,
    /// Its end, not in it.
    pub to: Instant,
}

impl Period {
    /// Whether `now` is in it.
    pub fn contains(self, now: Instant) -> bool {
        (self.from..self.to).contains(&now)
    }
}

/// A time in which the way is longer: another route, or a radio link that repeats.
#[derive(Clone, Copy, Debug)]
pub struct Spike {
    /// When.
    pub period: Period,
    /// By how much.
    pub late: Duration,
}
