//! Settings of what lies below TCP, under the names that Linux has for them.

use serde::{Deserialize, Serialize};

/// IP's settings for the server; the table `[ip]` of a configuration file. The kernel's TCP has its own sysctls.
// The text of these fields is shown in a terminal, where backticks only disturb.
#[allow(clippy::doc_markdown)]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, clap::Args)]
#[serde(default, deny_unknown_fields)]
pub struct IpConfig {
    /// The VLAN of the interface whose frames carry a tag (IEEE 802.1Q); unset: they carry none. The device must leave tags
    /// in the frames: ethtool -K DEVICE rxvlan off txvlan off.
    #[arg(long, value_name = "NUMBER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vlan: Option<u16>,

    /// The least path MTU that a router is believed, in bytes of an IPv4 packet (for IPv6 it is 1280).
    #[arg(long, value_name = "BYTES")]
    pub min_pmtu: u16,

    /// How long a path MTU that a router has lowered is kept, in milliseconds (Linux's mtu_expires, in seconds there).
    #[arg(long, value_name = "MILLISECONDS")]
    pub mtu_expires_ms: u32,

    /// Destinations whose path MTU a shard keeps, at most.
    #[arg(long, value_name = "COUNT")]
    pub path_mtus_max: u16,

    /// Memory of a shard for fragments whose datagrams are not whole, in bytes: 64 KiB for each datagram.
    #[arg(long, value_name = "BYTES")]
    pub ipfrag_high_thresh: u32,

    /// How long an IPv4 datagram's fragments wait for each other, in milliseconds (Linux's ipfrag_time, in seconds there).
    #[arg(long, value_name = "MILLISECONDS")]
    pub ipfrag_time_ms: u32,

    /// The same for IPv6.
    #[arg(long, value_name = "MILLISECONDS")]
    pub ip6frag_time_ms: u32,

    /// Datagrams of one source that can be incomplete at one time, at most.
    #[arg(long, value_name = "COUNT")]
    pub ipfrag_source_max: u16,

    /// How long a neighbour that has answered counts as reachable, in milliseconds; each time half of it to one and a half.
    #[arg(long, value_name = "MILLISECONDS")]
    pub base_reachable_time_ms: u32,

    /// How long a neighbour that nobody was sure of may be used before it is asked, in milliseconds (Linux's
    /// delay_first_probe_time, in seconds there).
    #[arg(long, value_name = "MILLISECONDS")]
    pub delay_first_probe_time_ms: u32,

    /// Between two ARP requests or neighbour solicitations, in milliseconds.
    #[arg(long, value_name = "MILLISECONDS")]
    pub retrans_time_ms: u32,

    /// Requests to the whole link before a neighbour counts as silent.
    #[arg(long, value_name = "COUNT")]
    pub mcast_solicit: u8,

    /// Requests to a known neighbour itself before the whole link is asked.
    #[arg(long, value_name = "COUNT")]
    pub ucast_solicit: u8,

    /// How long after it has moved a neighbour cannot move again by an ARP packet that nobody asked for, in milliseconds
    /// (Linux's locktime, in hundredths of a second there).
    #[arg(long, value_name = "MILLISECONDS")]
    pub locktime_ms: u32,

    /// Neighbours that a shard keeps, at most (Linux's hard limit).
    #[arg(long, value_name = "COUNT")]
    pub gc_thresh3: u16,

    /// RST, challenge ACKs and ICMP messages that a shard sends in a second to whoever has no connection, at most.
    #[arg(long, value_name = "COUNT")]
    pub icmp_msgs_per_sec: u32,
}

impl Default for IpConfig {
    fn default() -> Self {
        let bywash_core::stack::StackConfig { ip: stack, neighbours_max, answers_per_second_max, .. } =
            bywash_core::stack::StackConfig::default();
        Self {
            vlan: stack.vlan,
            min_pmtu: stack.min_pmtu,
            mtu_expires_ms: stack.mtu_expires_ms,
            path_mtus_max: stack.path_mtus_max,
            ipfrag_high_thresh: stack.ipfrag_high_thresh,
            ipfrag_time_ms: stack.ipfrag_time_ms,
            ip6frag_time_ms: stack.ip6frag_time_ms,
            ipfrag_source_max: stack.ipfrag_source_max,
            base_reachable_time_ms: stack.base_reachable_time_ms,
            delay_first_probe_time_ms: stack.delay_first_probe_time_ms,
            retrans_time_ms: stack.retrans_time_ms,
            mcast_solicit: stack.mcast_solicit,
            ucast_solicit: stack.ucast_solicit,
            locktime_ms: stack.locktime_ms,
            gc_thresh3: neighbours_max,
            icmp_msgs_per_sec: answers_per_second_max,
        }
    }
}

impl IpConfig {
    /// The same for a stack.
    pub(crate) fn for_stack(&self) -> bywash_core::stack::IpConfig {
        bywash_core::stack::IpConfig {
            vlan: self.vlan,
            min_pmtu: self.min_pmtu,
            mtu_expires_ms: self.mtu_expires_ms,
            path_mtus_max: self.path_mtus_max,
            ipfrag_high_thresh: self.ipfrag_high_thresh,
            ipfrag_time_ms: self.ipfrag_time_ms,
            ip6frag_time_ms: self.ip6frag_time_ms,
            ipfrag_source_max: self.ipfrag_source_max,
            base_reachable_time_ms: self.base_reachable_time_ms,
            delay_first_probe_time_ms: self.delay_first_probe_time_ms,
            retrans_time_ms: self.retrans_time_ms,
            mcast_solicit: self.mcast_solicit,
            ucast_solicit: self.ucast_solicit,
            locktime_ms: self.locktime_ms,
        }
    }
}
