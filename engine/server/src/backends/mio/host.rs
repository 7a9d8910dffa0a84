//! The commands of an application on the connections of a shard.

use std::io;
use std::net::SocketAddr;

use ::mio::net::TcpStream;
use ::mio::{Interest, Registry, Token};
use socket2::SockRef;

use bywash_core::base::OutOfMemory;
use bywash_core::base::slab::{Key, PlainSlab};
use bywash_core::base::time::{Duration, Instant};
use bywash_core::base::wheel::TimerWheel;
use bywash_core::shard::{
    CloseReason, ConnectError, ConnectionId, ConnectionInfo, Host, Reading, WriteError,
};
use bywash_core::tcp::socket_options::{OptionError, OptionName, SocketOption};

use super::buffer::Pool;
use super::config::{Counters, MioConfig};
use super::connection::{Attention, Connection, Fullness, Listed, Outlet, Phase, Receive, Send, UnreadCause};
use super::options;

/// How long a closed connection may take to send what is queued before it is aborted.
const CLOSE_MAX: Duration = Duration::from_secs(60);

/// The connections of one shard over the kernel's TCP.
pub struct MioHost {
    pub(super) now: Instant,
    pub(super) connections: PlainSlab<Connection>,
    pub(super) timers: TimerWheel,
    pub(super) pool: Pool,
    pub(super) registry: Registry,
    pub(super) counters: Counters,
    /// Connections to be read, to be flushed, to be reported as gone.
    pub(super) ready: Vec<Key>,
    pub(super) dirty: Vec<Key>,
    pub(super) gone: Vec<Key>,
    pub(super) accepting: Accepting,
    send_buffer_max: usize,
    message_max: usize,
}

/// Whether connections are taken from the accept queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Accepting {
    Open,
    Paused,
}

impl MioHost {
    pub(super) fn new(config: &MioConfig, registry: Registry, now: Instant) -> Result<Self, OutOfMemory> {
        Ok(Self {
            now,
            connections: PlainSlab::new(config.connections_max)?,
            timers: TimerWheel::new(config.connections_max, now)?,
            pool: Pool::default(),
            registry,
            counters: Counters::default(),
            ready: Vec::new(),
            dirty: Vec::new(),
            gone: Vec::new(),
            accepting: Accepting::Open,
            send_buffer_max: config.send_buffer_max.max(1),
            message_max: config.message_max,
        })
    }

    /// Whether the send buffer of a connection that was full counts as having room again.
    pub(super) fn has_room_again(&self, connection: &Connection) -> bool {
        connection.output.len() < self.send_buffer_max.div_ceil(2)
    }

    /// Puts the connection on the list of those to be read.
    #[inline]
    pub(super) fn make_ready(&mut self, id: Key) {
        if let Some(connection) = self.connections.get_mut(id)
            && connection.on_ready == Listed::No
        {
            connection.on_ready = Listed::Yes;
            self.ready.push(id);
        }
    }

    /// Puts the connection on the list of those to be flushed.
    #[inline]
    pub(super) fn make_dirty(&mut self, id: Key) {
        if let Some(connection) = self.connections.get_mut(id) {
            list_dirty(connection, id, &mut self.dirty);
        }
    }

    /// Ends the connection; it is reported at the end of the turn.
    pub(super) fn lose(&mut self, id: Key, reason: CloseReason) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        match connection.phase {
            Phase::Gone(_) => {}
            Phase::Connecting { .. } | Phase::Open => {
                connection.phase = Phase::Gone(reason);
                connection.output.release(&mut self.pool);
                connection.unread.release(&mut self.pool);
                self.gone.push(id);
            }
        }
    }

    fn start_connecting(
        &mut self,
        key: Key,
        remote: SocketAddr,
        deadline: Option<Instant>,
    ) -> io::Result<Connection> {
        let mut stream = TcpStream::connect(remote)?;
        stream.set_nodelay(true)?;
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.registry.register(&mut stream, Token(key.to_u64() as usize), interest)?;
        Ok(Connection::new(stream, remote, Phase::Connecting { deadline }, Outlet::Watched))
    }
}

#[inline]
fn list_dirty(connection: &mut Connection, id: Key, dirty: &mut Vec<Key>) {
    if connection.on_dirty == Listed::No {
        connection.on_dirty = Listed::Yes;
        dirty.push(id);
    }
}

impl Host for MioHost {
    #[inline]
    fn now(&self) -> Instant {
        self.now
    }

    #[inline]
    fn reserve(&mut self, id: ConnectionId, len: usize) -> Result<&mut [u8], WriteError> {
        let connection = self.connections.get_mut(id).filter(|connection| connection.may_send());
        let connection = connection.ok_or(WriteError::NotOpen)?;
        // One message begun below the limit may end above it, whatever else its handler has queued.
        let max = (self.send_buffer_max + self.message_max).saturating_sub(connection.output.len());
        let max = max.min(self.message_max);
        if len > max {
            if !connection.output.is_empty() {
                connection.fullness = Fullness::Full;
            }
            return Err(WriteError::NoSpace { asked: len, max });
        }
        Ok(connection.output.spare(len, &mut self.pool))
    }

    fn piece_max(&self) -> usize {
        self.message_max
    }

