//! One synchronized connection: the hot block of the in-order path and the warm block beside it.

use crate::base::slab::Slotted;
use crate::base::time::{Duration, Instant};
use crate::buffer::{ReceiveBufferId, SendQueue};
use crate::shard::CloseReason;
use crate::table::FamilyPlace;
use crate::wire::Address;

use super::config::TcpConfig;
use super::congestion::CongestionControl;
use super::invalid::InvalidBudget;
use super::recovery::rack::Reordering;
use super::rtt::RoundTrip;
use super::seq::SequenceNumber;
use super::state::{Flag, Flags, Sides};
use super::tick::Tick;

/// Both window scales of a connection (RFC 7323 section 2.2), 0 to 14 each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Scales(u8);

impl Scales {
    /// `send` for windows that the peer advertises, `receive` for ours; values above 14 count as 14.
    pub fn new(send: u8, receive: u8) -> Self {
        Self(send.min(14) << 4 | receive.min(14))
    }

    /// The shift of windows that the peer advertises.
    #[inline]
    pub const fn send(self) -> u8 {
        self.0 >> 4
    }

    /// The shift of windows that we advertise.
    #[inline]
    pub const fn receive(self) -> u8 {
        self.0 & 15
    }
}

/// The two ports of a connection, as our segments carry them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports([u8; 4]);

impl Ports {
    /// Our port and the peer's.
    pub const fn new(local: u16, remote: u16) -> Self {
        Self(((local as u32) << 16 | remote as u32).to_be_bytes())
    }

    /// Our port.
    #[inline]
    pub const fn local(self) -> u16 {
        u16::from_be_bytes([self.0[0], self.0[1]])
    }

    /// The peer's port.
    #[inline]
    pub const fn remote(self) -> u16 {
        u16::from_be_bytes([self.0[2], self.0[3]])
    }

    /// The first four octets of the header of our segments.
    #[inline(always)]
    pub const fn octets(self) -> [u8; 4] {
        self.0
    }
}

/// Which way segments of a connection leave: over which neighbour, from which address of ours, as which traffic class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route(u32);

impl Route {
    /// No way at all: no neighbour has this index.
    pub const NONE: Self = Self(u32::MAX);

    /// Over the neighbour of this index, from our address of that index.
    pub const fn new(neighbour: u16, local: u8) -> Self {
        Self((neighbour as u32) << 8 | local as u32)
    }

    /// Index of the next hop in the neighbour cache.
    #[inline]
    pub const fn neighbour(self) -> u16 {
        (self.0 >> 8) as u16
    }

    /// Index of our address.
    #[inline]
    pub const fn local(self) -> usize {
        (self.0 & 0xff) as usize
    }

    /// The traffic class of new octets: DSCP and ECN.
    #[inline]
    pub const fn traffic_class(self) -> u8 {
        (self.0 >> 24) as u8
    }

    /// The same way, as another traffic class.
    pub const fn with_traffic_class(self, class: u8) -> Self {
        Self(self.0 & 0xff_ffff | (class as u32) << 24)
    }

    /// The same way for all but new octets: not ECN-capable.
    #[inline(always)]
    pub const fn not_ect(self) -> Self {
        Self(self.0 & !(3 << 24))
    }
}

/// What the in-order path touches of a connection: two cache lines.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct Connection {
    generation: u32,
    /// Next connection with something to do; meaningful while [`Flag::Pending`] is set.
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
    /// End of the segment whose round trip is being timed, while [`Flag::Timing`] is set.
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

/// Whether the warm block of a connection must be looked at for a deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum WarmDeadlines {
    /// [`Warm::timer_at`], [`Warm::fin_wait_2_at`], [`Warm::path_mtu_at`] and [`Warm::options_at`] were never set.
    None,
    /// One may be set.
    Possible,
}

