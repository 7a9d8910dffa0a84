//! What one bulk transfer gets out of a path, by algorithm: two engines, a bottleneck with a queue of one bandwidth-delay
//! product, and losses by chance. Everything is virtual time and follows from the seed.

use std::collections::VecDeque;
use std::fmt::Write as _;

use anyhow::{Context as _, Result};
use bywash_core::base::random::Random;
use bywash_core::base::time::{Duration, Instant};
use bywash_core::buffer::{ReceiveConfig, SendConfig};
use bywash_core::port::{Capabilities, ChecksumOffload, Medium, Port as _};
use bywash_core::shard::{CloseReason, ConnectionId, Events, Host as _, Origin, Transport as _};
use bywash_core::stack::{Alone, Engine, ListenOptions, LocalAddress, Ownership, Stack, StackConfig};
use bywash_core::tcp::congestion::CongestionControl;
use bywash_core::wire::{Address, Cidr, MacAddress};

use crate::port::{SentFrame, SimPort};

/// Payload octets of a full segment with timestamps.
const MSS: f64 = 1448.0;
/// Octets of a full frame.
const FRAME: u64 = 1514;
/// Where the receiver listens.
const PORT: u16 = 80;
/// How long a transfer lasts, and how much of its beginning is not counted, s.
const LASTS_S: u64 = 30;
const WARM_UP_S: u64 = 5;

/// One path.
#[derive(Clone, Copy, Debug)]
pub struct Path {
    /// Bandwidth of the bottleneck, Mbit/s.
    pub mbits: u64,
    /// Round-trip time with empty queues, ms.
    pub rtt_ms: u64,
    /// Of so many frames of the data's direction one is lost; 0: none.
    pub lost_of: u64,
}

/// The paths of the table.
pub fn paths() -> impl Iterator<Item = Path> {
    let each = |mbits| [10, 50].map(move |rtt_ms| (mbits, rtt_ms));
    [10, 50]
        .into_iter()
        .flat_map(each)
        .flat_map(|(mbits, rtt_ms)| [0, 10_000, 1_000, 100].map(|lost_of| Path { mbits, rtt_ms, lost_of }))
}

impl Path {
    /// What the bottleneck lets through of payload, Mbit/s.
    pub fn capacity(&self) -> f64 {
        self.mbits as f64 * MSS / FRAME as f64
    }

    /// What theory says that `algorithm` gets at most by its losses, Mbit/s; none without losses. For Reno this is
    /// Mathis, Semke, Mahdavi and Ott (1997), for CUBIC RFC 9438 section 5.1, and never less than Reno.
    pub fn by_theory(&self, algorithm: CongestionControl) -> Option<f64> {
        if self.lost_of == 0 {
            return None;
        }
        let (rtt, lost) = (self.rtt_ms as f64 / 1e3, 1.0 / self.lost_of as f64);
        let reno = 1.22 / lost.sqrt();
        let window = match algorithm {
            CongestionControl::Reno => reno,
            CongestionControl::Cubic => reno.max(1.054 * (rtt / lost).powf(0.75)),
        };
        Some(window * MSS * 8.0 / rtt / 1e6)
    }
}

/// The program at both ends: one writes without end, the other counts.
#[derive(Default)]
struct Bulk {
    received: u64,
}

impl Bulk {
    fn write(host: &mut Stack, id: ConnectionId) {
        const TEXT: [u8; 16 << 10] = [0x5a; 16 << 10];
        while host.write(id, &TEXT).is_ok_and(|taken| taken == TEXT.len()) {}
    }
}

impl Events<Stack> for Bulk {
    fn opened(&mut self, host: &mut Stack, id: ConnectionId, origin: Origin) {
        match origin {
            Origin::Connected => Self::write(host, id),
            Origin::Accepted => {}
        }
    }

    fn received(&mut self, _host: &mut Stack, _id: ConnectionId, bytes: &[u8]) -> usize {
        self.received += bytes.len() as u64;
        bytes.len()
    }

    fn end_of_stream(&mut self, _host: &mut Stack, _id: ConnectionId, _unread: &[u8]) {}

    fn writable(&mut self, host: &mut Stack, id: ConnectionId) {
        Self::write(host, id);
    }

    fn timer(&mut self, _host: &mut Stack, _id: ConnectionId) {}

    fn closed(&mut self, _host: &mut Stack, _id: ConnectionId, _reason: CloseReason) {}
}

/// One host, and the way to the other one.
struct End {
    engine: Engine<SimPort, Alone>,
    bulk: Bulk,
    /// Frames on their way to the other end, with the time of their arrival.
    way: VecDeque<(Instant, Vec<u8>)>,
}

impl End {
    fn new(last: u8, algorithm: CongestionControl, now: Instant) -> Result<Self> {
        let address = Address::v4([198, 18, 0, last]);
        let cidr = Cidr::new(address, 24).context("a prefix")?;
        let mut config = StackConfig {
            addresses: vec![LocalAddress { cidr, ownership: Ownership::Owned }],
            connections_max: 16,
            half_open_max: 16,
            time_wait_max: 16,
            recoveries_max: 16,
            congestions_max: 16,
            send: SendConfig::with_memory(16 << 20),
            receive: ReceiveConfig::with_memory(16 << 20),
            ..StackConfig::default()
        };
        config.tcp.tcp_congestion_control = algorithm;
        config.tcp.send_buffer = 4 << 20;
        config.tcp.receive_buffer = 896 << 10;
        let capabilities = Capabilities {
            medium: Medium::Ethernet,
            mac: MacAddress([2, 0, 0, 0, 0, last]),
            mtu: 1500,
            transmit_checksum: ChecksumOffload::Software,
        };
        let port = SimPort::new(capabilities, 4096, 4096);
        let stack = Stack::new(config, port.capabilities(), [last; 32], now)?;
        let engine = Engine::new(port, stack, Alone, Vec::new());
        Ok(Self { engine, bulk: Bulk::default(), way: VecDeque::new() })
    }

