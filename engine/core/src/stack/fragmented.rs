//! Fragments for us, and answers that are too long for one packet.

use crate::base::time::Instant;
use crate::port::{Medium, Transmit};
use crate::wire::icmpv4::Icmpv4Repr;
use crate::wire::icmpv6::Icmpv6Repr;
use crate::wire::ip::MoreFragments;
use crate::wire::parse::Addresses;
use crate::wire::{Fragment, Kind, MacAddress, Packet, Tuple};

use super::answers::{QUOTED_MAX, Refusal, quoted_max};
use super::counters::DropReason;
use super::egress::Route;
use super::fragments::{DATA_LEN_MAX, DatagramId, Piece, Taken};
use super::{HostFact, Stack};

/// Code of "time exceeded": in reassembly.
const IN_REASSEMBLY: u8 = 1;
/// Offset of the payload length in an IPv6 header, and of the offset field before a fragment's data.
const PAYLOAD_LENGTH_AT: u32 = 4;
const OFFSET_BEFORE_DATA: u32 = 6;

/// Which shard of how many this is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) own: usize,
    pub(super) count: usize,
}

/// What a frame that another shard has handed over leaves to be done.
#[derive(Clone, Copy, Debug)]
pub(super) struct HandedOver {
    pub(super) fact: Option<HostFact>,
    /// Where a datagram lies that is whole now.
    pub(super) whole: Option<u16>,
}

impl HandedOver {
    pub(super) const NOTHING: Self = Self { fact: None, whole: None };
}

impl Stack {
    /// Takes in a frame other than a segment that another shard has handed over: an error about a connection of ours, or
    /// a fragment whose home this is.
    #[cold]
    pub(super) fn handle_handed_over<T: Transmit>(
        &mut self,
        transmit: &mut T,
        frame: &[u8],
        packet: &Packet,
    ) -> HandedOver {
        if let Kind::Fragment(fragment) = packet.kind {
            let id = self.fragment_id(frame, packet, fragment);
            let whole = id.and_then(|id| self.take_fragment(transmit, frame, packet, id, fragment));
            return HandedOver { fact: None, whole };
        }
        HandedOver { fact: self.handle_own_error(frame, packet), whole: None }
    }

    /// The shard that puts the fragment's datagram together: all find the same.
    pub(super) fn fragment_home(&self, id: &DatagramId, place: Place) -> usize {
        let DatagramId { source, destination, identification, protocol: _ } = *id;
        let (local_port, remote_port) = ((identification >> 16) as u16, identification as u16);
        let tuple = Tuple { local: destination, remote: source, local_port, remote_port };
        (self.hasher.hash(&tuple) >> 32) as usize % place.count
    }

    /// Which datagram a fragment belongs to; `None`: it is not for us, and counted.
    pub(super) fn fragment_id(
        &mut self,
        frame: &[u8],
        packet: &Packet,
        fragment: Fragment,
    ) -> Option<DatagramId> {
        let Addresses { source, destination } = packet.addresses(frame)?;
        if self.local_index(destination).is_none() {
            self.counters.drop(DropReason::NotForUs);
            return None;
        }
        if !self.is_host(source) || self.local_index(source).is_some() {
            self.counters.drop(DropReason::BadSource);
            return None;
        }
        if crate::wire::parse::verify_network(frame, packet).is_err() {
            self.counters.drop(DropReason::BadChecksum);
            return None;
        }
        let protocol = if source.is_v4() { packet.protocol.0 } else { 0 };
        Some(DatagramId { source, destination, identification: fragment.identification, protocol })
    }

