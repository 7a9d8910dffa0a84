//! Connections that peers open: SYN, SYN-RECEIVED, the accept queue.

use crate::base::slab::Key;
use crate::base::time::Duration;
use crate::port::Transmit;
use crate::shard::{Events, Origin};
use crate::table::{Entry, FamilyPlace, Kind};
use crate::tcp::connection::{self, Agreement, Connection, Ends, Warm, begin};
use crate::tcp::ecn::EcnSetup;
use crate::tcp::handshake::{PeerSyn, SynReceived, syn_window};
use crate::tcp::segment::Segment;
use crate::tcp::seq::SequenceNumber;
use crate::tcp::state::Flag;
use crate::wire::tcp::{Flags as Control, Options, TcpRepr, Timestamps};
use crate::wire::{Address, Tuple};

use super::counters::DropReason;
use super::egress::{Head, Route, path_mss};
use super::ingress::Arrival;
use super::listener::Inherited;
use super::{Accepting, Stack};

/// Where what must be remembered of a SYN goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SynRoom {
    /// Into a record of ours.
    HalfOpen,
    /// To the peer, which brings it back.
    Cookie,
    /// Nowhere: the SYN is dropped.
    None,
}

/// Whether there is room for one more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    Some,
    None,
}

/// A handshake that a peer has completed.
#[derive(Clone, Copy)]
pub(super) struct Handshake<'a> {
    /// Where the table has its tuple.
    pub(super) place: FamilyPlace,
    /// What the peer's SYN said.
    pub(super) peer: &'a PeerSyn,
    /// Our initial sequence number.
    pub(super) iss: SequenceNumber,
    /// The listener that it was for.
    pub(super) listener: usize,
    /// Its round trip, if that was measured.
    pub(super) rtt_us: Option<u32>,
    /// How often our SYN+ACK was sent again.
    pub(super) resent: u8,
}

impl Stack {
    /// SYN for a listener. `above`: the ISS must lie there or later (RFC 6191 reuse of a TIME_WAIT tuple).
    pub(super) fn handle_syn<T: Transmit>(
        &mut self,
        transmit: &mut T,
        listener: usize,
        arrival: &Arrival<'_>,
        above: Option<SequenceNumber>,
    ) {
        match self.room_for_syn(listener, above) {
            SynRoom::HalfOpen => {}
            SynRoom::Cookie => return self.send_cookie(transmit, listener, arrival),
            SynRoom::None => return,
        }
        let peer = PeerSyn::read(&arrival.segment, arrival.tuple.remote, &self.config.tcp);
        let flow = arrival.hashed.flow(&self.secrets);
        let isn = flow.isn(self.now);
        let iss = above.map_or(isn, |above| above.latest(isn));
        let Some(key) = self.half_open.next_key() else {
            self.counters.drop(DropReason::SynBacklogFull);
            return;
        };
        let entry = Entry::new(Kind::SynReceived, key).ok();
        let Some(place) = entry.and_then(|entry| self.tables.insert(&arrival.hashed, entry).ok()) else {
            self.counters.drop(DropReason::TooManyConnections);
            return;
        };
        let record = SynReceived::new(place, &peer, iss, arrival.mac, listener as u8, self.now);
        let inserted = self.half_open.insert(record);
        debug_assert_eq!(inserted.ok(), Some(key), "the slab said which key comes next");
        self.listeners[listener].half_open += 1;
        self.emit_syn_ack(transmit, key.index, &record, &arrival.tuple, flow.ts_offset);
    }

    /// Where what must be remembered of one more SYN goes; counted if nowhere.
    fn room_for_syn(&mut self, listener: usize, above: Option<SequenceNumber>) -> SynRoom {
        // As Linux: no new handshake while the ones that are done cannot be accepted.
        if self.room_to_accept(listener) == Room::None {
            return SynRoom::None;
        }
        let tcp = &self.config.tcp;
        if above.is_some() {
            // A cookie cannot be told where its number must begin.
            return SynRoom::HalfOpen;
        }
        let is_full = self.listeners[listener].half_open >= tcp.tcp_max_syn_backlog
            || self.half_open.len() == self.half_open.capacity();
        match (tcp.tcp_syncookies, is_full) {
            (0, true) => {
                self.counters.drop(DropReason::SynBacklogFull);
                SynRoom::None
            }
            (0 | 1, false) => SynRoom::HalfOpen,
            (_, _) => SynRoom::Cookie,
        }
    }

