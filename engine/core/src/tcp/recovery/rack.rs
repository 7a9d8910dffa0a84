//! RACK: what was sent before something that has arrived is lost once it had time to be overtaken (RFC 8985).
//!
//! Octets that were sent once need no time stamps: they left in sequence order, so what lies below a SACKed octet left no
//! later than that. Its time runs from the arrival of the first SACK above it, which is later than RFC 8985's own reckoning by
//! at most the time between the two sends, and never earlier.

use crate::tcp::config::TcpConfig;
use crate::tcp::connection::{Connection, Warm};
use crate::tcp::scoreboard::Scoreboard;
use crate::tcp::seq::SequenceNumber;

use super::{DUP_THRESH, Phase};

/// Points below which octets were overtaken at different times. Of more, the last ones count from the later time.
const EDGES_MAX: usize = 8;

/// Recoveries for which a widened window is kept (RFC 8985 section 6.2 step 4).
const PERSIST_RECOVERIES: u8 = 16;

/// What RACK can be told not to do (`tcp_recovery`).
const RACK_ON: u8 = 1;
const STATIC_WINDOW: u8 = 2;
const NO_DUP_THRESH: u8 = 4;

/// What the path has shown of reordering; a connection keeps it from one recovery to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Reordering {
    /// Quarters of the minimum round trip that a segment may be late; 0: none was seen to be late (RFC 8985 `reo_wnd_mult`,
    /// `reordering_seen`).
    quarters: u8,
    /// Recoveries until it is one quarter again (`reo_wnd_persist`).
    persist: u8,
}

impl Reordering {
    /// Something came late that was sent once.
    pub fn note_seen(&mut self) {
        self.quarters = self.quarters.max(1);
    }

    /// Something was sent again too early (RFC 8985 section 6.2 step 4).
    pub fn widen(&mut self) {
        self.quarters = self.quarters.saturating_add(1).max(2);
        self.persist = PERSIST_RECOVERIES;
    }

    /// A recovery has ended.
    pub fn note_recovery(&mut self) {
        self.persist = self.persist.saturating_sub(1);
        if self.persist == 0 {
            self.quarters = self.quarters.min(1);
        }
    }
}

/// How long an octet that was overtaken may still be on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// So many microseconds.
    Within(u32),
    /// RACK is off: only RFC 6675 says what is lost.
    Unlimited,
}

impl Window {
    /// RFC 8985 section 6.2 step 4.
    pub fn of(
        connection: &Connection,
        warm: &Warm,
        config: &TcpConfig,
        phase: Phase,
        board: &Scoreboard,
    ) -> Self {
        if config.tcp_recovery & RACK_ON == 0 {
            return Self::Unlimited;
        }
        let reordering = warm.reordering;
        if reordering.quarters == 0 {
            let counts = config.tcp_recovery & NO_DUP_THRESH == 0;
            if phase != Phase::Disorder || counts && is_thresh_met(connection, board) {
                return Self::Within(0);
            }
        }
        let is_static = config.tcp_recovery & STATIC_WINDOW != 0;
        let quarters = if is_static { 1 } else { u32::from(reordering.quarters.max(1)) };
        let srtt_us = connection.round_trip.srtt_us();
        let min_rtt_us = warm.min_rtt_us.min(srtt_us);
        // Bounded by SRTT; what arrives in the same burst was not late.
        Self::Within((min_rtt_us / 4).saturating_mul(quarters).min(srtt_us).max(1))
    }
}

/// Whether so much arrived out of order that mere reordering is unlikely (RFC 6675 section 5, `DupThresh`).
pub fn is_thresh_met(connection: &Connection, board: &Scoreboard) -> bool {
    let over = u32::from(DUP_THRESH - 1) * u32::from(connection.mss);
    board.sacked() > over || board.ranges().len() >= usize::from(DUP_THRESH)
}

/// Everything below `below` was overtaken at `at_us`, what lies below earlier edges before.
#[derive(Clone, Copy, Debug, Default)]
struct Edge {
    below: SequenceNumber,
    at_us: u32,
}

/// How far octets that were sent once have been overtaken.
#[derive(Clone, Debug)]
pub struct Rack {
    /// The highest octet delivered, and 1 (`RACK.fack`).
    pub fack: SequenceNumber,
    /// What was sent once, lies below and was not delivered, is lost.
    pub lost_below: SequenceNumber,
    edges: [Edge; EDGES_MAX],
    count: u8,
}

