//! Loss recovery: what is lost, what was sent again, and how much may be in flight meanwhile.
//!
//! | module | what is in it |
//! |---|---|
//! | [`acks`], `judge`, [`alarm`] | an acknowledgment taken in; what follows from it, at once and later |
//! | [`rack`], [`resent`] | what counts as lost: sent once, sent again (RFC 8985, RFC 6675) |
//! | [`tlp`] | the probe for a lost tail (RFC 8985 section 7) |
//! | [`prr`] | how much leaves for each acknowledgment (RFC 9937) |
//! | [`frto`], [`undo`] | whether it was a mistake (RFC 5682, RFC 3522, RFC 3708) |
//!
//! Without SACK this is NewReno (RFC 6582): one hole for each partial acknowledgment, duplicate ACKs counted
//! as segments that have left the path. After a timeout everything counts as lost that is not SACKed (RFC 5681 section 3.1).

pub mod acks;
pub mod alarm;
pub mod frto;
mod judge;
pub mod prr;
pub mod rack;
pub mod resent;
pub mod tlp;
pub mod undo;

use crate::base::slab::PlainSlab;
use crate::buffer::Cursor;

use super::config::TcpConfig;
use super::congestion::{self, CongestionPool, Signal};
use super::connection::{Connection, Warm};
use super::scoreboard::{Range, Scoreboard};
use super::seq::SequenceNumber;
use super::state::Flag;

use alarm::Timer;
use frto::Frto;
use prr::{Prr, Safety};
use rack::{Rack, Window};
use resent::Resent;
use tlp::Probe;
use undo::Undo;

/// The recovery states of a shard, taken by connections while they need one.
pub type RecoveryPool = PlainSlab<Recovery>;

/// Duplicate ACKs that mean a loss (RFC 5681 section 3.2).
pub const DUP_THRESH: u8 = 3;

/// How far recovery has gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Something is out of order, or a question is open; nothing is taken for lost.
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
    /// A probe for a lost tail.
    pub probe: Option<Probe>,
    /// Whether the timeout is in question.
    pub frto: Frto,
    rack: Rack,
    resent: Resent,
    prr: Prr,
    undo: Undo,
    /// Once this is acknowledged, no report about a retransmission of the last recovery is to come any more.
    undo_until: SequenceNumber,
    /// One report of a duplicate widens the window in a round trip; the next one counts from here.
    dsack_round: SequenceNumber,
    timer: Timer,
    /// The peer has dropped what it had SACKed.
    reneging: Reneging,
}

/// Whether the peer keeps what it has SACKed (RFC 2018 section 8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reneging {
    Unseen,
    Seen,
}

