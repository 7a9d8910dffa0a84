//! The two ends of a link in memory, ours and smoltcp's: what all workloads have in common.

pub mod bywash;
pub mod smoltcp;

use crate::memory::Wires;

/// The servers' port; a server of very many connections listens on those that follow, too.
pub const PORT: u16 = 7;
/// The server's IPv4 address.
pub const SERVER: [u8; 4] = [198, 18, 0, 1];
/// The clients' IPv4 address.
pub const CLIENT: [u8; 4] = [198, 18, 0, 2];
/// Virtual time of one round, in nanoseconds: about a round trip over a wire.
pub const ROUND_NS: u64 = 20_000;

/// A TCP that can be both ends.
pub trait Tcp {
    /// As it is called in reports.
    const NAME: &'static str;
}

/// Ours.
#[derive(Debug)]
pub enum Bywash {}

impl Tcp for Bywash {
    const NAME: &'static str = "bywash";
}

/// smoltcp.
#[derive(Debug)]
pub enum Smoltcp {}

impl Tcp for Smoltcp {
    const NAME: &'static str = "smoltcp";
}

/// One end of the link.
pub trait End {
    /// Takes in what has arrived, lets the application handle it, and sends what is to be sent.
    fn turn(&mut self, now_ns: u64);
    /// The frames of this end, between turns.
    fn wires(&mut self) -> &mut Wires;
}

/// One turn of each end, the client's first, and what they send to each other.
#[inline]
pub fn cross<C: End, S: End>(client: &mut C, server: &mut S, now_ns: u64) {
    client.turn(now_ns);
    client.wires().deliver(server.wires());
    server.turn(now_ns);
    server.wires().deliver(client.wires());
}
