//! The knobs of TCP under their Linux names, with their defaults and bounds.

use super::congestion::CongestionControl;
use super::ecn::EcnMode;

/// TCP's settings for one stack. Names are those of Linux's sysctls and socket options where there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
// Linux's switches are 0 and 1.
#[allow(clippy::struct_excessive_bools)]
pub struct TcpConfig {
    /// Timeout before the first round-trip sample, µs (RFC 6298 section 2.1).
    pub tcp_rto_initial_us: u32,
    /// Floor of the deviation's part of the timeout, µs.
    pub tcp_rto_min_us: u32,
    /// Ceiling of the timeout, µs (RFC 6298 section 2.5: at least 60 s).
    pub tcp_rto_max_us: u32,
    /// How long an ACK may wait for company, µs (RFC 9293 section 3.8.6.3: at most 500 ms).
    pub tcp_delack_us: u32,
    /// How often a SYN is sent again.
    pub tcp_syn_retries: u8,
    /// How many SYNs are sent again after the first timeout before the timeout begins to double.
    pub tcp_syn_linear_timeouts: u8,
    /// How often a SYN+ACK is sent again.
    pub tcp_synack_retries: u8,
    /// How many timeouts in a row end an established connection.
    pub tcp_retries2: u8,
    /// How many timeouts in a row end a connection that the application has closed.
    pub tcp_orphan_retries: u8,
    /// How long a closed connection waits in FIN_WAIT_2, ms.
    pub tcp_fin_timeout_ms: u32,
    /// How long TIME_WAIT lasts: 2 MSL, ms (RFC 9293 section 3.4.2).
    pub tcp_time_wait_ms: u32,
    /// Whether RST is ignored in TIME_WAIT (RFC 1337).
    pub tcp_rfc1337: bool,
    /// Whether a port in TIME_WAIT is used for a new connection to the same peer, where timestamps were agreed and it has
    /// waited for more than 1 s: 0 no, 1 yes, 2 to loopback addresses only.
    pub tcp_tw_reuse: u8,
    /// Half-open connections of one listener and shard at most.
    pub tcp_max_syn_backlog: u32,
    /// When SYNs are answered by cookies (RFC 4987): 0 never, 1 when the backlog of half-open connections is full, 2
    /// always.
    pub tcp_syncookies: u8,
    /// Connections that wait to be accepted at most, whatever the listener asks for.
    pub somaxconn: u32,
    /// Whether a full accept queue answers RST instead of silence.
    pub tcp_abort_on_overflow: bool,
    /// Whether window scaling is offered (RFC 7323).
    pub tcp_window_scaling: bool,
    /// Whether timestamps are offered (RFC 7323).
    pub tcp_timestamps: bool,
    /// Whether SACK is offered (RFC 2018).
    pub tcp_sack: bool,
    /// Whether duplicates are reported by SACK (RFC 2883).
    pub tcp_dsack: bool,
    /// How losses are told from reordering: 1 for RACK (RFC 8985), and with it 2 for a window that is never widened, 4 for no
    /// count of duplicates; 0 for RFC 6675 alone.
    pub tcp_recovery: u8,
    /// Tail loss probes (RFC 8985 section 7): 3, or 0 for none.
    pub tcp_early_retrans: u8,
    /// Whether a timeout is put in question (RFC 5682): 2 or 1, or 0 for never.
    pub tcp_frto: u8,
    /// The shortest time that a probe or RACK's timer waits, µs.
    pub tcp_timeout_min_us: u32,
    /// Receive buffer of a connection, bytes (`SO_RCVBUF`).
    pub receive_buffer: u32,
    /// Send buffer of a connection, bytes (`SO_SNDBUF`).
    pub send_buffer: u32,
    /// Octets queued and never sent at most, above which writes wait (`tcp_notsent_lowat`).
    pub tcp_notsent_lowat: u32,
    /// Whether silent peers are asked if they are still there (`SO_KEEPALIVE`; RFC 9293 section 3.8.4: off unless asked for).
    pub so_keepalive: bool,
    /// How long a peer is silent before it is asked, s (RFC 9293 section 3.8.4: no less than two hours by default).
    pub tcp_keepalive_time: u16,
    /// How long its answer may take before it is asked again, s.
    pub tcp_keepalive_intvl: u16,
    /// How often it is asked in vain before the connection ends.
    pub tcp_keepalive_probes: u8,
    /// How long octets may stay unacknowledged, or the peer's window closed, before the connection ends, ms (0:
    /// `tcp_retries2` decides; `TCP_USER_TIMEOUT`).
    pub tcp_user_timeout_ms: u32,
    /// Initial congestion window, segments (RFC 6928).
    pub initial_window: u8,
    /// How the congestion window grows, unless a listener or connection says otherwise (`TCP_CONGESTION`).
    pub tcp_congestion_control: CongestionControl,
    /// What is done about explicit congestion notification (RFC 3168).
    pub tcp_ecn: EcnMode,
    /// Whether a SYN that asks for ECN and is not answered is sent again without (RFC 3168 section 6.1.1.1).
    pub tcp_ecn_fallback: bool,
    /// Whether a connection that has not sent for a timeout begins with the initial window again (RFC 5681 section 4.1).
    pub tcp_slow_start_after_idle: bool,
    /// Whether small segments leave at once (`TCP_NODELAY`).
    pub tcp_nodelay: bool,
    /// Smallest payload per segment that a peer can make us use, bytes (`tcp_min_snd_mss`).
    pub tcp_min_snd_mss: u16,
    /// Challenge ACKs of the whole shard in a second, give or take a random half (RFC 5961 section 7).
    pub tcp_challenge_ack_limit: u32,
    /// How soon a connection may answer one more invalid segment when it has answered ten, ms (`tcp_invalid_ratelimit`);
    /// 0: at once. Invalid is what calls for a challenge ACK, and a bare segment outside the window.
    pub tcp_invalid_ratelimit_ms: u32,
}

