//! TCP's settings, under the names that Linux has for them.

use serde::{Deserialize, Serialize};

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

    /// How often a SYN-ACK of ours is repeated.
    #[arg(long, value_name = "COUNT")]
    pub tcp_synack_retries: u8,

    /// How often data is repeated before the connection is given up (RFC 1122's R2).
    #[arg(long, value_name = "COUNT")]
    pub tcp_retries2: u8,

    /// How long a connection that we closed waits for the peer's FIN, in milliseconds (Linux's tcp_fin_timeout, in seconds there).
    #[arg(long, value_name = "MILLISECONDS")]
    pub tcp_fin_timeout_ms: u32,
}

impl Default for TcpConfig {
    fn default() -> Self {
        Self {
            somaxconn: 4_096,
            tcp_max_syn_backlog: 4_096,
            tcp_time_wait_ms: 60_000,
            tcp_max_tw_buckets: 65_536,
            tcp_rmem_max: 256 << 10,
            tcp_wmem_max: 256 << 10,
            tcp_syn_retries: 6,
            tcp_synack_retries: 5,
            tcp_retries2: 15,
            tcp_fin_timeout_ms: 60_000,
        }
    }
}
