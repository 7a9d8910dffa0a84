//! What follows from an acknowledgment: more is lost, recovery begins or ends, or it was a mistake.

use crate::tcp::config::TcpConfig;
use crate::tcp::congestion::{self, CongestionPool, Signal};
use crate::tcp::connection::{Connection, Warm};
use crate::tcp::scoreboard::Range;
use crate::tcp::seq::SequenceNumber;
use crate::tcp::state::Flag;
use crate::wire::tcp::SackBlocks;

use super::acks::News;
use super::frto::{Finding, Frto, Signs};
use super::prr::Safety;
use super::resent::{Evidence, Resent};
use super::tlp::{Answer, Outcome, Probe};
use super::undo::{Echo, Undo};
use super::{DUP_THRESH, Phase, Progress, Recovery, Reneging};

impl Recovery {
    /// Octets from `from` to `to` that the peer has.
    pub(super) fn delivered_in(&self, una: SequenceNumber, from: SequenceNumber, to: SequenceNumber) -> u32 {
        if !to.is_after(from) {
            return 0;
        }
        let acked = if una.is_after(from) { una.earliest(to).since(from) } else { 0 };
        acked + self.scoreboard.sacked_in(from + acked, to)
    }

    /// RFC 2018 section 8; an old ACK's SACK counts as well. `snd_una` has moved already.
    pub(super) fn take_blocks(&mut self, connection: &Connection, sack: &SackBlocks) {
        let una = connection.snd_una;
        // The ranges are ordered by their distance from `una`: none may lie before it.
        self.scoreboard.acknowledge(una);
        // The peer had these octets, and now it waits for them.
        let waits = self.scoreboard.ranges().first().is_some_and(|range| range.start == una);
        self.reneging = if waits { Reneging::Seen } else { Reneging::Unseen };
        if waits && self.phase == Phase::Loss {
            // RFC 2018 section 8: what it had SACKed is sent again.
            self.scoreboard.clear();
            self.reneging = Reneging::Unseen;
        }
        for block in sack.as_slice() {
            let range = Range { start: SequenceNumber(block.left), end: SequenceNumber(block.right) };
            if range.start.is_after(una) {
                self.scoreboard.add(range, una, connection.snd_nxt);
            }
        }
        self.high_rxt = self.high_rxt.latest(una);
    }

    /// What follows from an acknowledgment. `snd_una` and the scoreboard have moved already.
    pub(super) fn judge(
        &mut self,
        connection: &mut Connection,
        warm: &mut Warm,
        congestion: &mut CongestionPool,
        config: &TcpConfig,
        news: &News,
    ) -> Progress {
        if self.is_mistake(connection, warm, news) {
            return self.forgive(connection, warm, congestion, news);
        }
        self.judge_probe(connection, warm, congestion, news);
        let is_more_lost = self.detect(connection, warm, config, news);
        match self.phase {
            Phase::Disorder => {
                let by_count = connection.dup_acks >= DUP_THRESH && self.scoreboard.sacked() == 0;
                let is_lost = self.rack.lost_below.is_after(connection.snd_una);
                if is_lost || by_count && news.is_duplicate {
                    self.enter_fast(connection, warm, congestion, news.delivered);
                    connection.start_retransmit_timer(news.now, config);
                } else if news.has_advanced {
                    // RFC 6675 section 5: duplicates count from the last cumulative acknowledgment on.
                    connection.dup_acks = 0;
                }
            }
            Phase::Fast if !connection.snd_una.is_before(self.recover) => self.finish(connection, warm),
            Phase::Fast => {
                let is_safe = news.has_advanced && !is_more_lost;
                let safety = if is_safe { Safety::Safe } else { Safety::Doubtful };
                if news.delivered > 0 {
                    let (pipe, mss) = (self.pipe(connection), u32::from(connection.mss));
                    connection.cwnd = self.prr.window(news.delivered, pipe, warm.ssthresh, mss, safety);
                }
            }
            Phase::Loss => {
                if self.judge_timeout(connection, news) == Finding::Spurious {
                    return self.forgive(connection, warm, congestion, news);
                }
                if news.has_advanced {
                    connection.dup_acks = 0;
                }
                if !connection.snd_una.is_before(self.recover) {
                    self.finish(connection, warm);
                }
            }
        }
        if self.is_settled(connection.snd_una) { Progress::Over } else { Progress::GoesOn }
    }

    /// Whether what was sent again was not lost at all.
    fn is_mistake(&mut self, connection: &Connection, warm: &mut Warm, news: &News) -> bool {
        if let Some(duplicate) = news.duplicate {
            let is_probe = self.probe.is_some_and(|probe| probe.ends_at(duplicate.end));
            if !is_probe && !connection.snd_una.is_before(self.dsack_round) {
                // RFC 8985 section 6.2 step 4: once in a round trip.
                warm.reordering.widen();
                self.dsack_round = connection.snd_nxt;
            }
            if self.undo.take_duplicate(duplicate, self.high_rxt) {
                return true;
            }
        }
        // RFC 3522 section 3.2: before all that was sent again is acknowledged.
        news.has_advanced && self.phase != Phase::Disorder && self.undo.is_answer_to_original(news.echo)
    }

