//! CUBIC (RFC 9438): after a loss the window comes back to where it was along a cubic function of time, stays there for a
//! while, and then looks for more; never slower than Reno would.
//!
//! Windows are octets, time is counted in [`UNIT_SHIFT`] of the clock's nanoseconds, and there are no floats.

use crate::base::time::Instant;

use super::{CWND_MAX, Signal};

/// Time is counted in units of 2^20 ns, about a millisecond, wrapping after 52 days.
const UNIT_SHIFT: u32 = 20;

/// 1 / C: cubed time units for each segment; C is 0.4 segments for each cubed second (RFC 9438 section 4.6).
const UNITS_CUBED_PER_SEGMENT: u64 = 2_168_404_345;

/// `beta_cubic`, 0.7, as a fraction (RFC 9438 section 4.6).
const BETA: (u64, u64) = (7, 10);

/// `alpha_cubic`, 3 (1 - beta) / (1 + beta), over this is 9 (RFC 9438 section 4.3).
const ALPHA: u64 = 9;
const ALPHA_OVER: u64 = 17;

/// Time in which nothing was held back by the window, beyond two round trips, that does not count, units.
const GAP_MAX: u32 = 10;

/// What CUBIC remembers of a connection.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(super) struct Cubic {
    memory: Memory,
    /// The same before the last reduction, for one that was a mistake.
    memory_before: Memory,
}

#[derive(Clone, Debug, PartialEq, Eq, Default)]
struct Memory {
    /// The window before the last reduction, or less: `W_max`.
    w_max: u32,
    /// The window before the last reduction: `cwnd_prior`.
    cwnd_prior: u32,
    /// Whether that was because of a timeout.
    cause: Option<Signal>,
    /// The current congestion avoidance stage, once it has begun.
    epoch: Option<Epoch>,
}

/// One congestion avoidance stage.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Epoch {
    /// When it began; later by what does not count.
    start: u32,
    /// When the window last grew or could have.
    last: u32,
    /// `K`: how long after the start the window is `origin`, units.
    k: u32,
    /// The plateau, octets.
    origin: u32,
    /// The window that Reno would have: `W_est`, octets.
    w_est: u32,
    /// What `w_est` lacks to its next octet.
    w_est_rest: u64,
    /// What the window lacks to its next octet.
    cwnd_rest: u64,
}

/// What growth depends on besides.
#[derive(Clone, Copy, Debug)]
pub(super) struct Path {
    /// Congestion window, octets.
    pub(super) cwnd: u32,
    /// Octets of a segment.
    pub(super) mss: u32,
    /// Smoothed round-trip time, µs.
    pub(super) srtt_us: u32,
}

impl Cubic {
    /// The window after `acked` more octets.
    pub(super) fn grow(&mut self, path: &Path, acked: u32, now: Instant) -> u32 {
        let now = units(now.as_nanos());
        let memory = &mut self.memory;
        let cwnd_prior = memory.cwnd_prior;
        let rtt = units(u64::from(path.srtt_us) * 1000);
        let epoch = match &mut memory.epoch {
            Some(epoch) => epoch,
            None => {
                let is_plateau_known = memory.cause != Some(Signal::Timeout);
                let plateau = if is_plateau_known { memory.w_max } else { 0 };
                memory.epoch.insert(Epoch::begin(plateau, path, now))
            }
        };
        epoch.pass(now, rtt);
        epoch.grow_estimate(path, acked, cwnd_prior);
        let t = now.wrapping_sub(epoch.start);
        // RFC 9438 section 4.3: where Reno would be further, be there.
        if epoch.at(t, path.mss) < epoch.w_est {
            return epoch.w_est.max(path.cwnd);
        }
        // RFC 9438 section 4.2: no more than half as much again in a round trip.
        let cwnd = u64::from(path.cwnd);
        let target = epoch.at(t.saturating_add(rtt), path.mss).clamp(path.cwnd, path.cwnd / 2 * 3);
        // RFC 9438 sections 4.4 and 4.5.
        let share = u64::from(target - path.cwnd) * u64::from(acked) + epoch.cwnd_rest;
        epoch.cwnd_rest = share % cwnd;
        path.cwnd.saturating_add((share / cwnd) as u32)
    }

