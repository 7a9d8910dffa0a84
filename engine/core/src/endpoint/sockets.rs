//! The sockets of an endpoint: what each still has to be told, and the queue of events.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use crate::base::OutOfMemory;
use crate::base::slab::PlainSlab;
use crate::shard::{CloseReason, ConnectionId, Events, Host, Lingered, Origin, Waiting};
use crate::stack::Stack;
use crate::stack::listener::{LISTENERS_MAX, ListenerId};

use super::event::{Event, SocketId};

/// Events of one socket that can wait at one time: one of each kind.
const KINDS: usize = 6;

/// One connection as its user sees it; it outlives the stack's.
pub(super) struct Socket {
    pub(super) connection: Option<ConnectionId>,
    /// What the next call is to be told (`SO_ERROR`).
    pub(super) error: Option<CloseReason>,
    readable: Queued,
    writable: Queued,
    end: Queued,
    holder: Holder,
}

/// Who has a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holder {
    User,
    /// Its user has closed it and waits for the end of `SO_LINGER`.
    Lingering,
}

/// Whether an event waits in the queue, or need not be put there again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Queued {
    No,
    Yes,
}

/// All sockets and all events.
pub(super) struct Sockets {
    slots: PlainSlab<Socket>,
    /// By the index of the stack's connection.
    by_connection: Vec<Option<SocketId>>,
    events: VecDeque<Event>,
    /// For each listener, whether its event waits.
    acceptable: [Queued; LISTENERS_MAX],
}

impl Sockets {
    pub(super) fn new(sockets_max: u32) -> Result<Self, OutOfMemory> {
        let count = sockets_max as usize;
        Ok(Self {
            slots: PlainSlab::new(sockets_max)?,
            by_connection: Vec::with_capacity(count),
            events: VecDeque::with_capacity(count * KINDS + LISTENERS_MAX),
            acceptable: [Queued::No; LISTENERS_MAX],
        })
    }

    /// Whether every socket is in use.
    pub(super) fn is_full(&self) -> bool {
        self.slots.next_key().is_none()
    }

    /// A socket for a connection of the stack; `None` when every one is in use.
    pub(super) fn open(&mut self, connection: ConnectionId) -> Option<SocketId> {
        let socket = Socket {
            connection: Some(connection),
            error: None,
            readable: Queued::No,
            writable: Queued::No,
            end: Queued::No,
            holder: Holder::User,
        };
        let id = SocketId(self.slots.insert(socket).ok()?);
        let index = connection.index as usize;
        if self.by_connection.len() <= index {
            self.by_connection.resize(index + 1, None);
        }
        self.by_connection[index] = Some(id);
        Some(id)
    }

    pub(super) fn get(&self, id: SocketId) -> Option<&Socket> {
        self.slots.get(id.0)
    }

    pub(super) fn get_mut(&mut self, id: SocketId) -> Option<&mut Socket> {
        self.slots.get_mut(id.0)
    }

    /// Forgets a socket. Its connection, if there still is one, belongs to nobody.
    pub(super) fn release(&mut self, id: SocketId) {
        if let Some(Socket { connection: Some(connection), .. }) = self.slots.remove(id.0) {
            self.by_connection[connection.index as usize] = None;
        }
    }

    /// Its user has closed a socket, and is told when that is over.
    pub(super) fn linger(&mut self, id: SocketId) {
        if let Some(socket) = self.slots.get_mut(id.0) {
            socket.holder = Holder::Lingering;
        }
    }

