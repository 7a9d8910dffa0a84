//! Settings of what lies below TCP, under their Linux names where there is one.

/// IP's settings for one stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IpConfig {
    /// The VLAN that the port is a member of by tagged frames (IEEE 802.1Q), 1 to 4094; all other frames are dropped, and
    /// ours are tagged. `None`: frames have no tag.
    pub vlan: Option<u16>,
    /// The least path MTU that a router is believed, bytes of an IPv4 packet, 68 to 65,535 (`min_pmtu`). For IPv6 it is
    /// 1280 (RFC 8201 section 4).
    pub min_pmtu: u16,
    /// How long a path MTU that was lowered is kept, ms (`mtu_expires`, in seconds there; RFC 1191 section 6.3: 10 minutes).
    pub mtu_expires_ms: u32,
    /// Destinations whose path MTU is kept at most; the oldest make room.
    pub path_mtus_max: u16,
    /// Memory for fragments whose datagrams are not whole, bytes; 64 KiB for each datagram, one at least.
    pub ipfrag_high_thresh: u32,
    /// How long an IPv4 datagram's fragments wait for each other, ms (`ipfrag_time`, in seconds there).
    pub ipfrag_time_ms: u32,
    /// The same for IPv6, ms (`ip6frag_time`; RFC 8200 section 4.5: 60 s).
    pub ip6frag_time_ms: u32,
    /// Datagrams of one source that can be incomplete at one time.
    pub ipfrag_source_max: u16,
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
            vlan: None,
            min_pmtu: 552,
            mtu_expires_ms: 600_000,
            path_mtus_max: 1024,
            ipfrag_high_thresh: 4 << 20,
            ipfrag_time_ms: 30_000,
            ip6frag_time_ms: 60_000,
            ipfrag_source_max: 16,
            base_reachable_time_ms: 30_000,
            delay_first_probe_time_ms: 5_000,
            retrans_time_ms: 1_000,
            mcast_solicit: 3,
            ucast_solicit: 3,
            locktime_ms: 1_000,
        }
    }
}
