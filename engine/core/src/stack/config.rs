//! What a stack is made of: addresses, limits, buffers.

use alloc::vec::Vec;

use crate::buffer::{ReceiveConfig, SendConfig};
use crate::tcp::config::TcpConfig;
use crate::wire::{Address, Cidr};

pub use super::ip_config::IpConfig;

/// Whose an address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ownership {
    /// Ours alone: the stack answers ARP and ND, echo, and unknown ports.
    Owned,
    /// The host's kernel has it too: the stack sees our TCP ports only.
    Shared,
}

/// One address of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalAddress {
    /// The address and the prefix that is on the link.
    pub cidr: Cidr,
    /// Whose it is.
    pub ownership: Ownership,
}

/// Settings of one shard's stack.
#[derive(Clone, Debug)]
pub struct StackConfig {
    /// TCP's knobs.
    pub tcp: TcpConfig,
    /// IP's knobs.
    pub ip: IpConfig,
    /// Our addresses, [`ADDRESSES_MAX`] at most.
    pub addresses: Vec<LocalAddress>,
    /// Next hop for all that is not on the link, one for each family.
    pub gateways: Vec<Address>,
    /// Synchronized connections at most.
    pub connections_max: u32,
    /// Half-open connections at most, for each direction.
    pub half_open_max: u32,
    /// Connections in TIME_WAIT at most (`tcp_max_tw_buckets`).
    pub time_wait_max: u32,
    /// Connections that can be in loss recovery at one time.
    pub recoveries_max: u32,
    /// Connections at most whose congestion window grows by the algorithm asked for; one beyond it grows by RFC 5681's
    /// simplest rule until another gives its record back.
    pub congestions_max: u32,
    /// Connections that can have socket options of their own at one time.
    pub socket_options_max: u32,
    /// Neighbour cache entries at most (`gc_thresh3`).
    pub neighbours_max: u16,
    /// Connections accepted in one turn at most.
    pub accept_budget: u32,
    /// Local ports for active opens, first and last (`ip_local_port_range`).
    pub port_range: (u16, u16),
    /// Send chunks.
    pub send: SendConfig,
    /// Receive buffers.
    pub receive: ReceiveConfig,
    /// RST, challenge ACKs and ICMP answers in a second at most, of this shard (`icmp_msgs_per_sec`).
    pub answers_per_second_max: u32,
}

/// Addresses of one stack at most.
pub const ADDRESSES_MAX: usize = 64;

impl Default for StackConfig {
    fn default() -> Self {
        Self {
            tcp: TcpConfig::default(),
            ip: IpConfig::default(),
            addresses: Vec::new(),
            gateways: Vec::new(),
            connections_max: 65_536,
            half_open_max: 8192,
            time_wait_max: 65_536,
            recoveries_max: 8192,
            congestions_max: 8192,
            socket_options_max: 65_536,
            neighbours_max: 1024,
            accept_budget: 256,
            port_range: (32_768, 60_999),
            send: SendConfig::default(),
            receive: ReceiveConfig::default(),
            answers_per_second_max: 20_000,
        }
    }
}
