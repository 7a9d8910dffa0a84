//! What is said over one connection, and how each end behaves.

use bywash_core::base::random::Random;
use bywash_core::base::time::{Duration, Instant};

use crate::stream::Stream;

/// Octets of a message at most: no more than [`CREDIT`] lets go, or one could never be whole.
const MESSAGE_MAX: u64 = 1000;

/// Which end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// The one that opened it.
    Client = 0,
    /// The one that accepted it.
    Server = 1,
}

impl Side {
    /// The other one.
    pub const fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

/// One connection from its first word to its last.
#[derive(Clone, Debug)]
pub struct Script {
    /// When the client connects.
    pub start_at: Instant,
    /// Index of the client's host.
    pub client: usize,
    /// Index of the server's host.
    pub server: usize,
    /// Which family of addresses is used.
    pub family: Family,
    /// What each side does, client first.
    pub parts: [Part; 2],
    /// Both streams' seeds come from this.
    pub seed: u64,
}

/// The family of addresses that a connection uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// What one side does.
#[derive(Clone, Debug)]
pub struct Part {
    /// Octets that it sends in all.
    pub total: u64,
    /// When it may send them.
    pub gate: Gate,
    /// How it ends.
    pub ending: Ending,
    /// How it reads.
    pub reading: Reading,
    /// Octets that it writes at once at most.
    pub write_max: usize,
}

/// When octets may be sent.
#[derive(Clone, Copy, Debug)]
pub enum Gate {
    /// At once.
    Free,
    /// After the peer's stream has ended.
    AfterEnd,
    /// As many as were received.
    Echo,
    /// `head` at once, and `out` more for each `each` received.
    Rounds {
        /// Octets that nobody has to ask for.
        head: u64,
        /// Octets of a message to this side.
        each: u64,
        /// Octets of its reply.
        out: u64,
    },
}

/// Bulk both ways. A host stops reading while its send buffer is full, so that two that both fill theirs would wait
/// for each other for ever; with this no more than two kilobytes are under way.
const CREDIT: Gate = Gate::Rounds { head: 1000, each: 1, out: 1 };

impl Gate {
    /// How many of `total` octets may have been sent after `received`.
    pub fn allowed(self, total: u64, received: u64, end: End) -> u64 {
        match (self, end) {
            (Self::Free, _) | (Self::AfterEnd, End::Seen) => total,
            (Self::AfterEnd, End::Ahead) => 0,
            (Self::Echo, _) => received.min(total),
            (Self::Rounds { head, each, out }, _) => (head + received / each * out).min(total),
        }
    }
}

/// Whether the end of the peer's stream was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It lies ahead.
    Ahead,
    /// It was.
    Seen,
}

/// How a side ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It ends its stream when all is sent, and reads on to the end of the other.
    Shutdown,
    /// It closes when all is sent and all received, without waiting for the end of the peer's stream.
    Close,
    /// It closes when the peer's stream has ended and all is sent.
    Follow,
    /// It aborts once it has sent and received so many octets; until then it does as [`Ending::Shutdown`] does.
    AbortAt(u64),
}

/// How received octets are read.
#[derive(Clone, Copy, Debug)]
pub enum Reading {
    /// All at once.
    Eager,
    /// Only whole messages of this many octets; what follows the last one is shown at the end.
    Messages(usize),
    /// With a pause after so many octets.
    Pausing {
        /// Octets between pauses.
        after: u64,
        /// How long a pause lasts.
        pause: Duration,
    },
}

impl Script {
    /// What `side` sends.
    pub const fn stream(&self, side: Side) -> Stream {
        Stream { seed: self.seed.wrapping_mul(2).wrapping_add(side as u64) }
    }

    /// Whether one of the sides aborts, so that the other may see any end.
    pub fn aborts(&self) -> bool {
        self.parts.iter().any(|part| matches!(part.ending, Ending::AbortAt(_)))
    }

    /// A conversation of about `size` octets each way at most.
    pub fn draw(random: &mut Random, size: u64) -> [Part; 2] {
        let amount = |random: &mut Random| {
            // All magnitudes are equally likely.
            let bits = random.below(64 - u64::from(size.leading_zeros()) + 1);
            random.below(1 << bits).min(size)
        };
        let (there, back) = (1 + amount(random), amount(random));
        let part = |random: &mut Random, total, gate, ending| {
            let write_max = 1 + random.below(20_000) as usize;
            Part { total, gate, ending, reading: Reading::Eager, write_max }
        };
        let mut parts = match random.below(6) {
            0 => [
                part(random, there, Gate::Free, Ending::Shutdown),
                part(random, back, Gate::AfterEnd, Ending::Follow),
            ],
            1 => [
                part(random, 0, Gate::Free, Ending::Follow),
                part(random, there, Gate::Free, Ending::Shutdown),
            ],
            2 => [
                part(random, there, CREDIT, Ending::Shutdown),
                part(random, there, Gate::Echo, Ending::Follow),
            ],
            3 => {
                [part(random, there, CREDIT, Ending::Shutdown), part(random, there, CREDIT, Ending::Shutdown)]
            }
            _ => Self::rounds(random, size),
        };
        for part in &mut parts {
            part.reading = match (random.below(3), part.gate, part.ending) {
                (0, Gate::Rounds { .. }, _) | (0, _, Ending::Close) | (1, _, _) => Reading::Eager,
                (0, _, _) => Reading::Messages(1 + random.below(MESSAGE_MAX) as usize),
                (_, _, _) => Reading::Pausing {
                    after: 1 + random.below(1 + size / 4),
                    pause: Duration::from_micros(random.below(200_000)),
                },
            };
        }
        if random.chance_in(1, 10) {
            let side = random.below(2) as usize;
            parts[side].ending = Ending::AbortAt(random.below(parts[0].total + parts[1].total + 1));
        }
        parts
    }

    /// A conversation with a scripted peer, which reads all that comes and ends its stream after ours.
    pub fn draw_for_peer(random: &mut Random, size: u64) -> [Part; 2] {
        let mut parts = Self::draw(random, size);
        let gate = if random.chance_in(1, 2) { Gate::Free } else { Gate::AfterEnd };
        parts[0].gate = Gate::Free;
        parts[0].ending = Ending::Shutdown;
        parts[1] = Part { gate, ending: Ending::Follow, reading: Reading::Eager, ..parts[1].clone() };
        parts
    }

    /// Requests and replies; either side closes after the last.
    fn rounds(random: &mut Random, size: u64) -> [Part; 2] {
        let (request, reply) = (1 + random.below(2000), 1 + random.below(5000));
        let rounds = 1 + random.below(1 + size / (request + reply)).min(50);
        // Several requests may be under way at once.
        let depth = 1 + random.below(4).min(rounds - 1);
        let (client, server) = match random.below(3) {
            0 => (Ending::Close, Ending::Follow),
            1 => (Ending::Follow, Ending::Close),
            _ => (Ending::Close, Ending::Close),
        };
        let part = |total, gate, ending| Part {
            total,
            gate,
            ending,
            reading: Reading::Eager,
            write_max: (request + reply) as usize,
        };
        [
            part(rounds * request, Gate::Rounds { head: depth * request, each: reply, out: request }, client),
            part(rounds * reply, Gate::Rounds { head: 0, each: request, out: reply }, server),
        ]
    }
}
