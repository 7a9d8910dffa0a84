//! Our engine at both ends, through shard, application and the raw codec.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use bywash_apps::echo::Echo;
use bywash_core::base::time::Instant;
use bywash_core::codec::Raw;
use bywash_core::port::Port;
use bywash_core::shard::{Application, ConnectionId, Context, Host, Origin, Shard, Transport};
use bywash_core::stack::{Alone, Engine, ListenOptions, LocalAddress, Ownership, Stack, StackConfig};
use bywash_core::wire::{Address, Cidr, MacAddress};

use super::{Client, End, Implementation, PORT, REQUEST_LEN};
use crate::memory::{MemoryPort, Wires};

const SERVER: [u8; 4] = [198, 18, 0, 1];
const CLIENT: [u8; 4] = [198, 18, 0, 2];

/// Ours: timestamps, SACK, RTT estimation and congestion control on, checksums in software.
#[derive(Debug)]
pub enum Bywash {}

impl Implementation for Bywash {
    type Server = Shard<Engine<MemoryPort, Alone>, Echo<Raw>>;
    type Client = Shard<Engine<MemoryPort, Alone>, Requester>;
    const NAME: &'static str = "bywash";

    fn server(connections: u32) -> Self::Server {
        let mut engine = engine(SERVER, connections);
        let options = ListenOptions { address: None, port: PORT, backlog: 4096 };
        engine.stack_mut().listen(options).expect("the port is free");
        Shard::new(engine, Echo::default(), Raw::default(), connections)
    }

    fn client(connections: u32) -> Self::Client {
        Shard::new(engine(CLIENT, connections), Requester::default(), Raw::default(), connections)
    }
}

fn engine(address: [u8; 4], connections: u32) -> Engine<MemoryPort, Alone> {
    let cidr = Cidr::new(Address::v4(address), 24).expect("24 bits are a prefix");
    let config = StackConfig {
        addresses: vec![LocalAddress { cidr, ownership: Ownership::Owned }],
        connections_max: connections.max(64),
        port_range: (1024, 65_535),
        ..StackConfig::default()
    };
    let port = MemoryPort::new(MacAddress([2, 0, 0, 0, 0, address[3]]));
    let stack =
        Stack::new(config, port.capabilities(), [7; 32], Instant::ZERO).expect("memory for the pools");
    Engine::new(port, stack, Alone, Vec::new())
}

impl<A: Application> End for Shard<Engine<MemoryPort, Alone>, A> {
    #[inline]
    fn turn(&mut self, now_ns: u64) {
        while Shard::turn(self, Instant::from_nanos(now_ns)).again {}
    }

    #[inline]
    fn wires(&mut self) -> &mut Wires {
        self.transport_mut().port_mut().wires_mut()
    }
}

/// Counts the replies to what it is told to ask.
#[derive(Debug, Default)]
pub struct Requester {
    opened: Vec<ConnectionId>,
    replied: u64,
}

impl Application for Requester {
    type Codec = Raw;
    type Connection = ();

    fn on_open<H: Host>(&mut self, cx: &mut Context<'_, H, Raw>, _: Origin) {
        self.opened.push(cx.id());
    }

    #[inline]
    fn on_message<H: Host>(&mut self, _: &mut Context<'_, H, Raw>, (): &mut (), message: &[u8]) {
        self.replied += message.len() as u64;
    }
}

impl Client for Shard<Engine<MemoryPort, Alone>, Requester> {
    fn connect(&mut self) {
        let server = SocketAddr::new(IpAddr::V4(Ipv4Addr::from(SERVER)), PORT);
        self.transport_mut().host().connect(server, None).expect("room for one more connection");
    }

    fn opened(&mut self) -> usize {
        self.application().opened.len()
    }

    #[inline]
    fn request(&mut self, connection: usize) {
        let id = self.application().opened[connection];
        let written = self.transport_mut().host().write(id, &[b'q'; REQUEST_LEN]);
        assert_eq!(written, Ok(REQUEST_LEN), "a request fits the send buffer");
    }

    fn replied(&self) -> u64 {
        self.application().replied
    }
}
