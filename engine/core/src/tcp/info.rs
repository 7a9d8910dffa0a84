//! What is known of a connection at one moment, under the names of Linux's `struct tcp_info` (`TCP_INFO`).

use super::state::State;

/// The fields of `struct tcp_info` that this stack knows, with the same meaning. Not there are the counters of segments
/// and octets and the estimates that rest on them (`tcpi_segs_in`, `tcpi_bytes_acked`, `tcpi_delivery_rate`,
/// `tcpi_rcv_rtt` and their like): nothing is counted for each connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpInfo {
    /// The state of RFC 9293.
    pub tcpi_state: State,
    /// Timeouts in a row.
    pub tcpi_retransmits: u8,
    /// Keepalive or window probes, and timeouts, without an answer.
    pub tcpi_probes: u8,
    /// How often the timeout was doubled.
    pub tcpi_backoff: u8,
    /// What both ends have agreed on.
    pub tcpi_options: TcpInfoOptions,
    /// Shift of windows that the peer advertises.
    pub tcpi_snd_wscale: u8,
    /// Shift of windows that we advertise.
    pub tcpi_rcv_wscale: u8,
    /// Retransmission timeout without back-off, µs.
    pub tcpi_rto: u32,
    /// How long an ACK waits for company, µs.
    pub tcpi_ato: u32,
    /// Payload octets of a full segment of ours.
    pub tcpi_snd_mss: u32,
    /// The largest segment that we say we take, octets.
    pub tcpi_advmss: u32,
    /// Segments in flight, counted in full ones.
    pub tcpi_unacked: u32,
    /// Those of them that the peer has by SACK, counted in full ones.
    pub tcpi_sacked: u32,
    /// Time since the peer was last heard of, ms, in steps of 17.
    pub tcpi_last_ack_recv: u32,
    /// Largest packet of the path, octets.
    pub tcpi_pmtu: u32,
    /// Smoothed round-trip time, µs; 0: not known yet.
    pub tcpi_rtt: u32,
    /// Its mean deviation, µs.
    pub tcpi_rttvar: u32,
    /// Slow start threshold in segments; `0x7fff_ffff`: none.
    pub tcpi_snd_ssthresh: u32,
    /// Congestion window in segments.
    pub tcpi_snd_cwnd: u32,
    /// Octets queued and never sent.
    pub tcpi_notsent_bytes: u32,
    /// The peer's window, octets.
    pub tcpi_snd_wnd: u32,
    /// Our window as last advertised, octets.
    pub tcpi_rcv_wnd: u32,
}

/// `TCPI_OPT_…`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
// The kernel's are bits, too.
#[allow(clippy::struct_excessive_bools)]
pub struct TcpInfoOptions {
    /// `TCPI_OPT_TIMESTAMPS`
    pub timestamps: bool,
    /// `TCPI_OPT_SACK`
    pub sack: bool,
    /// `TCPI_OPT_WSCALE`
    pub wscale: bool,
}
