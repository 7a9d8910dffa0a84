//! Accepting and reading on demand: connections and octets wait in the stack until somebody asks.

use crate::shard::ConnectionId;
use crate::tcp::state::{Flag, ReceiveSide};

use super::Stack;
use super::listener::ListenerId;

/// What reading on demand finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unread {
    /// So many octets in order, at least one; the peer's FIN does not count.
    Octets(usize),
    /// Nothing now.
    Nothing,
    /// The peer's stream has ended and all of it was read, or reading was shut down.
    End,
    /// No such connection.
    Gone,
}

impl Stack {
    /// Connections that are open and wait at a listener; some may be gone again.
    pub fn accept_queue_len(&self, listener: ListenerId) -> usize {
        self.listener(listener).map_or(0, |listener| listener.queue.len())
    }

    /// Takes the connection that has waited longest at a listener. Its reading is paused, and nothing of it was told.
    pub fn take_accepted(&mut self, listener: ListenerId) -> Option<ConnectionId> {
        while let Some(id) = self.listener_mut(listener)?.queue.pop_front() {
            let Some(connection) = self.connections.get_mut(id) else { continue };
            if connection.flags.has(Flag::Doomed) {
                continue;
            }
            connection.flags.set(Flag::Known);
            connection.flags.set(Flag::Paused);
            self.pend(id.index);
            return Some(id);
        }
        None
    }

    /// Synchronized connections that there can be at one time.
    pub fn connections_max(&self) -> u32 {
        self.config.connections_max
    }

    /// What waits to be read.
    pub fn unread(&self, id: ConnectionId) -> Unread {
        let Some(connection) = self.connections.get(id) else { return Unread::Gone };
        match self.receive.buffered(connection.receive.as_ref()) {
            0 if connection.sides.receive() == ReceiveSide::Finished => Unread::End,
            0 if connection.flags.has(Flag::ReadShut) => Unread::End,
            0 => Unread::Nothing,
            octets => Unread::Octets(octets as usize),
        }
    }

    /// The octets that wait to be read, in one piece.
    pub fn peek(&self, id: ConnectionId) -> &[u8] {
        let connection = self.connections.get(id);
        connection.map_or(&[], |connection| self.receive.readable(connection.receive.as_ref()))
    }

    /// The first `len` octets that wait were read: the window may open.
    pub fn consume(&mut self, id: ConnectionId, len: usize) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        self.receive.consume(&mut connection.receive, len as u32);
        if self.receive.buffered(connection.receive.as_ref()) == 0 {
            connection.flags.take(Flag::Unshown);
        }
        self.pend(id.index);
    }

    /// The end of the peer's stream was read.
    pub fn consume_end(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        if connection.flags.take(Flag::EndUntold) {
            self.pend(id.index);
        }
    }

    /// Reads no more (`SHUT_RD`): what waits is dropped, and what comes from now on is acknowledged and dropped, as is
    /// the end of the peer's stream. The peer is not told.
    pub fn shutdown_read(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        connection.flags.set(Flag::ReadShut);
        connection.flags.set(Flag::Paused);
        connection.flags.take(Flag::EndUntold);
        let waiting = self.receive.buffered(connection.receive.as_ref());
        self.consume(id, waiting as usize);
    }
}
