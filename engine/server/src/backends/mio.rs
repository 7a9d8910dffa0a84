//! The kernel's TCP, through `mio` (epoll, edge-triggered): the portable backend and the fair baseline.
//!
//! What one request costs is what a careful hand-written epoll server pays: a share of one `epoll_wait`, one
//! `read` and one `write`. A connection is registered once; it is registered again only when its send buffer
//! is full for the first time. Bytes are shown to the application in the buffer that they were read into,
//! replies are written in place and leave together at the end of the turn, and nothing is allocated for a
//! request once the pool of buffers is warm.
//!
//! | file | what is in it |
//! |---|---|
//! | `config` | settings, counters, the error of [`MioTransport::new`] |
//! | `connection` | what is kept for one connection |
//! | `buffer` | contiguous bytes and the pool that they come from |
//! | `host` | the commands of an application |
//! | `listener` | listening sockets and the accept loop |
//! | `turn` | the stages of a turn |
//! | `receive`, `send` | what they do for one connection |

mod buffer;
mod config;
mod connection;
mod host;
mod listener;
mod options;
mod receive;
mod send;
#[cfg(test)]
mod tests;
mod turn;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use ::mio::{Events, Poll, Token, Waker};
use bywash_core::base::slab::Key;
use bywash_core::base::time::Instant;

pub use config::{Counters, MioConfig, MioError, ReusePort};
pub use host::MioHost;
use listener::Listener;

/// Events taken from the kernel at a time.
const EVENTS_MAX: usize = 1024;
/// The buffer that all connections are read through, in bytes.
const SCRATCH_LEN: usize = 64 * 1024;

/// Carries the connections of one shard over the kernel's TCP.
///
/// Several shards may listen on one port: with [`MioConfig::reuse_port`] the kernel spreads connections over them.
pub struct MioTransport {
    poll: Poll,
    events: Events,
    /// What a turn must know of the last [`MioTransport::wait`].
    polled: Polled,
    waker: Arc<Waker>,
    listeners: Vec<Listener>,
    /// When to accept again after the process ran out of descriptors.
    accept_retry: Option<Instant>,
    /// Whether the table had room when a connection was last to be accepted.
    accept_room: Room,
    accept_budget: u32,
    scratch: Box<[u8]>,
    /// The list being worked off while the host collects the next one.
    working: Vec<Key>,
    host: MioHost,
}

/// Whether the next turn has to ask the kernel what arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Polled {
    /// No: the event buffer was filled and not looked at yet.
    Fresh,
    /// No: events were handled in the last turn. A loop that takes turns until one is idle, and then sleeps, gets
    /// its idle turn for nothing: the sleep asks.
    Spent,
    /// Yes.
    Stale,
}

/// Whether the table of connections has room for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Room {
    Some,
    None,
}

impl MioTransport {
    /// Listens on every address of `config`; `now` is the time from which turns go on.
    ///
    /// # Errors
    /// [`MioError`] names the address or the limit that could not be had.
    pub fn new(config: &MioConfig, now: Instant) -> Result<Self, MioError> {
        let poll = Poll::new().map_err(MioError::Poll)?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER).map_err(MioError::Poll)?);
        let registry = poll.registry().try_clone().map_err(MioError::Poll)?;
        let listeners = config
            .listen
            .iter()
            .enumerate()
            .map(|(at, &address)| Listener::open(config, address, &registry, listener_token(at)))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            poll,
            events: Events::with_capacity(EVENTS_MAX),
            polled: Polled::Stale,
            waker,
            listeners,
            accept_retry: None,
            accept_room: Room::Some,
            accept_budget: config.accept_budget_max.max(1),
            scratch: vec![0; SCRATCH_LEN].into_boxed_slice(),
            working: Vec::new(),
            host: MioHost::new(config, registry, now)?,
        })
    }

    /// Sleeps until something arrives, the waker is used, or `until` has come (none: without end). `now` is the
    /// time of the call. What arrived is handled in the next turn, which then need not ask the kernel again:
    /// `wait`, a turn that works and one that is idle cost one `epoll_wait`.
    ///
    /// # Errors
    /// `epoll_wait` failed; an interruption by a signal is no error.
    pub fn wait(&mut self, now: Instant, until: Option<Instant>) -> io::Result<()> {
        if self.polled == Polled::Fresh {
            // What was taken from the kernel is told only once, and is not looked at yet.
            return Ok(());
        }
        let timeout = match until {
            _ if self.has_work() => Some(std::time::Duration::ZERO),
            Some(until) => Some((until - now).into()),
            None => None,
        };
        self.poll_kernel(timeout)
    }

    /// Ends a [`MioTransport::wait`] from any thread.
    pub fn waker(&self) -> Arc<Waker> {
        Arc::clone(&self.waker)
    }

    /// The addresses listened on, with the ports that the kernel chose for port 0.
    pub fn local_addresses(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        self.listeners.iter().map(Listener::address)
    }

    /// What was done so far.
    pub fn counters(&self) -> &Counters {
        &self.host.counters
    }

    fn poll_kernel(&mut self, timeout: Option<std::time::Duration>) -> io::Result<()> {
        self.host.counters.polls += 1;
        match self.poll.poll(&mut self.events, timeout) {
            Ok(()) => {
                self.polled = Polled::Fresh;
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                self.events.clear();
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}

/// Keys in use have odd generations; generation 0 is free for everything that is not a connection.
const WAKER: Token = Token(u32::MAX as usize);

fn listener_token(at: usize) -> Token {
    Token(Key { index: at as u32, generation: 0 }.to_u64() as usize)
}

const _: () = assert!(usize::BITS == 64, "a token holds a whole key");
