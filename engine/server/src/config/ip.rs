//! Settings of what lies below TCP, under the names that Linux has for them.

use serde::{Deserialize, Serialize};

/// IP's settings for the server; the table `[ip]` of a configuration file. The kernel's TCP has its own sysctls.
// The text of these fields is shown in a terminal, where backticks only disturb.
#[allow(clippy::doc_markdown)]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, clap::Args)]
#[serde(default, deny_unknown_fields)]
pub struct IpConfig {
    /// The least path MTU that a router is believed, in bytes of an IPv4 packet (for IPv6 it is 1280).
    #[arg(long, value_name = "BYTES")]
    pub min_pmtu: u16,

    /// How long a path MTU that a router has lowered is kept, in milliseconds (Linux's mtu_expires, in seconds there).
    #[arg(long, value_name = "MILLISECONDS")]
    pub mtu_expires_ms: u32,

    /// Destinations whose path MTU a shard keeps, at most.
    #[arg(long, value_name = "COUNT")]
    pub path_mtus_max: u16,
}

impl Default for IpConfig {
    fn default() -> Self {
        let stack = bywash_core::stack::IpConfig::default();
        Self {
            min_pmtu: stack.min_pmtu,
            mtu_expires_ms: stack.mtu_expires_ms,
            path_mtus_max: stack.path_mtus_max,
        }
    }
}

impl IpConfig {
    /// The same for a stack.
    pub(crate) fn for_stack(&self) -> bywash_core::stack::IpConfig {
        let Self { min_pmtu, mtu_expires_ms, path_mtus_max } = *self;
        bywash_core::stack::IpConfig { min_pmtu, mtu_expires_ms, path_mtus_max }
    }
}