/// Whether recovery goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It does.
    GoesOn,
    /// Nothing is left to be found out: its state goes back to the pool.
    Over,
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
            probe: None,
            frto: Frto::Off,
            rack: Rack::new(snd_una),
            resent: Resent::NONE,
            prr: Prr::default(),
            undo: Undo::closed(),
            undo_until: snd_una,
            dsack_round: snd_una,
            timer: Timer::Rto,
            reneging: Reneging::Unseen,
        }
    }

    /// Where the octets that count as lost end.
    fn lost_below(&self, connection: &Connection) -> SequenceNumber {
        let has_sack = connection.flags.has(Flag::Sack);
        match self.phase {
            Phase::Disorder => connection.snd_una,
            Phase::Loss | Phase::Fast if has_sack => self.rack.lost_below,
            Phase::Loss => self.recover,
            // RFC 6582 section 3.2: the head, and after a partial ACK the next one.
            Phase::Fast => (connection.snd_una + u32::from(connection.mss)).earliest(self.recover),
        }
    }

    /// The next octets to send again, if any count as lost and were not sent again yet, the lowest first.
    pub fn next_lost(&self, connection: &Connection) -> Option<Range> {
        if self.phase == Phase::Disorder {
            return None;
        }
        let from = self.high_rxt.latest(connection.snd_una);
        let end = self.lost_below(connection).earliest(connection.snd_nxt);
        self.resent.next_lost(&self.scoreboard).or_else(|| self.scoreboard.hole(from, end))
    }

    /// Octets that are taken to be on the path (`Pipe` of RFC 6675 section 4).
    pub fn pipe(&self, connection: &Connection) -> u32 {
        let (una, nxt) = (connection.snd_una, connection.snd_nxt);
        let left = if connection.flags.has(Flag::Sack) {
            self.scoreboard.sacked()
        } else if self.phase == Phase::Loss && nxt == self.recover {
            // Duplicate ACKs of what counts as lost say nothing new.
            0
        } else {
            u32::from(connection.dup_acks) * u32::from(connection.mss)
        };
        let from = self.high_rxt.latest(una);
        let end = self.lost_below(connection).earliest(nxt);
        let never_repeated =
            if end.is_after(from) { end.since(from) - self.scoreboard.sacked_in(from, end) } else { 0 };
        let lost = never_repeated + self.resent.lost(&self.scoreboard);
        connection.flight().saturating_sub(left).saturating_sub(lost)
    }

    /// Octets have left again.
    pub fn handle_resent(&mut self, connection: &Connection, range: Range, now_us: u32, now_ms: u32) {
        self.prr.handle_sent(range.len());
        if self.probe == Some(Probe::Owed) {
            self.probe = Some(Probe::Again { range, sent_us: now_us });
            return;
        }
        self.undo.handle_resent(range.len(), now_ms);
        let snd_nxt = connection.snd_nxt;
        if range.start.is_before(self.high_rxt) {
            self.resent.push_again(range, snd_nxt, now_us);
        } else {
            self.resent.push(range, self.high_rxt, snd_nxt, now_us);
            self.high_rxt = range.end;
        }
    }

    /// Octets have left for the first time.
    pub fn handle_sent(&mut self, range: Range) {
        self.prr.handle_sent(range.len());
        if self.probe == Some(Probe::Owed) {
            self.probe = Some(Probe::New { range });
        }
    }

    /// Begins fast recovery; the acknowledgment that led to it has delivered `delivered` octets.
    fn enter_fast(
        &mut self,
        connection: &mut Connection,
        warm: &mut Warm,
        congestion: &mut CongestionPool,
        delivered: u32,
    ) {
        let mss = u32::from(connection.mss);
        let flight = connection.flight();
        let out_of_order = if connection.flags.has(Flag::Sack) {
            self.scoreboard.sacked()
        } else {
            u32::from(connection.dup_acks) * mss
        };
        let before = congestion::enter_recovery(connection, warm, congestion, Signal::Loss, flight);
        self.begin(connection, Phase::Fast);
        self.undo = Undo::open(before, connection.snd_una);
        if out_of_order == 0 || !connection.flags.has(Flag::Sack) {
            // Duplicate ACKs without SACK speak of the head alone.
            self.rack.lose_below((connection.snd_una + mss).earliest(self.recover));
        }
        self.prr = Prr::begin(flight.saturating_sub(out_of_order) + delivered);
        let pipe = self.pipe(connection);
        connection.cwnd = self.prr.window(delivered, pipe, warm.ssthresh, mss, Safety::Doubtful);
        connection.flags.take(Flag::Timing);
    }

    /// What both kinds of recovery begin with.
    fn begin(&mut self, connection: &Connection, phase: Phase) {
        self.phase = phase;
        self.recover = connection.snd_nxt;
        self.high_rxt = connection.snd_una;
        self.cursor = Cursor::default();
        self.frto = Frto::Off;
        self.resent.clear();
    }

    /// The retransmission timer has expired (RFC 5681 section 3.1, RFC 6582 section 4).
    pub fn enter_loss(
        &mut self,
        connection: &mut Connection,
        warm: &mut Warm,
        congestion: &mut CongestionPool,
        config: &TcpConfig,
    ) {
        let (was, asked) = (self.phase, self.frto);
        let flight = connection.flight();
        let before = congestion::enter_recovery(connection, warm, congestion, Signal::Timeout, flight);
        // RFC 2018 section 8: the peer may have dropped what it held. Once, it is believed that it has not, as long as
        // nothing shows that it has (RFC 6675 section 5.1).
        if was == Phase::Loss || self.reneging == Reneging::Seen {
            self.scoreboard.clear();
            self.reneging = Reneging::Unseen;
        }
        self.begin(connection, Phase::Loss);
        self.rack = Rack::new(connection.snd_una);
        self.rack.lose_below(self.recover);
        self.probe = None;
        connection.dup_acks = 0;
        // RFC 5682 section 2.1 step 1: not while another recovery goes on, unless the question was open.
        let is_askable = match was {
            Phase::Disorder => true,
            Phase::Fast => false,
            Phase::Loss => asked != Frto::Off,
        };
        if config.tcp_frto > 0 && is_askable {
            self.frto = Frto::Asked;
        }
        self.undo = match was {
            Phase::Disorder => Undo::open(before, connection.snd_una),
            Phase::Fast => Undo::closed(),
            Phase::Loss => self.undo,
        };
    }

    /// All that is out is to be sent again in smaller segments, because a router dropped what was too big: nothing is known
    /// of congestion, and the window stays (RFC 1191 section 6.4).
    pub fn resegment(&mut self, connection: &Connection) {
        self.begin(connection, Phase::Loss);
        self.rack.lose_below(self.recover);
        self.probe = None;
        self.undo = Undo::closed();
    }

    /// Looks for what counts as lost by now. Says whether that became more.
    fn find_lost(&mut self, connection: &Connection, warm: &Warm, config: &TcpConfig, now_us: u32) -> bool {
        if !connection.flags.has(Flag::Sack) {
            return false;
        }
        let before = self.rack.lost_below;
        let window = Window::of(connection, warm, config, self.phase, &self.scoreboard);
        self.rack.ripen(window, now_us);
        if window == Window::Unlimited && rack::is_thresh_met(connection, &self.scoreboard) {
            // RFC 6675 section 4, `IsLost`, and section 5 step 4.1: the head in any case.
            let mss = u32::from(connection.mss);
            let over = u32::from(DUP_THRESH - 1) * mss;
            self.rack.lose_below(self.scoreboard.lost_below(connection.snd_una, over));
            self.rack.lose_below((connection.snd_una + mss).earliest(self.rack.fack));
        }
        let is_more = self.resent.ripen(window, now_us);
        is_more || self.rack.lost_below != before
    }

    /// Whether nothing is left to be found out.
    fn is_settled(&self, una: SequenceNumber) -> bool {
        let is_judged = !self.undo.is_undecided() || !una.is_before(self.undo_until);
        self.phase == Phase::Disorder && self.scoreboard.sacked() == 0 && self.probe.is_none() && is_judged
    }
}
