//! From a parsed frame to the connection, listener or answer that it is for.

use crate::port::{Medium, ReceivedChecksum, Transmit};
use crate::shard::Events;
use crate::table::{Entry, Kind as EntryKind};
use crate::tcp::segment::Segment;
use crate::tcp::seq::SequenceNumber;
use crate::wire::hash::TupleHasher;
use crate::wire::parse::{OptionsLayout, classify_into, verify_network, verify_transport};
use crate::wire::tcp::{Flags as Control, Options, SynOptions, TcpRepr, Timestamps};
use crate::wire::{Kind, MacAddress, Packet, TcpFields, Tuple};

use super::Stack;
use super::burst::{Outlook, OutlookKind};
use super::cookies::Cookie;
use super::counters::DropReason;
use super::egress::{Head, NoFrame, Route, send_syn_segment, send_tcp};
use super::tables::Hashed;

/// A frame after the first pass.
#[derive(Clone, Copy, Debug)]
pub struct Inbound {
    /// Its headers.
    pub packet: Packet,
    /// Whether it goes on.
    pub passed: Passed,
}

/// What the first pass made of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passed {
    /// A TCP segment whose tuple has this hash.
    Tcp(u32),
    /// Anything else that may be answered.
    Other,
    /// It was dropped and counted.
    Dropped,
    /// The same, because its headers are wrong; IPv6 may have to say so.
    Malformed,
}

impl Inbound {
    /// A place for a frame.
    pub const EMPTY: Self = Self { packet: Packet::EMPTY, passed: Passed::Dropped };
}

/// A segment with all that its handler must know about how it came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival<'a> {
    pub(super) segment: Segment<'a>,
    pub(super) tuple: Tuple,
    pub(super) hashed: Hashed,
    /// Where the frame came from on the link.
    pub(super) mac: MacAddress,
    /// Index of our address.
    pub(super) local: u8,
}

impl Arrival<'_> {
    /// Where an answer goes: back the way it came.
    pub(super) fn route(&self) -> Route {
        Route { mac: self.mac, local: self.tuple.local, remote: self.tuple.remote, traffic_class: 0 }
    }
}

impl Stack {
    /// First pass: headers, hash and a prefetch; no look-up yet, because frames of one burst make and
    /// remove entries for each other.
    #[inline]
    pub(super) fn first_pass(&mut self, frame: &[u8], place: &mut Inbound) {
        place.passed = Passed::Dropped;
        if classify_into(frame, self.capabilities.medium, &mut place.packet).is_err() {
            place.passed = Passed::Malformed;
            return self.counters.drop(DropReason::Malformed);
        }
        if !matches!(place.packet.kind, Kind::Tcp(_)) {
            place.passed = Passed::Other;
            return;
        }
        // Nothing that came by link-layer broadcast may open or touch a connection (RFC 1122 section 3.3.6).
        if !matches!(self.capabilities.medium, Medium::Ip) && frame[0] & 1 == 1 {
            return self.counters.drop(DropReason::NotForUs);
        }
        match hashed_of(&place.packet, frame, &self.hasher) {
            Some(hashed) => {
                self.tables.prefetch(&hashed);
                place.passed = Passed::Tcp(hashed.hash);
            }
            None => self.counters.drop(DropReason::BadSource),
        }
    }

