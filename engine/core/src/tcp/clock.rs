//! The time of a turn in the units in which the in-order path keeps it.

use crate::base::time::Instant;

use super::connection::coarse;
use super::tick::Tick;

/// One instant, converted once for a whole turn.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// The instant itself.
    pub now: Instant,
    /// The same in microseconds, wrapping.
    pub us: u32,
    /// In milliseconds, wrapping: what timestamps count (RFC 7323 section 5.4).
    pub ms: u32,
    /// In units for days, wrapping: see [`coarse`].
    pub coarse: u32,
    /// In nanoseconds, up to the last of its tick.
    ns_rounded: u64,
}

impl Clock {
    /// The clock at `now`.
    pub const fn at(now: Instant) -> Self {
        Self {
            now,
            us: now.as_micros() as u32,
            ms: now.as_millis() as u32,
            coarse: coarse(now),
            ns_rounded: now.as_nanos().wrapping_add(Tick::NANOS - 1),
        }
    }

    /// The first tick that is not before `us` microseconds from now.
    #[inline(always)]
    pub fn after_us(&self, us: u32) -> Tick {
        Tick::of_begun(self.ns_rounded.wrapping_add(u64::from(us) * 1_000))
    }
}
