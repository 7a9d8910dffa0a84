//! Connections whose handshake left no state: SYN cookies out, their acknowledgments in.

use crate::base::slab::Key;
use crate::port::Transmit;
use crate::shard::Events;
use crate::table::{Entry, Kind};
use crate::tcp::cookie::clock_with_options;
use crate::tcp::ecn::EcnSetup;
use crate::tcp::handshake::{PeerSyn, syn_window};
use crate::wire::tcp::Flags as Control;

use super::Stack;
use super::counters::DropReason;
use super::egress::Head;
use super::ingress::Arrival;
use super::passive::{Handshake, Room};

/// What became of a segment that may acknowledge a cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cookie {
    /// It does, and all that follows from it is done.
    Taken,
    /// It does not.
    Not,
}

impl Stack {
    /// Answers a SYN and keeps nothing of it.
    #[inline(never)]
    pub(super) fn send_cookie<T: Transmit>(
        &mut self,
        transmit: &mut T,
        listener: usize,
        arrival: &Arrival<'_>,
    ) {
        let peer = PeerSyn::read(&arrival.segment, arrival.tuple.remote, &self.config.tcp);
        let tcp = self.tcp_of(listener as u8);
        let own_mss = self.own_mss(self.maxseg_of(listener as u8), arrival.tuple.remote);
        // Without timestamps nothing remembers it.
        let ecn = if peer.timestamp.is_some() { peer.ecn } else { EcnSetup::Absent };
        let flow = arrival.hashed.flow(&self.secrets);
        let clock = clock_with_options(self.clock.ms, &peer).wrapping_add(flow.ts_offset);
        let options = peer.reply_options(own_mss, clock, tcp);
        let head = Head {
            local_port: arrival.tuple.local_port,
            remote_port: arrival.tuple.remote_port,
            seq: self.secrets.cookie(&arrival.tuple, &peer, self.now),
            ack: peer.irs + 1,
            flags: Control::SYN | Control::ACK | ecn.syn_ack_bits(),
            window: syn_window(tcp),
            timestamps: None,
        };
        self.counters.syncookies_sent += 1;
        self.send_opening(transmit, &arrival.route(), &head, &options);
    }

    /// A SYN that came when the other shards could not be asked for its connection any more in this turn. Nothing may be
    /// remembered of it then, but nothing has to be.
    pub(super) fn handle_unsure<T: Transmit>(&mut self, transmit: &mut T, arrival: &Arrival<'_>) {
        let control = arrival.segment.control;
        let is_syn = control.contains(Control::SYN) && !control.intersects(Control::ACK | Control::RST);
        if is_syn
            && self.config.tcp.tcp_syncookies > 0
            && self.is_host(arrival.tuple.remote)
            && let Some(listener) = self.listener_for(arrival)
        {
            return match self.room_to_accept(listener) {
                Room::Some => self.send_cookie(transmit, listener, arrival),
                Room::None => {}
            };
        }
        self.counters.drop(DropReason::HandOverFull);
    }

    /// An ACK for which there is no connection but a listener: it opens one if it acknowledges a cookie of this server,
    /// whichever shard has sent it.
    #[inline(never)]
    pub(super) fn take_cookie<T: Transmit, E: Events<Self>>(
        &mut self,
        transmit: &mut T,
        events: &mut E,
        listener: usize,
        arrival: &Arrival<'_>,
    ) -> Cookie {
        if self.config.tcp.tcp_syncookies == 0
            || arrival.segment.control.intersects(Control::SYN | Control::RST)
        {
            return Cookie::Not;
        }
        let ts_offset = arrival.hashed.flow(&self.secrets).ts_offset;
        let (tuple, segment) = (&arrival.tuple, &arrival.segment);
        let Some(peer) = self.secrets.read_cookie(tuple, segment, ts_offset, &self.config.tcp, self.now)
        else {
            self.counters.syncookies_failed += 1;
            return Cookie::Not;
        };
        self.counters.syncookies_received += 1;
        match self.room_to_accept(listener) {
            Room::None if self.config.tcp.tcp_abort_on_overflow => self.refuse(transmit, arrival),
            // The peer believes the connection to be open: what it sends will bring the cookie again.
            Room::None => {}
            Room::Some => {
                if let Some(id) = self.open_by_cookie(events, listener, &peer, arrival) {
                    self.take_first(transmit, events, id, &arrival.segment);
                }
            }
        }
        Cookie::Taken
    }

    /// Whether a segment acknowledges a cookie of this server.
    pub(super) fn is_cookie(&self, arrival: &Arrival<'_>) -> bool {
        let tcp = &self.config.tcp;
        let ts_offset = arrival.hashed.flow(&self.secrets).ts_offset;
        let read = || self.secrets.read_cookie(&arrival.tuple, &arrival.segment, ts_offset, tcp, self.now);
        tcp.tcp_syncookies > 0 && read().is_some()
    }

    #[inline(never)]
    fn open_by_cookie<E: Events<Self>>(
        &mut self,
        events: &mut E,
        listener: usize,
        peer: &PeerSyn,
        arrival: &Arrival<'_>,
    ) -> Option<Key> {
        let entry = self.connections.next_key().and_then(|key| Entry::new(Kind::Synchronized, key).ok());
        let place = entry.and_then(|entry| self.tables.insert(&arrival.hashed, entry).ok());
        let Some(place) = place else {
            self.counters.drop(DropReason::TooManyConnections);
            return None;
        };
        let iss = arrival.segment.ack - 1;
        let handshake = Handshake { place, peer, iss, listener, rtt_us: None, resent: 0 };
        let Some(id) = self.synchronize(&handshake, arrival) else {
            self.tables.remove(place, &self.hasher);
            return None;
        };
        debug_assert_eq!(
            self.tables.entry(place).map(Entry::key),
            Some(id),
            "the slab said which key comes next"
        );
        self.enqueue(events, listener, id);
        Some(id)
    }
}
