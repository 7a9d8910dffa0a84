//! The whole stack behind calls like those of sockets, for whoever brings frames and the time: a simulator, a tunnel, a
//! test, another language.
//!
//! Frames go in by [`handle_frame`](Endpoint::handle_frame) and come out by [`poll_frame`](Endpoint::poll_frame), time
//! passes by [`advance`](Endpoint::advance), and [`poll_event`](Endpoint::poll_event) says what has changed. Nothing
//! blocks, and nothing happens between calls. Commands (a write, a close) take effect with the next call that brings the
//! time or fetches a frame or an event; what was written until then shares segments. The time of a command is the one that
//! was brought last: after a pause, [`advance`](Endpoint::advance) comes first, or its timeouts count from before the pause.
//!
//! ```
//! use bywash_core::base::time::{Duration, Instant};
//! use bywash_core::endpoint::{Endpoint, Event, Link, ReadError};
//! use bywash_core::stack::{ListenOptions, LocalAddress, Ownership, StackConfig};
//! use bywash_core::wire::Cidr;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let now = Instant::from_secs(1);
//! let host = |address: &str| {
//!     let address: core::net::IpAddr = address.parse().expect("an address");
//!     let cidr = Cidr::new(address.into(), 24).expect("a prefix length");
//!     let addresses = vec![LocalAddress { cidr, ownership: Ownership::Owned }];
//!     let config = StackConfig { addresses, connections_max: 16, ..StackConfig::default() };
//!     // Random and secret outside of examples.
//!     Endpoint::new(config, Link::ip(1500), [7; 32], now)
//! };
//! let (mut client, mut server) = (host("198.18.0.1")?, host("198.18.0.2")?);
//! let listener = server.listen(ListenOptions { port: 80, backlog: 16, ..ListenOptions::default() })?;
//! let calling = client.connect("198.18.0.2:80".parse()?, None)?;
//! assert_eq!(client.write(calling, b"hello")?, 5);
//!
//! // The wire: whatever one sends, the other gets.
//! for _ in 0..4 {
//!     while let Some(frame) = client.poll_frame() {
//!         server.handle_frame(now, frame);
//!     }
//!     while let Some(frame) = server.poll_frame() {
//!         client.handle_frame(now, frame);
//!     }
//! }
//! assert_eq!(client.poll_event(), Some(Event::Connected(calling)));
//! assert_eq!(server.poll_event(), Some(Event::Acceptable(listener)));
//! let called = server.accept(listener).expect("a connection waits");
//! let mut buffer = [0; 64];
//! assert_eq!(server.read(called, &mut buffer)?, 5);
//! assert_eq!(server.read(called, &mut buffer), Err(ReadError::WouldBlock));
//! // The ACK waits for company, and leaves alone when none comes.
//! assert!(server.poll_frame().is_none());
//! let due = server.deadline().expect("an ACK is owed");
//! assert!(due > now && due < now + Duration::from_millis(50));
//! server.advance(due);
//! assert!(server.poll_frame().is_some());
//! # Ok(())
//! # }
//! ```

mod event;
mod port;
mod sockets;

pub use crate::stack::listener::ListenerId;
pub use event::{Event, How, ReadError, SocketId, WriteError};
pub use port::Link;

use alloc::vec::Vec;
use core::net::SocketAddr;

use crate::base::time::{Duration, Instant};
use crate::port::Port;
use crate::shard::{CloseReason, ConnectError, ConnectionInfo, Host, Transport, WriteError as HostError};
use crate::stack::engine::BURST_MAX;
use crate::stack::pull::Unread;
use crate::stack::{Alone, Engine, ListenError, ListenOptions, Report, Stack, StackConfig, StackError};
use crate::tcp::info::TcpInfo;
use crate::tcp::socket_options::{Linger, OptionError, OptionName, SocketOption};

use self::port::MemoryPort;
use self::sockets::Sockets;

/// Turns in one call at most; what is left is done by the next one.
const TURNS_MAX: usize = 64;

/// A host on a link of its caller's making.
pub struct Endpoint {
    engine: Engine<MemoryPort, Alone>,
    sockets: Sockets,
    now: Instant,
    left: Left,
    /// For each listener how many connections waited when it was last looked at.
    waiting: Vec<(ListenerId, usize)>,
    /// The frame that was fetched last.
    lent: Vec<u8>,
}