    /// Turns until it rests; returns what it has sent.
    fn turn(&mut self, now: Instant) -> Vec<SentFrame> {
        self.engine.port_mut().reclaim(now);
        while self.engine.turn(now, &mut self.bulk).again {}
        self.engine.port_mut().take_committed()
    }

    /// When something happens at this end by itself, or arrives from it.
    fn next(&self) -> Option<Instant> {
        let arrival = self.way.front().map(|(at, _)| *at);
        self.engine.deadline().into_iter().chain(arrival).min()
    }
}

/// The bottleneck: frames leave one after the other, and those that find the queue full are lost.
struct Bottleneck {
    path: Path,
    random: Random,
    /// When all that is queued has left.
    free_at: Instant,
}

impl Bottleneck {
    /// When a frame arrives that is sent now; `None`: never.
    fn pass(&mut self, len: usize, now: Instant) -> Option<Instant> {
        let is_lost = self.path.lost_of > 0 && len > 200 && self.random.chance_in(1, self.path.lost_of);
        let start = self.free_at.max(now);
        // A queue of a bandwidth-delay product lasts for a round trip.
        let is_full = start.since(now) > Duration::from_millis(self.path.rtt_ms);
        if is_lost || is_full {
            return None;
        }
        self.free_at = start + Duration::from_nanos(len as u64 * 8_000 / self.path.mbits);
        Some(self.free_at + Duration::from_micros(self.path.rtt_ms * 500))
    }
}

/// What one transfer gets, payload in Mbit/s.
///
/// # Errors
/// When the engines cannot be made, which would be a bug here.
pub fn measure(algorithm: CongestionControl, path: Path, seed: u64) -> Result<f64> {
    let begun = Instant::from_secs(1_000);
    let (warm, end) = (begun + Duration::from_secs(WARM_UP_S), begun + Duration::from_secs(LASTS_S));
    let mut sender = End::new(1, algorithm, begun)?;
    let mut receiver = End::new(2, algorithm, begun)?;
    let mut bottleneck = Bottleneck { path, random: Random::from_seed(seed), free_at: begun };
    receiver.engine.stack_mut().listen(ListenOptions { port: PORT, ..ListenOptions::default() })?;
    let remote = core::net::SocketAddr::from(([198, 18, 0, 2], PORT));
    sender.engine.stack_mut().connect(remote, None)?;
    let (mut now, mut received_before) = (begun, None);
    while now < end {
        while let Some((_, frame)) = sender.way.pop_front_if(|(at, _)| *at <= now) {
            receiver.engine.port_mut().deliver(frame);
        }
        while let Some((_, frame)) = receiver.way.pop_front_if(|(at, _)| *at <= now) {
            sender.engine.port_mut().deliver(frame);
        }
        for SentFrame { buffer, len } in sender.turn(now) {
            let frame = buffer.get(..len).unwrap_or_default().to_vec();
            sender.engine.port_mut().lend(buffer, now);
            sender.way.extend(bottleneck.pass(len, now).map(|at| (at, frame)));
        }
        for SentFrame { buffer, len } in receiver.turn(now) {
            let frame = buffer.get(..len).unwrap_or_default().to_vec();
            receiver.engine.port_mut().lend(buffer, now);
            receiver.way.push_back((now + Duration::from_micros(path.rtt_ms * 500), frame));
        }
        if now >= warm && received_before.is_none() {
            received_before = Some(receiver.bulk.received);
        }
        let next = sender.next().into_iter().chain(receiver.next()).min().unwrap_or(end);
        now = next.max(now + Duration::from_nanos(1));
    }
    let octets = receiver.bulk.received - received_before.unwrap_or(0);
    Ok(octets as f64 * 8.0 / (LASTS_S - WARM_UP_S) as f64 / 1e6)
}

/// The table of all [`paths`], in Markdown.
///
/// # Errors
/// As [`measure`].
pub fn table() -> Result<String> {
    let mut text = String::from(
        "| Mbit/s | RTT ms | lost | capacity | reno | in theory | cubic | in theory |\n\
         |---:|---:|---:|---:|---:|---:|---:|---:|\n",
    );
    for path in paths() {
        let lost = match path.lost_of {
            0 => String::from("0"),
            of => format!("1 / {of}"),
        };
        write!(text, "| {} | {} | {lost} | {:.1} |", path.mbits, path.rtt_ms, path.capacity())?;
        for algorithm in [CongestionControl::Reno, CongestionControl::Cubic] {
            let theory = path.by_theory(algorithm).unwrap_or(f64::INFINITY).min(path.capacity());
            write!(text, " {:.1} | {theory:.1} |", measure(algorithm, path, 1)?)?;
        }
        text.push('\n');
    }
    Ok(text)
}
