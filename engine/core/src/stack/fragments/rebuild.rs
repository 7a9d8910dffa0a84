//! The headers of a datagram that is whole again: those of its first fragment, without what said that it was one.

use core::ops::Range;

use crate::wire::ethernet;
use crate::wire::ipv4::{self, Fragmentation, Ipv4Repr};
use crate::wire::ipv6::{self, Ipv6Repr};
use crate::wire::{Ecn, IpProtocol, vlan};

use super::{DatagramId, Piece};

/// Bytes before the data in a slot: a link header and the larger of the IP headers.
pub(in super::super) const HEAD_LEN_MAX: usize = LINK_LEN_MAX + ipv6::HEADER_LEN;
const LINK_LEN_MAX: usize = ethernet::HEADER_LEN + vlan::TAGS_MAX * vlan::TAG_LEN;
/// Bytes of the first fragment's headers that are kept to be quoted.
const QUOTED_MAX: usize = 128;

/// What is known of the headers.
#[derive(Clone, Debug)]
pub(in super::super) struct Head {
    link: [u8; LINK_LEN_MAX],
    link_len: u8,
    protocol: IpProtocol,
    hops: u8,
    traffic_class: u8,
    /// The first fragment's headers, and how many bytes of data it brought.
    first: Option<([u8; QUOTED_MAX], u8, u16)>,
}

impl Head {
    pub(in super::super) fn of(piece: &Piece<'_>) -> Self {
        let mut link = [0; LINK_LEN_MAX];
        let link_len = piece.link.len().min(LINK_LEN_MAX);
        link[..link_len].copy_from_slice(&piece.link[..link_len]);
        Self {
            link,
            link_len: link_len as u8,
            protocol: piece.protocol,
            hops: piece.hops,
            traffic_class: piece.traffic_class,
            first: None,
        }
    }

    /// Takes in what a fragment says of the whole.
    pub(super) fn learn(&mut self, piece: &Piece<'_>) {
        // RFC 3168 section 5.3: one mark marks the whole.
        let is_marked = |class: u8| Ecn::from_traffic_class(class) == Ecn::Ce;
        let mark =
            if is_marked(self.traffic_class) || is_marked(piece.traffic_class) { Ecn::Ce as u8 } else { 0 };
        if piece.fragment.offset == 0 {
            // RFC 8200 section 4.5: the first fragment's headers count.
            (self.protocol, self.hops, self.traffic_class) =
                (piece.protocol, piece.hops, piece.traffic_class);
            let mut head = [0; QUOTED_MAX];
            let len = piece.network.len().min(QUOTED_MAX);
            head[..len].copy_from_slice(&piece.network[..len]);
            self.first = Some((head, len as u8, piece.data.len() as u16));
        }
        self.traffic_class |= mark;
    }

    pub(super) fn has_first(&self) -> bool {
        self.first.is_some()
    }

    /// The first fragment's headers, and how many bytes of data it brought.
    pub(super) fn first(&self) -> Option<(&[u8], usize)> {
        let (head, len, data_len) = self.first.as_ref()?;
        Some((head.get(..usize::from(*len))?, usize::from(*data_len)))
    }

    pub(super) fn link(&self) -> &[u8] {
        &self.link[..usize::from(self.link_len)]
    }

    /// Writes link and IP header before the `len` bytes of data; says where the frame lies in `slot`.
    pub(super) fn write(&self, id: &DatagramId, len: u16, slot: &mut [u8]) -> Range<usize> {
        let v4 = id.source.as_v4().zip(id.destination.as_v4());
        let header_len = if v4.is_some() { ipv4::HEADER_LEN } else { ipv6::HEADER_LEN };
        let network = HEAD_LEN_MAX - header_len;
        let end = HEAD_LEN_MAX + usize::from(len);
        let Some(header) = slot.get_mut(network..) else { return 0..0 };
        let written = match v4 {
            Some((source, destination)) => Ipv4Repr {
                source: source.into(),
                destination: destination.into(),
                protocol: self.protocol,
                payload_len: len,
                traffic_class: self.traffic_class,
                ttl: self.hops,
                identification: 0,
                fragmentation: Fragmentation::Forbidden,
            }
            .emit(header),
            None => Ipv6Repr {
                source: id.source.octets().into(),
                destination: id.destination.octets().into(),
                next_header: self.protocol,
                payload_len: len,
                traffic_class: self.traffic_class,
                flow_label: 0,
                hop_limit: self.hops,
            }
            .emit(header),
        };
        if written.is_err() {
            return 0..0;
        }
        // Tags and type included: the whole is what its fragments were.
        let link = self.link();
        let start = network - link.len();
        slot[start..network].copy_from_slice(link);
        start..end
    }
}
