//! What is kept for one connection.

use std::net::SocketAddr;
use std::time::Duration;

use ::mio::net::TcpStream;
use bywash_core::base::time::Instant;
use bywash_core::shard::{CloseReason, Reading};

use socket2::SockRef;

use super::buffer::Buffer;

/// One connection. Its place in the slab outlives it, its socket does not.
pub(super) struct Connection {
    /// `None` once the connection is gone and its descriptor closed.
    pub(super) stream: Option<TcpStream>,
    pub(super) remote: SocketAddr,
    pub(super) phase: Phase,
    pub(super) receive: Receive,
    pub(super) send: Send,
    /// Whether the application wants to be shown what arrives.
    pub(super) attention: Attention,
    /// Whether a read could bring something.
    pub(super) readiness: Readiness,
    /// Whether the kernel takes more bytes.
    pub(super) outlet: Outlet,
    pub(super) fullness: Fullness,
    /// Received and not consumed.
    pub(super) unread: Buffer,
    /// Why `unread` is not empty.
    pub(super) unread_cause: UnreadCause,
    /// Queued and not yet taken by the kernel.
    pub(super) output: Buffer,
    /// When the application wants to be called.
    pub(super) timer: Option<Instant>,
    /// Whether the key is on the list of connections to be read.
    pub(super) on_ready: Listed,
    /// Whether the key is on the list of connections to be flushed.
    pub(super) on_dirty: Listed,
}

/// Where a connection is between its beginning and its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Connecting {
        /// When to give up, if before the kernel does.
        deadline: Option<Instant>,
    },
    Open,
    /// To be reported and removed at the end of the turn.
    Gone(CloseReason),
}

/// The peer's stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Receive {
    Open,
    /// The peer ended it, which is not told yet: bytes before that wait to be shown.
    Ending,
    /// The application was told of the end.
    Ended,
    /// The application closed the connection: what arrives is dropped.
    Dropped,
}

/// Our stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Send {
    Open,
    /// FIN follows what is queued.
    Ending,
    Ended,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attention {
    Reading,
    Paused,
}

/// What the edges told so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Readiness {
    /// The last read emptied the socket; the next edge tells of more.
    Drained,
    /// There may be bytes.
    Readable,
    /// There may be bytes, and behind them the end: a short read is not the last one.
    EndSeen,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outlet {
    /// The kernel took all so far; writable edges are not asked for.
    Free,
    /// It was full once: writable edges are asked for, and it is not full now.
    Watched,
    /// It is full.
    Blocked,
}

/// Whether the application was told, or could see, that its send buffer is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fullness {
    Room,
    Full,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UnreadCause {
    /// They are part of a message: shown again when more has arrived.
    Incomplete,
    /// Reading was paused: shown again as soon as it goes on.
    Paused,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Listed {
    No,
    Yes,
}

impl Connection {
    pub(super) fn new(stream: TcpStream, remote: SocketAddr, phase: Phase, outlet: Outlet) -> Self {
        Self {
            stream: Some(stream),
            remote,
            phase,
            receive: Receive::Open,
            send: Send::Open,
            attention: Attention::Reading,
            readiness: Readiness::Drained,
            outlet,
            fullness: Fullness::Room,
            unread: Buffer::default(),
            unread_cause: UnreadCause::Incomplete,
            output: Buffer::default(),
            timer: None,
            on_ready: Listed::No,
            on_dirty: Listed::No,
        }
    }

    #[inline]
    pub(super) fn reading(&self) -> Reading {
        match (self.phase, self.receive) {
            (Phase::Gone(_), _) | (_, Receive::Dropped) => Reading::Closed,
            (Phase::Connecting { .. } | Phase::Open, Receive::Open | Receive::Ending | Receive::Ended) => {
                match (self.attention, self.fullness) {
                    (Attention::Reading, Fullness::Room) => Reading::Open,
                    (Attention::Paused, _) | (_, Fullness::Full) => Reading::Paused,
                }
            }
        }
    }

    /// Whether bytes may be queued.
    #[inline]
    pub(super) fn may_send(&self) -> bool {
        self.phase == Phase::Open && self.send == Send::Open
    }

    /// Lets the kernel send RST instead of FIN when the descriptor is closed.
    pub(super) fn reset_on_close(&self) {
        if let Some(stream) = &self.stream {
            // This cannot fail on a socket; if it did, the peer would see FIN.
            let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
        }
    }

    /// The earliest time at which the connection wants to be looked at.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let connect = match self.phase {
            Phase::Connecting { deadline } => deadline,
            Phase::Open | Phase::Gone(_) => None,
        };
        match (connect, self.timer) {
            (Some(connect), Some(timer)) => Some(connect.min(timer)),
            (connect, timer) => connect.or(timer),
        }
    }
}
