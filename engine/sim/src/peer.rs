//! A host with a TCP of its own, written apart from the engine: it accepts connections, checks every octet against its
//! place in the stream, and does all that a peer may do and few do.

mod connection;
mod habits;
mod ranges;
mod segment;

use std::collections::BTreeMap;
use std::rc::Rc;

use bywash_core::base::random::Random;
use bywash_core::base::time::Instant;

use crate::ledger::SharedLedger;
use crate::plan::{LISTEN_PORT, address};
use crate::script::Family;
use connection::{Connection, Surroundings};
use segment::{Arrived, Ends, Frame};

pub use habits::Habits;

/// A scripted peer before a world begins.
#[derive(Clone, Debug)]
pub struct PeerPlan {
    /// Which host it is.
    pub number: usize,
    /// How it behaves until `calm_at`.
    pub habits: Habits,
    /// From then on it behaves.
    pub calm_at: Instant,
    /// Its own source of chance.
    pub seed: u64,
}

impl PeerPlan {
    /// One with habits at random.
    pub fn draw(random: &mut Random, number: usize, calm_at: Instant) -> Self {
        Self { number, habits: Habits::draw(random), calm_at, seed: random.next_u64() }
    }
}

/// The host.
pub struct Peer {
    plan: PeerPlan,
    random: Random,
    ledger: SharedLedger,
    connections: BTreeMap<Ends, Connection>,
    outbox: Vec<Vec<u8>>,
}

impl Peer {
    /// One that knows nobody.
    pub fn new(plan: PeerPlan, ledger: &SharedLedger) -> Self {
        let random = Random::from_seed(plan.seed);
        let ledger = Rc::clone(ledger);
        Self { plan, random, ledger, connections: BTreeMap::new(), outbox: Vec::new() }
    }

    /// A frame has arrived.
    pub fn handle(&mut self, now: Instant, frame: &[u8]) {
        let own = [Family::V4, Family::V6].map(|family| address(self.plan.number, family));
        match segment::read(frame, &own) {
            Some(Arrived::Question(answer)) => self.outbox.push(answer),
            Some(Arrived::Segment(frame)) if frame.ends.local.1 == LISTEN_PORT => self.segment(now, &frame),
            Some(Arrived::Segment(_)) | None => {}
        }
    }

    fn segment(&mut self, now: Instant, frame: &Frame<'_>) {
        let Self { plan, random, ledger, connections, outbox } = self;
        let is_calm = now >= plan.calm_at;
        let habits = if is_calm { plan.habits.calm() } else { plan.habits };
        let mut around = Surroundings { now, habits, random, ledger, outbox };
        let opens = frame.is_syn();
        let known = connections.get_mut(&frame.ends).filter(|known| !(opens && known.is_over()));
        if let Some(connection) = known {
            connection.handle(&mut around, frame);
        } else if opens {
            if let Some(connection) = Connection::accept(&mut around, frame) {
                connections.insert(frame.ends, connection);
            }
        } else {
            segment::refuse(frame, around.outbox);
        }
    }

    /// When [`Peer::expire`] has something to do.
    pub fn deadline(&self) -> Option<Instant> {
        self.connections.values().filter_map(Connection::deadline).min()
    }

    /// Does what is due.
    pub fn expire(&mut self, now: Instant) {
        let Self { plan, random, ledger, connections, outbox } = self;
        let habits = if now >= plan.calm_at { plan.habits.calm() } else { plan.habits };
        let mut around = Surroundings { now, habits, random, ledger, outbox };
        connections.retain(|_, connection| connection.expire(&mut around));
    }

    /// Forgets everything: who asks again hears RST.
    pub fn forget(&mut self) {
        self.connections.clear();
    }

    /// What it has to send.
    pub fn take_frames(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.outbox)
    }
}
