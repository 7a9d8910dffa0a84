//! The server's half alone, fed with what clients have sent before.

use super::pair::{Keep, Pair};
use super::{End, Implementation, Load, ROUND_NS};
use crate::memory::Frames;

/// What the clients of a pair sent, round by round, from the first frame on.
#[derive(Debug)]
pub struct Recording {
    load: Load,
    rounds: Vec<Vec<Vec<u8>>>,
    /// Rounds before those that were asked for.
    prelude: usize,
}

impl Recording {
    /// Records `rounds` rounds of this load.
    pub fn new<I: Implementation>(load: Load, rounds: u32) -> Self {
        let mut pair = Pair::<I>::with_recording(load, Keep::Frames);
        pair.run(rounds);
        pair.finish();
        let recorded = pair.into_recording();
        let prelude = recorded.len() - rounds as usize;
        Self { load, rounds: recorded, prelude }
    }

    /// Rounds that were asked for.
    pub fn rounds(&self) -> u32 {
        (self.rounds.len() - self.prelude) as u32
    }

    /// Requests in these rounds.
    pub fn requests(&self) -> u64 {
        u64::from(self.rounds()) * u64::from(self.load.batch)
    }
}

/// A server that is shown a recording.
pub struct Replay<I: Implementation> {
    server: I::Server,
    /// Frames in each round.
    counts: Vec<usize>,
    next: usize,
    now_ns: u64,
    sent: u64,
}

impl<I: Implementation> Replay<I> {
    /// A new server that has seen everything up to the end of the warm-up.
    pub fn new(recording: &Recording) -> Self {
        let mut server = I::server(recording.load.connections);
        server.wires().received = Frames::recorded(recording.rounds.iter().flatten().map(Vec::as_slice));
        let counts = recording.rounds.iter().map(Vec::len).collect();
        let mut replay = Self { server, counts, next: 0, now_ns: ROUND_NS, sent: 0 };
        replay.run(recording.prelude as u32);
        replay.sent = 0;
        replay
    }

    /// Shows `rounds` more rounds. Its name is what instruction counts are toggled by.
    #[inline(never)]
    pub fn measured(&mut self, rounds: u32) {
        self.run(rounds);
    }

    fn run(&mut self, rounds: u32) {
        for _ in 0..rounds {
            self.server.wires().received.show(self.counts[self.next]);
            self.next += 1;
            self.server.turn(self.now_ns);
            self.now_ns += ROUND_NS;
            let wires = self.server.wires();
            self.sent += wires.sent.len() as u64;
            wires.sent.clear();
        }
    }

    /// Frames that the server has sent since the warm-up.
    pub fn sent(&self) -> u64 {
        self.sent
    }
}
