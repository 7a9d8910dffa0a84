//! One shard's host: it owns the connections, listeners, neighbours and timers, and turns frames into events.
//!
//! | module | what is in it |
//! |---|---|
//! | [`engine`] | the turn: burst in, look-up, input, timers, output, burst out |
//! | [`config`], [`counters`] | what it is made of; what happened |
//! | [`burst`], [`predicted`], [`reply`] | looking ahead; the in-order path in and out |
//! | [`ingress`] | from a parsed frame to the connection, listener or answer that it is for |
//! | [`passive`], `cookies`, [`active`] | opening, by the peer with and without a record, and by us |
//! | `simultaneous`, [`source`] | opening by both at once; from which address and port |
//! | [`listener`], [`registry`] | listeners and their queues; who may listen where, on all shards |
//! | [`synchronized`] | segments of open connections: delivery and closing |
//! | [`closing`] | their end, when nothing else happens |
//! | [`service`] | what a connection has to send or tell once the burst is in |
//! | [`transmit`], [`retire`] | its segments; its end |
//! | [`timers`] | what expires |
//! | `time_waits` | connections in TIME_WAIT |
//! | [`host`], [`pull`] | what handlers may do; reading and accepting on demand |
//! | `duplicates` | what the peer is told that it has sent twice |
//! | [`options`], [`tcp_info`] | options of connections and listeners; what is known of a connection |
//! | [`egress`], [`answers`] | frames built in place; echo and refusals |
//! | `resolution` | ARP and neighbour discovery |
//! | [`icmp_errors`], [`path_mtu`] | what routers say about connections and paths |
//! | `challenges` | how many challenge ACKs |
//! | `congestion` | the algorithm of a connection or listener |
//! | [`report`], [`invariants`] | what is in use; what must hold between turns |
//! | [`tables`], [`peers`], [`neighbour`] | look-ups, here and on other shards; who is on the link |

pub mod active;
pub mod answers;
pub mod burst;
mod challenges;
pub mod closing;
pub mod config;
mod congestion;
mod cookies;
pub mod counters;
mod duplicates;
pub mod egress;
pub mod engine;
pub mod host;
pub mod icmp_errors;
pub mod ingress;
pub mod invariants;
mod ip_config;
pub mod listener;
pub mod memory;
pub mod neighbour;
pub mod options;
pub mod passive;
pub mod path_mtu;
pub mod peers;
pub mod predicted;
pub mod pull;
pub mod registry;
pub mod reply;
pub mod report;
mod resolution;
pub mod retire;
pub mod service;
mod simultaneous;
pub mod source;
pub mod stream;
pub mod synchronized;
pub mod tables;
pub mod tcp_info;
mod time_waits;
pub mod timers;
pub mod transmit;

pub use config::{IpConfig, LocalAddress, Ownership, StackConfig};
pub use counters::{Counters, DropReason};
pub use engine::Engine;
pub use invariants::Broken;
pub use listener::{LISTENERS_MAX, ListenError, ListenOptions, ListenerId};
pub use peers::{Alone, HostFact, Peers, PublishedTables, RingFull};
pub use registry::{Binding, BindingId, Registry, Reuse, Scope};
pub use report::Report;
pub use source::ConnectOptions;

use alloc::vec::Vec;
use core::fmt;

use crate::base::OutOfMemory;
use crate::base::slab::{Key, PlainSlab, Slab};
use crate::base::time::Instant;
use crate::base::wheel::TimerWheel;
use crate::buffer::{ChunkPool, ConfigError, ReceivePool};
use crate::port::{Capabilities, Medium};
use crate::tcp::clock::Clock;
use crate::tcp::connection::{Connection, Warm};
use crate::tcp::handshake::{SynReceived, SynSent};
use crate::tcp::isn::Secrets;
use crate::tcp::pools::Pools;
use crate::tcp::socket_options::SocketOptions;
use crate::tcp::state::Flag;
use crate::tcp::tuned::Tuned;
use crate::wire::hash::TupleHasher;
use crate::wire::{Address, MacAddress, Tuple};

use self::answers::RateLimit;
use self::burst::Flow;
use self::challenges::Challenges;
use self::config::ADDRESSES_MAX;
use self::duplicates::Duplicates;
use self::egress::Template;
use self::listener::{Inherited, Listener};
use self::neighbour::{CacheFull, Neighbours, Watch};
use self::path_mtu::PathMtus;
use self::resolution::Defence;
use self::tables::Tables;
use self::time_waits::TimeWaits;

