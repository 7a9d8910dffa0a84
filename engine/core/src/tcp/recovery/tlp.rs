//! Tail loss probe: when no acknowledgment comes, one segment asks for it before the timeout does (RFC 8985 section 7).

use crate::tcp::config::TcpConfig;
use crate::tcp::connection::{Connection, Warm};
use crate::tcp::scoreboard::Range;
use crate::tcp::seq::SequenceNumber;
use crate::tcp::state::{Flag, Flags};
use crate::tcp::tick::Tick;

/// A probe, from the moment at which it is due until its answer is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// To be sent.
    Owed,
    /// These octets have left for the first time.
    New {
        /// The octets.
        range: Range,
    },
    /// The last octets in flight have left once more.
    Again {
        /// The octets.
        range: Range,
        /// When, in microseconds.
        sent_us: u32,
    },
}

/// What an acknowledgment shows of a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing yet.
    Waits,
    /// Nothing was lost but what others find out.
    Settled,
    /// It has repaired a loss that nobody else has noticed.
    Repaired,
}

/// An acknowledgment as a probe sees it.
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    /// `snd_una` after it.
    pub una: SequenceNumber,
    /// It repeats an earlier one and says nothing else.
    pub is_bare_duplicate: bool,
    /// The octets that the peer says it has received twice.
    pub duplicate: Option<Range>,
}

impl Probe {
    /// RFC 8985 section 7.4.2.
    pub fn judge(self, answer: &Answer) -> Outcome {
        match self {
            Self::Owed => Outcome::Waits,
            Self::New { range } if answer.una.is_before(range.end) => Outcome::Waits,
            Self::New { .. } => Outcome::Settled,
            Self::Again { range, .. } => {
                // Both copies have arrived.
                if answer.duplicate.is_some_and(|duplicate| duplicate.end == range.end) {
                    Outcome::Settled
                } else if answer.una.is_after(range.end) {
                    Outcome::Repaired
                } else if answer.una == range.end && answer.is_bare_duplicate {
                    Outcome::Settled
                } else {
                    Outcome::Waits
                }
            }
        }
    }

    /// Whether these octets are the probe's.
    pub fn ends_at(self, end: SequenceNumber) -> bool {
        match self {
            Self::Owed => false,
            Self::New { range } | Self::Again { range, .. } => range.end == end,
        }
    }
}

/// When a probe is due, if one may be sent at all and comes before the timeout (RFC 8985 section 7.2). One that would come
/// later is none: the timeout sends the same octets then.
#[inline]
pub fn probe_at(connection: &Connection, warm: &Warm, config: &TcpConfig) -> Tick {
    const LOOKED_AT: Flags = Flags::of(&[Flag::Sack, Flag::Recovering, Flag::Probe]);
    const OPEN: Flags = Flags::of(&[Flag::Sack]);
    let srtt_us = connection.round_trip.srtt_us();
    let is_open = connection.retransmit_at.is_set()
        && connection.flags.matches(LOOKED_AT, OPEN)
        && connection.flight() > 0
        && connection.backoff == 0
        && connection.snd_wnd > 0
        && srtt_us > 0
        && config.tcp_early_retrans > 0;
    if !is_open {
        return Tick::NONE;
    }
    let mut pto_us = (2 * srtt_us).max(config.tcp_timeout_min_us);
    if connection.flight() <= u32::from(connection.mss) {
        // The peer may wait for a second segment with its ACK: as Linux, by the shortest timeout.
        pto_us += config.tcp_rto_min_us;
    }
    let rto_us = connection.round_trip.rto_us(config);
    if pto_us >= rto_us {
        return Tick::NONE;
    }
    // The timer was started by the last ACK or the first segment; later segments put the probe off.
    let started = connection.retransmit_at.earlier_by_us(rto_us);
    let from =
        if warm.last_sent.is_between(started, connection.retransmit_at) { warm.last_sent } else { started };
    let due = from.later_by_us(pto_us);
    if due.is_set_before(connection.retransmit_at) { due } else { Tick::NONE }
}
