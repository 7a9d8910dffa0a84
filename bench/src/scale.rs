//! Many idle connections in memory: what each of them takes, and what finding, timing and closing them costs.
//!
//! The clients are forged, segment by segment, so that everything that grows is the server's.

mod life;
mod memory;

use std::time::Duration as Elapsed;

use anyhow::{Result, ensure};
use bywash_apps::echo::Echo;
use bywash_core::base::random::Random;
use bywash_core::base::time::{Duration, Instant};
use bywash_core::codec::Raw;
use bywash_core::stack::{ListenOptions, StackConfig};
use bywash_core::wire::Address;

use crate::allocation::CountingAllocator;
use crate::ends::bywash::{Host, shard};
use crate::ends::{CLIENT, End as _, PORT, SERVER};
use crate::progress::Progress;

use memory::Memory;

/// Virtual time of a turn.
const TURN: Duration = Duration::from_micros(20);
/// Of each operation in random order so many are measured at most.
const SAMPLES_MAX: u32 = 2_000_000;

/// A server and its forged clients.
struct Scale {
    server: Host<Echo<Raw>>,
    now: Instant,
    connections: u32,
    /// What each client acknowledges: the server's next sequence number. The clients', so touched before the server's
    /// memory is measured.
    acks: Vec<u32>,
    random: Random,
    progress: Progress,
}

/// Opens `connections` connections, 1 to 10 million, uses and closes them, and prints what that takes. `allocator` is
/// the process's.
///
/// # Errors
/// When there is not memory for them, or they do not do what they should.
pub fn scale(connections: u32, allocator: &CountingAllocator) -> Result<()> {
    let acks = vec![1; connections as usize];
    let memory = Memory::before(allocator)?;
    let mut scale = Scale::new(connections, acks)?;
    let opened = scale.open()?;
    let used = memory.used(&scale.server, connections)?;
    println!("{:.0} bytes per connection", used.each().ceil());
    println!("{used}");
    println!("{:.0} connections per second set up, forged clients included", rate(connections, opened));
    scale.look_up()?;
    scale.acknowledge()?;
    scale.time()?;
    let closed = scale.close()?;
    println!("{:.1} s to close all, by FIN from the clients in random order", closed.as_secs_f64());
    println!("{:.0} connections per second closed, forged clients included", rate(connections, closed));
    Ok(())
}

impl Scale {
    fn new(connections: u32, acks: Vec<u32>) -> Result<Self> {
        Ok(Self {
            server: server(connections)?,
            now: Instant::ZERO,
            connections,
            acks,
            random: Random::from_seed(1),
            progress: Progress::new(),
        })
    }

    /// Goes on with what has arrived, and with timers that are due: one turn takes a bounded number of them.
    fn turn(&mut self) {
        loop {
            let turn = self.server.turn(self.now);
            let is_due = self.server.deadline().is_some_and(|deadline| deadline <= self.now);
            if !(turn.again || is_due) || self.server.wires().sent.is_full() {
                break;
            }
        }
        self.now += TURN;
    }

    /// Shows how far `what` is, now and then.
    fn show(&mut self, done: u32, of: u32, what: &str) {
        if done.is_multiple_of(1 << 14) {
            self.progress.show(&format!("{done} of {of} {what}"));
        }
    }
}

fn server(connections: u32) -> Result<Host<Echo<Raw>>> {
    let mut server = shard(SERVER, config(connections), Echo::default(), Raw::default());
    let options = ListenOptions { port: PORT, backlog: 4096, ..ListenOptions::default() };
    server.transport_mut().stack_mut().listen(options)?;
    ensure!(server.connections() == 0, "a new server has no connections");
    Ok(server)
}

fn config(connections: u32) -> StackConfig {
    StackConfig {
        // One neighbour, however many clients.
        gateways: vec![Address::v4(CLIENT)],
        connections_max: connections,
        half_open_max: 1024,
        time_wait_max: 1024,
        recoveries_max: 64,
        ..StackConfig::default()
    }
}

fn rate(count: u32, elapsed: Elapsed) -> f64 {
    f64::from(count) / elapsed.as_secs_f64()
}

fn each(elapsed: Elapsed, count: u32) -> f64 {
    elapsed.as_nanos() as f64 / f64::from(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forged_clients_open_use_and_close_connections() {
        let mut scale = Scale::new(300, vec![1; 300]).unwrap();
        scale.open().unwrap();
        assert_eq!(scale.server.connections(), 300);
        assert_eq!(scale.server.transport().report().half_open, 0);
        scale.look_up().unwrap();
        scale.acknowledge().unwrap();
        scale.time().unwrap();
        scale.close().unwrap();
        assert!(scale.server.transport().report().is_idle());
    }
}
