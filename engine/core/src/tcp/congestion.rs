//! Congestion control: how much may be in flight (RFC 5681).
//!
//! Slow start, what counts as using the window, and the reduction once for each window are the same for all algorithms and
//! are here; what differs is a file of its own.
//!
//! | who calls | when |
//! |---|---|
//! | [`on_ack`] | new data was acknowledged, in order or after a timeout; not during fast recovery |
//! | [`enter_recovery`] | a loss was found, a timeout has passed, or ECE came |
//! | [`undo`] | that was a mistake |
//! | [`release`] | the connection is gone |

use crate::base::time::Instant;

use super::config::TcpConfig;
use super::connection::{Connection, Warm};
use super::state::Flag;

mod control;
mod cubic;
mod hystart;
mod record;
mod reno;

pub use control::{CongestionControl, UnknownAlgorithm};
use cubic::Path;
use hystart::Pace;
pub use record::CongestionPool;
use record::{Record, Stage};
use reno::Reno;

/// The largest window, octets: beyond what a scaled window can ever admit.
const CWND_MAX: u32 = 1 << 30;

/// What an acknowledgment of new data says.
#[derive(Clone, Copy, Debug)]
pub struct Acked {
    /// Octets that it acknowledges for the first time; `snd_una` has moved over them.
    pub octets: u32,
    /// Octets that were in flight before it came.
    pub flight: u32,
    /// When it came.
    pub now: Instant,
}

/// Why the window is made smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Something was lost, and what came after it has arrived: fast recovery.
    Loss,
    /// The retransmission timer has expired.
    Timeout,
    /// The peer echoes that a router has marked a packet (RFC 3168).
    Echo,
}

/// The window and the threshold as they were before a [`Signal`], to [`undo`] it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Before {
    /// Congestion window, octets.
    pub cwnd: u32,
    /// Slow start threshold, octets.
    pub ssthresh: u32,
}

/// Whether so many octets in flight can make the window grow: half of it and less never does.
#[inline(always)]
pub fn may_grow(connection: &Connection, flight: u32) -> bool {
    u64::from(flight) * 2 + u64::from(connection.mss) > u64::from(connection.cwnd)
}

/// New data was acknowledged. Does nothing unless the window [may grow](may_grow).
pub fn on_ack(connection: &mut Connection, warm: &mut Warm, pool: &mut CongestionPool, acked: Acked) {
    let is_reduced = connection.flags.has(Flag::Reduced);
    if is_reduced && !connection.snd_una.is_before(warm.reduced) {
        connection.flags.take(Flag::Reduced);
    }
    if !may_grow(connection, acked.flight) {
        return;
    }
    let is_slow_start = connection.cwnd < warm.ssthresh;
    let (cwnd, mss) = (connection.cwnd, u32::from(connection.mss));
    let is_after_timeout = is_slow_start && is_reduced;
    if connection.flags.has(Flag::Reduced) && !is_slow_start {
        return;
    }
    // As Linux: in slow start half a window proves that there is room for twice as much.
    let is_full =
        if is_slow_start { acked.flight.saturating_mul(2) > cwnd } else { acked.flight + mss > cwnd };
    let Some(record) = pool.of(connection, warm) else {
        if is_full {
            connection.cwnd = grown_by_itself(cwnd, mss, acked.octets, is_slow_start);
        }
        return;
    };
    let credit = record.take_credit(connection.snd_una, &acked, is_full);
    if is_full {
        record.limited_end = connection.snd_nxt;
    }
    let grown = if is_slow_start {
        // RFC 3465 section 2.2: by what was acknowledged, however many segments; as Linux, without its limit L. Section 2.3:
        // after a timeout an ACK may cover what never left the path, and counts as one segment.
        let credit = if is_after_timeout { credit.min(mss) } else { credit };
        grow_slowly(connection, warm, record, credit, &acked)
    } else if credit > 0 {
        let path = Path { cwnd, mss, srtt_us: connection.round_trip.srtt_us() };
        match record.stage.avoid() {
            Stage::Reno(reno) => reno.grow(cwnd, mss, credit),
            Stage::Cubic(cubic) => cubic.grow(&path, credit, acked.now),
            Stage::HyStart(_) => cwnd,
        }
    } else {
        cwnd
    };
    connection.cwnd = grown.min(CWND_MAX);
}

