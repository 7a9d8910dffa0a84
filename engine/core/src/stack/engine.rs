//! The turn of one shard over a frame port (DESIGN: a frame's journey).

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::base::time::Instant;
use crate::port::{Burst, Port, ReceivedChecksum, Transmit};
use crate::shard::{ConnectionId, Events, Transport, Turn};
use crate::tcp::state::Flag;

use super::burst::{OutlookKind, Outlooks};
use super::fragmented::{HandedOver, Place};
use super::ingress::{Inbound, Passed};
use super::neighbour::Claim;
use super::peers::{HostFact, Peers, PublishedTables};
use super::strays::{Known, Strays, handle};
use super::{Report, Stack};

/// Frames taken from the port in one turn at most.
pub const BURST_MAX: usize = 64;

/// A stack on a port, with its way to the other shards.
pub struct Engine<P, L> {
    port: P,
    stack: Stack,
    peers: L,
    /// The tables of all other shards.
    others: Vec<PublishedTables>,
    place: Place,
    inbound: Box<[Inbound; BURST_MAX]>,
    outlooks: Box<Outlooks>,
}

impl<P: Port, L: Peers> Engine<P, L> {
    /// Joins a stack to its port. `others` are the tables of all other shards of the server.
    pub fn new(port: P, stack: Stack, peers: L, others: Vec<PublishedTables>) -> Self {
        let inbound = Box::new([Inbound::EMPTY; BURST_MAX]);
        let outlooks = Box::new(Outlooks::EMPTY);
        let count = others.len() + 1;
        let is_ours = |number: &usize| others.iter().all(|other| other.shard != *number);
        let place = Place { own: (0..count).find(is_ours).unwrap_or(0), count };
        Self { port, stack, peers, others, place, inbound, outlooks }
    }

    /// The port.
    pub fn port(&self) -> &P {
        &self.port
    }

    /// The port, to be waited on or asked.
    pub fn port_mut(&mut self) -> &mut P {
        &mut self.port
    }

    /// The stack, between turns.
    pub fn stack(&self) -> &Stack {
        &self.stack
    }

    /// The stack, between turns.
    pub fn stack_mut(&mut self) -> &mut Stack {
        &mut self.stack
    }

    /// What is in use and what happened.
    pub fn report(&self) -> Report {
        self.stack.report()
    }

    /// Takes a burst from the port and handles its frames, each in turn.
    #[inline(always)]
    fn receive<E: Events<Stack>>(&mut self, events: &mut E) -> u32 {
        let Self { port, stack, peers, others, place, inbound, outlooks } = self;
        let (burst, transmit) = port.receive(BURST_MAX);
        let count = burst.len().min(BURST_MAX);
        if count == 0 {
            return 0;
        }
        stack.counters.bursts += 1;
        stack.counters.frames_received += count as u64;
        if count > 1 || !stack.take_alone(transmit, events, burst.frame(0), burst.checksum(0)) {
            let strays = Strays::new(peers, others, *place);
            handle_burst(stack, strays, transmit, events, &burst, count, (outlooks, inbound));
        }
        count as u32
    }

    /// Frames that other shards have handed over: their flows are ours.
    fn take_over<E: Events<Stack>>(&mut self, events: &mut E) -> u32 {
        let Self { port, stack, peers, others, place, .. } = self;
        let transmit = port.transmit();
        let mut taken = 0;
        while taken < BURST_MAX as u32 {
            let mut left = HandedOver::NOTHING;
            let took = peers.next_frame(|frame| {
                let mut inbound = Inbound::EMPTY;
                stack.first_pass(frame, &mut inbound);
                if matches!(inbound.passed, Passed::Other) {
                    left = stack.handle_handed_over(transmit, frame, &inbound.packet);
                    return;
                }
                // The shard that handed it over has verified it.
                let Some(arrival) = stack.admit(frame, &inbound, ReceivedChecksum::Verified) else { return };
                let entry = stack.tables.find(&arrival.hashed);
                stack.handle_tcp(transmit, events, &arrival, entry);
            });
            if !took {
                break;
            }
            if let Some(fact) = left.fact {
                peers.publish(fact);
            }
            if let Some(slot) = left.whole {
                Strays::new(peers, others, *place).deal_with_whole(stack, transmit, events, slot);
            }
            taken += 1;
        }
        stack.counters.taken_over += u64::from(taken);
        taken
    }