    /// Takes a fragment in; the answer is where its datagram lies, if that is whole now.
    pub(super) fn take_fragment<T: Transmit>(
        &mut self,
        transmit: &mut T,
        frame: &[u8],
        packet: &Packet,
        id: DatagramId,
        fragment: Fragment,
    ) -> Option<u16> {
        let network = packet.network(frame);
        let head_len = usize::from(packet.transport - packet.network);
        let hops_at = if id.source.is_v4() { 8 } else { 7 };
        let link = match self.capabilities.medium {
            Medium::Ethernet | Medium::Tagged(_) => {
                frame.get(..usize::from(packet.network)).unwrap_or_default()
            }
            Medium::Ip => &[],
        };
        let data = packet.transport(frame);
        let piece = Piece {
            id,
            fragment,
            protocol: packet.protocol,
            traffic_class: packet.traffic_class,
            hops: network.get(hops_at).copied().unwrap_or(0),
            link,
            network: network.get(..head_len).unwrap_or_default(),
            data,
        };
        if !id.source.is_v4() {
            self.refuse_fragment(transmit, frame, packet, &piece);
        }
        match self.fragments.take(&piece, self.now) {
            Taken::Kept => None,
            Taken::Refused => {
                self.counters.drop(DropReason::Fragment);
                None
            }
            Taken::Whole(slot) => {
                self.counters.reassembled += 1;
                Some(slot)
            }
        }
    }

    /// RFC 8200 section 4.5: a length that is no multiple of eight, or an end beyond the longest packet, is a parameter
    /// problem.
    fn refuse_fragment<T: Transmit>(
        &mut self,
        transmit: &mut T,
        frame: &[u8],
        packet: &Packet,
        piece: &Piece<'_>,
    ) {
        let follows = matches!(piece.fragment.more, MoreFragments::Follow);
        let end = usize::from(piece.fragment.offset) + piece.data.len();
        let pointer = if follows && !piece.data.len().is_multiple_of(8) {
            PAYLOAD_LENGTH_AT
        } else if end > usize::from(u16::MAX) {
            piece.network.len() as u32 - OFFSET_BEFORE_DATA
        } else {
            return;
        };
        self.send_refusal(
            transmit,
            frame,
            packet.network(frame),
            Refusal::ParameterProblem { code: 0, pointer },
        );
    }

    /// Gives up datagrams whose time is over; their senders are told if the first fragment has come (RFC 792,
    /// RFC 8200 section 4.5).
    #[cold]
    pub(super) fn expire_fragments<T: Transmit>(&mut self, transmit: &mut T) -> u32 {
        let mut fired = 0;
        while let Some(overdue) = self.fragments.poll_overdue(self.now) {
            fired += 1;
            self.counters.drop(DropReason::Fragment);
            if self.is_host(overdue.id.source)
                && self.owns(overdue.id.destination)
                && self.answers.allow(self.now)
            {
                self.send_overdue(transmit, overdue.slot, overdue.id);
            }
            self.fragments.forget(overdue.slot);
        }
        fired
    }

    fn send_overdue<T: Transmit>(&mut self, transmit: &mut T, slot: u16, id: DatagramId) {
        let mut quoted = [0; QUOTED_MAX];
        let Some(quoted) = quoted.get_mut(..quoted_max(id.source)) else { return };
        let Some((link, len)) = self.fragments.quote(slot, quoted) else { return };
        let mac =
            link.get(6..12).and_then(|octets| octets.try_into().ok()).map_or(MacAddress::ZERO, MacAddress);
        let quoted = &quoted[..len];
        let route = Route { mac, local: id.destination, remote: id.source, traffic_class: 0 };
        if id.source.is_v4() {
            let repr = Icmpv4Repr::TimeExceeded { code: IN_REASSEMBLY, quoted };
            self.send_icmpv4(transmit, &route, &repr);
        } else {
            let repr = Icmpv6Repr::TimeExceeded { code: IN_REASSEMBLY, quoted };
            self.send_icmpv6(transmit, &route, &repr);
        }
    }

    /// When a datagram's time is over next.
    pub(super) fn next_fragment_expiry(&self) -> Option<Instant> {
        self.fragments.next_expiry()
    }
}

const _: () = assert!(DATA_LEN_MAX > 65_000, "the longest echo that ping sends, nearly");
