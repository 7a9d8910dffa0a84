//! What a seed stands for: hosts, links, limits, and the connections between them.

mod engine;
mod links;
mod talk;
mod upheaval;

use bywash_core::base::random::Random;
use bywash_core::base::time::{Duration, Instant};
use bywash_core::wire::Address;

use crate::link::LinkConfig;
use crate::peer::PeerPlan;
use crate::script::{Family, Script};

pub use engine::EnginePlan;
pub use upheaval::{Upheaval, What};

/// The port on which every host listens.
pub const LISTEN_PORT: u16 = 7000;

/// How long `TIME_WAIT` lasts in the simulator: longer than a FIN that is lost in the longest storm waits for its turn.
pub const TIME_WAIT: Duration = Duration::from_secs(60);

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
    /// What befalls hosts.
    pub upheavals: Vec<Upheaval>,
    /// What everything else is drawn from.
    pub random: Random,
}

/// One host.
#[derive(Debug)]
pub enum HostPlan {
    /// One with our engine.
    Engine(Box<EnginePlan>),
    /// One that speaks TCP by itself, and badly.
    Peer(PeerPlan),
}

impl HostPlan {
    /// Its shards, if it has any.
    pub fn shards(&self) -> usize {
        match self {
            Self::Engine(engine) => engine.shards,
            Self::Peer(_) => 0,
        }
    }

    /// Whether it may answer a SYN and remember nothing.
    pub fn sends_cookies(&self) -> bool {
        match self {
            Self::Engine(engine) => engine.stack.tcp.tcp_syncookies > 0,
            Self::Peer(_) => false,
        }
    }
}

impl Plan {
    /// The world of `seed`.
    pub fn of(seed: u64) -> Self {
        let mut random = Random::from_seed(seed);
        // Anywhere in the first days, so that no clock begins at zero or wraps at the same moment.
        let start = Instant::from_nanos(random.below(1 << 49));
        let storm_max = pick(&mut random, &[2_000, 6_000, 20_000]);
        let storm = Duration::from_millis(random.below(storm_max));
        let calm_at = start + storm;
        let engines = 2 + usize::from(random.chance_in(1, 4));
        let mtu = pick(&mut random, &[1500, 1500, 1500, 576, 1280, 9000]);
        let tcp = engine::draw_tcp(&mut random);
        let mut hosts: Vec<_> = (0..engines)
            .map(|number| HostPlan::Engine(Box::new(EnginePlan::draw(&mut random, number, mtu, &tcp))))
            .collect();
        if random.chance_in(1, 2) {
            hosts.push(HostPlan::Peer(PeerPlan::draw(&mut random, engines, calm_at)));
        }
        let count = hosts.len();
        let links: Vec<_> = (0..count * count).map(|_| links::draw(&mut random, start, storm, mtu)).collect();
        let flows_max = pick(&mut random, &[1, 4, 12, 40, 80]);
        let flows = 1 + random.below(flows_max);
        let bits = 8 + random.below(11);
        let size = pick(&mut random, &[1 << bits, 1 << bits, 400_000, 2_000_000]).min(6_000_000 / flows);
        let size = size.min(links::slowest(&links));
        let upheavals = upheaval::draw(&mut random, &hosts, start, storm);
        let times = talk::Times { start, storm };
        let scripts =
            (0..flows).map(|number| talk::draw(&mut random, number, &hosts, mtu, times, size)).collect();
        let rehash = random.chance_in(1, 2).then(|| Duration::from_millis(1 + random.below(500)));
        let stray = pick(&mut random, &[0, 0, 20, 300]);
        let over_at = calm_at + Duration::from_secs(900);
        Self { start, calm_at, over_at, hosts, links, scripts, rehash, stray, upheavals, random }
    }
}

/// The address of a host.
pub fn address(number: usize, family: Family) -> Address {
    let last = 1 + number as u8;
    match family {
        Family::V4 => Address::v4([198, 18, 0, last]),
        Family::V6 => Address::v6([0xfd, 0, 1, 0x98, 0, 0x18, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]),
    }
}

/// One of several, each as likely as the others.
pub(crate) fn pick<T: Copy>(random: &mut Random, from: &[T]) -> T {
    from[random.below(from.len() as u64) as usize]
}
