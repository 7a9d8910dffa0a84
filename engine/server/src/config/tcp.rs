//! TCP's settings, under the names that Linux has for them.

use serde::{Deserialize, Serialize};

use super::values::{CongestionControl, PortRange};

/// TCP's settings for every connection of the server; the table `[tcp]` of a configuration file.
///
/// Where Linux has a sysctl or a socket option of that name, it means what it means there (`ip-sysctl.rst`, tcp(7)).
/// The kernel's TCP (backend `mio`) takes `somaxconn` and `tcp_wmem_max`; the rest are the host's own sysctls there.
// The text of these fields is shown in a terminal, where backticks only disturb.
#[allow(clippy::doc_markdown)]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, clap::Args)]
#[serde(default, deny_unknown_fields)]
pub struct TcpConfig {
    /// Connections that wait to be accepted, at most (listen(2)'s backlog).
    #[arg(long, value_name = "COUNT")]
    pub somaxconn: u32,

    /// Half-open connections that a shard remembers, at most.
    #[arg(long, value_name = "COUNT")]
    pub tcp_max_syn_backlog: u32,

    /// When a SYN is answered by a cookie, of which nothing is remembered: 0 never, 1 when tcp_max_syn_backlog is reached,
    /// 2 always.
    #[arg(long, value_name = "0|1|2")]
    pub tcp_syncookies: u8,

    /// What happens to a handshake that completes when somaxconn connections wait already: 0 the peer is left to try
    /// again, 1 it gets RST.
    #[arg(long, value_name = "0|1")]
    pub tcp_abort_on_overflow: u8,

    /// Whether a port in TIME_WAIT is taken for a new connection to the same peer, after a second and with timestamps: 0
    /// no, 1 yes, 2 to loopback addresses only.
    #[arg(long, value_name = "0|1|2")]
    pub tcp_tw_reuse: u8,

    /// Whether RST is ignored in TIME_WAIT: 0 no (as Linux), 1 yes.
    #[arg(long, value_name = "0|1")]
    pub tcp_rfc1337: u8,

    /// The local ports for connections that the server opens, first and last: 32768-60999. Shards share them out.
    #[arg(long, value_name = "FIRST-LAST")]
    pub ip_local_port_range: PortRange,

    /// How long a closed connection's ports stay taken, in milliseconds (RFC 9293 asks for two segment lifetimes; Linux has 60 s).
    #[arg(long, value_name = "MILLISECONDS")]
    pub tcp_time_wait_ms: u32,

    /// TIME_WAIT records that a shard keeps, at most.
    #[arg(long, value_name = "COUNT")]
    pub tcp_max_tw_buckets: u32,

    /// The receive buffer of a connection in bytes (SO_RCVBUF): the largest window it offers.
    #[arg(long, value_name = "BYTES")]
    pub tcp_rmem_max: u32,

    /// The send buffer of a connection in bytes (SO_SNDBUF): above it the application is asked to wait.
    #[arg(long, value_name = "BYTES")]
    pub tcp_wmem_max: u32,

    /// How often a SYN of ours is repeated.
    #[arg(long, value_name = "COUNT")]
    pub tcp_syn_retries: u8,

    /// How often a SYN of ours is repeated before the wait for its answer begins to double (Linux has 4).
    #[arg(long, value_name = "COUNT")]
    pub tcp_syn_linear_timeouts: u8,

    /// How often a SYN-ACK of ours is repeated.
    #[arg(long, value_name = "COUNT")]
    pub tcp_synack_retries: u8,

    /// How often data is repeated before the connection is given up (RFC 1122's R2).
    #[arg(long, value_name = "COUNT")]
    pub tcp_retries2: u8,

    /// How long a connection that we closed waits for the peer's FIN, in milliseconds (Linux's tcp_fin_timeout, in seconds there).
    #[arg(long, value_name = "MILLISECONDS")]
    pub tcp_fin_timeout_ms: u32,

    /// How the congestion window grows: cubic (RFC 9438) or reno (RFC 5681).
    #[arg(long, value_name = "NAME")]
    pub tcp_congestion_control: CongestionControl,

    /// Explicit congestion notification (RFC 3168): 0 none, 1 asked for and agreed to, 2 agreed to when the peer asks.
    #[arg(long, value_name = "0|1|2")]
    pub tcp_ecn: u8,

    /// Whether a SYN that asks for ECN and stays without an answer is sent again without (RFC 3168 section 6.1.1.1).
    #[arg(long, value_name = "0|1")]
    pub tcp_ecn_fallback: u8,

    /// Whether a connection that was idle for a timeout begins with the initial window again (RFC 5681 section 4.1).
    #[arg(long, value_name = "0|1")]
    pub tcp_slow_start_after_idle: u8,

