//! Listeners and their accept queues.

use alloc::collections::VecDeque;
use core::fmt;
use core::net::IpAddr;

use crate::base::slab::Key;
use crate::shard::{CloseReason, ConnectionId};
use crate::tcp::config::TcpConfig;
use crate::tcp::connection::{Doom, Farewell};
use crate::tcp::socket_options::SocketOptions;
use crate::wire::Tuple;

use super::Stack;
use super::ingress::Arrival;
use super::registry::{Binding, Reuse, Scope};

/// What to listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListenOptions {
    /// One of our addresses, `0.0.0.0` or `::` for all of a family, or none for all there are.
    pub address: Option<IpAddr>,
    /// The port, 1 to 65,535.
    pub port: u16,
    /// Connections that may wait to be accepted; `somaxconn` bounds it.
    pub backlog: u32,
    /// Whether connections of the port, and listeners on other addresses that contain this one or lie within it, may be
    /// there (`SO_REUSEADDR`).
    pub reuse_addr: Reuse,
    /// Whether several listeners on this address and port share its new connections by a keyed hash of the tuple
    /// (`SO_REUSEPORT`).
    pub reuse_port: Reuse,
}

impl Default for ListenOptions {
    /// All addresses, a backlog of 4096 (`SOMAXCONN`), nothing used again; the port is for the caller to say.
    fn default() -> Self {
        Self { address: None, port: 0, backlog: 4096, reuse_addr: Reuse::Off, reuse_port: Reuse::Off }
    }
}

/// A listener of one shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListenerId {
    index: u8,
    /// How many listeners had been opened before.
    number: u32,
}

impl ListenerId {
    /// Its place among those that are open, below [`LISTENERS_MAX`].
    pub(crate) const fn index(self) -> usize {
        self.index as usize
    }
}

/// Why a stack does not listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListenError {
    /// Somebody listens on that address and port (`EADDRINUSE`).
    AddrInUse {
        /// The port.
        port: u16,
    },
    /// The address is not one of ours (`EADDRNOTAVAIL`).
    AddrNotAvailable {
        /// The address.
        address: IpAddr,
    },
    /// Port 0 cannot be listened on.
    InvalidPort,
    /// All [`LISTENERS_MAX`] listeners are in use.
    TooMany,
}

impl fmt::Display for ListenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AddrInUse { port } => write!(f, "port {port} is listened on already"),
            Self::AddrNotAvailable { address } => write!(f, "{address} is not an address of this server"),
            Self::InvalidPort => f.write_str("port 0 cannot be listened on: choose 1 to 65535"),
            Self::TooMany => write!(f, "at most {LISTENERS_MAX} listeners"),
        }
    }
}

impl core::error::Error for ListenError {}

/// Listeners of one shard at most.
pub const LISTENERS_MAX: usize = 64;

const _: () = assert!(LISTENERS_MAX <= u8::MAX as usize + 1, "records keep a listener's index in a byte");

/// One listener of this shard.
#[derive(Debug)]
pub(super) struct Listener {
    number: u32,
    /// What it has bound; none: it is closed, and its place is free.
    pub(super) binding: Option<Binding>,
    /// Connections that are open and wait to be accepted; some may be gone again.
    pub(super) queue: VecDeque<Key>,
    pub(super) backlog: u32,
    /// Half-open connections of this listener.
    pub(super) half_open: u32,
    /// Whether its connections get more than the configuration says.
    pub(super) inherited: Inherited,
    /// What they get.
    pub(super) options: SocketOptions,
    /// The settings with which they are opened.
    pub(super) tcp: TcpConfig,
}

/// Whether connections have options for which they need a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Inherited {
    Nothing,
    Something,
}

impl Stack {
    /// Listens. Where several shards serve the same addresses, a [`Registry`](super::Registry) is to be asked first.
    ///
    /// # Errors
    /// [`ListenError`].
    pub fn listen(&mut self, options: ListenOptions) -> Result<ListenerId, ListenError> {
        let binding = Binding::of(&options)?;
        if let (Some(address), Scope::One(own)) = (options.address, binding.scope) {
            self.local_index(own).ok_or(ListenError::AddrNotAvailable { address })?;
        }
        binding.check(self.listeners.iter().filter_map(|l| l.binding.as_ref()), &[self.published(0)])?;
        let free = self.listeners.iter().position(|l| l.binding.is_none());
        let index = free.unwrap_or(self.listeners.len());
        if index == LISTENERS_MAX {
            return Err(ListenError::TooMany);
        }
        let backlog = options.backlog.clamp(1, self.config.tcp.somaxconn.max(1));
        let number = self.listeners_opened;
        self.listeners_opened = number.wrapping_add(1);
        let queue = VecDeque::with_capacity(backlog as usize);
        let listener = Listener {
            number,
            binding: Some(binding),
            queue,
            backlog,
            half_open: 0,
            inherited: self.plain_inherited,
            options: self.plain_options,
            tcp: self.config.tcp.clone(),
        };
        match self.listeners.get_mut(index) {
            Some(place) => *place = listener,
            None => self.listeners.push(listener),
        }
        Ok(ListenerId { index: index as u8, number })
    }

