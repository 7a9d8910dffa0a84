//! Both ends send SYN at the same time (RFC 9293 section 3.5, figure 8): SYN-RECEIVED of a connection that we open.

use crate::base::slab::Key;
use crate::port::Transmit;
use crate::shard::{CloseReason, Events, Origin};
use crate::tcp::ecn::EcnSetup;
use crate::tcp::handshake::{PeerSyn, SynPhase, SynSent, syn_window};
use crate::tcp::segment::Segment;
use crate::tcp::state::Flag;
use crate::wire::tcp::{Flags as Control, Options, SackPermitted, SynOptions, TcpRepr, Timestamps};

use super::Stack;
use super::counters::DropReason;
use super::egress::{Head, Route};
use super::ingress::Arrival;

impl Stack {
    /// SYN without ACK in SYN-SENT (RFC 9293 section 3.10.7.3, fourth step): what the peer offers goes into the
    /// connection's block, and our SYN is sent again, now with an ACK.
    pub(super) fn handle_crossing<T: Transmit>(
        &mut self,
        transmit: &mut T,
        key: Key,
        record: &SynSent,
        arrival: &Arrival<'_>,
    ) {
        let peer = PeerSyn::read(&arrival.segment, arrival.tuple.remote, &self.config.tcp);
        // RFC 3168 says nothing of SYNs that cross.
        let peer = PeerSyn { ecn: EcnSetup::Absent, ..peer };
        let own_mss = self.path_mss(arrival.tuple.remote);
        let Some(connection) = self.connections.get(record.connection) else { return };
        let tcp = self.tcp_at(record.connection.index);
        let agreed = peer.agree(own_mss.min(connection.mss), connection.ts_offset, &tcp);
        let connection = self.connections.at_mut(record.connection.index);
        let warm = &mut self.warm[record.connection.index as usize];
        connection.agree(warm, &agreed, &self.config.tcp, self.now);
        if let Some(record) = self.syn_sent.get_mut(key) {
            record.phase = SynPhase::SynReceived;
        }
        self.send_crossed(transmit, record, &arrival.route());
    }

    /// Sends the SYN+ACK of a connection whose SYN has crossed the peer's. The SYN's timer goes on for it.
    pub(super) fn send_crossed<T: Transmit>(&mut self, transmit: &mut T, record: &SynSent, route: &Route) {
        let connection = self.connections.at(record.connection.index);
        let tcp = &*self.tcp_at(record.connection.index);
        let has = |flag| connection.flags.has(flag);
        let value = self.clock.ms.wrapping_add(connection.ts_offset);
        let is_scaled = connection.scales.send() | connection.scales.receive() != 0;
        let options = SynOptions {
            mss: Some(self.own_mss(self.options_at(record.connection.index).tcp_maxseg, route.remote)),
            // With both at 0 it is all the same whether the option is there.
            window_scale: is_scaled.then(|| connection.scales.receive()),
            sack_permitted: if has(Flag::Sack) { SackPermitted::Present } else { SackPermitted::Absent },
            timestamps: has(Flag::Timestamps).then_some(Timestamps { value, echo: connection.ts_recent }),
        };
        let head = Head {
            local_port: connection.ports.local(),
            remote_port: connection.ports.remote(),
            seq: connection.snd_nxt - 1,
            ack: connection.rcv_nxt,
            flags: Control::SYN | Control::ACK,
            window: syn_window(tcp),
            timestamps: None,
        };
        self.send_opening(transmit, route, &head, &options);
    }