/// Whether a turn is due before anything else happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    Nothing,
    Something,
}

impl Endpoint {
    /// A host with the addresses of `config`, on `link`. `seed` must be random and secret; `now` is where time begins.
    ///
    /// As many sockets can be open as `config.connections_max` says, those included whose connection is gone. Memory is
    /// reserved here and touched as it is used.
    ///
    /// # Errors
    /// [`StackError`].
    pub fn new(config: StackConfig, link: Link, seed: [u8; 32], now: Instant) -> Result<Self, StackError> {
        let sockets = Sockets::new(config.connections_max)?;
        let port = MemoryPort::new(link);
        let mut stack = Stack::new(config, port.capabilities(), seed, now)?;
        stack.pause_accepting();
        let engine = Engine::new(port, stack, Alone, Vec::new());
        let (waiting, lent) = (Vec::new(), Vec::new());
        Ok(Self { engine, sockets, now, left: Left::Nothing, waiting, lent })
    }

    /// A frame arrives: from its link-layer header on, or an IP packet on a layer-3 link. One that is malformed or for
    /// somebody else is dropped and counted. Time never goes back: an earlier `now` than before counts as that.
    pub fn handle_frame(&mut self, now: Instant, frame: &[u8]) {
        self.handle_frames(now, [frame]);
    }

