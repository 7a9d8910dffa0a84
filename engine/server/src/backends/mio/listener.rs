//! Listening sockets and the accept loop.

use std::io;
use std::net::SocketAddr;

use ::mio::net::{TcpListener, TcpStream};
use ::mio::{Interest, Registry, Token};
use bywash_core::base::time::Duration;
use bywash_core::shard::{Events, Origin};
use bywash_core::stack::Reuse;
use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, Type};

use super::config::{MioConfig, MioError, ReusePort};
use super::connection::{Connection, Listed, Outlet, Phase};
use super::host::{Accepting, MioHost};
use super::{MioTransport, Room};

/// How long to wait before accepting is tried again when there were no descriptors.
const DESCRIPTORS_RETRY: Duration = Duration::from_millis(100);

pub(super) struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    /// Whether the accept queue may hold connections: the edge was seen and the queue not emptied yet.
    pub(super) pending: Listed,
}

/// How an attempt to accept ended.
enum Accepted {
    Connection(TcpStream, SocketAddr),
    /// The queue is empty.
    Nothing,
    /// A connection was lost on the way; there may be others.
    Lost,
    /// The process or the machine has no descriptor, or no memory, for it.
    NoDescriptors,
}

impl Listener {
    pub(super) fn open(
        config: &MioConfig,
        address: SocketAddr,
        registry: &Registry,
        token: Token,
    ) -> Result<Self, MioError> {
        let open = || -> io::Result<Self> {
            let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
            socket.set_reuse_address(config.reuse_addr == Reuse::On)?;
            match config.reuse_port {
                ReusePort::Shared => socket.set_reuse_port(true)?,
                ReusePort::Exclusive => {}
            }
            socket.set_nonblocking(true)?;
            // Linux hands it on to every accepted socket, which saves a system call for each.
            socket.set_tcp_nodelay(true)?;
            socket.bind(&address.into())?;
            socket.listen(i32::try_from(config.backlog).unwrap_or(i32::MAX))?;
            let mut socket = TcpListener::from_std(socket.into());
            let address = socket.local_addr()?;
            registry.register(&mut socket, token, Interest::READABLE)?;
            Ok(Self { socket, address, pending: Listed::No })
        };
        open().map_err(|source| MioError::Listen { address, source })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    fn accept(&self) -> Accepted {
        match self.socket.accept() {
            Ok((stream, remote)) => Accepted::Connection(stream, remote),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Accepted::Nothing,
            Err(error) => match Errno::from_io_error(&error) {
                Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) => Accepted::NoDescriptors,
                Some(_) | None => Accepted::Lost,
            },
        }
    }
}

impl MioTransport {
    /// Accepts what waits, within the turn's budget; returns how many connections that were.
    pub(super) fn accept<E: Events<MioHost>>(&mut self, events: &mut E) -> u32 {
        if let Some(retry) = self.accept_retry {
            if self.host.now < retry {
                return 0;
            }
            self.accept_retry = None;
        }
        let mut taken = 0;
        if self.host.accepting == Accepting::Paused {
            return taken;
        }
        for at in 0..self.listeners.len() {
            while self.listeners[at].pending == Listed::Yes
                && taken < self.accept_budget
                && self.host.accepting == Accepting::Open
            {
                if self.host.connections.next_key().is_none() {
                    if self.accept_room == Room::Some {
                        self.accept_room = Room::None;
                        self.host.counters.accept_paused_connections += 1;
                    }
                    return taken;
                }
                match self.listeners[at].accept() {
                    Accepted::Connection(stream, remote) => {
                        taken += 1;
                        self.host.accepted(stream, remote, events);
                    }
                    Accepted::Nothing => self.listeners[at].pending = Listed::No,
                    Accepted::Lost => self.host.counters.accept_failed += 1,
                    Accepted::NoDescriptors => {
                        self.host.counters.accept_paused_descriptors += 1;
                        self.accept_retry = Some(self.host.now + DESCRIPTORS_RETRY);
                        return taken;
                    }
                }
            }
        }
        self.accept_room = Room::Some;
        taken
    }

    /// Whether a turn would accept something at once.
    pub(super) fn may_accept(&self) -> bool {
        self.accept_retry.is_none()
            && self.host.accepting == Accepting::Open
            && self.accept_room == Room::Some
            && self.listeners.iter().any(|listener| listener.pending == Listed::Yes)
    }
}

impl MioHost {
    fn accepted<E: Events<MioHost>>(&mut self, mut stream: TcpStream, remote: SocketAddr, events: &mut E) {
        let Some(key) = self.connections.next_key() else { return };
        // An edge for what has arrived already comes with the registration.
        if self.registry.register(&mut stream, Token(key.to_u64() as usize), Interest::READABLE).is_err() {
            self.counters.accept_failed += 1;
            return;
        }
        let connection = Connection::new(stream, remote, Phase::Open, Outlet::Free);
        if self.connections.insert(connection).is_ok() {
            self.counters.accepted += 1;
            events.opened(self, key, Origin::Accepted);
        }
    }
}
