//! One synchronized connection: the hot block of the in-order path and the warm block beside it.

mod begin;
mod parts;
mod warm;

use crate::base::slab::Slotted;
use crate::base::time::{Duration, Instant};
use crate::buffer::{ReceiveBufferId, SendQueue};

use super::config::TcpConfig;
use super::rtt::RoundTrip;
use super::seq::SequenceNumber;
use super::state::{Flags, Sides};
use super::tick::Tick;

pub use begin::{Agreement, Ends, begin};
pub use parts::{Ports, Route, Scales};
pub use warm::{Doom, Farewell, Unreachable, Warm, WarmDeadlines};

/// What the in-order path touches of a connection: two cache lines.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct Connection {
    generation: u32,
    /// Next connection with something to do; meaningful while [`Flag::Pending`](crate::tcp::state::Flag::Pending) is set.
    pub pending_next: u32,
    /// What is pending and what was agreed.
    pub flags: Flags,
    /// How far each direction is closed.
    pub sides: Sides,
    /// Duplicate ACKs in a row, as long as nothing is known by SACK.
    pub dup_acks: u8,
    /// Timeouts in a row.
    pub backoff: u8,
    /// Probes and timeouts in a row without an answer of any kind.
    pub probes: u8,
    /// Window scales.
    pub scales: Scales,
    /// Whether the warm block has deadlines, too.
    pub warm_deadlines: WarmDeadlines,
    /// Payload octets of a full segment.
    pub mss: u16,
    /// Next octet expected.
    pub rcv_nxt: SequenceNumber,
    /// Right edge of the window as last advertised; it never moves left.
    pub rcv_adv: SequenceNumber,
    /// The last acknowledgement sent (`Last.ACK.sent` of RFC 7323).
    pub last_ack_sent: SequenceNumber,
    /// The timestamp to echo (`TS.Recent`).
    pub ts_recent: u32,
    /// Added to the clock for our timestamps; differs for each connection.
    pub ts_offset: u32,
    /// Oldest octet not acknowledged.
    pub snd_una: SequenceNumber,
    /// Next octet to send for the first time; never moves back.
    pub snd_nxt: SequenceNumber,
    /// The peer's window in octets, unscaled.
    pub snd_wnd: u32,
    /// Sequence number of the segment that last updated the window.
    pub snd_wl1: SequenceNumber,
    /// Congestion window in octets.
    pub cwnd: u32,
    /// The way to the peer.
    pub route: Route,
    /// Octets from `snd_una` on.
    pub send: SendQueue,
    /// Unread and out-of-order octets, while there are any.
    pub receive: Option<ReceiveBufferId>,
    /// When the retransmission or persist timer expires.
    pub retransmit_at: Tick,
    /// When a delayed ACK is due.
    pub delayed_ack_at: Tick,
    /// When the wheel looks at this connection next; none: it is not in the wheel.
    pub armed_at: Tick,
    /// End of the segment whose round trip is being timed, while [`Flag::Timing`](crate::tcp::state::Flag::Timing) is set.
    pub rtt_seq: SequenceNumber,
    /// When it was sent, µs, wrapping.
    pub rtt_sent_us: u32,
    /// The round-trip estimator.
    pub round_trip: RoundTrip,
    /// When a segment of the peer was last accepted, as [`coarse`] counts: for the age of `ts_recent`, and for keepalive.
    pub heard_at: u32,
    /// Both ports.
    pub ports: Ports,
    /// The peer's address when it is an IPv4 one; otherwise it is in the warm block.
    pub remote_v4: [u8; 4],
}

const _: () = assert!(size_of::<Connection>() == 128, "the hot block is two cache lines");
const _: () = assert!(core::mem::offset_of!(Connection, send) == 64, "queues and timers in the second line");

impl Slotted for Connection {
    #[inline]
    fn generation(&self) -> u32 {
        self.generation
    }

    #[inline]
    fn set_generation(&mut self, generation: u32) {
        self.generation = generation;
    }
}

impl Connection {
    /// Octets sent and not acknowledged, FIN included.
    #[inline]
    pub const fn flight(&self) -> u32 {
        self.snd_nxt.since(self.snd_una)
    }

    /// The sequence number after the last octet queued; FIN, if there is one, stands there.
    #[inline]
    pub fn data_end(&self) -> SequenceNumber {
        self.snd_una + self.send.len() as u32
    }

    /// Octets queued and never sent; FIN does not count.
    #[inline]
    pub fn unsent(&self) -> u32 {
        let sent = self.flight();
        (self.send.len() as u32).saturating_sub(sent)
    }

    /// The timestamp to send at `now`: a 1 kHz clock (RFC 7323 section 5.4) plus the connection's offset.
    #[inline]
    pub const fn timestamp(&self, now: Instant) -> u32 {
        (now.as_millis() as u32).wrapping_add(self.ts_offset)
    }

    /// Starts the retransmission timer over, with the back-off there is (RFC 6298 section 5).
    #[inline]
    pub fn start_retransmit_timer(&mut self, now: Instant, config: &TcpConfig) {
        let rto_us = u64::from(self.round_trip.rto_us(config)) << self.backoff.min(31);
        let rto_us = rto_us.min(u64::from(config.tcp_rto_max_us));
        self.retransmit_at = Tick::at(now + Duration::from_micros(rto_us));
    }
}

/// A clock for ages from moments to days: in units of 2^24 ns (17 ms), wrapping after 834 days.
#[inline]
pub const fn coarse(now: Instant) -> u32 {
    (now.as_nanos() >> COARSE_SHIFT) as u32
}

/// At least how long it takes that clock to count so far.
pub const fn coarse_span(units: u32) -> Duration {
    Duration::from_nanos((units.saturating_sub(1) as u64) << COARSE_SHIFT)
}

/// Nanoseconds of a unit of [`coarse`], as a power of two.
const COARSE_SHIFT: u32 = 24;
