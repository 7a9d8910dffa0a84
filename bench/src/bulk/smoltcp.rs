//! smoltcp: what is received is read where it lies in the socket's buffer.

use super::{Implementation, Received, Receiver, Sender, Stream};
use crate::ends::smoltcp::Host;
use crate::ends::{End, Smoltcp};
use crate::memory::Wires;

impl Implementation for Smoltcp {
    type Sender = Source;
    type Receiver = Sink;

    fn sender(buffer: u32) -> Source {
        Source { host: Host::client(1, buffer as usize), stream: Stream::new() }
    }

    fn receiver(buffer: u32) -> Sink {
        Sink { host: Host::server(1, buffer as usize), received: Received::default() }
    }
}

/// Writes whenever there is room.
pub struct Source {
    host: Host,
    stream: Stream,
}

impl End for Source {
    fn turn(&mut self, now_ns: u64) {
        let Self { host, stream } = self;
        host.turn(now_ns, |socket| {
            if socket.can_send() {
                stream.write(|bytes| socket.send_slice(bytes).expect("the connection is open"));
            }
        });
    }

    fn wires(&mut self) -> &mut Wires {
        &mut self.host.wires
    }
}

impl Sender for Source {
    fn connect(&mut self) {
        self.host.connect(0);
    }
}

/// Counts what arrives.
pub struct Sink {
    host: Host,
    received: Received,
}

impl End for Sink {
    fn turn(&mut self, now_ns: u64) {
        let Self { host, received } = self;
        host.turn(now_ns, |socket| {
            while socket.can_recv() {
                let taken = socket.recv(|bytes| {
                    received.take(bytes);
                    (bytes.len(), ())
                });
                taken.expect("there is something to receive");
            }
        });
    }

    fn wires(&mut self) -> &mut Wires {
        &mut self.host.wires
    }
}

impl Receiver for Sink {
    fn received(&self) -> &Received {
        &self.received
    }
}
