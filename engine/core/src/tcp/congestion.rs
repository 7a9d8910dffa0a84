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

use core::num::NonZeroU32;

use crate::base::OutOfMemory;
use crate::base::slab::PlainSlab;
use crate::base::time::Instant;

use super::connection::{Connection, Warm};
use super::seq::SequenceNumber;
use super::state::Flag;

mod control;
mod reno;

pub use control::{CongestionControl, UnknownAlgorithm};
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
}

/// The window and the threshold as they were before a [`Signal`], to [`undo`] it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Before {
    /// Congestion window, octets.
    pub cwnd: u32,
    /// Slow start threshold, octets.
    pub ssthresh: u32,
}

/// What a connection's algorithm remembers; taken from a pool when its window is used up for the first time.
#[derive(Clone, Debug)]
struct Record {
    /// Up to here, acknowledgments have made the window grow, or were found not to.
    counted: SequenceNumber,
    /// What is before was sent while the window was used up.
    limited_end: SequenceNumber,
    reno: Reno,
}

/// The records of a shard.
#[derive(Debug)]
pub struct CongestionPool {
    records: PlainSlab<Record>,
    /// How often there was none.
    refused: u64,
}

impl CongestionPool {
    /// A pool of `congestions_max` records.
    ///
    /// # Errors
    /// [`OutOfMemory`] if the address space cannot be reserved.
    pub fn new(congestions_max: u32) -> Result<Self, OutOfMemory> {
        Ok(Self { records: PlainSlab::new(congestions_max)?, refused: 0 })
    }

    /// Records in use.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether no record is in use.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Where the records lie.
    pub fn address_range(&self) -> core::ops::Range<usize> {
        self.records.address_range()
    }

    /// How often a connection had to do without a record since this was asked last.
    pub fn take_refused(&mut self) -> u64 {
        core::mem::take(&mut self.refused)
    }

    /// The record of a connection; a new one, if it has none and one is free.
    fn of(&mut self, connection: &Connection, warm: &mut Warm) -> Option<&mut Record> {
        if warm.congestion.is_none() {
            let una = connection.snd_una;
            let record = Record { counted: una, limited_end: una, reno: Reno::default() };
            let Ok(key) = self.records.insert(record) else {
                self.refused += 1;
                return None;
            };
            warm.congestion = NonZeroU32::new(key.index + 1);
        }
        Some(self.records.at_mut(warm.congestion?.get() - 1))
    }
}

impl Record {
    /// How many octets count for the window's growth now that `acked` are acknowledged up to `una`. Acknowledgments that
    /// nobody asked about while less than half the window was in flight are made up for.
    fn take_credit(&mut self, una: SequenceNumber, acked: &Acked, is_full: bool) -> u32 {
        let before = una - acked.octets;
        let late = before.earliest(self.limited_end);
        let late = if late.is_after(self.counted) { late.since(self.counted) } else { 0 };
        let is_covered = is_full || before.is_before(self.limited_end);
        self.counted = una;
        late + if is_covered { acked.octets } else { 0 }
    }
}

/// Whether so many octets in flight can make the window grow: half of it and less never does.
#[inline(always)]
pub fn may_grow(connection: &Connection, flight: u32) -> bool {
    u64::from(flight) * 2 + u64::from(connection.mss) > u64::from(connection.cwnd)
}

/// New data was acknowledged. Does nothing unless the window [may grow](may_grow).
pub fn on_ack(connection: &mut Connection, warm: &mut Warm, pool: &mut CongestionPool, acked: Acked) {
    if !may_grow(connection, acked.flight) {
        return;
    }
    let is_slow_start = connection.cwnd < warm.ssthresh;
    let (cwnd, mss) = (connection.cwnd, u32::from(connection.mss));
    let is_after_timeout = is_slow_start && connection.flags.has(Flag::Reduced);
    if connection.flags.has(Flag::Reduced) {
        if !connection.snd_una.is_before(warm.reduced) {
            connection.flags.take(Flag::Reduced);
        } else if !is_slow_start {
            return;
        }
    }
    // As Linux: in slow start half a window proves that there is room for twice as much.
    let is_full =
        if is_slow_start { acked.flight.saturating_mul(2) > cwnd } else { acked.flight + mss > cwnd };
    let una = connection.snd_una;
    let end = connection.snd_nxt;
    let algorithm = warm.congestion_control;
    let ssthresh = warm.ssthresh;
    let Some(record) = pool.of(connection, warm) else {
        if is_full {
            connection.cwnd = grown_by_itself(cwnd, mss, acked.octets, is_slow_start);
        }
        return;
    };
    let credit = record.take_credit(una, &acked, is_full);
    if is_full {
        record.limited_end = end;
    }
    if credit == 0 {
        return;
    }
    let grown = if is_slow_start {
        // RFC 3465 section 2.2: by what was acknowledged, however many segments; as Linux, without its limit L. Section 2.3:
        // after a timeout an ACK may cover what never left the path, and counts as one segment.
        let credit = if is_after_timeout { credit.min(mss) } else { credit };
        cwnd.saturating_add(credit).min(ssthresh.max(cwnd))
    } else {
        match algorithm {
            CongestionControl::Reno => record.reno.grow(cwnd, mss, credit),
        }
    };
    connection.cwnd = grown.min(CWND_MAX);
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
    if !is_repeat {
        // RFC 5681 section 3.2 step 1: segments that limited transmit has added do not count.
        let used = flight.min(connection.cwnd);
        warm.ssthresh = match warm.congestion_control {
            CongestionControl::Reno => Reno::ssthresh(used, mss),
        };
        warm.reduced = connection.snd_nxt;
        connection.flags.set(Flag::Reduced);
    }
    connection.cwnd = match signal {
        Signal::Loss => warm.ssthresh,
        // RFC 5681 section 3.1: the loss window.
        Signal::Timeout => mss,
    };
    if let Some(record) = pool.of(connection, warm) {
        // What ends fast recovery is no growth.
        record.counted = match signal {
            Signal::Loss => connection.snd_nxt,
            Signal::Timeout => connection.snd_una,
        };
        record.limited_end = connection.snd_nxt;
        record.reno = Reno::default();
    }
    before
}

/// What [`enter_recovery`] did was a mistake: nothing was lost (RFC 3522, RFC 4015, RFC 5682).
pub fn undo(connection: &mut Connection, warm: &mut Warm, _pool: &mut CongestionPool, before: &Before) {
    connection.cwnd = connection.cwnd.max(before.cwnd);
    warm.ssthresh = warm.ssthresh.max(before.ssthresh);
    connection.flags.take(Flag::Reduced);
}

/// Gives the connection's record back.
#[inline]
pub fn release(warm: &mut Warm, pool: &mut CongestionPool) {
    if let Some(index) = warm.congestion.take()
        && let Some(key) = pool.records.key_at(index.get() - 1)
    {
        pool.records.remove(key);
    }
}