    /// Whether a SYN may take the place of a connection in TIME_WAIT; counted if not.
    pub(super) fn has_room_to_reopen(&mut self, listener: usize) -> bool {
        if self.half_open.len() == self.half_open.capacity() {
            self.counters.drop(DropReason::SynBacklogFull);
            return false;
        }
        self.room_to_accept(listener) == Room::Some
    }

    /// Whether one more connection may wait to be accepted; counted if not.
    pub(super) fn room_to_accept(&mut self, listener: usize) -> Room {
        let Some(listener) = self.listeners.get(listener) else { return Room::None };
        if listener.queue.len() < listener.backlog as usize {
            return Room::Some;
        }
        self.counters.drop(DropReason::AcceptQueueFull);
        Room::None
    }

    /// Sends the SYN+ACK of a half-open connection and sets its timer (RFC 6298 section 5).
    pub(super) fn send_syn_ack<T: Transmit>(&mut self, transmit: &mut T, key: Key) {
        let Some(record) = self.half_open.get(key).copied() else { return };
        let tuple = self.tables.tuple(record.place);
        let ts_offset = self.secrets.flow(&tuple).ts_offset;
        // Sent again because the SYN was, it may be armed for an earlier time.
        self.half_open_wheel.disarm(key.index);
        self.emit_syn_ack(transmit, key.index, &record, &tuple, ts_offset);
    }

    /// The same for a record that is not armed and whose tuple's secrets are known.
    #[inline]
    fn emit_syn_ack<T: Transmit>(
        &mut self,
        transmit: &mut T,
        index: u32,
        record: &SynReceived,
        tuple: &Tuple,
        ts_offset: u32,
    ) {
        let tcp = self.tcp_of(record.listener);
        let timeout = Duration::from_micros(u64::from(tcp.tcp_rto_initial_us) << record.retries.min(16));
        let own_mss = self.own_mss(self.maxseg_of(record.listener), tuple.remote);
        let clock = self.clock.ms.wrapping_add(ts_offset);
        let head = Head {
            local_port: tuple.local_port,
            remote_port: tuple.remote_port,
            seq: record.iss,
            ack: record.rcv_nxt(),
            flags: Control::SYN | Control::ACK | record.peer().ecn.syn_ack_bits(),
            window: syn_window(tcp),
            timestamps: None,
        };
        let options = record.peer().reply_options(own_mss, clock, tcp);
        let route = Route { mac: record.mac, local: tuple.local, remote: tuple.remote, traffic_class: 0 };
        self.half_open_wheel.arm(index, self.now + timeout);
        self.send_opening(transmit, &route, &head, &options);
    }

    /// A segment for a half-open connection (RFC 9293 section 3.10.7.4, SYN-RECEIVED).
    pub(super) fn handle_syn_received<T: Transmit, E: Events<Self>>(
        &mut self,
        transmit: &mut T,
        events: &mut E,
        key: Key,
        arrival: &Arrival<'_>,
    ) {
        let Some(record) = self.half_open.get(key).copied() else { return };
        let segment = &arrival.segment;
        let control = segment.control;
        let (peer, rcv_nxt) = (record.peer(), record.rcv_nxt());
        let window = u32::from(syn_window(self.tcp_of(record.listener)));
        if control.intersects(Control::RST) {
            return self.reset_half_open(transmit, key, &record, arrival);
        }
        if control.intersects(Control::SYN) {
            return if segment.seq == peer.irs && !control.intersects(Control::ACK) {
                // The peer has not seen our SYN+ACK.
                self.note_fallback(key, segment);
                self.send_syn_ack(transmit, key);
            } else {
                self.counters.drop(DropReason::UnexpectedSyn);
                self.challenge_half_open(transmit, &record, arrival);
            };
        }
        if !segment.seq.is_within(rcv_nxt, window) {
            self.counters.drop(DropReason::OutOfWindow);
            return self.challenge_half_open(transmit, &record, arrival);
        }
        if !control.intersects(Control::ACK) {
            return self.counters.drop(DropReason::NoAck);
        }
        if segment.ack != record.iss + 1 {
            // An earlier copy of the SYN may have found the backlog full: the cookie is as good (Linux looks there, too).
            if self.is_cookie(arrival) {
                self.remove_half_open(key);
                self.take_cookie(transmit, events, usize::from(record.listener), arrival);
                return;
            }
            self.counters.drop(DropReason::UnacceptableAck);
            return self.refuse(transmit, arrival);
        }
        let older = match (peer.timestamp, segment.timestamps) {
            (Some(recent), Some(now)) => (now.value.wrapping_sub(recent) as i32) < 0,
            (_, Some(_) | None) => false,
        };
        if older {
            self.counters.drop(DropReason::Paws);
            return self.challenge_half_open(transmit, &record, arrival);
        }
        if let Some(id) = self.complete_handshake(transmit, events, key, &record, arrival) {
            self.take_first(transmit, events, id, &arrival.segment);
        }
    }

