//! The server's half alone, fed with what clients have sent before.

use super::pair::{Opening, Pair, Recording};
use super::{Implementation, Load, WARM_UP_ROUNDS};
use crate::ends::End;
use crate::memory::Frames;

/// Frames of the clients for each request of a recording at most: it, and delayed ACKs, also of earlier ones.
const FRAMES_PER_REQUEST: u32 = 3;
/// Room for the frames of some rounds in which connections are opened.
const FRAMES_MIN: u32 = 16_384;

/// A pair of client and server, and a second server that is shown the same frames at the same time.
///
/// The client and its server run ahead for some rounds, then the second server catches up: only that is measured.
pub struct Replay<I: Implementation> {
    pair: Pair<I>,
    server: I::Server,
    now_ns: u64,
    rounds_max: u32,
    sent: u64,
}

impl<I: Implementation> Replay<I> {
    /// Opens the connections and goes through the warm-up. At most `rounds_max` rounds (at least 1) are replayed at a
    /// time.
    ///
    /// # Panics
    /// When a stack does not do what it is asked.
    pub fn new(load: Load, rounds_max: u32) -> Self {
        let requests_max = load.batch.saturating_mul(rounds_max);
        let frames_max = requests_max.saturating_mul(FRAMES_PER_REQUEST).max(FRAMES_MIN);
        let mut pair = Pair::closed(load);
        pair.record(Recording { frames: Frames::new(frames_max as usize), counts: Vec::new() });
        let server = I::server(load.connections);
        let mut replay = Self { pair, server, now_ns: load.round_ns, rounds_max, sent: 0 };
        while replay.pair.open_some() == Opening::Going {
            replay.play();
        }
        replay.play();
        replay.run(WARM_UP_ROUNDS);
        replay.sent = 0;
        replay
    }

    /// Lets clients and server go on for `rounds` rounds, and the second server after them.
    pub fn run(&mut self, mut rounds: u32) {
        while rounds > 0 {
            let some = rounds.min(self.rounds_max);
            self.record(some);
            self.play();
            rounds -= some;
        }
    }

    /// Records `rounds` rounds, of which there may be as many as `rounds_max` at a time.
    ///
    /// # Panics
    /// When there are more.
    pub fn record(&mut self, rounds: u32) {
        assert!(rounds <= self.rounds_max, "at most {} rounds at a time", self.rounds_max);
        self.pair.run(rounds);
    }

    /// Shows the second server what was recorded. Its name is what instruction counts are toggled by.
    #[inline(never)]
    pub fn measured(&mut self) {
        self.play();
    }

    /// Frames that the second server has sent since the warm-up.
    pub fn sent(&self) -> u64 {
        self.sent
    }

    fn play(&mut self) {
        let load = self.pair.load();
        let Some(Recording { frames, counts }) = self.pair.recording() else { return };
        frames.conceal();
        core::mem::swap(frames, &mut self.server.wires().received);
        for count in counts.drain(..) {
            self.server.wires().received.show(count);
            self.server.turn(self.now_ns);
            self.now_ns += load.round_ns;
            let sent = &mut self.server.wires().sent;
            self.sent += sent.len() as u64;
            sent.clear();
        }
        core::mem::swap(frames, &mut self.server.wires().received);
        frames.clear();
    }
}
