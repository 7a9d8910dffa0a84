//! The turn of one shard over a frame port (DESIGN: a frame's journey).

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::base::time::Instant;
use crate::port::{Burst, Port, ReceivedChecksum, Transmit};
use crate::shard::{ConnectionId, Events, Transport, Turn};
use crate::table::Entry;
use crate::tcp::state::Flag;

use super::counters::DropReason;
use super::ingress::{Arrival, Inbound, Passed};
use super::neighbour::Create;
use super::peers::{HostFact, Peers, PublishedTables};
use super::tables::{Published, look_up_published};
use super::{Report, Stack};

/// Frames taken from the port in one turn at most.
pub const BURST_MAX: usize = 64;
/// Look-ups in other shards' tables in one turn at most, so that a flood of strays stays cheap.
const PEER_LOOKUPS_MAX: u32 = 64;

/// A stack on a port, with its way to the other shards.
pub struct Engine<P, L> {
    port: P,
    stack: Stack,
    peers: L,
    /// The tables of all other shards.
    others: Vec<PublishedTables>,
    inbound: Box<[Inbound; BURST_MAX]>,
}

/// What the tables of all shards say about a segment.
enum Whose {
    /// It is for this shard: its entry, if there is one.
    Ours(Option<Entry>),
    /// Another shard has the connection.
    Theirs(usize),
    /// Cannot be said now.
    Unsure,
}

impl<P: Port, L: Peers> Engine<P, L> {
    /// Joins a stack to its port. `others` are the tables of all other shards of the server.
    pub fn new(port: P, stack: Stack, peers: L, others: Vec<PublishedTables>) -> Self {
        Self { port, stack, peers, others, inbound: Box::new([Inbound::EMPTY; BURST_MAX]) }
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

    /// Takes a burst from the port; both passes over it.
    fn receive<E: Events<Stack>>(&mut self, events: &mut E) -> u32 {
        let Self { port, stack, peers, others, inbound } = self;
        let (burst, transmit) = port.receive(BURST_MAX);
        let count = burst.len().min(BURST_MAX);
        if count == 0 {
            return 0;
        }
        stack.counters.bursts += 1;
        stack.counters.frames_received += count as u64;
        for (index, place) in inbound.iter_mut().enumerate().take(count) {
            stack.first_pass(burst.frame(index), place);
        }
        let mut lookups = PEER_LOOKUPS_MAX;
        for (index, inbound) in inbound.iter().enumerate().take(count) {
            let (frame, checksum) = (burst.frame(index), burst.checksum(index));
            let Some(arrival) = second_pass(stack, peers, transmit, frame, inbound, checksum) else {
                continue;
            };
            match whose(stack, others, &arrival, &mut lookups) {
                Whose::Ours(entry) => stack.handle_tcp(transmit, events, &arrival, entry),
                Whose::Theirs(shard) => match peers.hand_over(shard, frame) {
                    Ok(()) => stack.counters.handed_over += 1,
                    Err(_) => stack.counters.drop(DropReason::HandOverFull),
                },
                Whose::Unsure => stack.counters.drop(DropReason::HandOverFull),
            }
        }
        count as u32
    }

    /// Frames that other shards have handed over: their flows are ours.
    fn take_over<E: Events<Stack>>(&mut self, events: &mut E) -> u32 {
        let Self { port, stack, peers, .. } = self;
        let transmit = port.transmit();
        let mut taken = 0;
        while taken < BURST_MAX as u32 {
            let took = peers.next_frame(|frame| {
                let mut inbound = Inbound::EMPTY;
                stack.first_pass(frame, &mut inbound);
                // The shard that handed it over has verified it.
                let Some(arrival) = stack.admit(frame, &inbound, ReceivedChecksum::Verified) else { return };
                let entry = stack.tables.find(&arrival.hashed);
                stack.handle_tcp(transmit, events, &arrival, entry);
            });
            if !took {
                break;
            }
            taken += 1;
        }
        stack.counters.taken_over += u64::from(taken);
        taken
    }

    fn learn_facts(&mut self) {
        while let Some(fact) = self.peers.next_fact() {
            let HostFact::Neighbour { address, mac } = fact;
            // Not published again: everybody was told.
            let _ = self.stack.learn(self.port.transmit(), address, mac, Create::Yes);
        }
    }
}

/// Checksums, addresses; frames that are no TCP are done with here.
#[inline]
fn second_pass<'a, T: Transmit, L: Peers>(
    stack: &mut Stack,
    peers: &mut L,
    transmit: &mut T,
    frame: &'a [u8],
    inbound: &Inbound,
    checksum: ReceivedChecksum,
) -> Option<Arrival<'a>> {
    match inbound.passed {
        Passed::Tcp(_) => return stack.admit(frame, inbound, checksum),
        Passed::Dropped => return None,
        Passed::Other => {}
    }
    if let Some(fact) = stack.handle_other(transmit, frame, &inbound.packet) {
        peers.publish(fact);
    }
    None
}

/// Looks the segment up here, then in the tables of the others. RST, or a new half-open connection, only
/// after that: flows move between queues.
#[inline]
fn whose(stack: &Stack, others: &[PublishedTables], arrival: &Arrival<'_>, lookups: &mut u32) -> Whose {
    let entry = stack.tables.find(&arrival.hashed);
    if entry.is_some() || others.is_empty() {
        return Whose::Ours(entry);
    }
    for other in others {
        if *lookups == 0 {
            return Whose::Unsure;
        }
        *lookups -= 1;
        match look_up_published(&other.v4, &other.v6, &arrival.hashed) {
            Published::Yes => return Whose::Theirs(other.shard),
            Published::No => {}
            Published::Unsure => return Whose::Unsure,
        }
    }
    Whose::Ours(None)
}

impl<P: Port, L: Peers> Transport for Engine<P, L> {
    type Host = Stack;

    fn turn<E: Events<Stack>>(&mut self, now: Instant, events: &mut E) -> Turn {
        self.stack.now = now;
        self.stack.accept_budget_left = self.stack.config.accept_budget;
        self.learn_facts();
        let received = self.receive(events);
        let taken = self.take_over(events);
        let transmit = self.port.transmit();
        let fired = self.stack.expire(transmit, events);
        self.stack.accept(events);
        let is_left = self.stack.service_pending(transmit, events);
        let flushed = self.port.flush();
        self.stack.counters.wakeups += u64::from(flushed.wakeups);
        let work = received + taken + fired;
        self.stack.counters.turns += u64::from(work > 0);
        let again =
            is_left || flushed.remaining || received == BURST_MAX as u32 || self.stack.has_unaccepted();
        Turn { work: work + flushed.frames, deadline: self.stack.next_deadline(), again }
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
