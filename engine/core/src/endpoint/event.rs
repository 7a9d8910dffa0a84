//! What an endpoint tells, and why a call does not do what was asked.

use core::fmt;

use crate::base::slab::Key;
use crate::shard::{CloseReason, Lingered};
use crate::stack::listener::ListenerId;

/// Names one connection of an [`Endpoint`](super::Endpoint), from the call that gave it until
/// [`close`](super::Endpoint::close) or [`abort`](super::Endpoint::abort). It never comes to mean another one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SocketId(pub(super) Key);

/// Something has changed. Each event is told once for a change, as edge-triggered epoll does; those of a kind that were
/// not fetched yet are one. A socket that was closed is not heard of again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A connection is open and waits for [`accept`](super::Endpoint::accept).
    Acceptable(ListenerId),
    /// [`connect`](super::Endpoint::connect) has succeeded: the socket can be read and written.
    Connected(SocketId),
    /// Octets have arrived.
    Readable(SocketId),
    /// A write took less than it was given, and there is room again.
    Writable(SocketId),
    /// The peer has ended its stream; what is unread can still be read (`EPOLLRDHUP`).
    EndOfStream(SocketId),
    /// A close with `SO_LINGER` is over; the socket is gone.
    Lingered {
        /// Which one.
        socket: SocketId,
        /// Whether the peer has acknowledged everything.
        how: Lingered,
    },
    /// The connection, or the attempt to open it, is gone; what was unread is lost. The socket still is to be closed.
    Closed {
        /// Which one.
        socket: SocketId,
        /// Why.
        reason: CloseReason,
    },
}

/// Why nothing was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadError {
    /// Nothing has arrived: [`Event::Readable`] says when (`EAGAIN`).
    WouldBlock,
    /// The peer has ended its stream and all of it was read, or reading was shut down: `recv` would return 0.
    EndOfStream,
    /// The connection is gone. Told once by whichever call comes first, as `SO_ERROR` is.
    Closed(CloseReason),
    /// No such socket (`EBADF`).
    NotOpen,
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WouldBlock => f.write_str("nothing to read yet"),
            Self::EndOfStream => f.write_str("the stream has ended"),
            Self::Closed(reason) => reason.fmt(f),
            Self::NotOpen => f.write_str("no such socket"),
        }
    }
}

impl core::error::Error for ReadError {}

/// Why nothing was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteError {
    /// The send buffer is full: [`Event::Writable`] says when it is not (`EAGAIN`).
    WouldBlock,
    /// Our stream has ended, or the connection is gone and that was told before (`EPIPE`).
    BrokenPipe,
    /// The connection is gone. Told once by whichever call comes first, as `SO_ERROR` is.
    Closed(CloseReason),
    /// No such socket (`EBADF`).
    NotOpen,
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WouldBlock => f.write_str("the send buffer is full"),
            Self::BrokenPipe => f.write_str("the sending side is closed"),
            Self::Closed(reason) => reason.fmt(f),
            Self::NotOpen => f.write_str("no such socket"),
        }
    }
}

impl core::error::Error for WriteError {}

/// Which direction is shut down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// What arrives is acknowledged and dropped; the peer is not told (`SHUT_RD`).
    Read,
    /// Our stream ends after what is queued (`SHUT_WR`).
    Write,
    /// Both (`SHUT_RDWR`).
    Both,
}
