//! A connection's whole life in memory: open, one 64-byte request and its reply, close.
//!
//! The client closes first and keeps `TIME_WAIT`. Virtual time passes after each generation of connections, so that
//! these end within the measurement.

mod bywash;
mod smoltcp;

use crate::ends::{End, ROUND_NS, Tcp, cross};

/// How long `TIME_WAIT` lasts for both stacks, in milliseconds: smoltcp's cannot be changed.
const TIME_WAIT_MS: u32 = 10_000;
/// Virtual time between two generations, in nanoseconds: a little longer.
const BETWEEN_NS: u64 = 11_000_000_000;
/// Rounds after which a generation must be gone.
const ROUNDS_MAX: u32 = 100;
/// Generations before anything is measured: address resolution, first use of buffers.
const WARM_UP: u32 = 16;

/// The end that opens, asks and closes.
pub trait Client: End {
    /// Begins so many connections, which ask and close by themselves.
    fn begin(&mut self, connections: u32);
    /// Connections that had their reply and were closed by both sides so far.
    fn finished(&self) -> u64;
}

/// A TCP that can open and close.
pub trait Implementation: Tcp {
    /// Echoes, and closes after the client.
    type Server: End;
    /// Opens, asks and closes.
    type Client: Client;

    /// A server for so many connections at a time.
    fn server(connections: u32) -> Self::Server;
    /// The client.
    fn client(connections: u32) -> Self::Client;
}

/// Generation after generation of connections.
pub struct Cycles<I: Implementation> {
    client: I::Client,
    server: I::Server,
    at_once: u32,
    begun: u64,
    now_ns: u64,
}

impl<I: Implementation> Cycles<I> {
    /// Generations of `at_once` connections each, 1 to 1024.
    ///
    /// # Panics
    /// When a stack does not do what it is asked.
    pub fn new(at_once: u32) -> Self {
        let (client, server) = (I::client(at_once), I::server(at_once));
        let mut cycles = Self { client, server, at_once, begun: 0, now_ns: ROUND_NS };
        cycles.run(WARM_UP);
        cycles
    }

    /// So many generations. Its name is what instruction counts are toggled by.
    #[inline(never)]
    pub fn measured(&mut self, generations: u32) {
        self.run(generations);
    }

    fn run(&mut self, generations: u32) {
        for _ in 0..generations {
            self.client.begin(self.at_once);
            self.begun += u64::from(self.at_once);
            let mut rounds = 0;
            while self.client.finished() < self.begun {
                assert!(rounds < ROUNDS_MAX, "connections do not end");
                self.cross();
                rounds += 1;
            }
            // The last ACK ends the server's side, then TIME_WAIT passes.
            self.cross();
            self.now_ns += BETWEEN_NS;
            self.cross();
        }
    }

    #[inline]
    fn cross(&mut self) {
        cross(&mut self.client, &mut self.server, self.now_ns);
        self.now_ns += ROUND_NS;
    }
}

#[cfg(test)]
mod tests {
    use bywash_core::shard::Transport as _;

    use super::*;
    use crate::ends::{Bywash, Smoltcp};

    #[test]
    fn nothing_is_left_of_our_connections() {
        for at_once in [1, 32] {
            let mut cycles = Cycles::<Bywash>::new(at_once);
            cycles.run(20);
            let mut counters = Vec::new();
            for report in [cycles.client.transport().report(), cycles.server.transport().report()] {
                assert!(report.is_idle(), "{report:?}");
                counters.push(report.counters);
            }
            assert_eq!(counters[0].active_opens, cycles.begun);
            assert_eq!(counters[1].passive_opens, cycles.begun);
            assert_eq!(counters[0].retransmits + counters[1].retransmits, 0);
            assert_eq!(cycles.server.transport_mut().draining(), 0);
        }
    }

    #[test]
    fn smoltcps_connections_end_too() {
        for at_once in [1, 32] {
            let mut cycles = Cycles::<Smoltcp>::new(at_once);
            cycles.run(20);
            assert_eq!(cycles.client.finished(), cycles.begun);
        }
    }
}
