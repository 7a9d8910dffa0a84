//! What a seed stands for: hosts, links, limits, and the connections between them.

use bywash_core::base::random::Random;
use bywash_core::base::time::{Duration, Instant};
use bywash_core::buffer::{ReceiveConfig, SendConfig};
use bywash_core::port::{Capabilities, ChecksumOffload, Medium};
use bywash_core::stack::{LocalAddress, Ownership, StackConfig};
use bywash_core::tcp::config::TcpConfig;
use bywash_core::wire::{Address, Cidr, MacAddress};

use crate::link::LinkConfig;
use crate::script::{Family, Script};

/// The port on which every host listens.
pub const LISTEN_PORT: u16 = 7000;

/// How long `TIME_WAIT` lasts in the simulator.
pub const TIME_WAIT: Duration = Duration::from_secs(10);

/// A world before it begins.
#[derive(Debug)]
pub struct Plan {
    /// The time at which it begins.
    pub start: Instant,
    /// When the storm ends.
    pub calm_at: Instant,
    /// When everything must be over.
    pub over_at: Instant,
    /// The hosts.
    pub hosts: Vec<HostPlan>,
    /// The link from each host to each, by sender and then receiver.
    pub links: Vec<LinkConfig>,
    /// What is said.
    pub scripts: Vec<Script>,
    /// How often, while it storms, the spreading of flows over queues changes; `None`: never.
    pub rehash: Option<Duration>,
    /// Chance in a thousand that a frame lands on any queue.
    pub stray: u64,
    /// What everything else is drawn from.
    pub random: Random,
}

/// One host.
#[derive(Debug)]
pub struct HostPlan {
    /// Its shards: one or two.
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
    /// Ports that a shard has for its own connections; at most 8192.
    pub ports: u16,
    /// How long a frame may wait for the next turn at most.
    pub latency: Duration,
}

impl Plan {
    /// The world of `seed`.
    pub fn of(seed: u64) -> Self {
        let mut random = Random::from_seed(seed);
        // Anywhere in the first days, so that no clock begins at zero or wraps at the same moment.
        let start = Instant::from_nanos(random.below(1 << 49));
        let storm = Duration::from_millis(random.below(6_000));
        let calm_at = start + storm;
        let count = 2 + usize::from(random.chance_in(1, 4));
        let mtu = pick(&mut random, &[1500, 1500, 1500, 576, 1280, 9000]);
        let tcp = draw_tcp(&mut random);
        let hosts = (0..count).map(|number| HostPlan::draw(&mut random, number, mtu, &tcp)).collect();
        let links: Vec<_> = (0..count * count).map(|_| draw_link(&mut random, start, storm)).collect();
        let flows_max = pick(&mut random, &[1, 4, 12, 40]);
        let flows = 1 + random.below(flows_max);
        let bits = 8 + random.below(9);
        let size = pick(&mut random, &[1 << bits, 1 << bits, 400_000]).min(2_000_000 / flows);
        let slow = Self::slowest(&links);
        let scripts = (0..flows)
            .map(|number| draw_script(&mut random, number, count, mtu, start, storm, size.min(slow)))
            .collect();
        let rehash = random.chance_in(1, 2).then(|| Duration::from_millis(1 + random.below(500)));
        let stray = pick(&mut random, &[0, 0, 20, 300]);
        let over_at = calm_at + Duration::from_secs(900);
        Self { start, calm_at, over_at, hosts, links, scripts, rehash, stray, random }
    }

    /// Octets that even the slowest link carries in good time.
    fn slowest(links: &[LinkConfig]) -> u64 {
        links
            .iter()
            .map(|link| link.rate)
            .filter(|rate| *rate > 0)
            .min()
            .map_or(u64::MAX, |rate| rate / 8 * 4)
    }
}