/// Why a stack cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StackError {
    /// The big arrays need more memory than there is.
    OutOfMemory(OutOfMemory),
    /// The buffers' sizes contradict each other.
    Buffers(ConfigError),
    /// More addresses than [`ADDRESSES_MAX`].
    TooManyAddresses {
        /// How many were given.
        given: usize,
    },
}

impl fmt::Display for StackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfMemory(error) => error.fmt(f),
            Self::Buffers(error) => error.fmt(f),
            Self::TooManyAddresses { given } => {
                write!(f, "{given} addresses are too many: at most {ADDRESSES_MAX}")
            }
        }
    }
}

impl core::error::Error for StackError {}

impl From<OutOfMemory> for StackError {
    fn from(error: OutOfMemory) -> Self {
        Self::OutOfMemory(error)
    }
}

impl From<ConfigError> for StackError {
    fn from(error: ConfigError) -> Self {
        Self::Buffers(error)
    }
}

/// End of an intrusive list.
const END: u32 = u32::MAX;

/// One shard's host.
pub struct Stack {
    config: StackConfig,
    capabilities: Capabilities,
    now: Instant,
    clock: Clock,
    secrets: Secrets,
    hasher: TupleHasher,
    tables: Tables,
    /// Hot blocks; the warm ones lie at the same index.
    connections: Slab<Connection>,
    warm: Vec<Warm>,
    pools: Pools,
    /// Options of the connections that have their own, and those of all others.
    tuned: PlainSlab<Tuned>,
    plain_options: SocketOptions,
    plain_inherited: Inherited,
    half_open: PlainSlab<SynReceived>,
    syn_sent: PlainSlab<SynSent>,
    /// Those whose first SYN leaves with this turn; some may be gone already.
    new_syns: Vec<Key>,
    /// Where the search for a port towards the last peer began.
    last_port_offset: Option<(Tuple, u32)>,
    time_wait: TimeWaits,
    listeners: Vec<Listener>,
    /// How many were opened since the start.
    listeners_opened: u32,
    chunks: ChunkPool,
    receive: ReceivePool,
    /// What came a second time in this turn.
    duplicates: Duplicates,
    neighbours: Neighbours,
    path_mtus: PathMtus,
    defence: Defence,
    /// The next hop that was held last.
    last_hop: Option<LastHop>,
    /// The headers that the in-order path wrote last.
    template: Template,
    /// The last plain segment that came alone was of this flow.
    last_flow: Flow,
    wheel: TimerWheel,
    half_open_wheel: TimerWheel,
    syn_sent_wheel: TimerWheel,
    /// First and last connection with something to do.
    pending: (u32, u32),
    /// Connections that wait in accept queues.
    accepting: Accepting,
    accept_budget_left: u32,
    answers: RateLimit,
    challenges: Challenges,
    next_port: u16,
    /// Where the search for congestion records that are not needed goes on.
    congestion_hand: u32,
    counters: Counters,
}

/// A host, and the neighbour entry that its next hop had when the cache had counted so many changes.
#[derive(Clone, Copy, Debug)]
struct LastHop {
    remote: Address,
    changes: u32,
    neighbour: u16,
}

/// Whether new connections are shown to the application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Accepting {
    Open,
    Paused,
}

