//! The engine, its application and the virtual clock.

use std::collections::VecDeque;

use bywash_core::base::time::{Duration, Instant};
use bywash_core::buffer::{ReceiveConfig, SendConfig};
use bywash_core::shard::Transport;
use bywash_core::stack::listener::ListenerId;
use bywash_core::stack::{
    Alone, DropReason, Engine, ListenOptions, LocalAddress, Ownership, Report, Stack, StackConfig,
};
use bywash_core::tcp::socket_options::SocketOption;
use bywash_core::wire::{Address, Cidr, MacAddress};

use super::application::Recorder;
use super::port::MemoryPort;

/// The engine's MAC address.
pub const OWN_MAC: MacAddress = MacAddress([2, 0, 0, 0, 0, 1]);
/// The peer's.
pub const PEER_MAC: MacAddress = MacAddress([2, 0, 0, 0, 0, 2]);
/// The engine's address.
pub const LOCAL: &str = "198.18.0.1";
/// The peer's.
pub const PEER: &str = "198.18.0.2";
/// The engine's IPv6 address.
pub const LOCAL_V6: &str = "fd00:198:18::1";
/// The peer's.
pub const PEER_V6: &str = "fd00:198:18::2";
/// Where the engine listens.
pub const PORT: u16 = 80;

/// Turns in one advance at most: an engine that never rests has a bug.
const TURNS_MAX: usize = 200_000;

/// An address from its text.
pub fn address(text: &str) -> Address {
    text.parse::<core::net::IpAddr>().expect("an address").into()
}

/// Small pools, both families, everything else at its default.
pub fn config() -> StackConfig {
    let own = |text: &str, prefix_len| LocalAddress {
        cidr: Cidr::new(address(text), prefix_len).expect("a prefix"),
        ownership: Ownership::Owned,
    };
    StackConfig {
        addresses: vec![own(LOCAL, 24), own(LOCAL_V6, 64)],
        gateways: vec![address("198.18.0.254")],
        connections_max: 1024,
        half_open_max: 1024,
        time_wait_max: 1024,
        recoveries_max: 256,
        send: SendConfig::with_memory(16 << 20),
        receive: ReceiveConfig::with_memory(16 << 20),
        ..StackConfig::default()
    }
}

/// The engine with everything around it.
pub struct World {
    pub engine: Engine<MemoryPort, Alone>,
    pub app: Recorder,
    pub now: Instant,
    /// What was sent and not looked at, with its time.
    pub sent: VecDeque<(Instant, Vec<u8>)>,
    /// Whether stations that are asked, they and not the whole link, answer that they are there.
    pub neighbours: bool,
    /// Where it listens, if it does.
    pub listener: Option<ListenerId>,
}

impl World {
    /// A listener on [`PORT`], all at its default.
    pub fn new() -> Self {
        Self::with(config(), 1500)
    }

    /// A listener on [`PORT`] with `backlog` 128.
    pub fn with(config: StackConfig, mtu: u16) -> Self {
        let mut world = Self::quiet(config, mtu);
        let options = ListenOptions { port: PORT, backlog: 128, ..ListenOptions::default() };
        world.listener = Some(world.stack().listen(options).expect("listens"));
        world
    }

    /// A listener on [`PORT`] in a process with another secret.
    pub fn seeded(seed: [u8; 32]) -> Self {
        let mut world = Self::of_secret(config(), 1500, seed);
        let options = ListenOptions { port: PORT, backlog: 128, ..ListenOptions::default() };
        world.listener = Some(world.stack().listen(options).expect("listens"));
        world
    }

    /// Nobody listens.
    pub fn quiet(config: StackConfig, mtu: u16) -> Self {
        Self::of_secret(config, mtu, [42; 32])
    }

    fn of_secret(config: StackConfig, mtu: u16, seed: [u8; 32]) -> Self {
        use bywash_core::port::Port;
        let now = Instant::from_secs(1_000);
        let port = MemoryPort::new(OWN_MAC, mtu);
        let stack = Stack::new(config, port.capabilities(), seed, now).expect("a stack");
        let engine = Engine::new(port, stack, Alone, Vec::new());
        let (app, sent) = (Recorder::default(), VecDeque::new());
        Self { engine, app, now, sent, neighbours: true, listener: None }
    }

    /// The stack, between turns.
    pub fn stack(&mut self) -> &mut Stack {
        self.engine.stack_mut()
    }

    /// Sets an option of the listener.
    pub fn set_listener_option(&mut self, option: SocketOption) {
        let listener = self.listener.expect("it listens");
        self.stack().set_listener_option(listener, option).expect("a value in range");
    }

    /// What is in use.
    pub fn report(&self) -> Report {
        self.engine.report()
    }

    /// How many segments were dropped for `reason`.
    pub fn dropped(&self, reason: DropReason) -> u64 {
        self.engine.stack().counters().dropped(reason)
    }

    /// A frame arrives; the engine takes its turn.
    pub fn give(&mut self, frame: &[u8]) {
        self.engine.port_mut().give(frame);
        self.turn();
    }

    /// Turns until the engine rests, without time passing.
    pub fn turn(&mut self) -> Option<Instant> {
        for _ in 0..1_000 {
            let turn = self.engine.turn(self.now, &mut self.app);
            self.engine.stack().check().expect("what must hold between turns");
            let is_asked = self.collect();
            if !turn.again && !is_asked {
                return self.engine.deadline();
            }
        }
        panic!("the engine does not come to rest");
    }

    /// Takes what was sent. Stations that are asked whether they are there answer at once; says whether one was.
    pub fn collect(&mut self) -> bool {
        let mut is_asked = false;
        while let Some(frame) = self.engine.port_mut().take() {
            match self.neighbours.then(|| super::neighbour::answer(&frame)).flatten() {
                Some(answer) => {
                    self.engine.port_mut().give(&answer);
                    is_asked = true;
                }
                None => self.sent.push_back((self.now, frame)),
            }
        }
        is_asked
    }

    /// Lets time pass; the engine wakes at each of its deadlines.
    pub fn advance(&mut self, span: Duration) {
        let end = self.now + span;
        for _ in 0..TURNS_MAX {
            match self.turn() {
                Some(deadline) if deadline <= end => {
                    self.now = deadline.max(self.now + Duration::from_nanos(1));
                }
                Some(_) | None => {
                    self.now = end;
                    self.turn();
                    return;
                }
            }
        }
        panic!("too many deadlines");
    }

    /// Lets milliseconds pass.
    pub fn advance_ms(&mut self, ms: u64) {
        self.advance(Duration::from_millis(ms));
    }

    /// Nothing was sent that has not been looked at.
    #[track_caller]
    pub fn expect_silence(&self) {
        let read =
            |(at, frame): &(Instant, Vec<u8>)| format!("{at:?} {:?}", super::segment::read(*at, frame));
        let left: Vec<_> = self.sent.iter().map(read).collect();
        assert!(left.is_empty(), "sent though nothing was due: {left:#?}");
    }

    /// Everything that connections held was given back.
    #[track_caller]
    pub fn expect_idle(&self) {
        let report = self.report();
        assert!(report.is_idle(), "something is still held: {report:#?}");
    }
}
