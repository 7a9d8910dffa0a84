//! 64-byte requests and replies in memory: our engine's whole path, and smoltcp's beside it.
//!
//! A server echoes what clients send. [`Pair`] runs both ends. [`Replay`] runs a second server alone: what the clients of
//! a pair send is recorded, and shown again to a server that starts from the same seed and clock, and so does the same.

mod bywash;
mod pair;
mod replay;
mod smoltcp;
#[cfg(test)]
mod tests;

use std::fmt;

use crate::ends::{End, ROUND_NS, Tcp};

pub use pair::Pair;
pub use replay::Replay;

/// Bytes of a request, and of its reply.
pub const REQUEST_LEN: usize = 64;
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
    /// Virtual time from one turn to the next, in nanoseconds, at least 1. When it is so long that more than 40 ms pass
    /// between two requests of a connection, the ACK of each reply is a segment of its own.
    pub round_ns: u64,
}

impl Load {
    /// Each request in its own segment, and [`ROUND_NS`] to a turn.
    pub const fn new(connections: u32, batch: u32) -> Self {
        Self { connections, batch, segments: Segments::Each, round_ns: ROUND_NS }
    }

    /// Turns that make so many requests, rounded up.
    pub const fn rounds(&self, requests: u32) -> u32 {
        requests.div_ceil(self.batch)
    }
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
        let plural = if self.connections == 1 { "" } else { "s" };
        write!(f, "{} connection{plural}, batches of {}", self.connections, self.batch)?;
        match self.segments {
            Segments::Each => {}
            Segments::Merged => f.write_str(", merged")?,
        }
        if self.round_ns != ROUND_NS {
            write!(f, ", {} us to a turn", self.round_ns / 1000)?;
        }
        Ok(())
    }
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

/// A TCP that can echo and ask.
pub trait Implementation: Tcp {
    /// Echoes.
    type Server: End;
    /// Asks.
    type Client: Client;

    /// A listening server with room for `connections`.
    fn server(connections: u32) -> Self::Server;
    /// A client with room for `connections`.
    fn client(connections: u32) -> Self::Client;
}
