//! smoltcp: sockets are used again and again.

use smoltcp::socket::tcp::{Socket, State};

use super::{Client, Implementation};
use crate::ends::smoltcp::Host;
use crate::ends::{End, PORT, Smoltcp};
use crate::memory::Wires;
use crate::round_trip::REQUEST_LEN;

/// Of each direction of each socket, in bytes.
const BUFFER_LEN: usize = 4096;

impl Implementation for Smoltcp {
    type Server = ClosingServer;
    type Client = Asker;

    fn server(connections: u32) -> ClosingServer {
        ClosingServer { host: Host::server(connections, BUFFER_LEN), message: vec![0; BUFFER_LEN] }
    }

    fn client(connections: u32) -> Asker {
        let phases = vec![Phase::Idle; connections as usize];
        Asker { host: Host::client(connections, BUFFER_LEN), phases, finished: 0 }
    }
}

/// Sends everything back, closes after its peer, and listens again.
pub struct ClosingServer {
    host: Host,
    message: Vec<u8>,
}

impl End for ClosingServer {
    fn turn(&mut self, now_ns: u64) {
        let Self { host, message } = self;
        host.turn(now_ns, |socket| {
            while socket.can_recv() {
                let len = socket.recv_slice(message).expect("there is something to receive");
                assert_eq!(socket.send_slice(&message[..len]), Ok(len), "a reply fits the send buffer");
            }
            match socket.state() {
                State::CloseWait => socket.close(),
                State::Closed => socket.listen(PORT).expect("a closed socket can listen"),
                _ => {}
            }
        });
    }

    fn wires(&mut self) -> &mut Wires {
        &mut self.host.wires
    }
}

/// What the client waits for on a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Nothing.
    Idle,
    /// That it is open.
    Opening,
    /// The rest of the reply.
    Asked {
        /// Bytes that have come.
        replied: usize,
    },
    /// The peer's end of the stream.
    Closing,
}

/// Asks once on each connection, and closes when it has the reply.
pub struct Asker {
    host: Host,
    phases: Vec<Phase>,
    finished: u64,
}

impl End for Asker {
    fn turn(&mut self, now_ns: u64) {
        let Self { host, phases, finished } = self;
        let mut phases = phases.iter_mut();
        host.turn(now_ns, |socket| {
            let phase = phases.next().expect("a phase for each socket");
            *phase = next(*phase, socket, finished);
        });
    }

    fn wires(&mut self) -> &mut Wires {
        &mut self.host.wires
    }
}

fn next(phase: Phase, socket: &mut Socket<'static>, finished: &mut u64) -> Phase {
    match phase {
        Phase::Opening if socket.state() == State::Established => {
            assert_eq!(socket.send_slice(&[b'q'; REQUEST_LEN]), Ok(REQUEST_LEN), "a request fits the buffer");
            Phase::Asked { replied: 0 }
        }
        Phase::Asked { replied } if socket.can_recv() => {
            let taken = socket.recv(|bytes| (bytes.len(), bytes.len()));
            let replied = replied + taken.expect("there is something to receive");
            if replied < REQUEST_LEN {
                return Phase::Asked { replied };
            }
            socket.close();
            Phase::Closing
        }
        Phase::Closing if matches!(socket.state(), State::TimeWait | State::Closed) => {
            *finished += 1;
            Phase::Idle
        }
        Phase::Idle | Phase::Opening | Phase::Asked { .. } | Phase::Closing => phase,
    }
}

impl Client for Asker {
    fn begin(&mut self, connections: u32) {
        for number in 0..connections as usize {
            self.host.connect(number);
            self.phases[number] = Phase::Opening;
        }
    }

    fn finished(&self) -> u64 {
        self.finished
    }
}
