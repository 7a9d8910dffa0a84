//! 64-byte requests and replies in memory: our engine's whole path, and smoltcp's beside it.
//!
//! A server echoes what clients send. [`Pair`] runs both ends. [`Replay`] runs the server alone: what the clients sent
//! in a pair is recorded, and shown again to a server that starts from the same seed and clock, and so does the same.

mod bywash;
mod pair;
mod replay;
mod smoltcp;
#[cfg(test)]
mod tests;

use std::fmt;

use crate::memory::Wires;

pub use bywash::Bywash;
pub use pair::Pair;
pub use replay::{Recording, Replay};
pub use smoltcp::Smoltcp;

/// Bytes of a request, and of its reply.
pub const REQUEST_LEN: usize = 64;
/// The server's port.
pub const PORT: u16 = 7;
/// Virtual time of one round, in nanoseconds: about a round trip over a wire.
pub const ROUND_NS: u64 = 20_000;
/// Rounds before anything is measured: buffers are touched and estimators settle.
pub const WARM_UP_ROUNDS: u32 = 64;

/// What the clients ask of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// Connections, at least 1. They take turns, in one random order.
    pub connections: u32,
    /// Requests in one turn of the server, at least 1.
    pub batch: u32,
    /// Requests to a segment.
    pub segments: Segments,
}

/// How the requests of one connection and batch travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Segments {
    /// Each in its own segment.
    Each,
    /// As few segments as they fit in.
    Merged,
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let segments = match self.segments {
            Segments::Each => "",
            Segments::Merged => ", merged",
        };
        write!(f, "{} connections, batches of {}{segments}", self.connections, self.batch)
    }
}

/// One end of the link.
pub trait End {
    /// Takes in what has arrived, lets the application handle it, and sends what is to be sent.
    fn turn(&mut self, now_ns: u64);
    /// The frames of this end, between turns.
    fn wires(&mut self) -> &mut Wires;
}

/// The end that asks.
pub trait Client: End {
    /// Begins to open one more connection.
    fn connect(&mut self);
    /// Connections that are open.
    fn opened(&mut self) -> usize;
    /// Sends a request on a connection, with the next turn.
    fn request(&mut self, connection: usize);
    /// Bytes of replies so far.
    fn replied(&self) -> u64;
}

/// A TCP that can be both ends.
pub trait Implementation {
    /// Echoes.
    type Server: End;
    /// Asks.
    type Client: Client;
    /// As it is called in reports.
    const NAME: &'static str;

    /// A listening server with room for `connections`.
    fn server(connections: u32) -> Self::Server;
    /// A client with room for `connections`.
    fn client(connections: u32) -> Self::Client;
}