    /// RFC 3168 section 6.1.1: one SYN that does not ask for ECN, and there is none.
    fn note_fallback(&mut self, key: Key, syn: &Segment<'_>) {
        if EcnSetup::of_syn(syn, self.config.tcp.tcp_ecn) == EcnSetup::Absent
            && let Some(record) = self.half_open.get_mut(key)
        {
            record.forget_ecn();
        }
    }

    /// RFC 5961 section 3.2 for a half-open connection.
    fn reset_half_open<T: Transmit>(
        &mut self,
        transmit: &mut T,
        key: Key,
        record: &SynReceived,
        arrival: &Arrival<'_>,
    ) {
        let rcv_nxt = record.rcv_nxt();
        if arrival.segment.seq == rcv_nxt {
            self.counters.resets_received += 1;
            self.remove_half_open(key);
        } else {
            self.counters.drop(DropReason::InexactReset);
            if arrival.segment.seq.is_within(rcv_nxt, u32::from(syn_window(self.tcp_of(record.listener)))) {
                self.challenge_half_open(transmit, record, arrival);
            }
        }
    }

    /// ACKs the peer's SYN alone.
    fn challenge_half_open<T: Transmit>(
        &mut self,
        transmit: &mut T,
        record: &SynReceived,
        arrival: &Arrival<'_>,
    ) {
        if !self.challenges.allow(self.now, &self.secrets) {
            self.counters.drop(DropReason::RateLimited);
            return;
        }
        self.counters.challenge_acks += 1;
        let (peer, tuple) = (record.peer(), arrival.tuple);
        let value = self.clock.ms.wrapping_add(arrival.hashed.flow(&self.secrets).ts_offset);
        let timestamps = peer.timestamp.map(|echo| Timestamps { value, echo });
        let repr = TcpRepr {
            source_port: tuple.local_port,
            destination_port: tuple.remote_port,
            seq: (record.iss + 1).0,
            ack: record.rcv_nxt().0,
            flags: Control::ACK,
            window: syn_window(self.tcp_of(record.listener)),
            urgent: 0,
            options: Options { timestamps, ..Options::NONE },
        };
        self.answer(transmit, arrival, &repr);
    }

    /// Gives a half-open connection up.
    pub(super) fn remove_half_open(&mut self, key: Key) {
        let Some(record) = self.half_open.remove(key).copied() else { return };
        self.half_open_wheel.disarm(key.index);
        self.tables.remove(record.place, &self.hasher);
        if let Some(listener) = self.listeners.get_mut(usize::from(record.listener)) {
            listener.half_open = listener.half_open.saturating_sub(1);
        }
    }

    /// The third segment of the handshake: makes the connection and shows or queues it.
    fn complete_handshake<T: Transmit, E: Events<Self>>(
        &mut self,
        transmit: &mut T,
        events: &mut E,
        key: Key,
        record: &SynReceived,
        arrival: &Arrival<'_>,
    ) -> Option<Key> {
        let listener = usize::from(record.listener);
        if self.room_to_accept(listener) == Room::None {
            if self.config.tcp.tcp_abort_on_overflow {
                self.remove_half_open(key);
                self.refuse(transmit, arrival);
            }
            return None;
        }
        let handshake = Handshake {
            place: record.place,
            peer: &record.peer(),
            iss: record.iss,
            listener,
            rtt_us: record.rtt_us(self.now),
            resent: record.retries,
        };
        let new = self.synchronize(&handshake, arrival)?;
        // The entry changes hands; the half-open record goes.
        self.half_open.remove(key);
        self.half_open_wheel.disarm(key.index);
        self.listeners[listener].half_open = self.listeners[listener].half_open.saturating_sub(1);
        if let Ok(entry) = Entry::new(Kind::Synchronized, new) {
            self.tables.set_entry(record.place, entry);
        }
        self.enqueue(events, listener, new);
        Some(new)
    }