/// What a connection needs beyond the in-order path.
#[derive(Debug)]
pub struct Warm {
    /// The peer's address.
    pub remote: Address,
    /// Slow start threshold in octets.
    pub ssthresh: u32,
    /// What was sent when the congestion window was last made smaller, while [`Flag::Reduced`] is set.
    pub reduced: SequenceNumber,
    /// Index of congestion control's record and 1, while there is one.
    pub congestion: Option<core::num::NonZeroU32>,
    /// How the congestion window grows (`TCP_CONGESTION`).
    pub congestion_control: CongestionControl,
    /// Largest window that the peer ever advertised, octets.
    pub snd_wnd_max: u32,
    /// What was acknowledged when the last recovery ended (RFC 6582 `recover`).
    pub recover: SequenceNumber,
    /// The shortest round trip that was seen in the handshake and outside of the in-order path, µs; `u32::MAX`: none.
    pub min_rtt_us: u32,
    /// What the path has shown of reordering.
    pub reordering: Reordering,
    /// When new data left last while others were in flight.
    pub last_sent: Tick,
    /// Index of the loss recovery's state and 1, while there is one.
    pub recovery: Option<core::num::NonZeroU32>,
    /// Where the peer's FIN lies, when it came ahead of missing octets ([`Flag::FinAhead`]).
    pub fin_at: SequenceNumber,
    /// When FIN_WAIT_2 ends for a connection that the application has closed; [`WarmDeadlines`] says that it may be set.
    pub fin_wait_2_at: Tick,
    /// When a lowered path MTU is forgotten; [`WarmDeadlines`] says that it may be set.
    pub path_mtu_at: Tick,
    /// Where an ICMP error lies that nothing was done about ([`Warm::unreachable`]).
    pub unreachable_seq: SequenceNumber,
    /// Payload octets of a full segment as the handshake agreed on; the path may take less.
    pub mss_agreed: u16,
    /// Whether ICMP has said of `unreachable_seq` that it cannot reach the peer.
    pub unreachable: Unreachable,
    /// Index of the listener it came by, or none for one that we opened.
    pub listener: Option<u8>,
    /// The application's timer; [`WarmDeadlines`] says that it may be set.
    pub timer_at: Option<Instant>,
    /// Where the connection table has its tuple.
    pub place: FamilyPlace,
    /// Invalid segments that were answered.
    pub invalid: InvalidBudget,
    /// Why it is gone, once [`Flag::Doomed`] is set.
    pub doom: Option<Doom>,
    /// Index of its options and 1, if they are not those of the configuration.
    pub tuned: Option<core::num::NonZeroU32>,
    /// When these are looked at next; [`WarmDeadlines`] says that it may be set.
    pub options_at: Tick,
}

/// Whether ICMP has said that the peer cannot be reached, which may pass (RFC 1122 section 4.2.3.9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreachable {
    /// It has not.
    Unheard,
    /// It has.
    Heard,
}

/// How a connection ends other than by two FINs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Doom {
    /// What the application is told.
    pub reason: CloseReason,
    /// Whether the peer is told.
    pub farewell: Farewell,
}

/// Whether RST is sent for a connection that ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Farewell {
    /// It is.
    Reset,
    /// The peer knows, or nobody is there.
    Silence,
}

const _: () = assert!(size_of::<Warm>() <= 112, "the warm block has a budget, too");

/// What a handshake has agreed on, whoever began it.
#[derive(Clone, Copy, Debug)]
pub struct Agreement {
    /// Next octet expected.
    pub rcv_nxt: SequenceNumber,
    /// The peer's window, unscaled octets.
    pub snd_wnd: u32,
    /// The right edge advertised so far.
    pub rcv_adv: SequenceNumber,
    /// Payload octets of a full segment.
    pub mss: u16,
    /// Window scales.
    pub scales: Scales,
    /// Timestamps and SACK, as far as both ends do them.
    pub flags: Flags,
    /// The peer's last timestamp.
    pub ts_recent: u32,
    /// Offset of our timestamps.
    pub ts_offset: u32,
    /// Round trip of the handshake, µs; `None` when it was sent more than once.
    pub rtt_us: Option<u32>,
    /// How often our SYN or SYN+ACK was sent again.
    pub resent: u8,
}

/// Which ends a connection joins.
#[derive(Clone, Copy, Debug)]
pub struct Ends {
    /// The way to the peer.
    pub route: Route,
    /// Our port.
    pub local_port: u16,
    /// The peer's address.
    pub remote: Address,
    /// The peer's port.
    pub remote_port: u16,
    /// Where the connection table has the tuple.
    pub place: FamilyPlace,
}

/// The timeout that data begin with when a SYN or SYN+ACK was sent more than once (RFC 6298 section 5.7).
const RTO_AFTER_SYN_TIMEOUT_US: u32 = 3_000_000;

