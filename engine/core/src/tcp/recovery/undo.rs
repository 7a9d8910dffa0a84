//! Was it a mistake? What was done for a loss is undone when nothing was lost (RFC 3522, RFC 3708, RFC 4015).

use crate::tcp::congestion::Before;
use crate::tcp::scoreboard::Range;
use crate::tcp::seq::SequenceNumber;

/// What is known of the retransmissions since the congestion window was made smaller.
#[derive(Clone, Copy, Debug)]
pub struct Undo {
    state: State,
    /// The window and the threshold as they were.
    before: Before,
    /// `snd_una` when it began: reports of duplicates before are not about it.
    since: SequenceNumber,
    /// When the first retransmission left, in milliseconds.
    first_ms: u32,
    /// Octets sent again and not reported as duplicates.
    unexplained: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// There is nothing to undo, or it was proven right.
    Closed,
    /// Nothing was sent again yet.
    Open,
    /// Something was.
    Resent,
}

/// What an acknowledgment says about the timestamps of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Echo {
    /// When the segment that it answers left, in milliseconds of our clock.
    Of(u32),
    /// Nothing: there are none.
    Unknown,
}

impl Undo {
    /// Nothing to undo.
    pub fn closed() -> Self {
        let none = SequenceNumber(0);
        Self { state: State::Closed, before: Before::default(), since: none, first_ms: 0, unexplained: 0 }
    }

    /// The window is made smaller; it was as in `before`.
    pub fn open(before: Before, una: SequenceNumber) -> Self {
        Self { state: State::Open, before, since: una, ..Self::closed() }
    }

    /// Whether a report of a duplicate could still prove it a mistake.
    pub fn is_undecided(&self) -> bool {
        self.state == State::Resent
    }

    /// The window and the threshold to go back to.
    pub fn before(&self) -> Before {
        self.before
    }

    /// `len` octets have left again.
    pub fn handle_resent(&mut self, len: u32, now_ms: u32) {
        match self.state {
            State::Closed => {}
            State::Open => {
                (self.state, self.first_ms, self.unexplained) = (State::Resent, now_ms, len);
            }
            State::Resent => self.unexplained = self.unexplained.saturating_add(len),
        }
    }

    /// The peer has received the octets of `duplicate` twice. Says whether all that was sent again is explained by
    /// that (RFC 3708 section 3): nothing was lost.
    pub fn take_duplicate(&mut self, duplicate: Range, high_rxt: SequenceNumber) -> bool {
        let is_ours = !duplicate.start.is_before(self.since) && !duplicate.end.is_after(high_rxt);
        if self.state != State::Resent || !is_ours {
            return false;
        }
        self.unexplained = self.unexplained.saturating_sub(duplicate.len());
        self.unexplained == 0
    }

    /// Whether an acknowledgment of new data answers what left before the first retransmission (RFC 3522 section 3.2).
    pub fn is_answer_to_original(&self, echo: Echo) -> bool {
        match echo {
            Echo::Of(ms) => self.state == State::Resent && (ms.wrapping_sub(self.first_ms) as i32) < 0,
            Echo::Unknown => false,
        }
    }
}