    /// A segment in SYN-RECEIVED, reached from SYN-SENT (RFC 9293 section 3.10.7.4).
    pub(super) fn handle_crossed<T: Transmit, E: Events<Self>>(
        &mut self,
        transmit: &mut T,
        events: &mut E,
        key: Key,
        record: &SynSent,
        arrival: &Arrival<'_>,
    ) {
        let segment = &arrival.segment;
        let control = segment.control;
        let connection = self.connections.at(record.connection.index);
        let (rcv_nxt, snd_nxt) = (connection.rcv_nxt, connection.snd_nxt);
        let is_within = segment.seq.is_within(rcv_nxt, connection.rcv_adv.since(rcv_nxt));
        let is_older = connection.flags.has(Flag::Timestamps)
            && segment.timestamps.is_some_and(|ts| (ts.value.wrapping_sub(connection.ts_recent) as i32) < 0);
        if control.intersects(Control::RST) {
            return self.reset_crossed(transmit, key, record, arrival);
        }
        if control.intersects(Control::SYN) {
            return match self.part_of_handshake(segment, record) {
                Some(SynPhase::SynSent) => self.send_crossed(transmit, record, &arrival.route()),
                // The peer's SYN+ACK begins before the window, and acknowledges our SYN all the same.
                Some(SynPhase::SynReceived) => {
                    let connection = self.connections.at_mut(record.connection.index);
                    connection.snd_wnd = u32::from(segment.window);
                    connection.flags.set(Flag::AckNow);
                    self.complete_crossed(events, key, record);
                }
                None => {
                    self.counters.drop(DropReason::UnexpectedSyn);
                    self.challenge_crossed(transmit, record, arrival);
                }
            };
        }
        if !is_within || is_older {
            self.counters.drop(if is_older { DropReason::Paws } else { DropReason::OutOfWindow });
            return self.challenge_crossed(transmit, record, arrival);
        }
        if !control.intersects(Control::ACK) {
            return self.counters.drop(DropReason::NoAck);
        }
        if segment.ack != snd_nxt {
            self.counters.drop(DropReason::UnacceptableAck);
            return self.refuse(transmit, arrival);
        }
        self.complete_crossed(events, key, record);
        self.take_first(transmit, events, record.connection, segment);
        self.pend(record.connection.index);
    }

    /// RST in SYN-RECEIVED of an active open: the connection is refused. RFC 5961 section 3.2 as elsewhere.
    fn reset_crossed<T: Transmit>(
        &mut self,
        transmit: &mut T,
        key: Key,
        record: &SynSent,
        arrival: &Arrival<'_>,
    ) {
        let connection = self.connections.at(record.connection.index);
        let (rcv_nxt, window) = (connection.rcv_nxt, connection.rcv_adv.since(connection.rcv_nxt));
        if arrival.segment.seq == rcv_nxt {
            self.counters.resets_received += 1;
            return self.fail_open(key, CloseReason::ConnectionRefused);
        }
        self.counters.drop(DropReason::InexactReset);
        if arrival.segment.seq.is_within(rcv_nxt, window) {
            self.challenge_crossed(transmit, record, arrival);
        }
    }

    /// The connection is open; if the application has closed it meanwhile, it hears of its end alone.
    #[inline(never)]
    fn complete_crossed<E: Events<Self>>(&mut self, events: &mut E, key: Key, record: &SynSent) {
        self.finish_open(key, record);
        let connection = self.connections.at_mut(record.connection.index);
        connection.flags.set(Flag::Known);
        if !connection.flags.has(Flag::Closed) {
            events.opened(self, record.connection, Origin::Connected);
        }
        self.pend(record.connection.index);
    }

    /// ACKs the peer's SYN alone.
    fn challenge_crossed<T: Transmit>(&mut self, transmit: &mut T, record: &SynSent, arrival: &Arrival<'_>) {
        if !self.challenges.allow(self.now, &self.secrets) {
            return self.counters.drop(DropReason::RateLimited);
        }
        self.counters.challenge_acks += 1;
        let connection = self.connections.at(record.connection.index);
        let value = self.clock.ms.wrapping_add(connection.ts_offset);
        let timestamps = Timestamps { value, echo: connection.ts_recent };
        let repr = TcpRepr {
            source_port: arrival.tuple.local_port,
            destination_port: arrival.tuple.remote_port,
            seq: connection.snd_nxt.0,
            ack: connection.rcv_nxt.0,
            flags: Control::ACK,
            window: syn_window(&self.tcp_at(record.connection.index)),
            urgent: 0,
            options: Options {
                timestamps: connection.flags.has(Flag::Timestamps).then_some(timestamps),
                ..Options::NONE
            },
        };
        self.answer(transmit, arrival, &repr);
    }

    /// Whether our SYN has crossed the peer's and the handshake is not done.
    #[cold]
    pub(super) fn is_crossed(&self, index: u32) -> bool {
        let Some(entry) = self.tables.entry(self.warm[index as usize].place) else { return false };
        self.is_opening(index)
            && self.syn_sent.get(entry.key()).is_some_and(|record| record.phase == SynPhase::SynReceived)
    }

    /// Which part of the peer's handshake a segment with SYN is: its SYN, come again, or its SYN+ACK. `None`: neither.
    fn part_of_handshake(&self, segment: &Segment<'_>, record: &SynSent) -> Option<SynPhase> {
        let connection = self.connections.at(record.connection.index);
        if segment.seq + 1 != connection.rcv_nxt {
            return None;
        }
        if !segment.control.intersects(Control::ACK) {
            return Some(SynPhase::SynSent);
        }
        (segment.ack == connection.snd_nxt).then_some(SynPhase::SynReceived)
    }
}
