//! TIME_WAIT: what is left of a connection for 2 MSL (RFC 9293 section 3.4.2, RFC 1337, RFC 6191).

use crate::base::time::{Duration, Instant};
use crate::table::FamilyPlace;
use crate::wire::tcp::Flags as Control;

use super::config::TcpConfig;
use super::segment::Segment;
use super::seq::SequenceNumber;
use super::tick::Tick;

/// A connection in TIME_WAIT. What follows from the tuple is not kept, and the tuple is in the connection table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeWait {
    /// Where the table has it.
    pub place: FamilyPlace,
    /// Our next sequence number, after FIN.
    pub snd_nxt: SequenceNumber,
    /// The peer's next one, after its FIN.
    pub rcv_nxt: SequenceNumber,
    /// The window field that we last sent.
    pub window: u16,
    /// The peer's last timestamp, if timestamps were agreed.
    pub ts_recent: Option<u32>,
    /// When it ends.
    pub expires_at: Tick,
}

/// What a segment for a connection in TIME_WAIT calls for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing.
    Drop,
    /// An ACK.
    Acknowledge,
    /// An ACK, and the clock is started again.
    Restart,
    /// It is over: RST (only without `tcp_rfc1337`).
    Over,
    /// It is over, and the SYN opens a new connection whose ISS is above this number.
    Reopen(SequenceNumber),
}

impl TimeWait {
    /// When 2 MSL that begin at `now` are over.
    pub fn expiry(config: &TcpConfig, now: Instant) -> Tick {
        Tick::at(now + Duration::from_millis(u64::from(config.tcp_time_wait_ms)))
    }

    /// A segment for this tuple.
    pub fn handle_segment(&self, segment: &Segment<'_>, config: &TcpConfig) -> Verdict {
        let older = match (self.ts_recent, segment.timestamps) {
            (Some(recent), Some(timestamps)) => (timestamps.value.wrapping_sub(recent) as i32) < 0,
            (None, _) | (_, None) => false,
        };
        if segment.control.intersects(Control::RST) {
            // RFC 1337: otherwise an old duplicate could assassinate the state.
            let exact = segment.seq == self.rcv_nxt;
            return if config.tcp_rfc1337 || !exact || older { Verdict::Drop } else { Verdict::Over };
        }
        if segment.control.intersects(Control::SYN) && !segment.control.intersects(Control::ACK) {
            return self.handle_syn(segment);
        }
        if segment.control.intersects(Control::FIN) && !older {
            return Verdict::Restart;
        }
        // A bare ACK of our FIN, come twice, needs no answer; anything else is an old duplicate.
        if segment.len() == 0 && segment.seq == self.rcv_nxt && !older {
            Verdict::Drop
        } else {
            Verdict::Acknowledge
        }
    }

    /// RFC 6191 section 2, and RFC 9293 MUST-76's neighbours: newer timestamp, or higher sequence number.
    fn handle_syn(&self, segment: &Segment<'_>) -> Verdict {
        let newer = match (self.ts_recent, segment.timestamps) {
            (Some(recent), Some(timestamps)) => {
                let ahead = timestamps.value.wrapping_sub(recent) as i32;
                ahead > 0 || (ahead == 0 && segment.seq.is_after(self.rcv_nxt))
            }
            (None, _) | (_, None) => segment.seq.is_after(self.rcv_nxt),
        };
        if newer { Verdict::Reopen(self.above()) } else { Verdict::Acknowledge }
    }

    /// Where the numbers of a new connection of this tuple begin at the earliest: as Linux, beyond any window of the old
    /// one.
    pub fn above(&self) -> SequenceNumber {
        self.snd_nxt + 65_537
    }
}
