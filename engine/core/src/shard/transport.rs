//! The seam between what carries bytes and what handles them.

use super::host::{CloseReason, ConnectionId, Host};
use crate::base::time::Instant;

/// How a connection came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A peer connected to a listener.
    Accepted,
    /// [`Host::connect`] succeeded.
    Connected,
}

/// What waits for a paused reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// Octets.
    Octets,
    /// The end of the peer's stream, perhaps behind octets.
    End,
}

/// How a close with `SO_LINGER` has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lingered {
    /// The peer has acknowledged everything, our FIN included.
    Acknowledged,
    /// The time was over before that; sending goes on in the background.
    TimedOut,
}

/// What a transport tells while it takes a turn.
///
/// The host is handed along, so that the answer can be written at once.
pub trait Events<H: Host> {
    /// Something is about to be told of this connection: a chance to fetch what is kept for it.
    fn prefetch(&self, _id: ConnectionId) {}

    /// A connection is open.
    fn opened(&mut self, host: &mut H, id: ConnectionId, origin: Origin);

    /// `bytes`, at least one, are all bytes in order that were not consumed yet; reading is open
    /// ([`Host::reading`]). Returns how many were consumed; the
    /// transport keeps the rest and shows it again together with what follows.
    fn received(&mut self, host: &mut H, id: ConnectionId, bytes: &[u8]) -> usize;

    /// The peer ended its stream; `unread` bytes before that were not consumed and never will be.
    fn end_of_stream(&mut self, host: &mut H, id: ConnectionId, unread: &[u8]);

    /// Something has arrived while reading is paused, and waits: octets are told once for each arrival, the end of the
    /// stream again and again until reading goes on.
    fn unread(&mut self, _host: &mut H, _id: ConnectionId, _waiting: Waiting) {}

    /// A close that lingers has ended ([`SO_LINGER`](crate::tcp::socket_options::SocketOption::SoLinger)).
    fn lingered(&mut self, _host: &mut H, _id: ConnectionId, _how: Lingered) {}

    /// The send buffer was full and has room again.
    fn writable(&mut self, host: &mut H, id: ConnectionId);

    /// The time of [`Host::set_timer`] has come.
    fn timer(&mut self, host: &mut H, id: ConnectionId);

    /// The connection, or the attempt to open it, is gone; its key means nothing from now on.
    fn closed(&mut self, host: &mut H, id: ConnectionId, reason: CloseReason);
}

/// What a turn did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Turn {
    /// Frames or readiness events taken in, and timers fired. 0: an idle turn.
    pub work: u32,
    /// Work is left that could not be done within the turn's budget: take the next turn at once.
    pub again: bool,
}

/// Carries the connections of one shard.
pub trait Transport {
    /// What the application may do with the connections.
    type Host: Host;

    /// Takes in what arrived, tells `events`, and sends what is to be sent.
    fn turn<E: Events<Self::Host>>(&mut self, now: Instant, events: &mut E) -> Turn;

    /// When a timer is due next; `None`: only something received makes work. For whoever wants to sleep: a turn that had
    /// work is better followed by the next one.
    fn deadline(&self) -> Option<Instant>;

    /// The connections, between turns.
    fn host(&mut self) -> &mut Self::Host;

    /// Stops listening: new connections are refused from now on.
    fn stop_listening(&mut self);

    /// Appends the keys of all connections that are not closing yet to `into`.
    fn open_connections(&self, into: &mut alloc::vec::Vec<ConnectionId>);

    /// How many connections are left to wait for in a drain; `TIME_WAIT` does not count.
    fn draining(&self) -> usize;
}
