//! smoltcp at both ends.

use smoltcp::socket::tcp::{Socket, State};

use super::{Client, Implementation, REQUEST_LEN};
use crate::ends::smoltcp::Host;
use crate::ends::{End, Smoltcp};
use crate::memory::Wires;

/// Of each direction of each socket, in bytes: room for a batch.
const BUFFER_LEN: usize = 4096;

impl Implementation for Smoltcp {
    type Server = EchoServer;
    type Client = Requester;

    fn server(connections: u32) -> EchoServer {
        EchoServer { host: Host::server(connections, BUFFER_LEN), message: vec![0; BUFFER_LEN] }
    }

    fn client(connections: u32) -> Requester {
        Requester { host: Host::client(connections, BUFFER_LEN), begun: 0, replied: 0 }
    }
}

/// Sends everything back.
pub struct EchoServer {
    host: Host,
    message: Vec<u8>,
}

impl End for EchoServer {
    fn turn(&mut self, now_ns: u64) {
        let Self { host, message } = self;
        host.turn(now_ns, |socket| {
            while socket.can_recv() {
                let len = socket.recv_slice(message).expect("there is something to receive");
                let sent = socket.send_slice(&message[..len]);
                assert_eq!(sent, Ok(len), "a batch fits the send buffer");
            }
        });
    }

    fn wires(&mut self) -> &mut Wires {
        &mut self.host.wires
    }
}

/// Counts the replies to what it is told to ask.
pub struct Requester {
    host: Host,
    /// Connections that were begun.
    begun: usize,
    replied: u64,
}

impl End for Requester {
    fn turn(&mut self, now_ns: u64) {
        let Self { host, replied, .. } = self;
        host.turn(now_ns, |socket| {
            while socket.can_recv() {
                let taken = socket.recv(|bytes| (bytes.len(), bytes.len()));
                *replied += taken.expect("there is something to receive") as u64;
            }
        });
    }

    fn wires(&mut self) -> &mut Wires {
        &mut self.host.wires
    }
}

impl Client for Requester {
    fn connect(&mut self) {
        self.host.connect(self.begun);
        self.begun += 1;
    }

    fn opened(&mut self) -> usize {
        let Host { sockets, handles, .. } = &self.host;
        let state = |handle: &_| sockets.get::<Socket<'_>>(*handle).state();
        handles[..self.begun].iter().filter(|handle| state(handle) == State::Established).count()
    }

    fn request(&mut self, connection: usize) {
        let handle = self.host.handles[connection];
        let sent = self.host.sockets.get_mut::<Socket<'_>>(handle).send_slice(&[b'q'; REQUEST_LEN]);
        assert_eq!(sent, Ok(REQUEST_LEN), "a request fits the send buffer");
    }

    fn replied(&self) -> u64 {
        self.replied
    }
}
