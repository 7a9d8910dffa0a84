//! What the first pass found out about a frame, and what can be read from the frame with it.

use core::mem::size_of;

use crate::wire::tcp::{self, Flags, Options, Timestamps};
use crate::wire::{Address, Ecn, Error, Fragment, IpProtocol, Sum, Tuple};

/// The protocol directly above the medium.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
    /// ARP.
    Arp,
}

/// A frame whose headers are consistent. Offsets are in bytes from the start of the frame;
/// `network <= transport <= payload <= end <= frame length`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// What it is.
    pub kind: Kind,
    /// Start of the IP or ARP header.
    pub network: u16,
    /// Start of the transport header, or of a fragment's data; for ARP the same as `network`.
    pub transport: u16,
    /// Start of what the transport carries; where there is no known transport header, the same as `transport`.
    pub payload: u16,
    /// End of the packet; padding may follow.
    pub end: u16,
    /// Which protocol `network` points at.
    pub family: Family,
    /// The protocol at `transport`; zero for ARP.
    pub protocol: IpProtocol,
    /// DSCP in the upper six bits, ECN in the lower two; zero for ARP.
    pub traffic_class: u8,
}

/// What a packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A TCP segment.
    Tcp(TcpFields),
    /// An ICMP message of at least 8 bytes.
    Icmpv4,
    /// An `ICMPv6` message of at least 8 bytes, neighbor discovery included.
    Icmpv6,
    /// An ARP packet of at least 28 bytes.
    Arp,
    /// A part of a datagram of whatever protocol.
    Fragment(Fragment),
    /// A whole datagram of a protocol that nothing here handles.
    OtherProtocol,
}

/// The fields of a TCP header, in the machine's byte order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpFields {
    /// SEG.SEQ.
    pub seq: u32,
    /// SEG.ACK; meaningful only with the ACK flag.
    pub ack: u32,
    /// The options, as far as they are read.
    pub options: OptionsLayout,
    /// The sender's port.
    pub source_port: u16,
    /// Our port.
    pub destination_port: u16,
    /// SEG.WND, not scaled.
    pub window: u16,
    /// The control bits.
    pub flags: Flags,
}

/// What stands between the fixed header and the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptionsLayout {
    /// Nothing.
    None,
    /// Timestamps alone, in the aligned 12-byte layout.
    Timestamps(Timestamps),
    /// Anything else: [`Packet::options`] reads it.
    Mixed,
}

impl OptionsLayout {
    #[inline(always)]
    pub(super) fn of(options: &[u8]) -> Self {
        match Timestamps::of_aligned(options) {
            Some(timestamps) => Self::Timestamps(timestamps),
            None if options.is_empty() => Self::None,
            None => Self::Mixed,
        }
    }
}

// A burst's packets share the first-level cache with the frames' headers.
const _: () = assert!(size_of::<Packet>() <= 48 && size_of::<Result<Packet, Error>>() <= 48);

impl Packet {
    /// No packet: what a slot holds before [`super::classify_into`] fills it.
    pub const EMPTY: Self = Self {
        kind: Kind::OtherProtocol,
        network: 0,
        transport: 0,
        payload: 0,
        end: 0,
        family: Family::Arp,
        protocol: IpProtocol(0),
        traffic_class: 0,
    };

    /// The ECN codepoint of the IP header.
    #[inline]
    pub const fn ecn(&self) -> Ecn {
        Ecn::from_traffic_class(self.traffic_class)
    }

    /// Bytes that the transport carries.
    #[inline]
    pub const fn payload_len(&self) -> usize {
        self.end as usize - self.payload as usize
    }

