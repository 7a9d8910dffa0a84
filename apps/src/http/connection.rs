//! Where one connection stands.

use bywash_core::base::time::Instant;

use super::request::{BodyLength, Persistence, Version};

/// What the server keeps for each connection.
#[derive(Debug)]
pub struct Connection {
    pub(super) stage: Stage,
    /// Whether the connection outlives the response that is being sent.
    pub(super) persistence: Persistence,
    /// When the peer last did something.
    pub(super) active_at: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Between requests. Pieces of a body belong to a request that is answered already, and are dropped.
    Ready,
    /// A body is sent back as it comes.
    Echoing {
        /// How it came, and goes back.
        body: BodyLength,
        version: Version,
        head: EchoHead,
    },
    /// Pattern bytes are sent as the peer takes them.
    Streaming { offset: u64, end: u64 },
    /// Our stream has ended; what comes is dropped until the peer ends its own, so that no RST overtakes the
    /// last response (RFC 9112 section 9.6).
    Lingering,
}

/// Whether the response's head has left. It goes with the first piece, so that a body that is malformed from
/// the start can still be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EchoHead {
    Due,
    Sent,
}

impl Connection {
    pub(super) fn new(now: Instant) -> Self {
        Self { stage: Stage::Ready, persistence: Persistence::KeepAlive, active_at: now }
    }
}