    /// The next event of a socket that is still open, or of a listener.
    pub(super) fn next_event(&mut self) -> Option<Event> {
        loop {
            let event = self.events.pop_front()?;
            match event {
                Event::Acceptable(listener) => self.acceptable[listener.index()] = Queued::No,
                Event::Readable(id) => {
                    let Some(socket) = self.get_mut(id) else { continue };
                    socket.readable = Queued::No;
                }
                Event::Writable(id) => {
                    let Some(socket) = self.get_mut(id) else { continue };
                    socket.writable = Queued::No;
                }
                Event::Connected(socket) | Event::EndOfStream(socket) => {
                    if self.get(socket).is_none_or(|socket| socket.holder == Holder::Lingering) {
                        continue;
                    }
                }
                Event::Lingered { socket, .. } | Event::Closed { socket, .. } => {
                    let Some(Socket { holder, .. }) = self.get(socket) else { continue };
                    match holder {
                        Holder::User => {}
                        Holder::Lingering => self.release(socket),
                    }
                }
            }
            return Some(event);
        }
    }

    /// A connection waits at a listener.
    pub(super) fn tell_acceptable(&mut self, listener: ListenerId) {
        let queued = &mut self.acceptable[listener.index()];
        if *queued == Queued::No {
            *queued = Queued::Yes;
            self.events.push_back(Event::Acceptable(listener));
        }
    }

    /// Octets have arrived for a socket.
    pub(super) fn tell_readable(&mut self, id: SocketId) {
        if let Some(socket) = self.slots.get_mut(id.0)
            && socket.readable == Queued::No
        {
            socket.readable = Queued::Yes;
            self.events.push_back(Event::Readable(id));
        }
    }

    fn tell_writable(&mut self, id: SocketId) {
        if let Some(socket) = self.slots.get_mut(id.0)
            && socket.writable == Queued::No
        {
            socket.writable = Queued::Yes;
            self.events.push_back(Event::Writable(id));
        }
    }

    fn tell_end(&mut self, id: SocketId) {
        if let Some(socket) = self.slots.get_mut(id.0)
            && socket.end == Queued::No
        {
            socket.end = Queued::Yes;
            self.events.push_back(Event::EndOfStream(id));
        }
    }

    fn find(&self, connection: ConnectionId) -> Option<SocketId> {
        let id = (*self.by_connection.get(connection.index as usize)?)?;
        (self.get(id)?.connection == Some(connection)).then_some(id)
    }
}

impl Events<Stack> for Sockets {
    fn opened(&mut self, _host: &mut Stack, id: ConnectionId, origin: Origin) {
        match (origin, self.find(id)) {
            (Origin::Connected, Some(socket)) => self.events.push_back(Event::Connected(socket)),
            // Accepting is paused: nobody else opens.
            (Origin::Connected | Origin::Accepted, _) => {}
        }
    }

    fn received(&mut self, host: &mut Stack, id: ConnectionId, _bytes: &[u8]) -> usize {
        // Reading is paused before the first octet can come; what is not consumed waits.
        host.pause_reading(id);
        0
    }

    fn unread(&mut self, _host: &mut Stack, id: ConnectionId, waiting: Waiting) {
        let Some(socket) = self.find(id) else { return };
        match waiting {
            Waiting::Octets => self.tell_readable(socket),
            Waiting::End => self.tell_end(socket),
        }
    }

    fn end_of_stream(&mut self, _host: &mut Stack, id: ConnectionId, _unread: &[u8]) {
        if let Some(socket) = self.find(id) {
            self.tell_end(socket);
        }
    }

    fn writable(&mut self, _host: &mut Stack, id: ConnectionId) {
        if let Some(socket) = self.find(id) {
            self.tell_writable(socket);
        }
    }

    fn lingered(&mut self, _host: &mut Stack, id: ConnectionId, how: Lingered) {
        if let Some(socket) = self.find(id) {
            self.events.push_back(Event::Lingered { socket, how });
        }
    }

    fn timer(&mut self, _host: &mut Stack, _id: ConnectionId) {}

    fn closed(&mut self, _host: &mut Stack, id: ConnectionId, reason: CloseReason) {
        let Some(socket) = self.find(id) else { return };
        self.by_connection[id.index as usize] = None;
        if let Some(slot) = self.get_mut(socket) {
            slot.connection = None;
            slot.error = (reason != CloseReason::Finished).then_some(reason);
        }
        self.events.push_back(Event::Closed { socket, reason });
    }
}
