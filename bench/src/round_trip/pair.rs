//! Both ends of the link in one thread and in virtual time.

use bywash_core::base::random::Random;

use super::{Client, End, Implementation, Load, REQUEST_LEN, ROUND_NS, Segments, WARM_UP_ROUNDS};

/// Connections that are opened in one round at most: less than any backlog.
const OPENED_PER_ROUND: u32 = 128;
/// Rounds after which the connections must be open, for each that opens some.
const OPENING_ROUNDS_MAX: u32 = 100;

/// A client, a server, and the connections between them.
pub struct Pair<I: Implementation> {
    client: I::Client,
    server: I::Server,
    load: Load,
    /// The order in which connections take turns.
    order: Vec<u32>,
    next: usize,
    asked: u64,
    now_ns: u64,
    /// The frames of each round as they reach the server, while it is wanted.
    recording: Option<Vec<Vec<Vec<u8>>>>,
}

/// Whether what the clients send is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keep {
    /// It is.
    Frames,
    /// It is not.
    Nothing,
}

impl<I: Implementation> Pair<I> {
    /// Opens the connections and goes through the warm-up.
    ///
    /// # Panics
    /// When a stack does not do what it is asked.
    pub fn new(load: Load) -> Self {
        Self::with_recording(load, Keep::Nothing)
    }

    pub(super) fn with_recording(load: Load, keep: Keep) -> Self {
        let recording = match keep {
            Keep::Frames => Some(Vec::new()),
            Keep::Nothing => None,
        };
        let mut pair = Self {
            client: I::client(load.connections),
            server: I::server(load.connections),
            load,
            order: random_order(load.connections),
            next: 0,
            asked: 0,
            now_ns: ROUND_NS,
            recording,
        };
        pair.open();
        pair.run(WARM_UP_ROUNDS);
        pair
    }

    /// Goes through `rounds` rounds of one batch each. Its name is what instruction counts are toggled by.
    #[inline(never)]
    pub fn measured(&mut self, rounds: u32) {
        self.run(rounds);
    }

    /// The same, not to be counted.
    pub(super) fn run(&mut self, rounds: u32) {
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
        self.now_ns += ROUND_NS;
        self.client.turn(self.now_ns);
        assert_eq!(self.client.replied(), self.asked * REQUEST_LEN as u64, "every request has its reply");
    }

    pub(super) fn into_recording(self) -> Vec<Vec<Vec<u8>>> {
        self.recording.unwrap_or_default()
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
        if let Some(recording) = &mut self.recording {
            recording.push(self.client.wires().sent.iter().map(<[u8]>::to_vec).collect());
        }
        self.client.wires().deliver(self.server.wires());
        self.server.turn(self.now_ns);
        self.server.wires().deliver(self.client.wires());
        self.now_ns += ROUND_NS;
    }

    fn open(&mut self) {
        let mut asked = 0;
        while asked < self.load.connections {
            let count = OPENED_PER_ROUND.min(self.load.connections - asked);
            (0..count).for_each(|_| self.client.connect());
            asked += count;
            let mut rounds = 0;
            while self.client.opened() < asked as usize {
                assert!(rounds < OPENING_ROUNDS_MAX, "connections do not open");
                self.cross();
                rounds += 1;
            }
        }
        // The last handshake ends at the server.
        self.cross();
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