impl Rack {
    /// Nothing overtaken yet.
    pub fn new(una: SequenceNumber) -> Self {
        Self { fack: una, lost_below: una, edges: [Edge::default(); EDGES_MAX], count: 0 }
    }

    /// What counted as lost is not; what was overtaken has its time once more.
    pub fn forgive(&mut self, una: SequenceNumber, now_us: u32) {
        self.lost_below = una;
        self.count = 0;
        if self.fack.is_after(una) {
            self.push(Edge { below: self.fack, at_us: now_us });
        }
    }

    /// Everything below `fack` that was not delivered is overtaken now, if it was not before.
    pub fn advance(&mut self, una: SequenceNumber, fack: SequenceNumber, now_us: u32) {
        self.lost_below = self.lost_below.latest(una);
        if fack.is_after(self.fack) {
            self.fack = fack;
            self.push(Edge { below: fack, at_us: now_us });
        }
        self.fack = self.fack.latest(una);
    }

    fn push(&mut self, edge: Edge) {
        let count = usize::from(self.count);
        if count < EDGES_MAX {
            self.edges[count] = edge;
            self.count += 1;
        } else {
            self.edges[EDGES_MAX - 1] = edge;
        }
    }

    /// Takes for lost what was overtaken longer than `window` ago.
    pub fn ripen(&mut self, window: Window, now_us: u32) {
        let Window::Within(window_us) = window else { return };
        let is_ripe = |edge: &&Edge| now_us.wrapping_sub(edge.at_us) >= window_us;
        let ripe = self.edges[..usize::from(self.count)].iter().take_while(is_ripe).count();
        if ripe > 0 {
            self.lose_below(self.edges[ripe - 1].below);
            self.edges.copy_within(ripe..usize::from(self.count), 0);
            self.count -= ripe as u8;
        }
    }

    /// Everything below `edge` is lost.
    pub fn lose_below(&mut self, edge: SequenceNumber) {
        self.lost_below = self.lost_below.latest(edge);
    }

    /// When the next octets count as lost, if nothing more arrives. An edge that all below has reached is gone.
    pub fn next_at_us(&mut self, una: SequenceNumber, window: Window) -> Option<u32> {
        let Window::Within(window_us) = window else { return None };
        let live = self.edges[..usize::from(self.count)].iter().position(|edge| edge.below.is_after(una));
        let gone = live.unwrap_or(usize::from(self.count));
        self.edges.copy_within(gone..usize::from(self.count), 0);
        self.count -= gone as u8;
        (self.count > 0).then(|| self.edges[0].at_us.wrapping_add(window_us))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_hole_has_its_time_from_the_first_octet_above_it() {
        let at = SequenceNumber;
        let mut rack = Rack::new(at(0));
        rack.advance(at(0), at(10), 100);
        rack.advance(at(0), at(20), 130);
        let window = Window::Within(50);
        rack.ripen(window, 149);
        assert_eq!(rack.lost_below, at(0));
        rack.ripen(window, 150);
        assert_eq!(rack.lost_below, at(10));
        assert_eq!(rack.next_at_us(at(0), window), Some(180));
        assert_eq!(rack.next_at_us(at(20), window), None);
    }

    #[test]
    fn more_edges_than_are_kept_wait_for_the_latest() {
        let at = SequenceNumber;
        let mut rack = Rack::new(at(0));
        for i in 1..=20 {
            rack.advance(at(0), at(i * 10), i);
        }
        rack.ripen(Window::Within(5), 24);
        assert_eq!(rack.lost_below, at(70), "the eighth edge has the time of the twentieth");
        rack.ripen(Window::Within(5), 25);
        assert_eq!(rack.lost_below, at(200));
    }

    #[test]
    fn a_widened_window_lasts_for_16_recoveries() {
        let mut reordering = Reordering::default();
        reordering.note_seen();
        reordering.widen();
        assert_eq!(reordering.quarters, 2);
        for _ in 0..15 {
            reordering.note_recovery();
        }
        assert_eq!(reordering.quarters, 2);
        reordering.note_recovery();
        assert_eq!(reordering.quarters, 1);
    }
}