/// A new connection, both sides open. [`Connection::agree`] says the rest; our numbers begin at `snd_nxt`.
#[inline]
pub fn begin(ends: &Ends, snd_nxt: SequenceNumber, config: &TcpConfig) -> (Connection, Warm) {
    let mut flags = Flags::default();
    if config.tcp_nodelay {
        flags.set(Flag::NoDelay);
    }
    let none = SequenceNumber::default();
    let connection = Connection {
        generation: 0,
        pending_next: 0,
        rcv_nxt: none,
        rcv_adv: none,
        last_ack_sent: none,
        ts_recent: 0,
        ts_offset: 0,
        snd_una: snd_nxt,
        snd_nxt,
        snd_wnd: 0,
        snd_wl1: none,
        cwnd: 0,
        mss: 0,
        flags,
        sides: Sides::OPEN,
        scales: Scales::default(),
        dup_acks: 0,
        backoff: 0,
        send: SendQueue::default(),
        receive: None,
        retransmit_at: Tick::NONE,
        delayed_ack_at: Tick::NONE,
        armed_at: Tick::NONE,
        rtt_seq: snd_nxt,
        rtt_sent_us: 0,
        route: ends.route,
        warm_deadlines: WarmDeadlines::None,
        probes: 0,
        ports: Ports::new(ends.local_port, ends.remote_port),
        remote_v4: ends.remote.as_v4().unwrap_or_default(),
        round_trip: RoundTrip::unknown(config.tcp_rto_initial_us),
        heard_at: 0,
    };
    let warm = Warm {
        remote: ends.remote,
        ssthresh: u32::MAX,
        reduced: snd_nxt,
        congestion: None,
        congestion_control: config.tcp_congestion_control,
        snd_wnd_max: 0,
        recover: snd_nxt - 1,
        min_rtt_us: u32::MAX,
        reordering: Reordering::default(),
        last_sent: Tick::NONE,
        recovery: None,
        fin_at: none,
        fin_wait_2_at: Tick::NONE,
        path_mtu_at: Tick::NONE,
        unreachable_seq: none,
        mss_agreed: 0,
        unreachable: Unreachable::Unheard,
        listener: None,
        timer_at: None,
        place: ends.place,
        invalid: InvalidBudget::default(),
        doom: None,
        tuned: None,
        options_at: Tick::NONE,
    };
    (connection, warm)
}

impl Connection {
    /// Takes over what the handshake has agreed on: the connection is synchronized. Octets may be queued already.
    #[inline]
    pub fn agree(&mut self, warm: &mut Warm, agreed: &Agreement, config: &TcpConfig, now: Instant) {
        match agreed.rtt_us {
            Some(rtt_us) => {
                self.round_trip.sample(rtt_us);
                warm.min_rtt_us = rtt_us.max(1);
            }
            // A cookie's round trip was not measured: the timeout stays that of the beginning.
            None if agreed.resent == 0 => {}
            // RFC 6298 section 5.7: after a SYN timed out, at least 3 s.
            None => {
                self.round_trip = RoundTrip::unknown(config.tcp_rto_initial_us.max(RTO_AFTER_SYN_TIMEOUT_US));
            }
        }
        self.flags.insert(agreed.flags);
        self.rcv_nxt = agreed.rcv_nxt;
        self.rcv_adv = agreed.rcv_adv;
        self.last_ack_sent = agreed.rcv_nxt;
        self.ts_recent = agreed.ts_recent;
        self.heard_at = coarse(now);
        self.ts_offset = agreed.ts_offset;
        self.snd_wnd = agreed.snd_wnd;
        self.snd_wl1 = agreed.rcv_nxt - 1;
        // RFC 6928 section 2: one segment after more than one loss (RFC 5681 section 3.1).
        let segments = if agreed.resent > 1 { 1 } else { u32::from(config.initial_window) };
        self.cwnd = u32::from(agreed.mss) * segments;
        self.mss = agreed.mss;
        warm.mss_agreed = agreed.mss;
        self.scales = agreed.scales;
        warm.snd_wnd_max = agreed.snd_wnd;
        if agreed.flags.has(Flag::Ecn) {
            let class = self.route.traffic_class() | crate::wire::Ecn::Ect0 as u8;
            self.route = self.route.with_traffic_class(class);
        }
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
