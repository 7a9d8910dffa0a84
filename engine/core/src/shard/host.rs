//! What a handler may do with the connections of its shard, whatever carries them.

use core::fmt;
use core::net::{IpAddr, SocketAddr};

use crate::base::{
    slab::Key,
    time::{Duration, Instant},
};
use crate::tcp::info::TcpInfo;
use crate::tcp::socket_options::{OptionError, OptionName, SocketOption};

/// Names one connection of a shard for ever: a key whose place is taken by another connection later
/// does not reach that one.
pub type ConnectionId = Key;

/// Why a connection is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CloseReason {
    /// Both sides ended their streams in order.
    Finished,
    /// This side gave it up: [`Host::abort`], or a close with unread data (RFC 1122 section 4.2.2.13).
    Aborted,
    /// The peer sent RST (`ECONNRESET`).
    ConnectionReset,
    /// An active open was answered by RST (`ECONNREFUSED`).
    ConnectionRefused,
    /// Retransmissions, probes or an open were not answered in time (`ETIMEDOUT`).
    TimedOut,
    /// The next hop did not answer ARP or ND, or ICMP said so (`EHOSTUNREACH`).
    HostUnreachable,
    /// The shard ran out of memory for it; counted where that happened.
    OutOfMemory,
    /// The application waited for more of a message than the receive buffer (`tcp_rmem_max`) holds (`EMSGSIZE`).
    MessageTooLong,
    /// The drain limit passed before it could be closed in order.
    Drained,
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Finished => "closed in order by both sides",
            Self::Aborted => "aborted by this side",
            Self::ConnectionReset => "reset by the peer",
            Self::ConnectionRefused => "refused by the peer",
            Self::TimedOut => "timed out: the peer did not answer",
            Self::HostUnreachable => "the peer's host is unreachable",
            Self::OutOfMemory => "out of memory for connections or buffers",
            Self::MessageTooLong => "a message is longer than the receive buffer (tcp_rmem_max)",
            Self::Drained => "cut off at the drain limit",
        })
    }
}

/// Why bytes could not be queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteError {
    /// No such connection, or its sending side is closed.
    NotOpen,
    /// `asked` bytes in one piece are more than a message may have, or more than the send pool has free now.
    NoSpace {
        /// Bytes asked for.
        asked: usize,
        /// Bytes that could be had in one piece at most.
        max: usize,
    },
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotOpen => f.write_str("the connection's sending side is closed"),
            Self::NoSpace { asked, max } => {
                write!(f, "no room for {asked} bytes in one piece (at most {max} now)")
            }
        }
    }
}

impl core::error::Error for WriteError {}

/// Why a connection cannot be opened from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectError {
    /// `connections_max` connections exist.
    TooManyConnections {
        /// The limit.
        connections_max: u32,
    },
    /// Every port of the range is in use towards that peer (`EADDRNOTAVAIL`).
    PortsExhausted,
    /// The local address that was asked for is not ours, or of another family than the peer's (`EADDRNOTAVAIL`).
    AddrNotAvailable {
        /// The address.
        address: IpAddr,
    },
    /// The local port that was asked for is in use towards that peer (`EADDRINUSE`).
    AddrInUse {
        /// The port.
        port: u16,
    },
    /// The address is a multicast, broadcast or unspecified one, or the port is 0 (`EINVAL`).
    InvalidRemote,
    /// No address of ours has that family, or no route leads there (`ENETUNREACH`).
    NetworkUnreachable,
    /// The transport cannot open connections.
    Unsupported,
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooManyConnections { connections_max } => {
                write!(f, "all {connections_max} connections are in use (`connections_max`)")
            }
            Self::PortsExhausted => {
                f.write_str("ports exhausted: all of ip_local_port_range are in use towards that peer")
            }
            Self::AddrNotAvailable { address } => write!(f, "cannot connect from {address} to that peer"),
            Self::AddrInUse { port } => write!(f, "local port {port} is in use towards that peer"),
            Self::InvalidRemote => f.write_str("not an address and port that can be connected to"),
            Self::NetworkUnreachable => f.write_str("no address or route of ours leads there"),
            Self::Unsupported => f.write_str("this backend does not open connections"),
        }
    }
}

impl core::error::Error for ConnectError {}

/// Whether received bytes are shown to the application now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// They are.
    Open,
    /// They wait: reading is paused by the application, or its replies fill the send buffer.
    Paused,
    /// They are dropped: the connection is closed, aborted or gone.
    Closed,
}