    /// Nothing was lost: the window is as it was (RFC 4015 section 3.2).
    fn forgive(
        &mut self,
        connection: &mut Connection,
        warm: &mut Warm,
        congestion: &mut CongestionPool,
        news: &News,
    ) -> Progress {
        congestion::undo(connection, warm, congestion, &self.undo.before());
        warm.reordering.note_seen();
        self.phase = Phase::Disorder;
        self.undo = Undo::closed();
        self.frto = Frto::Off;
        self.resent.clear();
        let fack = self.scoreboard.ranges().last().map_or(connection.snd_una, |range| range.end);
        self.rack.advance(connection.snd_una, fack, news.now_us);
        self.rack.forgive(connection.snd_una, news.now_us);
        connection.dup_acks = 0;
        if self.is_settled(connection.snd_una) { Progress::Over } else { Progress::GoesOn }
    }

    fn judge_probe(
        &mut self,
        connection: &mut Connection,
        warm: &mut Warm,
        congestion: &mut CongestionPool,
        news: &News,
    ) {
        let Some(probe) = self.probe else { return };
        let answer = Answer {
            una: connection.snd_una,
            is_bare_duplicate: news.is_duplicate && news.is_bare,
            duplicate: news.duplicate,
        };
        match probe.judge(&answer) {
            Outcome::Waits => {}
            Outcome::Settled => self.probe = None,
            Outcome::Repaired => {
                self.probe = None;
                self.pay_for_probe(connection, warm, congestion);
            }
        }
    }

    /// A probe has repaired a loss: the path was congested all the same (RFC 8985 section 7.4.2).
    pub(crate) fn pay_for_probe(
        &self,
        connection: &mut Connection,
        warm: &mut Warm,
        congestion: &mut CongestionPool,
    ) {
        match self.phase {
            Phase::Disorder => {
                let flight = connection.flight().max(connection.cwnd);
                congestion::enter_recovery(connection, warm, congestion, Signal::Loss, flight);
            }
            // The window was made smaller already.
            Phase::Fast | Phase::Loss => {}
        }
    }

    /// RFC 8985 section 6.2: what arrived, what it has overtaken, and what counts as lost. Says whether that became more.
    fn detect(&mut self, connection: &Connection, warm: &mut Warm, config: &TcpConfig, news: &News) -> bool {
        let una = connection.snd_una;
        if news.is_reordered {
            warm.reordering.note_seen();
        }
        let fack = self.scoreboard.ranges().last().map_or(una, |range| range.end);
        self.rack.advance(una, fack, news.now_us);
        let evidence = Evidence {
            now_us: news.now_us,
            min_rtt_us: warm.min_rtt_us.min(connection.round_trip.srtt_us()),
            echo_us: match news.echo {
                Echo::Of(ms) => {
                    let age_ms = (news.now.as_millis() as u32).wrapping_sub(ms);
                    let start = news.now_us.wrapping_sub((news.now.as_micros() % 1_000) as u32);
                    Some(start.wrapping_sub(age_ms.wrapping_mul(1_000)))
                }
                Echo::Unknown => None,
            },
        };
        self.resent.take_ack(una, &self.scoreboard, self.rack.fack, &evidence);
        self.lose_before_probe(&evidence, config);
        self.find_lost(connection, warm, config, news.now_us)
    }

    /// A probe that has arrived left at least two round trips after all before it: no reordering window is that long.
    fn lose_before_probe(&mut self, evidence: &Evidence, config: &TcpConfig) {
        let range = match self.probe {
            Some(Probe::New { range }) => range,
            Some(Probe::Again { range, sent_us }) if evidence.is_of(sent_us) => range,
            Some(Probe::Owed | Probe::Again { .. }) | None => return,
        };
        if config.tcp_recovery & 1 != 0 && self.scoreboard.hole(range.start, range.end).is_none() {
            self.rack.lose_below(range.start);
        }
    }

    /// Whether the timeout was a mistake (RFC 5682).
    fn judge_timeout(&mut self, connection: &mut Connection, news: &News) -> Finding {
        let has_sack = connection.flags.has(Flag::Sack);
        let signs = Signs {
            has_advanced: news.has_advanced,
            has_reached_end: !connection.snd_una.is_before(self.recover),
            original_delivered: news.original_delivered,
            is_hole_confirmed: if has_sack {
                self.scoreboard.sacked_in(self.recover, connection.snd_nxt) > 0
            } else {
                !news.has_advanced && news.is_duplicate
            },
            can_probe: connection.unsent() > 0 && connection.snd_wnd > connection.flight(),
            has_sack,
        };
        let finding = self.frto.take_ack(signs);
        if finding == Finding::Genuine {
            // RFC 5682 section 2.1 step 3a.
            connection.cwnd = connection.cwnd.min(3 * u32::from(connection.mss));
        }
        finding
    }

    /// All that was outstanding when recovery began has arrived.
    fn finish(&mut self, connection: &mut Connection, warm: &mut Warm) {
        let mss = u32::from(connection.mss);
        if self.phase == Phase::Fast {
            // RFC 9937 section 6: the window is the threshold; but what waits does not leave as one burst (RFC 6582 section
            // 3.2 step 3).
            let flight = connection.flight();
            let smooth = if connection.unsent() > 0 { flight.max(mss) + 3 * mss } else { u32::MAX };
            connection.cwnd = warm.ssthresh.min(smooth).max(mss);
        }
        warm.recover = connection.snd_una;
        warm.reordering.note_recovery();
        self.phase = Phase::Disorder;
        self.frto = Frto::Off;
        self.resent = Resent::NONE;
        connection.dup_acks = 0;
        if connection.flags.has(Flag::Sack) {
            // A report of a duplicate may be on its way: with the next data acknowledged it would have come.
            self.undo_until = connection.snd_nxt + u32::from(connection.flight() == 0);
        } else {
            self.undo = Undo::closed();
        }
    }
}
