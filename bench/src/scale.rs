//! Many idle connections in memory: what each of them takes.
//!
//! The clients are forged, segment by segment, so that everything that grows is the server's.

mod forge;

use std::fs;
use std::time::Instant as Clock;

use anyhow::{Context, Result, ensure};
use bywash_apps::echo::Echo;
use bywash_core::base::time::{Duration, Instant};
use bywash_core::codec::Raw;
use bywash_core::port::Port;
use bywash_core::shard::Shard;
use bywash_core::stack::{Alone, Engine, ListenOptions, LocalAddress, Ownership, Stack, StackConfig};
use bywash_core::wire::{Address, Cidr, MacAddress};

use crate::allocation::CountingAllocator;
use crate::memory::MemoryPort;
use crate::progress::Progress;

use forge::{GATEWAY, PORT, SERVER, SERVER_MAC};

/// Handshakes that are on their way at one time: one burst.
const BURST: u32 = 64;
/// Virtual time of a turn.
const TURN: Duration = Duration::from_micros(20);
/// Clients of one address: all ports from 1024 on.
const PORTS: u32 = 64_512;

type Server = Shard<Engine<MemoryPort, Alone>, Echo<Raw>>;

/// Opens `connections` connections and prints what they take. `allocator` is the process's.
///
/// # Errors
/// When there is not memory for them, or they do not open.
pub fn scale(connections: u32, allocator: &CountingAllocator) -> Result<()> {
    // The same server with room for one connection: what all of them share.
    let held_before = allocator.held();
    let smallest = server(1)?;
    let shared = allocator.held() - held_before;
    drop(smallest);
    let (held_before, resident_before) = (allocator.held(), resident()?);
    let mut server = server(connections)?;
    let begin = Clock::now();
    open(&mut server, connections)?;
    let elapsed = begin.elapsed();
    let report = server.transport().report();
    ensure!(
        report.connections == connections as usize && server.connections() == connections as usize,
        "only {} of {connections} connections are open: {:?}",
        report.connections,
        report.counters
    );
    let each = |bytes: u64| bytes as f64 / f64::from(connections);
    let allocated = each((allocator.held() - held_before).saturating_sub(shared));
    let resident = each(resident()?.saturating_sub(resident_before));
    println!("{:.0} bytes per connection", allocated.max(resident).ceil());
    println!(
        "allocated with the connections: {allocated:.1} bytes each; resident memory grew by {resident:.1} each"
    );
    println!(
        "{:.0} ns to open each, forged client included",
        elapsed.as_nanos() as f64 / f64::from(connections)
    );
    Ok(())
}

fn server(connections: u32) -> Result<Server> {
    let cidr = Cidr::new(Address::v4(SERVER.octets()), 24).context("24 bits are a prefix")?;
    let config = StackConfig {
        addresses: vec![LocalAddress { cidr, ownership: Ownership::Owned }],
        // One neighbour, however many clients.
        gateways: vec![Address::v4(GATEWAY.octets())],
        connections_max: connections,
        half_open_max: 1024,
        time_wait_max: 1024,
        recoveries_max: 64,
        ..StackConfig::default()
    };
    let port = MemoryPort::new(MacAddress(SERVER_MAC));
    let stack = Stack::new(config, port.capabilities(), [7; 32], Instant::ZERO)?;
    let mut engine = Engine::new(port, stack, Alone, Vec::new());
    engine.stack_mut().listen(ListenOptions { address: None, port: PORT, backlog: 4096 })?;
    Ok(Shard::new(engine, Echo::default(), Raw::default(), connections))
}

fn open(server: &mut Server, connections: u32) -> Result<()> {
    let step = (connections / 20).max(1);
    let mut progress = Progress::new();
    let mut now = Instant::ZERO;
    let mut opened = 0;
    while opened < connections {
        let burst = BURST.min(connections - opened);
        let received = &mut server.transport_mut().port_mut().wires_mut().received;
        received.clear();
        for number in opened..opened + burst {
            forge::syn(received, number / PORTS, (1024 + number % PORTS) as u16)?;
        }
        now = turn(server, now);
        let wires = server.transport_mut().port_mut().wires_mut();
        wires.received.clear();
        for index in 0..wires.sent.len() {
            forge::ack(&mut wires.received, wires.sent.frame(index))?;
        }
        wires.sent.clear();
        now = turn(server, now);
        server.transport_mut().port_mut().wires_mut().sent.clear();
        if opened / step != (opened + burst) / step {
            progress.show(&format!("{} of {connections} connections", opened + burst));
        }
        opened += burst;
    }
    Ok(())
}

fn turn(server: &mut Server, now: Instant) -> Instant {
    while server.turn(now).again {}
    now + TURN
}

/// Resident memory of this process in bytes.
fn resident() -> Result<u64> {
    let text = fs::read_to_string("/proc/self/statm").context("cannot read /proc/self/statm")?;
    let pages: u64 = text.split_whitespace().nth(1).context("no resident size")?.parse()?;
    Ok(pages * rustix::param::page_size() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forged_clients_open_connections() {
        let mut server = server(200).unwrap();
        open(&mut server, 200).unwrap();
        assert_eq!(server.connections(), 200);
        assert_eq!(server.transport().report().half_open, 0);
    }
}