    fn learn_facts(&mut self) {
        while let Some(fact) = self.peers.next_fact() {
            // Not published again: everybody was told.
            match fact {
                HostFact::Neighbour { address, mac } => {
                    let _ = self.stack.learn(self.port.transmit(), address, Some(mac), Claim::Request);
                }
                HostFact::Claim { address, mac, claim } => {
                    let _ = self.stack.learn(self.port.transmit(), address, mac, claim);
                }
                HostFact::PathMtu { remote, mtu } => self.stack.learn_path_mtu(remote, mtu),
            }
        }
    }
}

/// What is known of the frames of a burst: the plain ones, the others.
type Notes<'a> = (&'a mut Outlooks, &'a mut [Inbound; BURST_MAX]);

/// Headers of all the burst's frames, then their connections, then each in turn: in order as long as they are what is
/// expected, and those that are not by the general path.
#[inline(never)]
fn handle_burst<B: Burst, T: Transmit, L: Peers, E: Events<Stack>>(
    stack: &mut Stack,
    mut strays: Strays<'_, L>,
    transmit: &mut T,
    events: &mut E,
    burst: &B,
    count: usize,
    (outlooks, inbound): Notes<'_>,
) {
    outlooks.look_through(stack, events, burst, count, inbound);
    let mut place = 0;
    while place < count {
        let mut outlook = outlooks.at(place);
        if outlook.kind == OutlookKind::Expected {
            place = stack.take_in_order(transmit, events, burst, outlooks, place..count);
            if place == count {
                break;
            }
            outlook = outlooks.at(place);
        }
        let known = match outlook.kind {
            OutlookKind::Plain | OutlookKind::Expected | OutlookKind::Syn => Known::Plain(outlook),
            OutlookKind::General => Known::General(&inbound[place], burst.checksum(place)),
            OutlookKind::Damaged => Known::Damaged,
        };
        handle(stack, &mut strays, transmit, events, burst.frame(place), &known);
        place += 1;
    }
}

impl<P: Port, L: Peers> Transport for Engine<P, L> {
    type Host = Stack;

    fn turn<E: Events<Stack>>(&mut self, now: Instant, events: &mut E) -> Turn {
        self.stack.begin_turn(now);
        self.learn_facts();
        let received = self.receive(events);
        let taken = self.take_over(events);
        let transmit = self.port.transmit();
        let fired = self.stack.expire(transmit, events);
        let are_unaccepted = self.stack.accept(events);
        let is_left = self.stack.service_pending(transmit, events);
        let flushed = self.port.flush();
        self.stack.counters.wakeups += u64::from(flushed.wakeups);
        let work = received + taken + fired;
        self.stack.counters.turns += u64::from(work > 0);
        let again = is_left || flushed.remaining || received == BURST_MAX as u32 || are_unaccepted;
        Turn { work: work + flushed.frames, again }
    }

    fn deadline(&self) -> Option<Instant> {
        self.stack.next_deadline()
    }

    fn host(&mut self) -> &mut Stack {
        &mut self.stack
    }

    fn stop_listening(&mut self) {
        self.stack.stop_listening();
    }

    fn open_connections(&self, into: &mut Vec<ConnectionId>) {
        let stack = &self.stack;
        into.extend(stack.connections.keys().filter(|key| {
            let flags = stack.connections.at(key.index).flags;
            flags.has(Flag::Known) && !flags.has(Flag::Closed) && !flags.has(Flag::Doomed)
        }));
    }

    fn draining(&self) -> usize {
        self.stack.connections.len()
    }
}