    #[inline]
    fn commit(&mut self, id: ConnectionId, len: usize) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        if !connection.may_send() {
            return;
        }
        connection.output.commit(len);
        if connection.output.len() >= self.send_buffer_max {
            connection.fullness = Fullness::Full;
        }
        list_dirty(connection, id, &mut self.dirty);
    }

    fn write(&mut self, id: ConnectionId, bytes: &[u8]) -> Result<usize, WriteError> {
        let space = self.send_space(id);
        let connection = self.connections.get_mut(id).filter(|connection| connection.may_send());
        let connection = connection.ok_or(WriteError::NotOpen)?;
        let len = bytes.len().min(space);
        connection.output.push(&bytes[..len], &mut self.pool);
        if len < bytes.len() || len == space {
            connection.fullness = Fullness::Full;
        }
        list_dirty(connection, id, &mut self.dirty);
        Ok(len)
    }

    #[inline]
    fn send_space(&self, id: ConnectionId) -> usize {
        match self.connections.get(id) {
            Some(connection) if connection.may_send() && connection.fullness == Fullness::Room => {
                self.send_buffer_max.saturating_sub(connection.output.len())
            }
            Some(_) | None => 0,
        }
    }

    fn shutdown(&mut self, id: ConnectionId) {
        if let Some(connection) = self.connections.get_mut(id).filter(|connection| connection.may_send()) {
            connection.send = Send::Ending;
            list_dirty(connection, id, &mut self.dirty);
        }
    }

    fn close(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        match (connection.phase, connection.receive) {
            (Phase::Gone(_), _) | (_, Receive::Dropped) => return,
            (Phase::Connecting { .. }, _) => return self.lose(id, CloseReason::Aborted),
            (Phase::Open, Receive::Open | Receive::Ending | Receive::Ended) => {}
        }
        // RFC 1122 section 4.2.2.13: data that arrived and that nobody will read is told to the peer by RST.
        if !connection.unread.is_empty() && connection.unread_cause == UnreadCause::Paused {
            return self.abort(id);
        }
        connection.unread.release(&mut self.pool);
        connection.receive = Receive::Dropped;
        if connection.send == Send::Open {
            connection.send = Send::Ending;
        }
        let deadline = self.now + CLOSE_MAX;
        connection.timer = Some(deadline);
        list_dirty(connection, id, &mut self.dirty);
        self.timers.arm(id.index, deadline);
    }

    fn abort(&mut self, id: ConnectionId) {
        if let Some(connection) = self.connections.get(id) {
            connection.reset_on_close();
        }
        self.lose(id, CloseReason::Aborted);
    }

    fn pause_reading(&mut self, id: ConnectionId) {
        if let Some(connection) = self.connections.get_mut(id) {
            connection.attention = Attention::Paused;
        }
    }

    fn resume_reading(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        if connection.attention == Attention::Paused {
            connection.attention = Attention::Reading;
            self.make_ready(id);
        }
    }

    #[inline]
    fn reading(&self, id: ConnectionId) -> Reading {
        self.connections.get(id).map_or(Reading::Closed, Connection::reading)
    }

    #[inline]
    fn pause_accepting(&mut self) {
        self.accepting = Accepting::Paused;
    }

    fn resume_accepting(&mut self) {
        self.accepting = Accepting::Open;
    }

    fn set_timer(&mut self, id: ConnectionId, at: Option<Instant>) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        match (connection.phase, connection.receive) {
            (Phase::Gone(_), _) | (_, Receive::Dropped) => {}
            (Phase::Connecting { .. } | Phase::Open, Receive::Open | Receive::Ending | Receive::Ended) => {
                connection.timer = at;
                // A timer that is moved to later or taken off is left in the wheel and looked at on expiry.
                if let Some(at) = at {
                    self.timers.arm(id.index, at);
                }
            }
        }
    }

    fn info(&self, id: ConnectionId) -> Option<ConnectionInfo> {
        let connection = self.connections.get(id)?;
        let local = connection.stream.as_ref()?.local_addr().ok()?;
        Some(ConnectionInfo { local, remote: connection.remote })
    }

    fn set_option(&mut self, id: ConnectionId, option: SocketOption) -> Result<(), OptionError> {
        let connection = self.connections.get(id).ok_or(OptionError::NotOpen)?;
        let stream = connection.stream.as_ref().ok_or(OptionError::NotOpen)?;
        options::set(&SockRef::from(stream), option)
    }

    fn option(&self, id: ConnectionId, name: OptionName) -> Result<SocketOption, OptionError> {
        let connection = self.connections.get(id).ok_or(OptionError::NotOpen)?;
        let stream = connection.stream.as_ref().ok_or(OptionError::NotOpen)?;
        options::get(&SockRef::from(stream), name)
    }

    fn connect(
        &mut self,
        remote: SocketAddr,
        timeout: Option<Duration>,
    ) -> Result<ConnectionId, ConnectError> {
        let ip = remote.ip();
        if remote.port() == 0 || ip.is_unspecified() || ip.is_multicast() {
            return Err(ConnectError::InvalidRemote);
        }
        let connections_max = self.connections.capacity() as u32;
        let full = ConnectError::TooManyConnections { connections_max };
        let key = self.connections.next_key().ok_or(full)?;
        let deadline = timeout.map(|timeout| self.now + timeout);
        let connection =
            self.start_connecting(key, remote, deadline).map_err(|error| match error.kind() {
                io::ErrorKind::AddrNotAvailable | io::ErrorKind::AddrInUse => ConnectError::PortsExhausted,
                io::ErrorKind::InvalidInput | io::ErrorKind::PermissionDenied => ConnectError::InvalidRemote,
                io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => {
                    ConnectError::NetworkUnreachable
                }
                // What is left is descriptors and memory.
                _ => full,
            })?;
        let key = self.connections.insert(connection).map_err(|_| full)?;
        if let Some(deadline) = deadline {
            self.timers.arm(key.index, deadline);
        }
        Ok(key)
    }
}