impl Default for TcpConfig {
    fn default() -> Self {
        Self {
            tcp_rto_initial_us: 1_000_000,
            tcp_rto_min_us: 200_000,
            tcp_rto_max_us: 120_000_000,
            tcp_delack_us: 40_000,
            tcp_syn_retries: 6,
            tcp_syn_linear_timeouts: 0,
            tcp_synack_retries: 5,
            tcp_retries2: 15,
            tcp_orphan_retries: 8,
            tcp_fin_timeout_ms: 60_000,
            tcp_time_wait_ms: 60_000,
            tcp_rfc1337: true,
            tcp_tw_reuse: 1,
            tcp_max_syn_backlog: 4096,
            tcp_syncookies: 1,
            somaxconn: 4096,
            tcp_abort_on_overflow: false,
            tcp_window_scaling: true,
            tcp_timestamps: true,
            tcp_sack: true,
            tcp_dsack: true,
            tcp_recovery: 1,
            tcp_early_retrans: 3,
            tcp_frto: 2,
            tcp_timeout_min_us: 2_000,
            receive_buffer: 256 << 10,
            send_buffer: 256 << 10,
            tcp_notsent_lowat: u32::MAX,
            so_keepalive: false,
            tcp_keepalive_time: 7200,
            tcp_keepalive_intvl: 75,
            tcp_keepalive_probes: 9,
            tcp_user_timeout_ms: 0,
            initial_window: 10,
            tcp_congestion_control: CongestionControl::Cubic,
            tcp_ecn: EcnMode::Accept,
            tcp_ecn_fallback: true,
            tcp_slow_start_after_idle: true,
            tcp_nodelay: true,
            tcp_min_snd_mss: 48,
            tcp_challenge_ack_limit: 1000,
            tcp_invalid_ratelimit_ms: 500,
        }
    }
}

impl TcpConfig {
    /// The window scale that lets the receive buffer be advertised whole (RFC 7323 section 2.3: at most 14).
    pub fn window_scale(&self) -> u8 {
        let mut scale = 0;
        while scale < 14 && self.receive_buffer >> scale > 0xffff {
            scale += 1;
        }
        scale
    }
}