impl Stack {
    /// A stack with nothing open, for a port with `capabilities`. `seed` must be random, secret, and the same on
    /// all shards of a server; `now` is the time of the first turn.
    ///
    /// All memory is reserved here, and touched as it is used.
    ///
    /// # Errors
    /// [`StackError`].
    pub fn new(
        config: StackConfig,
        capabilities: Capabilities,
        seed: [u8; 32],
        now: Instant,
    ) -> Result<Self, StackError> {
        if config.addresses.len() > ADDRESSES_MAX {
            return Err(StackError::TooManyAddresses { given: config.addresses.len() });
        }
        let secrets = Secrets::from_seed(seed);
        let is_shared = config.addresses.iter().any(|local| local.ownership == Ownership::Shared);
        let watch = match capabilities.medium {
            Medium::Ethernet if !is_shared => Watch::Ours,
            Medium::Ethernet | Medium::Ip => Watch::Kernels,
        };
        let plain_options = SocketOptions::of(&config.tcp);
        let entries = config.connections_max as usize
            + 2 * config.half_open_max as usize
            + config.time_wait_max as usize;
        Ok(Self {
            template: Template::NONE,
            last_hop: None,
            last_flow: Flow::NONE,
            hasher: TupleHasher::new(secrets.table),
            tables: Tables::new(entries, &config.addresses)?,
            connections: Slab::new(config.connections_max)?,
            warm: Vec::with_capacity(config.connections_max as usize),
            pools: Pools::new(config.recoveries_max, config.congestions_max)?,
            tuned: PlainSlab::new(config.socket_options_max)?,
            plain_options,
            plain_inherited: Inherited::of(&plain_options, &plain_options),
            half_open: PlainSlab::new(config.half_open_max)?,
            syn_sent: PlainSlab::new(config.half_open_max)?,
            new_syns: Vec::with_capacity(config.half_open_max as usize),
            last_port_offset: None,
            time_wait: TimeWaits::new(config.time_wait_max)?,
            listeners: Vec::new(),
            listeners_opened: 0,
            chunks: ChunkPool::new(&config.send)?,
            receive: ReceivePool::new(&config.receive)?,
            duplicates: Duplicates::new(),
            neighbours: Neighbours::new(config.neighbours_max, &config.ip, watch, secrets.ports[1]),
            defence: Defence::NEVER,
            path_mtus: PathMtus::new(&config.ip),
            wheel: TimerWheel::new(config.connections_max, now)?,
            half_open_wheel: TimerWheel::new(config.half_open_max, now)?,
            syn_sent_wheel: TimerWheel::new(config.half_open_max, now)?,
            pending: (END, END),
            accepting: Accepting::Open,
            accept_budget_left: 0,
            answers: RateLimit::new(config.answers_per_second_max),
            challenges: Challenges::new(config.tcp.tcp_challenge_ack_limit),
            congestion_hand: 0,
            next_port: config.port_range.0
                + (secrets.ports[0] as u16) % (config.port_range.1 - config.port_range.0 + 1),
            counters: Counters::default(),
            secrets,
            capabilities,
            now,
            clock: Clock::at(now),
            config,
        })
    }

    /// What happened so far.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The tables, readable from other threads.
    pub fn published(&self, shard: usize) -> PublishedTables {
        let (v4, v6) = self.tables.readers();
        PublishedTables { shard, v4, v6 }
    }

    /// A turn begins.
    fn begin_turn(&mut self, now: Instant) {
        self.now = now;
        self.clock = Clock::at(now);
        self.accept_budget_left = self.config.accept_budget;
    }

    /// Puts a connection on the list of those with something to do.
    #[inline]
    fn pend(&mut self, index: u32) {
        let connection = self.connections.at_mut(index);
        if !connection.flags.has(Flag::Pending) {
            connection.flags.set(Flag::Pending);
            self.link_pending(index);
        }
    }

    /// Puts a connection that is marked as pending on the list.
    #[inline]
    fn link_pending(&mut self, index: u32) {
        self.connections.at_mut(index).pending_next = END;
        let (first, last) = self.pending;
        if first == END {
            self.pending = (index, index);
        } else {
            self.connections.at_mut(last).pending_next = index;
            self.pending.1 = index;
        }
    }

    /// The index of one of our addresses.
    #[inline]
    fn local_index(&self, address: Address) -> Option<u8> {
        self.config.addresses.iter().position(|l| l.cidr.address() == address).map(|index| index as u8)
    }

    /// Whether one host can have `address`: no group, and no broadcast address of a network of ours (RFC 1122
    /// section 3.2.1.3).
    #[inline]
    fn is_host(&self, address: Address) -> bool {
        if self.last_hop.is_some_and(|hop| hop.remote == address) {
            return true;
        }
        let is_broadcast = |l: &LocalAddress| l.cidr.broadcast() == Some(address);
        address.is_unicast() && !self.config.addresses.iter().any(is_broadcast)
    }

    /// The neighbour entry over which packets to the host `remote` go, held; `hint` is where a frame of it came from.
    ///
    /// # Errors
    /// [`CacheFull`] when every entry is in use.
    #[inline]
    fn hold_next_hop(&mut self, remote: Address, hint: Option<MacAddress>) -> Result<u16, CacheFull> {
        if let Some(LastHop { remote: last, changes, neighbour }) = self.last_hop
            && last == remote
            && changes == self.neighbours.changes()
            && self.neighbours.hold_known(neighbour, self.now)
        {
            return Ok(neighbour);
        }
        let neighbour = self.neighbours.hold(self.next_hop(remote), hint, self.now)?;
        self.last_hop = Some(LastHop { remote, changes: self.neighbours.changes(), neighbour });
        Ok(neighbour)
    }

    /// The address whose MAC a packet to `remote` is sent to.
    fn next_hop(&self, remote: Address) -> Address {
        if self.config.addresses.iter().any(|l| l.cidr.contains(remote)) {
            return remote;
        }
        // Without a gateway the link is all there is.
        let gateway = self.config.gateways.iter().find(|g| g.is_v4() == remote.is_v4());
        gateway.copied().unwrap_or(remote)
    }
}