impl HostPlan {
    fn draw(random: &mut Random, number: usize, mtu: u16, tcp: &TcpConfig) -> Self {
        let shards = 1 + usize::from(random.chance_in(1, 2));
        let transmit_checksum =
            pick(random, &[ChecksumOffload::Software, ChecksumOffload::Software, ChecksumOffload::Device]);
        let mut tcp = tcp.clone();
        tcp.receive_buffer = pick(random, &[2048, 8192, 64 << 10, 256 << 10, 500 << 10]);
        tcp.tcp_max_syn_backlog = pick(random, &[2, 4096]);
        tcp.send_buffer = pick(random, &[2048, 16 << 10, 256 << 10]);
        tcp.initial_window = pick(random, &[1, 2, 10, 10]);
        tcp.tcp_nodelay = random.chance_in(1, 2);
        let local = |address, prefix_len| {
            Cidr::new(address, prefix_len).map(|cidr| LocalAddress { cidr, ownership: Ownership::Owned })
        };
        let addresses = [local(address(number, Family::V4), 24), local(address(number, Family::V6), 64)];
        let stack = StackConfig {
            tcp,
            addresses: addresses.into_iter().flatten().collect(),
            connections_max: pick(random, &[48, 128]),
            half_open_max: pick(random, &[48, 128]),
            // Room for all: a peer in LAST_ACK hears RST from one that had to forget.
            time_wait_max: 64,
            congestions_max: pick(random, &[0, 1, 2, 8, 128]),
            recoveries_max: pick(random, &[0, 1, 2, 8, 128]),
            neighbours_max: pick(random, &[4, 16]),
            accept_budget: pick(random, &[1, 4, 256]),
            send: draw_send(random),
            receive: draw_receive(random),
            ..StackConfig::default()
        };
        let mac = MacAddress([2, 0, 0, 0, 0, 1 + number as u8]);
        Self {
            shards,
            stack,
            capabilities: Capabilities { medium: Medium::Ethernet, mac, mtu, transmit_checksum },
            received_max: pick(random, &[8, 64, 1024]),
            frames_max: pick(random, &[1, 4, 64, 512]),
            ring_max: pick(random, &[2, 64]),
            backlog: pick(random, &[1, 4, 64]),
            ports: pick(random, &[48, 8192]),
            latency: Duration::from_micros(random.below(100)),
        }
    }
}

/// Send chunks: enough for all connections, or so few that writers have to wait for each other.
fn draw_send(random: &mut Random) -> SendConfig {
    let mut send = SendConfig::with_memory(4 << 20);
    if random.chance_in(1, 4) {
        for (class, count) in send.classes.iter_mut().zip([8, 4, 2, 1]) {
            class.count = count;
        }
    }
    send
}

/// Receive buffers: enough for all connections, or so few that what comes out of order is often dropped.
fn draw_receive(random: &mut Random) -> ReceiveConfig {
    let mut receive = ReceiveConfig::with_memory(8 << 20);
    receive.reassembly_ranges_max = pick(random, &[1, 4, 64]);
    receive
}

/// The address of a host.
pub fn address(number: usize, family: Family) -> Address {
    let last = 1 + number as u8;
    match family {
        Family::V4 => Address::v4([198, 18, 0, last]),
        Family::V6 => Address::v6([0xfd, 0, 1, 0x98, 0, 0x18, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]),
    }
}

fn draw_tcp(random: &mut Random) -> TcpConfig {
    TcpConfig {
        tcp_time_wait_ms: TIME_WAIT.as_millis() as u32,
        tcp_window_scaling: random.chance_in(4, 5),
        tcp_timestamps: random.chance_in(2, 3),
        tcp_sack: random.chance_in(2, 3),
        tcp_delack_us: pick(random, &[0, 40_000, 200_000]),
        // The shorter one needs more retries to outlast the same storm.
        tcp_rto_min_us: pick(random, &[5_000, 200_000]),
        tcp_orphan_retries: 14,
        ..TcpConfig::default()
    }
}

fn draw_link(random: &mut Random, start: Instant, storm: Duration) -> LinkConfig {
    let delay = Duration::from_micros(pick(random, &[5, 200, 5_000, 80_000]));
    let jitter_max = delay.as_nanos() / pick(random, &[1, 10, 1000]);
    let mut link = LinkConfig {
        delay,
        jitter: Duration::from_nanos(random.below(1 + jitter_max)),
        rate: pick(random, &[0, 0, 1_000_000_000, 20_000_000, 1_000_000]),
        queue_max: pick(random, &[3, 20, 500]),
        ..LinkConfig::default()
    };
    let mut some = |most: u64| if random.chance_in(1, 2) { random.below(most) } else { 0 };
    link.loss = some(150_000);
    link.burst = some(10_000);
    link.burst_max = some(30);
    link.duplicate = some(100_000);
    link.hold_back = some(100_000);
    link.hold_back_max = Duration::from_micros(some(500_000));
    link.corrupt = some(50_000);
    for _ in 0..random.below(3) {
        let from = start + Duration::from_nanos(random.below(1 + storm.as_nanos()));
        link.blackouts.push((from, from + Duration::from_millis(random.below(1500))));
    }
    link
}

fn draw_script(
    random: &mut Random,
    number: u64,
    hosts: usize,
    mtu: u16,
    start: Instant,
    storm: Duration,
    size: u64,
) -> Script {
    let client = random.below(hosts as u64) as usize;
    let server = (client + 1 + random.below(hosts as u64 - 1) as usize) % hosts;
    // Below 1280 octets there is no IPv6 (RFC 8200 section 5).
    let family = if mtu >= 1280 && random.chance_in(1, 2) { Family::V6 } else { Family::V4 };
    let start_at = start + Duration::from_nanos(random.below(1 + storm.as_nanos() * 3 / 2));
    let parts = Script::draw(random, size.max(16));
    Script { start_at, client, server, family, parts, seed: random.next_u64() ^ number }
}

fn pick<T: Copy>(random: &mut Random, from: &[T]) -> T {
    from[random.below(from.len() as u64) as usize]
}