    /// Verifies checksums and addresses of a TCP segment. `None`: it was dropped and counted.
    #[inline]
    pub(super) fn admit<'a>(
        &mut self,
        frame: &'a [u8],
        inbound: &Inbound,
        checksum: ReceivedChecksum,
    ) -> Option<Arrival<'a>> {
        let packet = &inbound.packet;
        let (Kind::Tcp(fields), Passed::Tcp(hash)) = (packet.kind, inbound.passed) else { return None };
        let tuple = packet.tuple(frame)?;
        let hashed = match packet.words_v4(frame) {
            Some(words) => Hashed::known_v4(words, hash),
            None => Hashed::of(&tuple, &self.hasher),
        };
        let local = self.admit_tuple(&tuple)?;
        if matches!(checksum, ReceivedChecksum::Unverified)
            && (verify_network(frame, packet).is_err() || verify_transport(frame, packet).is_err())
        {
            self.counters.drop(DropReason::BadChecksum);
            return None;
        }
        self.counters.segments_received += 1;
        let segment = segment_of(frame, packet, &fields);
        let mac = self.source_mac(frame);
        Some(Arrival { segment, tuple, hashed, mac, local })
    }

    /// Whether a segment may have these addresses; counted if not. The index of ours.
    #[inline(always)]
    pub(super) fn admit_tuple(&mut self, tuple: &Tuple) -> Option<u8> {
        let Some(local) = self.local_index(tuple.local) else {
            self.counters.drop(DropReason::NotForUs);
            return None;
        };
        if !tuple.remote.is_unicast() || tuple.remote == tuple.local {
            self.counters.drop(DropReason::BadSource);
            return None;
        }
        Some(local)
    }

    /// What is known of a plain segment or a usual SYN, whose checksums are right and whose addresses were admitted.
    #[inline(always)]
    pub(super) fn arrival<'a>(
        &mut self,
        frame: &'a [u8],
        outlook: &Outlook,
        tuple: Tuple,
        local: u8,
    ) -> Arrival<'a> {
        self.counters.segments_received += 1;
        let segment = match outlook.kind {
            OutlookKind::Syn => Segment::of_syn(&outlook.segment, frame),
            OutlookKind::Plain | OutlookKind::Expected | OutlookKind::General | OutlookKind::Damaged => {
                Segment::of_plain(&outlook.segment, frame)
            }
        };
        let hashed = Hashed::known_v4(outlook.tuple, outlook.hash);
        Arrival { segment, tuple, hashed, mac: self.source_mac(frame), local }
    }

    /// Where a frame came from on the link.
    #[inline(always)]
    pub(super) fn source_mac(&self, frame: &[u8]) -> MacAddress {
        match self.capabilities.medium {
            Medium::Ethernet | Medium::Tagged(_) => source_mac(frame),
            Medium::Ip => MacAddress::ZERO,
        }
    }

    /// Second pass: a segment of ours, and the table's entry for it.
    #[inline]
    pub(super) fn handle_tcp<T: Transmit, E: Events<Self>>(
        &mut self,
        transmit: &mut T,
        events: &mut E,
        arrival: &Arrival<'_>,
        entry: Option<Entry>,
    ) {
        match entry.map(|entry| (entry.kind(), entry)) {
            Some((EntryKind::Synchronized, entry)) => {
                self.handle_synchronized(events, entry.index(), &arrival.segment);
            }
            Some((EntryKind::SynReceived, entry)) => {
                self.handle_syn_received(transmit, events, entry.key(), arrival);
            }
            Some((EntryKind::SynSent, entry)) => {
                self.handle_syn_sent(transmit, events, entry.key(), arrival);
            }
            Some((EntryKind::TimeWait, entry)) => self.handle_time_wait(transmit, entry, arrival),
            None => self.handle_unknown(transmit, events, arrival),
        }
    }

    /// No connection: LISTEN or CLOSED (RFC 9293 sections 3.10.7.1 and 3.10.7.2).
    #[cold]
    fn handle_unknown<T: Transmit, E: Events<Self>>(
        &mut self,
        transmit: &mut T,
        events: &mut E,
        arrival: &Arrival<'_>,
    ) {
        let control = arrival.segment.control;
        if control.intersects(Control::RST) {
            self.counters.drop(DropReason::NoConnection);
            return;
        }
        if !self.is_host(arrival.tuple.remote) {
            self.counters.drop(DropReason::BadSource);
            return;
        }
        match self.listener_for(arrival) {
            Some(listener) if control.contains(Control::SYN) && !control.intersects(Control::ACK) => {
                self.handle_syn(transmit, listener, arrival, None);
            }
            // In LISTEN, what neither opens nor acknowledges is dropped in silence.
            Some(_) if !control.intersects(Control::ACK) => self.counters.drop(DropReason::NoConnection),
            Some(listener) if self.take_cookie(transmit, events, listener, arrival) == Cookie::Taken => {}
            Some(_) | None => {
                self.counters.drop(DropReason::NoConnection);
                self.refuse(transmit, arrival);
            }
        }
    }

    /// RST for a segment that belongs to nothing (RFC 9293 section 3.10.7.1).
    pub(super) fn refuse<T: Transmit>(&mut self, transmit: &mut T, arrival: &Arrival<'_>) {
        let segment = &arrival.segment;
        if segment.control.intersects(Control::RST) {
            return;
        }
        if !self.answers.allow(self.now) {
            self.counters.drop(DropReason::RateLimited);
            return;
        }
        let (seq, ack, flags) = if segment.control.intersects(Control::ACK) {
            (segment.ack, SequenceNumber::default(), Control::RST)
        } else {
            (SequenceNumber::default(), segment.end(), Control::RST | Control::ACK)
        };
        let repr = TcpRepr {
            source_port: arrival.tuple.local_port,
            destination_port: arrival.tuple.remote_port,
            seq: seq.0,
            ack: ack.0,
            flags,
            window: 0,
            urgent: 0,
            options: Options::NONE,
        };
        self.counters.resets_sent += 1;
        self.answer(transmit, arrival, &repr);
    }

    /// Sends a segment without payload back the way `arrival` came.
    pub(super) fn answer<T: Transmit>(&mut self, transmit: &mut T, arrival: &Arrival<'_>, repr: &TcpRepr) {
        let route = arrival.route();
        let sent = send_tcp(transmit, &self.capabilities, &route, repr, 0, |_| crate::wire::Sum::ZERO);
        self.count_sent(sent);
    }

    /// Sends a SYN or SYN+ACK.
    #[inline]
    pub(super) fn send_opening<T: Transmit>(
        &mut self,
        transmit: &mut T,
        route: &Route,
        head: &Head,
        options: &SynOptions,
    ) {
        let sent = send_syn_segment(transmit, &self.capabilities, route, head, options);
        self.count_sent(sent);
    }

    pub(super) fn count_sent(&mut self, sent: Result<(), NoFrame>) {
        match sent {
            Ok(()) => self.counters.frames_sent += 1,
            Err(NoFrame) => self.counters.drop(DropReason::NoTransmitFrame),
        }
    }
}

