//! An application that writes down what it is told, and does what the test has scripted.

use bywash_core::shard::{CloseReason, ConnectionId, Events, Origin};
use bywash_core::stack::Stack;

/// What the application was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A connection is open.
    Opened(ConnectionId, Origin),
    /// The stream has ended with these octets unread.
    End(ConnectionId, Vec<u8>),
    /// There is room to write.
    Writable(ConnectionId),
    /// The timer has come.
    Timer(ConnectionId),
    /// The connection is gone.
    Closed(ConnectionId, CloseReason),
}

type OnOpen = Box<dyn FnMut(&mut Stack, ConnectionId)>;
type OnReceive = Box<dyn FnMut(&mut Stack, ConnectionId, &[u8]) -> usize>;

/// The application.
pub struct Recorder {
    /// All but received octets, in order.
    pub events: Vec<Event>,
    /// Octets consumed, of all connections.
    pub bytes: Vec<u8>,
    /// How often octets were shown.
    pub shown: usize,
    /// What to do when a connection opens.
    pub on_open: OnOpen,
    /// What to do with octets: says how many are consumed.
    pub on_receive: OnReceive,
    /// What to do when there is room to write.
    pub on_writable: OnOpen,
    /// What to do when the peer's stream ends.
    pub on_end: OnOpen,
    /// What to do when a connection is gone.
    pub on_closed: OnOpen,
}

impl Default for Recorder {
    fn default() -> Self {
        Self {
            events: Vec::new(),
            bytes: Vec::new(),
            shown: 0,
            on_open: Box::new(|_, _| {}),
            on_receive: Box::new(|_, _, bytes| bytes.len()),
            on_writable: Box::new(|_, _| {}),
            on_end: Box::new(|_, _| {}),
            on_closed: Box::new(|_, _| {}),
        }
    }
}

impl Recorder {
    /// The connection that opened last.
    pub fn last(&self) -> ConnectionId {
        let opened = |event: &Event| match event {
            Event::Opened(id, _) => Some(*id),
            Event::End(..) | Event::Writable(_) | Event::Timer(_) | Event::Closed(..) => None,
        };
        self.events.iter().rev().find_map(opened).expect("a connection has opened")
    }

    /// Why the last connection to go is gone; none if none is.
    pub fn closed(&self) -> Option<CloseReason> {
        self.events.iter().rev().find_map(|event| match event {
            Event::Closed(_, reason) => Some(*reason),
            Event::Opened(..) | Event::End(..) | Event::Writable(_) | Event::Timer(_) => None,
        })
    }

    /// How many connections have opened.
    pub fn opened(&self) -> usize {
        self.events.iter().filter(|event| matches!(event, Event::Opened(..))).count()
    }

    /// How often a stream has ended.
    pub fn ends(&self) -> usize {
        self.events.iter().filter(|event| matches!(event, Event::End(..))).count()
    }
}

impl Events<Stack> for Recorder {
    fn opened(&mut self, host: &mut Stack, id: ConnectionId, origin: Origin) {
        self.events.push(Event::Opened(id, origin));
        (self.on_open)(host, id);
    }

    fn received(&mut self, host: &mut Stack, id: ConnectionId, bytes: &[u8]) -> usize {
        self.shown += 1;
        let consumed = (self.on_receive)(host, id, bytes);
        self.bytes.extend_from_slice(&bytes[..consumed]);
        consumed
    }

    fn end_of_stream(&mut self, host: &mut Stack, id: ConnectionId, unread: &[u8]) {
        self.events.push(Event::End(id, unread.to_vec()));
        (self.on_end)(host, id);
    }

    fn writable(&mut self, host: &mut Stack, id: ConnectionId) {
        self.events.push(Event::Writable(id));
        (self.on_writable)(host, id);
    }

    fn timer(&mut self, _host: &mut Stack, id: ConnectionId) {
        self.events.push(Event::Timer(id));
    }

    fn closed(&mut self, host: &mut Stack, id: ConnectionId, reason: CloseReason) {
        self.events.push(Event::Closed(id, reason));
        (self.on_closed)(host, id);
    }
}