    /// Makes the connection of a handshake that is done; counted if it cannot be.
    #[inline(always)]
    pub(super) fn synchronize(&mut self, handshake: &Handshake<'_>, arrival: &Arrival<'_>) -> Option<Key> {
        let Handshake { place, peer, iss, listener, rtt_us, resent } = *handshake;
        let own_mss = self.own_mss(self.maxseg_of(listener as u8), arrival.tuple.remote);
        let own_mss = own_mss.min(self.path_mss(arrival.tuple.remote));
        let ts_offset = arrival.hashed.flow(&self.secrets).ts_offset;
        let agreed =
            Agreement { rtt_us, resent, ..peer.agree(own_mss, ts_offset, self.tcp_of(listener as u8)) };
        // The frame says where the next hop is, if nothing else does.
        let Ok(neighbour) = self.hold_next_hop(arrival.tuple.remote, Some(arrival.mac)) else {
            self.counters.drop(DropReason::TooManyConnections);
            return None;
        };
        let ends = Ends {
            route: connection::Route::new(neighbour, arrival.local),
            local_port: arrival.tuple.local_port,
            remote: arrival.tuple.remote,
            remote_port: arrival.tuple.remote_port,
            place,
        };
        let (mut connection, mut warm) = begin(&ends, iss + 1, &self.config.tcp);
        connection.agree(&mut warm, &agreed, &self.config.tcp, self.now);
        warm.listener = Some(listener as u8);
        let new = self.insert_connection(connection, warm);
        if new.is_none() {
            self.neighbours.release(neighbour);
            self.counters.drop(DropReason::TooManyConnections);
        }
        new
    }

    /// Puts a new connection into its listener's accept queue.
    #[inline(always)]
    pub(super) fn enqueue<E: Events<Self>>(&mut self, events: &mut E, listener: usize, new: Key) {
        self.counters.passive_opens += 1;
        if let Inherited::Something = self.listeners[listener].inherited {
            self.inherit(new.index, self.listeners[listener].options);
        }
        self.listeners[listener].queue.push_back(new);
        self.accept(events);
    }

    /// The largest segment that we say we take (RFC 9293 section 3.7.1), with a `TCP_MAXSEG` of `maxseg`.
    pub(super) fn own_mss(&self, maxseg: u16, remote: Address) -> u16 {
        let largest = path_mss(self.capabilities.mtu, remote);
        if maxseg == 0 { largest } else { largest.min(maxseg) }
    }

    /// `TCP_MAXSEG` of a listener.
    pub(super) fn maxseg_of(&self, listener: u8) -> u16 {
        self.listeners.get(usize::from(listener)).map_or(0, |listener| listener.options.tcp_maxseg)
    }

    /// Puts both blocks at one index.
    #[inline(always)]
    pub(super) fn insert_connection(&mut self, connection: Connection, warm: Warm) -> Option<Key> {
        let key = self.connections.insert(connection).ok()?;
        let index = key.index as usize;
        if index == self.warm.len() {
            self.warm.push(warm);
        } else {
            self.warm[index] = warm;
        }
        Some(key)
    }

    /// Shows connections that wait to the application, within the turn's budget.
    #[inline]
    pub(super) fn accept<E: Events<Self>>(&mut self, events: &mut E) -> bool {
        if self.listeners.iter().all(|listener| listener.queue.is_empty()) {
            return false;
        }
        self.accept_some(events);
        self.has_unaccepted()
    }

    fn accept_some<E: Events<Self>>(&mut self, events: &mut E) {
        for listener in 0..self.listeners.len() {
            while self.accepting == Accepting::Open && self.accept_budget_left > 0 {
                let Some(key) = self.listeners[listener].queue.pop_front() else { break };
                let Some(connection) = self.connections.get_mut(key) else { continue };
                if connection.flags.has(Flag::Doomed) {
                    continue;
                }
                connection.flags.set(Flag::Known);
                self.accept_budget_left -= 1;
                events.opened(self, key, Origin::Accepted);
                // What came while it waited is shown when it is served.
                self.pend(key.index);
            }
        }
    }

    /// Whether connections wait that the budget did not allow to be shown.
    fn has_unaccepted(&self) -> bool {
        self.accepting == Accepting::Open && self.listeners.iter().any(|l| !l.queue.is_empty())
    }
}
