//! Both ends of the link in one thread and in virtual time.

use bywash_core::base::random::Random;

use super::{Client, Implementation, Load, REQUEST_LEN, Segments, WARM_UP_ROUNDS};
use crate::ends::End;
use crate::memory::Frames;

/// Connections that are opened in one round at most: less than any backlog, and than the frames on a wire.
const OPENED_PER_ROUND: u32 = 1024;
/// Rounds after which they must be open.
const OPENING_ROUNDS_MAX: u32 = 100;

/// A client, a server, and the connections between them.
pub struct Pair<I: Implementation> {
    client: I::Client,
    server: I::Server,
    load: Load,
    /// The order in which connections take turns.
    order: Vec<u32>,
    next: usize,
    /// Connections that were begun.
    begun: u32,
    asked: u64,
    now_ns: u64,
    /// What the clients send, while it is wanted.
    recording: Option<Recording>,
}

/// The frames of some rounds as they reach the server.
pub(super) struct Recording {
    /// Of all rounds.
    pub(super) frames: Frames,
    /// How many there are in each round.
    pub(super) counts: Vec<usize>,
}

/// Whether connections are left to be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opening {
    /// Some are.
    Going,
    /// None.
    Done,
}

impl<I: Implementation> Pair<I> {
    /// Opens the connections and goes through the warm-up.
    ///
    /// # Panics
    /// When a stack does not do what it is asked.
    pub fn new(load: Load) -> Self {
        let mut pair = Self::closed(load);
        while pair.open_some() == Opening::Going {}
        pair.run(WARM_UP_ROUNDS);
        pair
    }

    /// The two ends before anything was sent.
    pub(super) fn closed(load: Load) -> Self {
        Self {
            client: I::client(load.connections),
            server: I::server(load.connections),
            load,
            order: random_order(load.connections),
            next: 0,
            begun: 0,
            asked: 0,
            now_ns: load.round_ns,
            recording: None,
        }
    }

    /// The load.
    pub fn load(&self) -> Load {
        self.load
    }

    /// Goes through `rounds` rounds of one batch each. Its name is what instruction counts are toggled by.
    #[inline(never)]
    pub fn measured(&mut self, rounds: u32) {
        self.run(rounds);
    }

    /// The same, not to be counted.
    pub fn run(&mut self, rounds: u32) {
        for _ in 0..rounds {
            self.ask();
            self.cross();
        }
    }

    /// Takes in the last replies.
    ///
    /// # Panics
    /// When a request was not answered in full.
    pub fn finish(&mut self) {
        self.now_ns += self.load.round_ns;
        self.client.turn(self.now_ns);
        assert_eq!(self.client.replied(), self.asked * REQUEST_LEN as u64, "every request has its reply");
    }

    /// From now on what the clients send is added to `recording`.
    pub(super) fn record(&mut self, recording: Recording) {
        self.recording = Some(recording);
    }

    /// What was recorded; to be emptied before the next round.
    pub(super) fn recording(&mut self) -> Option<&mut Recording> {
        self.recording.as_mut()
    }

    /// Opens some connections more.
    pub(super) fn open_some(&mut self) -> Opening {
        let count = OPENED_PER_ROUND.min(self.load.connections - self.begun);
        (0..count).for_each(|_| self.client.connect());
        self.begun += count;
        let mut rounds = 0;
        while self.client.opened() < self.begun as usize {
            assert!(rounds < OPENING_ROUNDS_MAX, "connections do not open");
            self.cross();
            rounds += 1;
        }
        if self.begun < self.load.connections {
            return Opening::Going;
        }
        // The last handshake ends at the server.
        self.cross();
        Opening::Done
    }

    /// Writes one batch; the last turn is left to [`Self::cross`].
    #[inline]
    fn ask(&mut self) {
        let one_by_one = self.load.segments == Segments::Each && self.load.connections < self.load.batch;
        for _ in 0..self.load.batch {
            let connection = self.order[self.next];
            self.next = if self.next + 1 == self.order.len() { 0 } else { self.next + 1 };
            self.client.request(connection as usize);
            if one_by_one {
                self.client.turn(self.now_ns);
            }
        }
        self.asked += u64::from(self.load.batch);
    }

    /// One turn of each end, and what they send to each other.
    #[inline]
    fn cross(&mut self) {
        self.client.turn(self.now_ns);
        if let Some(Recording { frames, counts }) = &mut self.recording {
            let sent = &self.client.wires().sent;
            sent.iter().for_each(|frame| frames.push(frame));
            counts.push(sent.len());
        }
        self.client.wires().deliver(self.server.wires());
        self.server.turn(self.now_ns);
        self.server.wires().deliver(self.client.wires());
        self.now_ns += self.load.round_ns;
    }
}

/// A permutation of `0..count`, always the same.
fn random_order(count: u32) -> Vec<u32> {
    let mut random = Random::from_seed(1);
    let mut order: Vec<u32> = (0..count).collect();
    for index in (1..order.len()).rev() {
        order.swap(index, random.below(index as u64 + 1) as usize);
    }
    order
}