/// The hashed tuple of a segment. `None` for an IPv4 address in an IPv6 header, a forgery (RFC 4942 section 2.2).
#[inline]
fn hashed_of(packet: &Packet, frame: &[u8], hasher: &TupleHasher) -> Option<Hashed> {
    if let Some(words) = packet.words_v4(frame) {
        return Some(Hashed::v4(words, hasher));
    }
    let tuple = packet.tuple(frame)?;
    let is_mapped = tuple.local.is_v4() || tuple.remote.is_v4();
    (!is_mapped).then(|| Hashed::of(&tuple, hasher))
}

#[inline]
fn segment_of<'a>(frame: &'a [u8], packet: &Packet, fields: &TcpFields) -> Segment<'a> {
    let transport = packet.transport(frame);
    let header_len = usize::from(packet.payload - packet.transport);
    let (timestamps, options) = match fields.options {
        OptionsLayout::None => (None, &[][..]),
        OptionsLayout::Timestamps(timestamps) => (Some(timestamps), &[][..]),
        OptionsLayout::Mixed => {
            let options = transport.get(crate::wire::tcp::HEADER_LEN..header_len).unwrap_or_default();
            (timestamps_of(options), options)
        }
    };
    Segment {
        seq: SequenceNumber(fields.seq),
        ack: SequenceNumber(fields.ack),
        window: fields.window,
        control: fields.flags,
        timestamps,
        options,
        ecn: packet.ecn(),
        payload: packet.payload(frame),
    }
}

/// The timestamps of a segment with other options besides.
#[inline]
fn timestamps_of(options: &[u8]) -> Option<Timestamps> {
    match SynOptions::of_usual(options) {
        Some(syn) => syn.timestamps,
        None => Options::parse(options).timestamps,
    }
}

pub(super) fn source_mac(frame: &[u8]) -> MacAddress {
    frame.get(6..12).and_then(|octets| octets.try_into().ok()).map_or(MacAddress::ZERO, MacAddress)
}
