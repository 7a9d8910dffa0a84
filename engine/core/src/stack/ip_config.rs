//! Settings of what lies below TCP, under their Linux names where there is one.

/// IP's settings for one stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IpConfig {
    /// The least path MTU that a router is believed, bytes of an IPv4 packet, 68 to 65,535 (`min_pmtu`). For IPv6 it is
    /// 1280 (RFC 8201 section 4).
    pub min_pmtu: u16,
    /// How long a path MTU that was lowered is kept, ms (`mtu_expires`, in seconds there; RFC 1191 section 6.3: 10 minutes).
    pub mtu_expires_ms: u32,
    /// Destinations whose path MTU is kept at most; the oldest make room.
    pub path_mtus_max: u16,
    /// How long a neighbour that has answered counts as reachable, ms; each time half of it to one and a half (RFC 4861
    /// section 6.3.2).
    pub base_reachable_time_ms: u32,
    /// How long a neighbour that nobody was sure of may be used before it is asked, ms (`delay_first_probe_time`).
    pub delay_first_probe_time_ms: u32,
    /// Between two requests, ms.
    pub retrans_time_ms: u32,
    /// Requests to the whole link before a neighbour counts as silent.
    pub mcast_solicit: u8,
    /// Requests to the neighbour itself before the link is asked.
    pub ucast_solicit: u8,
    /// How long after it has moved a neighbour cannot move again by an unasked-for ARP packet, ms (`locktime`).
    pub locktime_ms: u32,
}

impl Default for IpConfig {
    fn default() -> Self {
        Self {
            min_pmtu: 552,
            mtu_expires_ms: 600_000,
            path_mtus_max: 1024,
            base_reachable_time_ms: 30_000,
            delay_first_probe_time_ms: 5_000,
            retrans_time_ms: 1_000,
            mcast_solicit: 3,
            ucast_solicit: 3,
            locktime_ms: 1_000,
        }
    }
}
