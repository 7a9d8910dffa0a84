//! Listeners and their accept queues.

use alloc::collections::VecDeque;
use core::fmt;
use core::net::IpAddr;

use crate::base::slab::Key;
use crate::shard::CloseReason;
use crate::tcp::connection::{Doom, Farewell};
use crate::wire::{Address, Tuple};

use super::Stack;

/// What to listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListenOptions {
    /// One of our addresses, or all of them.
    pub address: Option<IpAddr>,
    /// The port, 1 to 65,535.
    pub port: u16,
    /// Connections that may wait to be accepted; `somaxconn` bounds it.
    pub backlog: u32,
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

/// One listener of this shard.
#[derive(Debug)]
pub(super) struct Listener {
    pub(super) address: Option<Address>,
    pub(super) port: u16,
    /// Connections that are open and wait to be accepted; some may be gone again.
    pub(super) queue: VecDeque<Key>,
    pub(super) backlog: u32,
    /// Half-open connections of this listener.
    pub(super) half_open: u32,
}

impl Stack {
    /// Listens.
    ///
    /// # Errors
    /// [`ListenError`].
    pub fn listen(&mut self, options: ListenOptions) -> Result<(), ListenError> {
        let ListenOptions { address, port, backlog } = options;
        if port == 0 {
            return Err(ListenError::InvalidPort);
        }
        let own = address.map(Address::from);
        if let (Some(address), Some(own)) = (address, own) {
            self.local_index(own).ok_or(ListenError::AddrNotAvailable { address })?;
        }
        if self.listeners.iter().any(|l| l.port == port && l.address == own) {
            return Err(ListenError::AddrInUse { port });
        }
        if self.listeners.len() == LISTENERS_MAX {
            return Err(ListenError::TooMany);
        }
        let backlog = backlog.clamp(1, self.config.tcp.somaxconn.max(1));
        let queue = VecDeque::with_capacity(backlog as usize);
        self.listeners.push(Listener { address: own, port, queue, backlog, half_open: 0 });
        Ok(())
    }

    /// Stops listening: half-open connections and those that nobody has accepted are reset (c017).
    pub(super) fn stop_listening(&mut self) {
        let half_open: alloc::vec::Vec<Key> = self.half_open.keys().collect();
        for key in half_open {
            self.remove_half_open(key);
        }
        for mut listener in core::mem::take(&mut self.listeners) {
            for key in listener.queue.drain(..) {
                if self.connections.get(key).is_some() {
                    let doom = Doom { reason: CloseReason::Aborted, farewell: Farewell::Reset };
                    self.doom(key.index, doom);
                }
            }
        }
    }

    /// The most specific listener for a new connection.
    pub(super) fn listener_for(&self, tuple: &Tuple) -> Option<usize> {
        let matches = |l: &&(usize, &Listener)| l.1.port == tuple.local_port;
        let candidates = || self.listeners.iter().enumerate();
        let exact = candidates().find(|c| matches(&c) && c.1.address == Some(tuple.local));
        exact.or_else(|| candidates().find(|c| matches(&c) && c.1.address.is_none())).map(|(index, _)| index)
    }
}
