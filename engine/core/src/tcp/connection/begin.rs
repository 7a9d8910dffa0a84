//! A connection's beginning: the blocks of a new one, and what its handshake has agreed on.

use crate::base::time::Instant;
use crate::buffer::SendQueue;
use crate::table::FamilyPlace;
use crate::tcp::config::TcpConfig;
use crate::tcp::invalid::InvalidBudget;
use crate::tcp::recovery::rack::Reordering;
use crate::tcp::rtt::RoundTrip;
use crate::tcp::seq::SequenceNumber;
use crate::tcp::state::{Flag, Flags, Sides};
use crate::tcp::tick::Tick;
use crate::wire::Address;

use super::{Connection, Ports, Route, Scales, Unreachable, Warm, WarmDeadlines, coarse};

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
