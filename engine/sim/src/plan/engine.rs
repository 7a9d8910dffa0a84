//! A host with our engine: its limits and knobs.

use bywash_core::base::random::Random;
use bywash_core::base::time::Duration;
use bywash_core::buffer::{ReceiveConfig, SendConfig};
use bywash_core::port::{Capabilities, ChecksumOffload, Medium};
use bywash_core::stack::{LocalAddress, Ownership, StackConfig};
use bywash_core::tcp::config::TcpConfig;
use bywash_core::wire::{Cidr, MacAddress};

use super::{TIME_WAIT, address, pick};
use crate::script::Family;

/// One host with our engine.
#[derive(Clone, Debug)]
pub struct EnginePlan {
    /// Its shards: one to four.
    pub shards: usize,
    /// The stack of each shard.
    pub stack: StackConfig,
    /// What its ports can do.
    pub capabilities: Capabilities,
    /// Received frames that a port holds at most.
    pub received_max: usize,
    /// Transmit frames of a port.
    pub frames_max: usize,
    /// Frames in the ring to another shard at most.
    pub ring_max: usize,
    /// Connections that may wait to be accepted.
    pub backlog: u32,
    /// Ports that a shard has for its own connections; at most 4096.
    pub ports: u16,
    /// How long a frame may wait for the next turn at most.
    pub latency: Duration,
}

impl EnginePlan {
    /// The host of that number, with room for everything and one shard.
    pub fn plain(number: usize, mtu: u16, tcp: TcpConfig) -> Self {
        let local = |family, prefix_len| {
            let cidr = Cidr::new(address(number, family), prefix_len);
            cidr.map(|cidr| LocalAddress { cidr, ownership: Ownership::Owned })
        };
        let addresses = [local(Family::V4, 24), local(Family::V6, 64)];
        let stack = StackConfig {
            tcp,
            addresses: addresses.into_iter().flatten().collect(),
            connections_max: 128,
            half_open_max: 128,
            // Room for all: a peer in LAST_ACK hears RST from one that had to forget.
            time_wait_max: 128,
            congestions_max: 128,
            recoveries_max: 128,
            neighbours_max: 16,
            send: SendConfig::with_memory(4 << 20),
            receive: ReceiveConfig::with_memory(8 << 20),
            ..StackConfig::default()
        };
        let mac = MacAddress([2, 0, 0, 0, 0, 1 + number as u8]);
        let transmit_checksum = ChecksumOffload::Software;
        Self {
            shards: 1,
            stack,
            capabilities: Capabilities { medium: Medium::Ethernet, mac, mtu, transmit_checksum },
            received_max: 1024,
            frames_max: 512,
            ring_max: 64,
            backlog: 64,
            ports: 4096,
            latency: Duration::from_micros(10),
        }
    }

    pub(super) fn draw(random: &mut Random, number: usize, mtu: u16, tcp: &TcpConfig) -> Self {
        let mut tcp = tcp.clone();
        tcp.receive_buffer = pick(random, &[2048, 8192, 64 << 10, 256 << 10, 500 << 10]);
        tcp.tcp_max_syn_backlog = pick(random, &[2, 4096]);
        tcp.send_buffer = pick(random, &[2048, 16 << 10, 256 << 10]);
        tcp.initial_window = pick(random, &[1, 2, 10, 10]);
        tcp.tcp_nodelay = random.chance_in(1, 2);
        let mut plan = Self::plain(number, mtu, tcp);
        plan.shards = pick(random, &[1, 1, 2, 2, 4]);
        plan.stack.connections_max = pick(random, &[96, 128]);
        plan.stack.half_open_max = pick(random, &[96, 128]);
        plan.stack.congestions_max = pick(random, &[0, 1, 2, 8, 128]);
        plan.stack.recoveries_max = pick(random, &[0, 1, 2, 8, 128]);
        plan.stack.neighbours_max = pick(random, &[8, 16]);
        plan.stack.accept_budget = pick(random, &[1, 4, 256]);
        // One host of a world at most, or two could wait for ever for each other's readers: a host stops reading while
        // it cannot write.
        if number == 0 && random.chance_in(1, 2) {
            plan.stack.send = few_chunks();
        }
        plan.stack.receive.reassembly_ranges_max = pick(random, &[1, 4, 64]);
        plan.capabilities.transmit_checksum =
            pick(random, &[ChecksumOffload::Software, ChecksumOffload::Software, ChecksumOffload::Device]);
        plan.received_max = pick(random, &[8, 64, 1024]);
        plan.frames_max = pick(random, &[1, 4, 64, 512]);
        plan.ring_max = pick(random, &[2, 64]);
        plan.backlog = pick(random, &[1, 4, 64]);
        plan.ports = pick(random, &[96, 4096]);
        plan.latency = Duration::from_micros(random.below(100));
        plan
    }
}

/// So few send chunks that writers have to wait for each other.
fn few_chunks() -> SendConfig {
    let mut send = SendConfig::with_memory(4 << 20);
    for (class, count) in send.classes.iter_mut().zip([8, 4, 2, 1]) {
        class.count = count;
    }
    send
}

/// TCP's knobs that all hosts of a world share.
pub(super) fn draw_tcp(random: &mut Random) -> TcpConfig {
    TcpConfig {
        tcp_time_wait_ms: TIME_WAIT.as_millis() as u32,
        tcp_window_scaling: random.chance_in(4, 5),
        tcp_timestamps: random.chance_in(2, 3),
        tcp_sack: random.chance_in(2, 3),
        tcp_delack_us: pick(random, &[0, 40_000, 200_000]),
        // The shorter one needs more retries to outlast the same storm.
        tcp_rto_min_us: pick(random, &[5_000, 200_000]),
        tcp_orphan_retries: 14,
        tcp_syncookies: pick(random, &[0, 0, 1, 2]),
        ..TcpConfig::default()
    }
}
