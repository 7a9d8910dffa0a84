//! A transport in memory: a test says what arrives and looks at what was sent.

use core::net::{Ipv4Addr, SocketAddr};
use std::collections::VecDeque;
use std::vec::Vec;

use crate::base::slab::Key;
use crate::base::time::{Duration, Instant};
use crate::shard::*;
use crate::tcp::socket_options::{OptionError, OptionName, SocketOption};

/// What the next turn brings.
pub(super) enum Input {
    Open(ConnectionId),
    Bytes(ConnectionId, &'static [u8]),
    End(ConnectionId),
    Writable(ConnectionId),
    Timer(ConnectionId),
    Close(ConnectionId, CloseReason),
}

pub(super) struct Connection {
    pub(super) id: ConnectionId,
    pub(super) unread: Vec<u8>,
    pub(super) sent: Vec<u8>,
    pub(super) reading: Reading,
    pub(super) timer: Option<Instant>,
}

/// Every connection that there ever was, found by its whole key.
#[derive(Default)]
pub(super) struct FakeHost {
    pub(super) now: Instant,
    pub(super) connections: Vec<Connection>,
    reserved: Vec<u8>,
}

impl FakeHost {
    pub(super) fn get(&mut self, id: ConnectionId) -> &mut Connection {
        self.connections.iter_mut().find(|connection| connection.id == id).expect("a connection of the test")
    }
}

impl Host for FakeHost {
    fn now(&self) -> Instant {
        self.now
    }

    fn reserve(&mut self, _: ConnectionId, len: usize) -> Result<&mut [u8], WriteError> {
        self.reserved.resize(len, 0);
        Ok(&mut self.reserved)
    }

    fn commit(&mut self, id: ConnectionId, len: usize) {
        let bytes = self.reserved[..len].to_vec();
        self.get(id).sent.extend_from_slice(&bytes);
    }

    fn write(&mut self, id: ConnectionId, bytes: &[u8]) -> Result<usize, WriteError> {
        self.get(id).sent.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn send_space(&self, _: ConnectionId) -> usize {
        usize::MAX
    }

    fn shutdown(&mut self, id: ConnectionId) {
        self.get(id).sent.extend_from_slice(b"<FIN>");
    }

    fn close(&mut self, id: ConnectionId) {
        self.shutdown(id);
        self.get(id).reading = Reading::Closed;
    }

    fn abort(&mut self, id: ConnectionId) {
        self.get(id).sent.extend_from_slice(b"<RST>");
        self.get(id).reading = Reading::Closed;
    }

    fn pause_reading(&mut self, id: ConnectionId) {
        self.get(id).reading = Reading::Paused;
    }

    fn resume_reading(&mut self, id: ConnectionId) {
        self.get(id).reading = Reading::Open;
    }

    fn reading(&self, id: ConnectionId) -> Reading {
        let found = self.connections.iter().find(|connection| connection.id == id);
        found.map_or(Reading::Closed, |connection| connection.reading)
    }

    fn piece_max(&self) -> usize {
        usize::MAX
    }

    fn pause_accepting(&mut self) {}

    fn resume_accepting(&mut self) {}

    fn set_timer(&mut self, id: ConnectionId, at: Option<Instant>) {
        self.get(id).timer = at;
    }

    fn info(&self, _: ConnectionId) -> Option<ConnectionInfo> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        Some(ConnectionInfo { local: address, remote: address })
    }

    fn set_option(&mut self, _: ConnectionId, option: SocketOption) -> Result<(), OptionError> {
        Err(OptionError::Unsupported { option: option.name() })
    }

    fn option(&self, _: ConnectionId, option: OptionName) -> Result<SocketOption, OptionError> {
        Err(OptionError::Unsupported { option })
    }

    fn connect(&mut self, _: SocketAddr, _: Option<Duration>) -> Result<ConnectionId, ConnectError> {
        Err(ConnectError::Unsupported)
    }
}

#[derive(Default)]
pub(super) struct FakeTransport {
    pub(super) host: FakeHost,
    pub(super) inputs: VecDeque<Input>,
    pub(super) listening_stopped: u32,
}

impl Transport for FakeTransport {
    type Host = FakeHost;

    fn turn<E: Events<FakeHost>>(&mut self, now: Instant, events: &mut E) -> Turn {
        self.host.now = now;
        let work = self.inputs.len() as u32;
        while let Some(input) = self.inputs.pop_front() {
            let host = &mut self.host;
            match input {
                Input::Open(id) => {
                    let (unread, sent) = (Vec::new(), Vec::new());
                    host.connections.push(Connection {
                        id,
                        unread,
                        sent,
                        reading: Reading::Open,
                        timer: None,
                    });
                    events.opened(host, id, Origin::Accepted);
                }
                Input::Bytes(id, bytes) => {
                    let mut unread = core::mem::take(&mut host.get(id).unread);
                    unread.extend_from_slice(bytes);
                    let consumed = match host.reading(id) {
                        Reading::Open => events.received(host, id, &unread),
                        Reading::Paused => 0,
                        Reading::Closed => unread.len(),
                    };
                    unread.drain(..consumed);
                    host.get(id).unread = unread;
                }
                Input::End(id) => {
                    let unread = core::mem::take(&mut host.get(id).unread);
                    events.end_of_stream(host, id, &unread);
                }
                Input::Writable(id) => events.writable(host, id),
                Input::Timer(id) => events.timer(host, id),
                Input::Close(id, reason) => events.closed(host, id, reason),
            }
        }
        Turn { work, again: false }
    }

    fn deadline(&self) -> Option<Instant> {
        None
    }

    fn host(&mut self) -> &mut FakeHost {
        &mut self.host
    }

    fn stop_listening(&mut self) {
        self.listening_stopped += 1;
    }

    fn open_connections(&self, into: &mut Vec<ConnectionId>) {
        let open = self.host.connections.iter().filter(|connection| connection.reading != Reading::Closed);
        into.extend(open.map(|connection| connection.id));
    }

    fn draining(&self) -> usize {
        0
    }
}

pub(super) const fn key(index: u32, generation: u32) -> Key {
    Key { index, generation }
}
