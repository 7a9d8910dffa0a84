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
}

impl Default for IpConfig {
    fn default() -> Self {
        Self { min_pmtu: 552, mtu_expires_ms: 600_000, path_mtus_max: 1024 }
    }
}