    /// Closes one listener: its half-open connections and those that nobody has accepted are reset (c017). Does nothing
    /// if it is closed already.
    pub fn close_listener(&mut self, id: ListenerId) {
        if self.listener(id).is_some() {
            self.close_listener_at(usize::from(id.index));
        }
    }

    /// Closes all listeners.
    pub(super) fn stop_listening(&mut self) {
        (0..self.listeners.len()).for_each(|index| self.close_listener_at(index));
    }

    fn close_listener_at(&mut self, index: usize) {
        let is_its = |key: &Key| self.half_open.get(*key).is_some_and(|r| usize::from(r.listener) == index);
        let half_open: alloc::vec::Vec<Key> = self.half_open.keys().filter(is_its).collect();
        for key in half_open {
            self.remove_half_open(key);
        }
        let listener = &mut self.listeners[index];
        listener.binding = None;
        for key in core::mem::take(&mut listener.queue) {
            if self.connections.get(key).is_some() {
                let doom = Doom { reason: CloseReason::Aborted, farewell: Farewell::Reset };
                self.doom(key.index, doom);
            }
        }
    }

    /// The listener of this name, if it is open.
    pub(super) fn listener(&self, id: ListenerId) -> Option<&Listener> {
        let listener = self.listeners.get(usize::from(id.index))?;
        (listener.number == id.number && listener.binding.is_some()).then_some(listener)
    }

    /// The same, to be changed.
    pub(super) fn listener_mut(&mut self, id: ListenerId) -> Option<&mut Listener> {
        let listener = self.listeners.get_mut(usize::from(id.index))?;
        (listener.number == id.number && listener.binding.is_some()).then_some(listener)
    }

    /// The listener that a connection came by, as long as both are open.
    pub fn listener_of(&self, id: ConnectionId) -> Option<ListenerId> {
        self.connections.get(id)?;
        let index = self.warm[id.index as usize].listener?;
        let listener = self.listeners.get(usize::from(index)).filter(|l| l.binding.is_some())?;
        Some(ListenerId { index, number: listener.number })
    }

    /// The most precise listener for a new connection. Of a group that shares address and port, the keyed hash of the
    /// tuple chooses, so that all shards choose alike.
    #[inline(always)]
    pub(super) fn listener_for(&self, arrival: &Arrival<'_>) -> Option<usize> {
        match self.listeners.as_slice() {
            [alone] => {
                let binding = alone.binding.as_ref()?;
                binding.takes(arrival.tuple.local, arrival.tuple.local_port).then_some(0)
            }
            _ => self.most_precise(arrival),
        }
    }

    #[inline(never)]
    fn most_precise(&self, arrival: &Arrival<'_>) -> Option<usize> {
        let Tuple { local, local_port, .. } = arrival.tuple;
        let (mut first, mut best, mut count) = (None, 0, 0_usize);
        for (index, listener) in self.listeners.iter().enumerate() {
            let Some(binding) = listener.binding.as_ref().filter(|b| b.takes(local, local_port)) else {
                continue;
            };
            let precision = binding.scope.precision();
            if first.is_none() || precision > best {
                (first, best, count) = (Some(index), precision, 1);
            } else if precision == best {
                count += 1;
            }
        }
        if count > 1 { self.member(arrival, best, count) } else { first }
    }

    #[cold]
    fn member(&self, arrival: &Arrival<'_>, precision: u8, count: usize) -> Option<usize> {
        let Tuple { local, local_port, .. } = arrival.tuple;
        let is_member = |l: &Listener| {
            l.binding.is_some_and(|b| b.takes(local, local_port) && b.scope.precision() == precision)
        };
        let chosen = ((u64::from(arrival.hashed.hash) * count as u64) >> u32::BITS) as usize;
        let members = self.listeners.iter().enumerate().filter(|(_, listener)| is_member(listener));
        members.map(|(index, _)| index).nth(chosen)
    }

    /// Whether a listener has the port, whatever the address.
    pub(super) fn is_listening(&self, port: u16) -> bool {
        self.listeners.iter().any(|l| l.binding.is_some_and(|binding| binding.port == port))
    }
}