/// Who is at the two ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionInfo {
    /// Our address and port.
    pub local: SocketAddr,
    /// The peer's.
    pub remote: SocketAddr,
}

/// The connections of one shard.
///
/// Commands on a connection that is gone do nothing: a key is checked, never trusted.
pub trait Host {
    /// The time at which this turn began.
    fn now(&self) -> Instant;

    /// Room for `len` bytes in one piece at the end of what is queued to be sent.
    ///
    /// # Errors
    /// [`WriteError`]; nothing is queued.
    fn reserve(&mut self, id: ConnectionId, len: usize) -> Result<&mut [u8], WriteError>;

    /// The most bytes that [`Host::reserve`] can ever give in one piece.
    fn piece_max(&self) -> usize;

    /// Queues the first `len` bytes of the last [`Host::reserve`] for this connection.
    fn commit(&mut self, id: ConnectionId, len: usize);

    /// Lets `fill` write up to `max` bytes in one piece at the end of what is queued to be sent, and queues as many as
    /// it says: [`Host::reserve`] and [`Host::commit`] in one.
    ///
    /// # Errors
    /// [`WriteError`]; `fill` was not called.
    #[inline]
    fn append(
        &mut self,
        id: ConnectionId,
        max: usize,
        fill: impl FnOnce(&mut [u8]) -> usize,
    ) -> Result<usize, WriteError>
    where
        Self: Sized,
    {
        let len = fill(&mut self.reserve(id, max)?[..max]).min(max);
        self.commit(id, len);
        Ok(len)
    }

    /// Queues as many of `bytes` as there is room for, and says how many.
    ///
    /// # Errors
    /// [`WriteError::NotOpen`].
    fn write(&mut self, id: ConnectionId, bytes: &[u8]) -> Result<usize, WriteError>;

    /// Bytes that may be queued until the send buffer (`SO_SNDBUF`) counts as full; 0 when it is, or the
    /// connection is not open. A message begun below the limit may end above it.
    fn send_space(&self, id: ConnectionId) -> usize;

    /// Ends our stream after what is queued (`SHUT_WR`); reading goes on.
    fn shutdown(&mut self, id: ConnectionId);

    /// Ends our stream after what is queued, and drops what is received from now on. With unread data it aborts.
    fn close(&mut self, id: ConnectionId);

    /// Drops everything and sends RST.
    fn abort(&mut self, id: ConnectionId);

    /// Stops showing received bytes; the peer sees the window close.
    fn pause_reading(&mut self, id: ConnectionId);

    /// Shows received bytes again, those that wait before the next turn.
    fn resume_reading(&mut self, id: ConnectionId);

    /// Whether received bytes are shown now.
    fn reading(&self, id: ConnectionId) -> Reading;

    /// Stops taking new connections: they complete their handshakes and wait, up to the backlog.
    fn pause_accepting(&mut self);

    /// Takes new connections again, those that wait first.
    fn resume_accepting(&mut self);

    /// Calls the application's `on_timer` for this connection at `at` (none: not at all). One per connection.
    fn set_timer(&mut self, id: ConnectionId, at: Option<Instant>);

    /// Who is at the two ends, or `None` when the connection is gone.
    fn info(&self, id: ConnectionId) -> Option<ConnectionInfo>;

    /// What is known of a connection's TCP now; `None` when it is gone, or the transport cannot say.
    fn tcp_info(&self, _id: ConnectionId) -> Option<TcpInfo> {
        None
    }

    /// Sets a socket option of a connection.
    ///
    /// # Errors
    /// [`OptionError`]; nothing has changed.
    fn set_option(&mut self, id: ConnectionId, option: SocketOption) -> Result<(), OptionError>;

    /// The value of a socket option of a connection.
    ///
    /// # Errors
    /// [`OptionError`].
    fn option(&self, id: ConnectionId, name: OptionName) -> Result<SocketOption, OptionError>;

    /// Opens a connection to `remote`; `on_open` or `on_close` tells how it went. `timeout` ends it earlier than
    /// `tcp_syn_retries` would.
    ///
    /// # Errors
    /// [`ConnectError`], at once.
    fn connect(
        &mut self,
        remote: SocketAddr,
        timeout: Option<Duration>,
    ) -> Result<ConnectionId, ConnectError>;
}