    /// What the transport carries, out of the frame that this packet was read from; empty for a shorter frame.
    #[inline]
    pub fn payload<'a>(&self, frame: &'a [u8]) -> &'a [u8] {
        frame.get(self.payload as usize..self.end as usize).unwrap_or_default()
    }

    /// The transport's header and payload, out of the frame that this packet was read from; empty for a shorter frame.
    #[inline]
    pub fn transport<'a>(&self, frame: &'a [u8]) -> &'a [u8] {
        frame.get(self.transport as usize..self.end as usize).unwrap_or_default()
    }

    /// The whole IP or ARP packet, out of the frame that this packet was read from; empty for a shorter frame.
    #[inline]
    pub fn network<'a>(&self, frame: &'a [u8]) -> &'a [u8] {
        frame.get(self.network as usize..self.end as usize).unwrap_or_default()
    }

    /// The options of a TCP segment, out of the frame that this packet was read from; none for what is not TCP.
    pub fn options(&self, frame: &[u8]) -> Options {
        match self.kind {
            Kind::Tcp(TcpFields { options: OptionsLayout::Mixed, .. }) => {
                let start = self.transport as usize + tcp::HEADER_LEN;
                Options::parse(frame.get(start..self.payload as usize).unwrap_or_default())
            }
            Kind::Tcp(TcpFields { options: OptionsLayout::Timestamps(timestamps), .. }) => {
                Options { timestamps: Some(timestamps), ..Options::NONE }
            }
            Kind::Tcp(TcpFields { options: OptionsLayout::None, .. })
            | Kind::Icmpv4
            | Kind::Icmpv6
            | Kind::Arp
            | Kind::Fragment(_)
            | Kind::OtherProtocol => Options::NONE,
        }
    }

    /// Source and destination address; `None` for ARP, and for a frame shorter than the one this packet was read from.
    #[inline]
    pub fn addresses(&self, frame: &[u8]) -> Option<Addresses> {
        let network = self.network as usize;
        match self.family {
            Family::V4 => {
                let (source, destination) = pair::<4>(frame, network + 12)?;
                Some(Addresses { source: Address::v4(source), destination: Address::v4(destination) })
            }
            Family::V6 => {
                let (source, destination) = pair::<16>(frame, network + 8)?;
                Some(Addresses { source: Address::v6(source), destination: Address::v6(destination) })
            }
            Family::Arp => None,
        }
    }

    /// The connection that a TCP segment names, seen from its receiver; `None` for what is not TCP.
    #[inline]
    pub fn tuple(&self, frame: &[u8]) -> Option<Tuple> {
        let Kind::Tcp(fields) = self.kind else { return None };
        let Addresses { source, destination } = self.addresses(frame)?;
        Some(Tuple {
            local: destination,
            remote: source,
            local_port: fields.destination_port,
            remote_port: fields.source_port,
        })
    }

    /// What [`Tuple::words_v4`] gives for [`Packet::tuple`], read directly; `None` for what is not TCP over IPv4.
    #[inline]
    pub fn words_v4(&self, frame: &[u8]) -> Option<[u32; 3]> {
        let (Kind::Tcp(fields), Family::V4) = (self.kind, self.family) else { return None };
        let (source, destination) = pair::<4>(frame, self.network as usize + 12)?;
        let ports = (fields.destination_port as u32) << 16 | fields.source_port as u32;
        Some([u32::from_be_bytes(destination), u32::from_be_bytes(source), ports])
    }

    /// The sum of the pseudo-header of what the packet carries; `None` for ARP and for a frame that is too short.
    #[inline]
    pub(super) fn pseudo_header(&self, frame: &[u8]) -> Option<Sum> {
        let network = self.network as usize;
        let len = self.end - self.transport;
        match self.family {
            Family::V4 => {
                let (source, destination) = pair::<4>(frame, network + 12)?;
                Some(Sum::pseudo_v4(source, destination, self.protocol.0, len))
            }
            Family::V6 => {
                let (source, destination) = pair::<16>(frame, network + 8)?;
                Some(Sum::pseudo_v6(source, destination, self.protocol.0, len as u32))
            }
            Family::Arp => None,
        }
    }
}

/// The addresses of an IP header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// The sender's.
    pub source: Address,
    /// The receiver's.
    pub destination: Address,
}

/// Two neighboring runs of `N` bytes, from `offset` on.
#[inline(always)]
fn pair<const N: usize>(frame: &[u8], offset: usize) -> Option<([u8; N], [u8; N])> {
    let (first, rest) = frame.get(offset..)?.split_first_chunk::<N>()?;
    Some((*first, *rest.first_chunk::<N>()?))
}
