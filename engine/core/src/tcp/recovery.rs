//! Loss recovery: what is lost, what was sent again, and how much may be in flight meanwhile.
//!
//! Without SACK this is NewReno (RFC 6582): one hole for each partial acknowledgment, duplicate ACKs counted
//! as segments that have left the path. With SACK the scoreboard says which octets are lost (RFC 6675). After a
//! timeout everything that was outstanding counts as lost (RFC 5681 section 3.1).

use crate::buffer::Cursor;

use super::congestion::{self, CongestionPool, Signal};
use super::connection::{Connection, Warm};
use super::scoreboard::{Range, Scoreboard};
use super::seq::SequenceNumber;
use super::state::Flag;

/// Duplicate ACKs that mean a loss (RFC 5681 section 3.2).
const DUP_THRESH: u8 = 3;

/// How far recovery has gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Something is out of order; nothing is taken for lost yet.
    Disorder,
    /// Fast recovery.
    Fast,
    /// A timeout has passed: all that was outstanding is lost.
    Loss,
}

/// What recovery remembers of a connection; taken from a pool while something is out of order.
#[derive(Clone, Debug)]
pub struct Recovery {
    /// How far it has gone.
    pub phase: Phase,
    /// Recovery ends when this is acknowledged: `snd_nxt` at its beginning (RFC 6582 `recover`).
    pub recover: SequenceNumber,
    /// Everything before was sent again or is not lost (`HighRxt` of RFC 6675).
    pub high_rxt: SequenceNumber,
    /// What the peer holds.
    pub scoreboard: Scoreboard,
    /// Where the last retransmission ended in the send queue.
    pub cursor: Cursor,
}

impl Recovery {
    /// Nothing lost yet.
    pub fn new(snd_una: SequenceNumber) -> Self {
        Self {
            phase: Phase::Disorder,
            recover: snd_una,
            high_rxt: snd_una,
            scoreboard: Scoreboard::default(),
            cursor: Cursor::default(),
        }
    }

    /// Where the octets that count as lost end.
    fn lost_below(&self, connection: &Connection) -> SequenceNumber {
        let mss = u32::from(connection.mss);
        match self.phase {
            Phase::Disorder => connection.snd_una,
            Phase::Loss => self.recover,
            Phase::Fast if connection.flags.has(Flag::Sack) => {
                let first = (connection.snd_una + mss).earliest(self.recover);
                let threshold = u32::from(DUP_THRESH - 1) * mss;
                self.scoreboard.lost_below(connection.snd_una, threshold).latest(first)
            }
            Phase::Fast => (connection.snd_una + mss).earliest(self.recover),
        }
    }

    /// The next octets to send again, if any count as lost and were not sent again yet.
    pub fn next_lost(&self, connection: &Connection) -> Option<Range> {
        let from = self.high_rxt.latest(connection.snd_una);
        self.scoreboard.hole(from, self.lost_below(connection))
    }

    /// Octets that are taken to be on the path (`Pipe` of RFC 6675 section 4).
    pub fn pipe(&self, connection: &Connection) -> u32 {
        let (una, nxt) = (connection.snd_una, connection.snd_nxt);
        let flight = connection.flight();
        let left = if connection.flags.has(Flag::Sack) {
            self.scoreboard.sacked()
        } else {
            u32::from(connection.dup_acks) * u32::from(connection.mss)
        };
        let from = self.high_rxt.latest(una);
        let lost_end = self.lost_below(connection).earliest(nxt);
        let lost = if lost_end.is_after(from) {
            lost_end.since(from) - self.scoreboard.sacked_in(from, lost_end)
        } else {
            0
        };
        flight.saturating_sub(left).saturating_sub(lost)
    }

    /// Whether enough has arrived out of order to call something lost (RFC 5681 section 3.2, RFC 6675 section 5).
    pub fn should_enter_fast(&self, connection: &Connection) -> bool {
        let over = u32::from(DUP_THRESH - 1) * u32::from(connection.mss);
        matches!(self.phase, Phase::Disorder)
            && (connection.dup_acks >= DUP_THRESH
                || self.scoreboard.sacked() > over
                || self.scoreboard.ranges().len() >= 3)
    }

    /// Begins fast recovery.
    pub fn enter_fast(
        &mut self,
        connection: &mut Connection,
        warm: &mut Warm,
        congestion: &mut CongestionPool,
    ) {
        self.phase = Phase::Fast;
        self.recover = connection.snd_nxt;
        self.high_rxt = connection.snd_una;
        self.cursor = Cursor::default();
        congestion::enter_recovery(connection, warm, congestion, Signal::Loss, connection.flight());
    }

    /// The retransmission timer has expired (RFC 5681 section 3.1, RFC 6582 section 4).
    pub fn enter_loss(
        &mut self,
        connection: &mut Connection,
        warm: &mut Warm,
        congestion: &mut CongestionPool,
    ) {
        congestion::enter_recovery(connection, warm, congestion, Signal::Timeout, connection.flight());
        self.phase = Phase::Loss;
        self.recover = connection.snd_nxt;
        self.high_rxt = connection.snd_una;
        self.cursor = Cursor::default();
        self.scoreboard.clear();
        connection.dup_acks = 0;
    }

    /// All that is out is to be sent again in smaller segments, because a router dropped what was too big: nothing is known
    /// of congestion, and the window stays (RFC 1191 section 6.4).
    pub fn resegment(&mut self, connection: &Connection) {
        self.phase = Phase::Loss;
        self.recover = connection.snd_nxt;
        self.high_rxt = connection.snd_una;
        self.cursor = Cursor::default();
    }

    /// `acked` octets were acknowledged; `snd_una` has moved. Says whether recovery is over.
    pub fn on_ack(&mut self, connection: &mut Connection, warm: &Warm, acked: u32) -> Progress {
        let mss = u32::from(connection.mss);
        self.scoreboard.acknowledge(connection.snd_una);
        self.high_rxt = self.high_rxt.latest(connection.snd_una);
        match self.phase {
            Phase::Disorder => {
                // RFC 6675 section 5: duplicates count from the last cumulative acknowledgment on.
                connection.dup_acks = 0;
                if self.scoreboard.sacked() == 0 { Progress::Over } else { Progress::GoesOn }
            }
            Phase::Fast if !connection.snd_una.is_before(self.recover) => {
                // RFC 6582 section 3.2 step 3, option 1: no burst after recovery.
                connection.cwnd = warm.ssthresh.min(connection.flight().max(mss) + mss);
                Progress::Over
            }
            Phase::Fast => {
                // The segments beyond the hole that this ACK covers had left the path by duplicate ACKs.
                let gone = (acked / mss).saturating_sub(1).min(255) as u8;
                connection.dup_acks = connection.dup_acks.saturating_sub(gone);
                Progress::GoesOn
            }
            Phase::Loss => {
                if connection.snd_una.is_before(self.recover) {
                    Progress::GoesOn
                } else {
                    Progress::Over
                }
            }
        }
    }
}

/// Whether recovery goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It does.
    GoesOn,
    /// All that was outstanding at its beginning has arrived: its state goes back to the pool.
    Over,
}
