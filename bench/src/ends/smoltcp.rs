//! smoltcp over memory, driven in the way that costs it least.

use smoltcp::iface::{Config, Interface, PollIngressSingleResult, PollResult, SocketHandle, SocketSet};
use smoltcp::socket::tcp::{Socket, SocketBuffer};
use smoltcp::time::Instant;
use smoltcp::wire::{EthernetAddress, HardwareAddress, IpAddress, IpCidr};

use super::{CLIENT, PORT, SERVER};
use crate::memory::Wires;

/// The first of the clients' ports.
const FIRST_PORT: u16 = 1024;

/// An interface and its sockets: smoltcp's defaults, which are checksums in software and no timestamps.
pub struct Host {
    /// The frames of this end.
    pub wires: Wires,
    /// The sockets, by handle.
    pub sockets: SocketSet<'static>,
    /// The handles in the order in which they were made.
    pub handles: Vec<SocketHandle>,
    interface: Interface,
    next_port: u16,
}

impl Host {
    /// Without sockets. `address` is [`SERVER`] or [`CLIENT`].
    ///
    /// # Panics
    /// When smoltcp was built without room for an address.
    pub fn new(address: [u8; 4]) -> Self {
        let mut wires = Wires::new();
        let hardware = HardwareAddress::Ethernet(EthernetAddress([2, 0, 0, 0, 0, address[3]]));
        let mut config = Config::new(hardware);
        config.random_seed = address[3].into();
        let mut interface = Interface::new(config, &mut wires, Instant::ZERO);
        let [a, b, c, d] = address;
        interface.update_ip_addrs(|addresses| {
            addresses.push(IpCidr::new(IpAddress::v4(a, b, c, d), 24)).expect("room for one address");
        });
        let sockets = SocketSet::new(Vec::new());
        Self { wires, sockets, handles: Vec::new(), interface, next_port: FIRST_PORT }
    }

    /// A server with so many listening sockets.
    ///
    /// # Panics
    /// Never: a new socket can listen.
    pub fn server(sockets: u32, buffer_len: usize) -> Self {
        let mut host = Self::new(SERVER);
        for _ in 0..sockets {
            let mut socket = socket(buffer_len);
            socket.listen(PORT).expect("a new socket can listen");
            host.handles.push(host.sockets.add(socket));
        }
        host
    }

    /// The end that opens connections, with so many closed sockets.
    pub fn client(sockets: u32, buffer_len: usize) -> Self {
        let mut host = Self::new(CLIENT);
        for _ in 0..sockets {
            host.handles.push(host.sockets.add(socket(buffer_len)));
        }
        host
    }

    /// Begins to open a connection with the closed socket of this number, from the next port.
    ///
    /// # Panics
    /// When the socket is not closed.
    pub fn connect(&mut self, number: usize) {
        let [a, b, c, d] = SERVER;
        let port = self.next_port;
        self.next_port = if port == u16::MAX { FIRST_PORT } else { port + 1 };
        let socket = self.sockets.get_mut::<Socket<'static>>(self.handles[number]);
        let remote = (IpAddress::v4(a, b, c, d), PORT);
        socket.connect(self.interface.context(), remote, port).expect("the socket is closed");
    }

    /// Ingress, then `serve` for each socket, then egress: cheaper than two whole polls.
    pub fn turn(&mut self, now_ns: u64, mut serve: impl FnMut(&mut Socket<'static>)) {
        let now = Instant::from_micros((now_ns / 1000) as i64);
        let Self { wires, interface, sockets, handles, next_port: _ } = self;
        interface.poll_maintenance(now);
        while interface.poll_ingress_single(now, wires, sockets) != PollIngressSingleResult::None {}
        for handle in handles {
            serve(sockets.get_mut::<Socket<'static>>(*handle));
        }
        while interface.poll_egress(now, wires, sockets) != PollResult::None {}
    }
}

/// A socket with buffers of this size for each direction, in bytes; Nagle's algorithm is off.
fn socket(buffer_len: usize) -> Socket<'static> {
    let buffer = || SocketBuffer::new(vec![0; buffer_len]);
    let mut socket = Socket::new(buffer(), buffer());
    socket.set_nagle_enabled(false);
    socket
}