    /// Records of congestion control that a shard has: connections that use up their windows at one time.
    #[arg(long, value_name = "COUNT")]
    pub congestions_max: u32,

    /// Whether small segments leave at once, without Nagle's algorithm (TCP_NODELAY).
    #[arg(long, value_name = "0|1")]
    pub tcp_nodelay: u8,

    /// Whether silent peers are asked if they are still there (SO_KEEPALIVE).
    #[arg(long, value_name = "0|1")]
    pub so_keepalive: u8,

    /// How long a peer is silent before it is asked, in seconds (TCP_KEEPIDLE).
    #[arg(long, value_name = "SECONDS")]
    pub tcp_keepalive_time: u16,

    /// How long its answer may take before it is asked again, in seconds (TCP_KEEPINTVL).
    #[arg(long, value_name = "SECONDS")]
    pub tcp_keepalive_intvl: u16,

    /// How often it is asked in vain before the connection ends (TCP_KEEPCNT).
    #[arg(long, value_name = "COUNT")]
    pub tcp_keepalive_probes: u8,

    /// How long data may stay unacknowledged before the connection ends, in milliseconds; with 0, tcp_retries2 decides (TCP_USER_TIMEOUT).
    #[arg(long, value_name = "MILLISECONDS")]
    pub tcp_user_timeout_ms: u32,

    /// Bytes queued and never sent above which plain writes wait (TCP_NOTSENT_LOWAT).
    #[arg(long, value_name = "BYTES")]
    pub tcp_notsent_lowat: u32,

    /// How long an ACK may wait for company, in microseconds (RFC 9293: at most half a second).
    #[arg(long, value_name = "MICROSECONDS")]
    pub tcp_delack_us: u32,

    /// Challenge ACKs that a shard sends in a second, give or take a random half (RFC 5961).
    #[arg(long, value_name = "COUNT")]
    pub tcp_challenge_ack_limit: u32,

    /// How soon a connection that has answered ten invalid segments may answer one more, in milliseconds; 0: at once.
    #[arg(long, value_name = "MILLISECONDS")]
    pub tcp_invalid_ratelimit_ms: u32,

    /// 1: the peer is told by SACK what it has sent twice (RFC 2883). 0: it is not.
    #[arg(long, value_name = "SWITCH")]
    pub tcp_dsack: u8,

    /// 1: losses are told from reordering by time (RACK, RFC 8985); 2 more: by a window that is never widened; 4 more: without counting
    /// duplicates. 0: by counting alone (RFC 6675).
    #[arg(long, value_name = "BITS")]
    pub tcp_recovery: u8,

    /// 3: a lost tail is probed before the timeout (RFC 8985). 0: it is not.
    #[arg(long, value_name = "SWITCH")]
    pub tcp_early_retrans: u8,

    /// 1 or 2: a timeout is undone when new data prove it wrong (RFC 5682). 0: it is not.
    #[arg(long, value_name = "SWITCH")]
    pub tcp_frto: u8,

    /// How long a probe of a lost tail and the wait for reordered segments last at least, in microseconds.
    #[arg(long, value_name = "MICROSECONDS")]
    pub tcp_timeout_min_us: u32,
}

impl Default for TcpConfig {
    fn default() -> Self {
        Self {
            somaxconn: 4_096,
            tcp_max_syn_backlog: 4_096,
            tcp_syncookies: 1,
            tcp_abort_on_overflow: 0,
            tcp_tw_reuse: 1,
            tcp_rfc1337: 1,
            ip_local_port_range: PortRange::DEFAULT,
            tcp_time_wait_ms: 60_000,
            tcp_max_tw_buckets: 65_536,
            tcp_rmem_max: 256 << 10,
            tcp_wmem_max: 256 << 10,
            tcp_syn_retries: 6,
            tcp_syn_linear_timeouts: 0,
            tcp_synack_retries: 5,
            tcp_retries2: 15,
            tcp_fin_timeout_ms: 60_000,
            tcp_congestion_control: CongestionControl::Cubic,
            tcp_ecn: 2,
            tcp_ecn_fallback: 1,
            tcp_slow_start_after_idle: 1,
            congestions_max: 8_192,
            tcp_nodelay: 1,
            so_keepalive: 0,
            tcp_keepalive_time: 7_200,
            tcp_keepalive_intvl: 75,
            tcp_keepalive_probes: 9,
            tcp_user_timeout_ms: 0,
            tcp_notsent_lowat: u32::MAX,
            tcp_delack_us: 40_000,
            tcp_challenge_ack_limit: 1_000,
            tcp_invalid_ratelimit_ms: 500,
            tcp_dsack: 1,
            tcp_recovery: 1,
            tcp_early_retrans: 3,
            tcp_frto: 2,
            tcp_timeout_min_us: 2_000,
        }
    }
}