/// The window after `credit` more octets in slow start.
fn grow_slowly(
    connection: &Connection,
    warm: &mut Warm,
    record: &mut Record,
    credit: u32,
    acked: &Acked,
) -> u32 {
    let cwnd = connection.cwnd;
    let pace = match &mut record.stage {
        Stage::HyStart(hystart) => hystart.on_ack(connection.snd_una, connection.snd_nxt, credit, acked),
        Stage::Reno(_) | Stage::Cubic(_) => Pace::Grow(credit),
    };
    match pace {
        // Beyond the threshold, congestion avoidance goes on.
        Pace::Grow(octets) => cwnd.saturating_add(octets).min(warm.ssthresh),
        Pace::Over(octets) => {
            // RFC 9406 section 4.2: the threshold is where slow start has ended.
            warm.ssthresh = cwnd.saturating_add(octets).min(warm.ssthresh);
            warm.ssthresh
        }
    }
}

/// RFC 5681 section 3.1, equations 2 and 3: what can be done without remembering anything.
fn grown_by_itself(cwnd: u32, mss: u32, acked: u32, is_slow_start: bool) -> u32 {
    let more = if is_slow_start {
        acked
    } else {
        (u64::from(mss) * u64::from(acked.min(mss)) / u64::from(cwnd.max(1))).max(1) as u32
    };
    cwnd.saturating_add(more).min(CWND_MAX)
}

/// Congestion was noticed: the threshold falls, and the window with it, once for each window of data. `flight` octets were
/// outstanding. Returns both as they were.
///
/// The window is `ssthresh` afterwards, or one segment after a timeout; recovery may set another.
pub fn enter_recovery(
    connection: &mut Connection,
    warm: &mut Warm,
    pool: &mut CongestionPool,
    signal: Signal,
    flight: u32,
) -> Before {
    let before = Before { cwnd: connection.cwnd, ssthresh: warm.ssthresh };
    let mss = u32::from(connection.mss);
    let is_repeat = connection.flags.has(Flag::Reduced) && connection.snd_una.is_before(warm.reduced);
    if is_repeat && signal == Signal::Echo {
        return before;
    }
    // RFC 5681 section 3.2 step 1: segments that limited transmit has added do not count.
    let used = flight.min(connection.cwnd);
    let record = pool.of(connection, warm);
    if !is_repeat {
        warm.reduced = connection.snd_nxt;
        connection.flags.set(Flag::Reduced);
        if connection.flags.has(Flag::Ecn) {
            // RFC 3168 section 6.1.2: whatever the reason was.
            connection.flags.set(Flag::EcnReduced);
        }
        warm.ssthresh = match record {
            Some(record) => {
                record.suspend(connection, signal);
                record.stage.reduce(used, mss, signal)
            }
            None => Reno::ssthresh(used, mss),
        };
    } else if let Some(record) = record {
        record.suspend(connection, signal);
    }
    connection.cwnd = match signal {
        Signal::Loss | Signal::Echo => warm.ssthresh,
        // RFC 5681 section 3.1: the loss window.
        Signal::Timeout => mss,
    };
    before
}

/// What [`enter_recovery`] did was a mistake: nothing was lost (RFC 3522, RFC 4015, RFC 5682).
pub fn undo(connection: &mut Connection, warm: &mut Warm, pool: &mut CongestionPool, before: &Before) {
    connection.cwnd = connection.cwnd.max(before.cwnd);
    warm.ssthresh = warm.ssthresh.max(before.ssthresh);
    connection.flags.take(Flag::Reduced);
    if warm.congestion.is_some()
        && let Some(record) = pool.of(connection, warm)
    {
        record.undo(connection, warm.ssthresh);
    }
}

/// New octets are about to be sent while none are in flight. RFC 5681 section 4.1: after an idle time the acknowledgments
/// that would pace a large window are gone.
///
/// The time since something was sent is known modulo 71 minutes: once in tens of thousands of idle times it seems short.
#[inline]
pub fn restart_after_idle(
    connection: &mut Connection,
    warm: &mut Warm,
    pool: &mut CongestionPool,
    config: &TcpConfig,
    now: Instant,
) {
    let restart_window = u32::from(config.initial_window) * u32::from(connection.mss);
    if connection.cwnd > restart_window && config.tcp_slow_start_after_idle {
        let idle_us = (now.as_micros() as u32).wrapping_sub(connection.rtt_sent_us);
        if idle_us > connection.round_trip.rto_us(config) {
            restart(connection, warm, pool, restart_window);
        }
    }
}

#[cold]
fn restart(connection: &mut Connection, warm: &mut Warm, pool: &mut CongestionPool, restart_window: u32) {
    // RFC 2861 section 3, as Linux: slow start comes back most of the way.
    warm.ssthresh = warm.ssthresh.max(connection.cwnd - connection.cwnd / 4);
    connection.cwnd = restart_window;
    if warm.congestion.is_some()
        && let Some(record) = pool.of(connection, warm)
    {
        record.restart(connection);
    }
}

/// Gives the connection's record back.
#[inline]
pub fn release(warm: &mut Warm, pool: &mut CongestionPool) {
    if let Some(index) = warm.congestion.take() {
        pool.remove(index);
    }
}
