//! smoltcp at both ends, driven in the way that costs it least.

use smoltcp::iface::{Config, Interface, PollIngressSingleResult, PollResult, SocketHandle, SocketSet};
use smoltcp::socket::tcp::{Socket, SocketBuffer, State};
use smoltcp::time::Instant;
use smoltcp::wire::{EthernetAddress, HardwareAddress, IpAddress, IpCidr};

use super::{Client, End, Implementation, PORT, REQUEST_LEN};
use crate::memory::Wires;

const SERVER: IpAddress = IpAddress::v4(198, 18, 0, 1);
const CLIENT: IpAddress = IpAddress::v4(198, 18, 0, 2);
/// Of each direction of each socket, in bytes: room for a batch.
const BUFFER_LEN: usize = 4096;
const FIRST_PORT: u16 = 1024;

/// smoltcp with its defaults: checksums in software, no timestamps; Nagle's algorithm is off.
#[derive(Debug)]
pub enum Smoltcp {}

impl Implementation for Smoltcp {
    type Server = EchoServer;
    type Client = Requester;
    const NAME: &'static str = "smoltcp";

    fn server(connections: u32) -> EchoServer {
        let mut host = SmoltcpHost::new(SERVER, 1);
        for _ in 0..connections {
            let mut socket = socket();
            socket.listen(PORT).expect("a new socket can listen");
            host.add(socket);
        }
        EchoServer { host, message: vec![0; BUFFER_LEN] }
    }

    fn client(_connections: u32) -> Requester {
        Requester { host: SmoltcpHost::new(CLIENT, 2), replied: 0 }
    }
}

fn socket() -> Socket<'static> {
    let buffer = || SocketBuffer::new(vec![0; BUFFER_LEN]);
    let mut socket = Socket::new(buffer(), buffer());
    socket.set_nagle_enabled(false);
    socket
}

/// An interface and its sockets.
struct SmoltcpHost {
    wires: Wires,
    interface: Interface,
    sockets: SocketSet<'static>,
    handles: Vec<SocketHandle>,
}

impl SmoltcpHost {
    fn new(address: IpAddress, number: u8) -> Self {
        let mut wires = Wires::new();
        let hardware = HardwareAddress::Ethernet(EthernetAddress([2, 0, 0, 0, 0, number]));
        let mut config = Config::new(hardware);
        config.random_seed = number.into();
        let mut interface = Interface::new(config, &mut wires, Instant::ZERO);
        interface.update_ip_addrs(|addresses| {
            addresses.push(IpCidr::new(address, 24)).expect("room for one address");
        });
        Self { wires, interface, sockets: SocketSet::new(Vec::new()), handles: Vec::new() }
    }

    fn add(&mut self, socket: Socket<'static>) {
        self.handles.push(self.sockets.add(socket));
    }

    /// Ingress, then `serve` for each socket, then egress: cheaper than two whole polls.
    fn turn(&mut self, now_ns: u64, mut serve: impl FnMut(&mut Socket<'static>)) {
        let now = Instant::from_micros((now_ns / 1000) as i64);
        let Self { wires, interface, sockets, handles } = self;
        interface.poll_maintenance(now);
        while interface.poll_ingress_single(now, wires, sockets) != PollIngressSingleResult::None {}
        for handle in handles {
            serve(sockets.get_mut::<Socket<'static>>(*handle));
        }
        while interface.poll_egress(now, wires, sockets) != PollResult::None {}
    }
}

/// Sends everything back.
pub struct EchoServer {
    host: SmoltcpHost,
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
    host: SmoltcpHost,
    replied: u64,
}

impl End for Requester {
    fn turn(&mut self, now_ns: u64) {
        let Self { host, replied } = self;
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
        let mut socket = socket();
        let port = FIRST_PORT + self.host.handles.len() as u16;
        socket.connect(self.host.interface.context(), (SERVER, PORT), port).expect("a free port");
        self.host.add(socket);
    }

    fn opened(&mut self) -> usize {
        let SmoltcpHost { sockets, handles, .. } = &self.host;
        let is_open =
            |handle: &&SocketHandle| sockets.get::<Socket<'_>>(**handle).state() == State::Established;
        handles.iter().filter(is_open).count()
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
