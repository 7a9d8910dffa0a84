//! Our engine over memory: timestamps, SACK, RTT estimation and congestion control on, checksums in software.

use std::iter::once;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use bywash::os::huge_pages;
use bywash_core::base::time::Instant;
use bywash_core::buffer::{SendConfig, SizeClass};
use bywash_core::port::Port;
use bywash_core::shard::{Application, Host as _, Shard, Transport};
use bywash_core::stack::{Alone, Engine, ListenOptions, LocalAddress, Ownership, Stack, StackConfig};
use bywash_core::wire::{Address, Cidr, MacAddress};

use super::{CLIENT, End, PORT, SERVER};
use crate::memory::{MemoryPort, Wires};

/// One shard of ours on memory.
pub type Host<A> = Shard<Engine<MemoryPort, Alone>, A>;

/// The secret of all shards.
pub const SEED: [u8; 32] = [7; 32];

/// The clients' ports: as many as divide 2^16, so that none is tried twice before all were used.
const CLIENT_PORTS: (u16, u16) = (32_768, 65_535);
/// Connections from all these ports to one port of the server.
const CONNECTIONS_PER_PORT: u32 = 32_768;

/// Settings of an end with room for `connections`, each of which may hold a small reply until its peer's ACK.
pub fn config(connections: u32) -> StackConfig {
    let mut send = SendConfig::default();
    let small = &mut send.classes[0];
    let more = SizeClass { count: small.count.max(connections.saturating_add(1024)), ..*small };
    send.send_memory_max += u64::from(more.count - small.count) * u64::from(small.size);
    *small = more;
    StackConfig {
        connections_max: connections.max(64),
        port_range: CLIENT_PORTS,
        send,
        ..StackConfig::default()
    }
}

/// A shard at `address` with this configuration, but for its addresses.
///
/// # Panics
/// When there is no memory for it.
pub fn shard<A: Application>(
    address: [u8; 4],
    config: StackConfig,
    application: A,
    codec: A::Codec,
) -> Host<A> {
    let cidr = Cidr::new(Address::v4(address), 24).expect("24 bits are a prefix");
    let addresses = vec![LocalAddress { cidr, ownership: Ownership::Owned }];
    let connections = config.connections_max;
    let port = MemoryPort::new(MacAddress([2, 0, 0, 0, 0, address[3]]));
    let config = StackConfig { addresses, ..config };
    let stack = Stack::new(config, port.capabilities(), SEED, Instant::ZERO).expect("memory for the pools");
    // As the server does.
    huge_pages::advise(stack.address_ranges());
    let shard = Shard::new(Engine::new(port, stack, Alone, Vec::new()), application, codec, connections);
    huge_pages::advise(once(shard.address_range()));
    shard
}

/// A server of `application` that listens on as many ports as `connections_max` connections of [`client`] need.
///
/// # Panics
/// When there is no memory for it.
pub fn server<A: Application>(config: StackConfig, application: A, codec: A::Codec) -> Host<A> {
    let ports = config.connections_max.div_ceil(CONNECTIONS_PER_PORT) as u16;
    let mut shard = shard(SERVER, config, application, codec);
    for port in PORT..PORT + ports {
        let options = ListenOptions { port, backlog: 4096, ..ListenOptions::default() };
        shard.transport_mut().stack_mut().listen(options).expect("the port is free");
    }
    shard
}

/// The end that opens connections.
///
/// # Panics
/// When there is no memory for it.
pub fn client<A: Application>(config: StackConfig, application: A, codec: A::Codec) -> Host<A> {
    shard(CLIENT, config, application, codec)
}

/// Begins to open connection `number` to [`server`]; numbers of connections that exist at one time differ, and count
/// from 0.
///
/// # Panics
/// When the client has no room for it.
pub fn connect<A: Application>(client: &mut Host<A>, number: u32) {
    let port = PORT + (number / CONNECTIONS_PER_PORT) as u16;
    let server = SocketAddr::new(IpAddr::V4(Ipv4Addr::from(SERVER)), port);
    client.transport_mut().host().connect(server, None).expect("room for one more connection");
}

impl<A: Application> End for Host<A> {
    #[inline]
    fn turn(&mut self, now_ns: u64) {
        // What does not fit the wire leaves with the next turn.
        while Shard::turn(self, Instant::from_nanos(now_ns)).again && !self.wires().sent.is_full() {}
    }

    #[inline]
    fn wires(&mut self) -> &mut Wires {
        self.transport_mut().port_mut().wires_mut()
    }
}