    /// The threshold after congestion with a window of `used` octets (RFC 9438 sections 4.6 to 4.8).
    pub(super) fn reduce(&mut self, used: u32, mss: u32, signal: Signal) -> u32 {
        // RFC 9438 section 4.7, fast convergence: one that shrinks makes room for others.
        let (beta, over) = BETA;
        let w_max = if used < self.memory.w_max {
            (u64::from(used) * (over + beta) / (2 * over)) as u32
        } else {
            used
        };
        let memory = Memory { w_max, cwnd_prior: used, cause: Some(signal), epoch: None };
        self.memory_before = core::mem::replace(&mut self.memory, memory);
        ((u64::from(used) * beta / over) as u32).max(2 * mss)
    }

    /// The last reduction was a mistake (RFC 9438 section 4.9).
    pub(super) fn undo(&mut self) {
        self.memory = self.memory_before.clone();
    }

    /// The window was set from elsewhere: the function of time begins anew.
    pub(super) fn restart(&mut self) {
        self.memory.epoch = None;
    }
}

impl Epoch {
    fn begin(w_max: u32, path: &Path, now: u32) -> Self {
        let missing = w_max.saturating_sub(path.cwnd);
        // RFC 9438 section 4.2: K is the cube root of (W_max - cwnd_epoch) / C.
        let k = cube_root(u64::from(missing) * UNITS_CUBED_PER_SEGMENT / u64::from(path.mss.max(1)));
        Self {
            start: now,
            last: now,
            k,
            origin: w_max.max(path.cwnd),
            w_est: path.cwnd,
            w_est_rest: 0,
            cwnd_rest: 0,
        }
    }

    /// It is `now`. RFC 9438 section 5.8: time in which the application did not use the window does not count.
    fn pass(&mut self, now: u32, rtt: u32) {
        let gap = now.wrapping_sub(self.last);
        if gap > 2 * rtt + GAP_MAX {
            self.start = self.start.wrapping_add(gap);
        }
        self.last = now;
    }

    /// RFC 9438 section 4.3, equation 4: additive increase, as steep as makes up for the smaller decrease.
    fn grow_estimate(&mut self, path: &Path, acked: u32, cwnd_prior: u32) {
        let alpha = if self.w_est < cwnd_prior { ALPHA } else { ALPHA_OVER };
        let over = u64::from(path.cwnd.max(1)) * ALPHA_OVER;
        let share = u64::from(acked) * u64::from(path.mss) * alpha + self.w_est_rest;
        self.w_est_rest = share % over;
        self.w_est = self.w_est.saturating_add((share / over) as u32).min(CWND_MAX);
    }

    /// RFC 9438 section 4.2, equation 1: the window `t` units after the start.
    fn at(&self, t: u32, mss: u32) -> u32 {
        let distance = u64::from(t.abs_diff(self.k));
        let octets = match distance {
            0..0x1_0000 => distance.pow(3) * u64::from(mss) / UNITS_CUBED_PER_SEGMENT,
            0x1_0000..0x20_0000 => {
                let product = u128::from(distance.pow(3)) * u128::from(mss);
                (product / u128::from(UNITS_CUBED_PER_SEGMENT)).min(u128::from(u64::MAX)) as u64
            }
            0x20_0000.. => u64::from(CWND_MAX),
        };
        let octets = octets.min(u64::from(CWND_MAX)) as u32;
        let window =
            if t < self.k { self.origin.saturating_sub(octets) } else { self.origin.saturating_add(octets) };
        window.min(CWND_MAX)
    }
}

/// Time units, wrapping.
const fn units(ns: u64) -> u32 {
    (ns >> UNIT_SHIFT) as u32
}

/// The largest integer whose cube is at most `x`, digit by binary digit.
fn cube_root(mut x: u64) -> u32 {
    let mut root = 0_u64;
    for shift in (0..=63).rev().step_by(3) {
        root *= 2;
        let step = 3 * root * (root + 1) + 1;
        if x >> shift >= step {
            x -= step << shift;
            root += 1;
        }
    }
    root as u32
}

#[cfg(test)]
mod tests;
