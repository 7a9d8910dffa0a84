//! The general path of a frame: to a connection here, to another shard, or to an answer.

use crate::port::{ReceivedChecksum, Transmit};
use crate::shard::Events;
use crate::table::Entry;
use crate::wire::{Fragment, Kind, Packet, Tuple};

use super::Stack;
use super::burst::Outlook;
use super::counters::DropReason;
use super::fragmented::Place;
use super::ingress::{Arrival, Inbound, Passed};
use super::peers::{Peers, PublishedTables};
use super::tables::{Hashed, Published, look_up_published};

/// Look-ups in other shards' tables in one turn at most, so that a flood of strays stays cheap.
const PEER_LOOKUPS_MAX: u32 = 64;

/// What the tables of all shards say about a segment.
enum Whose {
    /// It is for this shard: its entry, if there is one.
    Ours(Option<Entry>),
    /// Another shard has the connection.
    Theirs(usize),
    /// Cannot be said now.
    Unsure,
}

/// What is known of a frame that goes the general way.
pub(super) enum Known<'a> {
    /// It is a plain segment or a usual SYN, verified.
    Plain(&'a Outlook),
    /// Its headers, and whether the device vouches for its checksums.
    General(&'a Inbound, ReceivedChecksum),
    /// A checksum is wrong.
    Damaged,
}

/// Where frames go that may not be for this shard.
pub(super) struct Strays<'a, L> {
    peers: &'a mut L,
    others: &'a [PublishedTables],
    /// Look-ups in the others' tables that are left in this turn.
    lookups: u32,
    place: Place,
}

/// The general path: checksums, addresses, look-up; frames that are no TCP are done with here.
#[inline(never)]
pub(super) fn handle<T: Transmit, L: Peers, E: Events<Stack>>(
    stack: &mut Stack,
    strays: &mut Strays<'_, L>,
    transmit: &mut T,
    events: &mut E,
    bytes: &[u8],
    known: &Known<'_>,
) {
    match *known {
        Known::Damaged => stack.counters.drop(DropReason::BadChecksum),
        Known::Plain(outlook) => {
            let tuple = Tuple::from_words_v4(outlook.tuple);
            if let Some(local) = stack.admit_tuple(&tuple) {
                let arrival = stack.arrival(bytes, outlook, tuple, local);
                strays.deal_with(stack, transmit, events, bytes, &arrival);
            }
        }
        Known::General(inbound, checksum) => match inbound.passed {
            Passed::Tcp(_) => {
                if let Some(arrival) = stack.admit(bytes, inbound, checksum) {
                    strays.deal_with(stack, transmit, events, bytes, &arrival);
                }
            }
            Passed::Dropped => {}
            Passed::Malformed => stack.handle_malformed(transmit, bytes),
            Passed::Other => strays.deal_with_other(stack, transmit, events, bytes, &inbound.packet),
        },
    }
}

impl<'a, L: Peers> Strays<'a, L> {
    /// `others` are the tables of the other shards.
    pub(super) fn new(peers: &'a mut L, others: &'a [PublishedTables], place: Place) -> Self {
        Self { peers, others, lookups: PEER_LOOKUPS_MAX, place }
    }
}

impl<L: Peers> Strays<'_, L> {
    /// A segment that was admitted: it is for a connection here, or on another shard.
    #[inline(never)]
    fn deal_with<T: Transmit, E: Events<Stack>>(
        &mut self,
        stack: &mut Stack,
        transmit: &mut T,
        events: &mut E,
        bytes: &[u8],
        arrival: &Arrival<'_>,
    ) {
        match self.whose(stack, &arrival.hashed) {
            Whose::Ours(entry) => stack.handle_tcp(transmit, events, arrival, entry),
            Whose::Theirs(shard) => self.hand_over(stack, shard, bytes),
            Whose::Unsure => stack.handle_unsure(transmit, arrival),
        }
    }
}

impl<L: Peers> Strays<'_, L> {
    /// A frame that is no TCP segment. An ICMP error goes to the shard that owns the segment which it quotes.
    #[cold]
    fn deal_with_other<T: Transmit, E: Events<Stack>>(
        &mut self,
        stack: &mut Stack,
        transmit: &mut T,
        events: &mut E,
        bytes: &[u8],
        packet: &Packet,
    ) {
        if let Kind::Fragment(fragment) = packet.kind {
            return self.deal_with_fragment(stack, transmit, events, bytes, (packet, fragment));
        }
        let fact = match stack.icmp_error(bytes, packet) {
            None => stack.handle_other(transmit, bytes, packet),
            Some(error) => match self.whose(stack, &error.hashed) {
                Whose::Ours(entry) => stack.handle_icmp_error(&error, entry),
                Whose::Theirs(shard) => return self.hand_over(stack, shard, bytes),
                Whose::Unsure => return stack.counters.drop(DropReason::HandOverFull),
            },
        };
        if let Some(fact) = fact {
            self.peers.publish(fact);
        }
    }

    /// A fragment goes to the shard that puts its datagram together.
    fn deal_with_fragment<T: Transmit, E: Events<Stack>>(
        &mut self,
        stack: &mut Stack,
        transmit: &mut T,
        events: &mut E,
        bytes: &[u8],
        (packet, fragment): (&Packet, Fragment),
    ) {
        let Some(id) = stack.fragment_id(bytes, packet, fragment) else { return };
        let home = stack.fragment_home(&id, self.place);
        if home != self.place.own {
            return self.hand_over(stack, home, bytes);
        }
        if let Some(slot) = stack.take_fragment(transmit, bytes, packet, id, fragment) {
            self.deal_with_whole(stack, transmit, events, slot);
        }
    }

    /// A datagram that was put together: it goes the way of any other frame.
    pub(super) fn deal_with_whole<T: Transmit, E: Events<Stack>>(
        &mut self,
        stack: &mut Stack,
        transmit: &mut T,
        events: &mut E,
        slot: u16,
    ) {
        let (memory, range) = stack.fragments.lend(slot);
        let bytes = memory.get(range).unwrap_or_default();
        let mut inbound = Inbound::EMPTY;
        stack.first_pass(bytes, &mut inbound);
        handle(stack, self, transmit, events, bytes, &Known::General(&inbound, ReceivedChecksum::Unverified));
        stack.fragments.give_back(memory);
    }

    fn hand_over(&mut self, stack: &mut Stack, shard: usize, bytes: &[u8]) {
        match self.peers.hand_over(shard, bytes) {
            Ok(()) => stack.counters.handed_over += 1,
            Err(_) => stack.counters.drop(DropReason::HandOverFull),
        }
    }
}

impl<L> Strays<'_, L> {
    /// Looks the segment up here, then in the tables of the others. RST, or a new half-open connection, only
    /// after that: flows move between queues.
    #[inline]
    fn whose(&mut self, stack: &Stack, hashed: &Hashed) -> Whose {
        let entry = stack.tables.find(hashed);
        if entry.is_some() || self.others.is_empty() {
            return Whose::Ours(entry);
        }
        for other in self.others {
            if self.lookups == 0 {
                return Whose::Unsure;
            }
            self.lookups -= 1;
            match look_up_published(&other.v4, &other.v6, hashed) {
                Published::Yes => return Whose::Theirs(other.shard),
                Published::No => {}
                Published::Unsure => return Whose::Unsure,
            }
        }
        Whose::Ours(None)
    }
}