    /// Several frames arrive at once: cheaper, and what they call for shares segments.
    pub fn handle_frames<'a>(&mut self, now: Instant, frames: impl IntoIterator<Item = &'a [u8]>) {
        let mut count = 0;
        for frame in frames {
            self.engine.port_mut().push(frame);
            count += 1;
            if count % BURST_MAX == 0 {
                self.turn(now);
            }
        }
        if count % BURST_MAX != 0 {
            self.turn(now);
        }
    }

    /// Time passes, by any step; timers that are due fire.
    pub fn advance(&mut self, now: Instant) {
        self.turn(now);
    }

    /// When [`advance`](Self::advance) has work next; `None`: only a frame or a command makes some.
    pub fn deadline(&self) -> Option<Instant> {
        match self.left {
            Left::Something => Some(self.now),
            Left::Nothing => self.engine.deadline(),
        }
    }

    /// The next frame to be sent, lent until the next call.
    pub fn poll_frame(&mut self) -> Option<&[u8]> {
        if !self.engine.port().has_sent() {
            self.catch_up();
        }
        if self.engine.port_mut().fetch(&mut self.lent) { Some(&self.lent) } else { None }
    }

    /// The next thing that has changed.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.catch_up();
        self.sockets.next_event()
    }

    /// Listens. Handshakes complete without [`accept`](Self::accept), up to the backlog.
    ///
    /// # Errors
    /// [`ListenError`].
    pub fn listen(&mut self, options: ListenOptions) -> Result<ListenerId, ListenError> {
        let listener = self.engine.stack_mut().listen(options)?;
        self.waiting.push((listener, 0));
        Ok(listener)
    }

    /// Closes one listener: its half-open connections and those that nobody has accepted are reset.
    pub fn close_listener(&mut self, listener: ListenerId) {
        self.engine.stack_mut().close_listener(listener);
        self.waiting.retain(|known| known.0 != listener);
        self.left = Left::Something;
    }

    /// Stops listening everywhere: half-open connections and those that nobody has accepted are reset.
    pub fn stop_listening(&mut self) {
        self.engine.stop_listening();
        self.waiting.clear();
        self.left = Left::Something;
    }

    /// The connection that has waited longest. `None`: none does, or every socket is in use.
    pub fn accept(&mut self, listener: ListenerId) -> Option<SocketId> {
        if self.sockets.is_full() {
            return None;
        }
        let stack = self.engine.stack_mut();
        let connection = stack.take_accepted(listener);
        if let Some((_, waiting)) = self.waiting.iter_mut().find(|known| known.0 == listener) {
            *waiting = stack.accept_queue_len(listener);
        }
        let connection = connection?;
        let has_octets = matches!(stack.unread(connection), Unread::Octets(_));
        self.left = Left::Something;
        let socket = self.sockets.open(connection)?;
        if has_octets {
            self.sockets.tell_readable(socket);
        }
        Some(socket)
    }

    /// Begins to connect; [`Event::Connected`] or [`Event::Closed`] says how it went. Octets may be written at once.
    /// `timeout` ends the attempt earlier than `tcp_syn_retries` would.
    ///
    /// # Errors
    /// [`ConnectError`], and nothing was begun.
    pub fn connect(
        &mut self,
        remote: SocketAddr,
        timeout: Option<Duration>,
    ) -> Result<SocketId, ConnectError> {
        let stack = self.engine.stack_mut();
        let full = ConnectError::TooManyConnections { connections_max: stack.connections_max() };
        if self.sockets.is_full() {
            return Err(full);
        }
        let connection = stack.connect(remote, timeout)?;
        stack.pause_reading(connection);
        self.left = Left::Something;
        self.sockets.open(connection).ok_or(full)
    }

    /// Reads what has arrived, up to the length of `into`, and says how much that was. The peer's window opens with it.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn read(&mut self, socket: SocketId, into: &mut [u8]) -> Result<usize, ReadError> {
        let waiting = self.peek(socket)?;
        let len = waiting.len().min(into.len());
        into[..len].copy_from_slice(&waiting[..len]);
        if let Some(connection) = self.connection(socket) {
            self.engine.stack_mut().consume(connection, len);
            self.left = Left::Something;
        }
        Ok(len)
    }

    /// What has arrived and was not read, in one piece of at least one octet; it stays unread (`MSG_PEEK`).
    ///
    /// # Errors
    /// As [`read`](Self::read), and like there the reason of the end is told once.
    pub fn peek(&mut self, socket: SocketId) -> Result<&[u8], ReadError> {
        let record = self.sockets.get_mut(socket).ok_or(ReadError::NotOpen)?;
        let Some(connection) = record.connection else {
            return Err(record.error.take().map_or(ReadError::EndOfStream, ReadError::Closed));
        };
        let stack = self.engine.stack_mut();
        match stack.unread(connection) {
            Unread::Octets(_) => Ok(self.engine.stack().peek(connection)),
            Unread::Nothing => Err(ReadError::WouldBlock),
            Unread::End => {
                stack.consume_end(connection);
                self.left = Left::Something;
                Err(ReadError::EndOfStream)
            }
            Unread::Gone => Err(ReadError::EndOfStream),
        }
    }

    /// Octets that can be read now; the end of the stream does not count (`SIOCINQ`).
    pub fn unread(&self, socket: SocketId) -> usize {
        let connection = self.connection(socket);
        connection.map_or(0, |connection| self.engine.stack().peek(connection).len())
    }

    /// Queues as many of `bytes` as there is room for, and says how many. After fewer than given, [`Event::Writable`]
    /// tells when to go on.
    ///
    /// # Errors
    /// [`WriteError`]; nothing was queued.
    pub fn write(&mut self, socket: SocketId, bytes: &[u8]) -> Result<usize, WriteError> {
        let record = self.sockets.get_mut(socket).ok_or(WriteError::NotOpen)?;
        let Some(connection) = record.connection else {
            return Err(record.error.take().map_or(WriteError::BrokenPipe, WriteError::Closed));
        };
        self.left = Left::Something;
        match self.engine.stack_mut().write(connection, bytes) {
            Ok(0) if !bytes.is_empty() => Err(WriteError::WouldBlock),
            Ok(written) => Ok(written),
            Err(HostError::NotOpen | HostError::NoSpace { .. }) => Err(WriteError::BrokenPipe),
        }
    }

    /// Octets that [`write`](Self::write) would take now, if the send pool has room for them.
    pub fn send_space(&self, socket: SocketId) -> usize {
        self.connection(socket).map_or(0, |connection| self.engine.stack().send_space(connection))
    }

    /// Shuts one direction down, or both; what is queued is still sent.
    pub fn shutdown(&mut self, socket: SocketId, how: How) {
        let Some(connection) = self.connection(socket) else { return };
        let stack = self.engine.stack_mut();
        if how != How::Write {
            stack.shutdown_read(connection);
        }
        if how != How::Read {
            stack.shutdown(connection);
        }
        self.left = Left::Something;
    }

    /// Closes the socket: its name means nothing from now on. What is queued is still sent, then FIN; with octets unread,
    /// or with `SO_LINGER` of 0, it is RST (RFC 1122 section 4.2.2.13).
    ///
    /// With `SO_LINGER` of more seconds the name goes on until [`Event::Lingered`] or [`Event::Closed`], where a blocking
    /// close would return.
    pub fn close(&mut self, socket: SocketId) {
        let linger = self.option(socket, OptionName::SoLinger);
        if let Some(connection) = self.connection(socket) {
            self.engine.stack_mut().close(connection);
            self.left = Left::Something;
        }
        match linger {
            Ok(SocketOption::SoLinger(Linger::Seconds(seconds))) if seconds > 0 => {
                self.sockets.linger(socket);
            }
            Ok(_) | Err(_) => self.sockets.release(socket),
        }
    }

    /// Closes the socket, drops what is queued and sends RST.
    pub fn abort(&mut self, socket: SocketId) {
        if let Some(connection) = self.connection(socket) {
            self.engine.stack_mut().abort(connection);
            self.left = Left::Something;
        }
        self.sockets.release(socket);
    }

    /// Sets an option of a connection. What concerns its opening, such as `TCP_MAXSEG`, `SO_RCVBUF` and `TCP_SYNCNT`, is in
    /// the SYN if it is set right after [`connect`](Self::connect).
    ///
    /// # Errors
    /// [`OptionError`]; nothing has changed.
    pub fn set_option(&mut self, socket: SocketId, option: SocketOption) -> Result<(), OptionError> {
        let connection = self.connection(socket).ok_or(OptionError::NotOpen)?;
        self.left = Left::Something;
        self.engine.stack_mut().set_option(connection, option)
    }

    /// The value of an option of a connection.
    ///
    /// # Errors
    /// [`OptionError::NotOpen`].
    pub fn option(&self, socket: SocketId, name: OptionName) -> Result<SocketOption, OptionError> {
        let connection = self.connection(socket).ok_or(OptionError::NotOpen)?;
        self.engine.stack().option(connection, name)
    }

    /// Sets an option of a listener: connections whose handshake ends from now on inherit it (what a SYN says, `TCP_MAXSEG`,
    /// those whose SYN arrives from now on).
    ///
    /// # Errors
    /// [`OptionError`]; nothing has changed.
    pub fn set_listener_option(
        &mut self,
        listener: ListenerId,
        option: SocketOption,
    ) -> Result<(), OptionError> {
        self.engine.stack_mut().set_listener_option(listener, option)
    }

    /// The value of an option of a listener.
    ///
    /// # Errors
    /// [`OptionError::NotOpen`].
    pub fn listener_option(
        &self,
        listener: ListenerId,
        name: OptionName,
    ) -> Result<SocketOption, OptionError> {
        self.engine.stack().listener_option(listener, name)
    }

    /// Why the connection is gone, if that was not told by a read or write yet; told once (`SO_ERROR`).
    pub fn take_error(&mut self, socket: SocketId) -> Option<CloseReason> {
        self.sockets.get_mut(socket)?.error.take()
    }

    /// Who is at the two ends; `None` when the connection is gone.
    pub fn info(&self, socket: SocketId) -> Option<ConnectionInfo> {
        self.engine.stack().info(self.connection(socket)?)
    }

    /// What is known of a connection now (`TCP_INFO`); `None` when it is gone.
    pub fn tcp_info(&self, socket: SocketId) -> Option<TcpInfo> {
        self.engine.stack().tcp_info(self.connection(socket)?)
    }

    /// What is in use and what happened.
    pub fn report(&self) -> Report {
        self.engine.report()
    }

    fn connection(&self, socket: SocketId) -> Option<crate::shard::ConnectionId> {
        self.sockets.get(socket)?.connection
    }

    /// What commands have begun is done at the time last told.
    fn catch_up(&mut self) {
        match self.left {
            Left::Something => self.turn(self.now),
            Left::Nothing => {}
        }
    }

    fn turn(&mut self, now: Instant) {
        self.now = self.now.max(now);
        self.left = Left::Something;
        for _ in 0..TURNS_MAX {
            let turn = self.engine.turn(self.now, &mut self.sockets);
            if !turn.again {
                self.left = Left::Nothing;
                break;
            }
        }
        for (listener, waiting) in &mut self.waiting {
            let length = self.engine.stack().accept_queue_len(*listener);
            if length > *waiting {
                self.sockets.tell_acceptable(*listener);
            }
            *waiting = length;
        }
    }
}
