//! How many challenge ACKs a shard sends (RFC 5961 section 7).

use crate::base::time::{Duration, Instant};
use crate::tcp::isn::Secrets;

/// The bound for all connections together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Challenges {
    limit: u32,
    left: u32,
    refill_at: Instant,
}

impl Challenges {
    /// About `limit` in a second.
    pub(super) const fn new(limit: u32) -> Self {
        Self { limit, left: 0, refill_at: Instant::ZERO }
    }

    /// Whether one more is allowed now.
    pub(super) fn allow(&mut self, now: Instant, secrets: &Secrets) -> bool {
        if now >= self.refill_at {
            self.left = self.quota(now, secrets);
            self.refill_at = now + Duration::from_secs(1);
        }
        let allowed = self.left > 0;
        self.left = self.left.saturating_sub(1);
        allowed
    }

    /// Between half the limit and one and a half times that. A number that could be guessed would tell whoever counts
    /// the challenges on a connection of his own how many others were sent, and so where others' numbers lie (Cao and
    /// others 2016).
    fn quota(&self, now: Instant, secrets: &Secrets) -> u32 {
        match self.limit {
            0 => 0,
            limit => limit.div_ceil(2).saturating_add(secrets.die(now) % limit),
        }
    }
}
