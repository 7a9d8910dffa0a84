//! The first pass over a burst: each frame becomes offsets, a kind and, for TCP, the fields that every later step needs.
//!
//! Headers are checked from cheap to dear; checksums are a second call, so that frames whose device vouches for them cost none.

use core::mem::size_of;

use zerocopy::FromBytes;

use super::ethernet::{self, EthernetView};
use super::tcp::{self, Flags, Options, Timestamps};
use super::{Address, Ecn, Error, EtherType, Field, Fragment, IpProtocol, Protocol, Sum, Tuple};
use super::{arp, icmp, ipv4, ipv6, vlan};

/// What the first byte of a frame belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Medium {
    /// An Ethernet header.
    Ethernet,
    /// An IP header: a layer-3 port.
    Ip,
}

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

// A burst's packets share the first-level cache with the frames' headers.
const _: () = assert!(size_of::<Packet>() <= 48 && size_of::<Result<Packet, Error>>() <= 48);

/// Checks the headers of a frame. No checksum is looked at: see [`verify_network`] and [`verify_transport`].
#[inline]
pub fn classify(frame: &[u8], medium: Medium) -> Result<Packet, Error> {
    if frame.len() > u16::MAX as usize {
        return Err(Error::new(Protocol::Ethernet, Field::Length));
    }
    match medium {
        Medium::Ethernet => {
            let view = EthernetView::parse(frame)?;
            match view.ether_type() {
                EtherType::IPV4 => classify_v4(frame, ethernet::HEADER_LEN),
                EtherType::IPV6 => classify_v6(frame, ethernet::HEADER_LEN),
                _ => classify_rare(frame),
            }
        }
        Medium::Ip => match frame.first().map(|first| first >> 4) {
            Some(4) => classify_v4(frame, 0),
            Some(6) => classify_v6(frame, 0),
            _ => Err(Error::new(Protocol::Ipv4, Field::Version)),
        },
    }
}

/// What the network layer says about what it carries.
#[derive(Clone, Copy)]
struct Carried {
    network: usize,
    transport: usize,
    end: usize,
    family: Family,
    protocol: IpProtocol,
    traffic_class: u8,
}

impl Carried {
    #[inline(always)]
    fn packet(&self, kind: Kind, payload: usize) -> Packet {
        // No offset exceeds the frame's length, which fits 16 bits.
        Packet {
            kind,
            network: self.network as u16,
            transport: self.transport as u16,
            payload: payload as u16,
            end: self.end as u16,
            family: self.family,
            protocol: self.protocol,
            traffic_class: self.traffic_class,
        }
    }
}

#[inline(always)]
fn classify_v4(frame: &[u8], network: usize) -> Result<Packet, Error> {
    let bytes = frame.get(network..).unwrap_or_default();
    let (header, _) =
        ipv4::Header::ref_from_prefix(bytes).map_err(|_| Error::new(Protocol::Ipv4, Field::Length))?;
    if header.version_ihl == 0x45 && !header.is_fragment() {
        carried_by_v4(frame, network, header, ipv4::HEADER_LEN)
    } else {
        classify_v4_rare(frame, network, header)
    }
}

/// Header options, fragments, wrong versions.
#[cold]
fn classify_v4_rare(frame: &[u8], network: usize, header: &ipv4::Header) -> Result<Packet, Error> {
    if header.version_ihl >> 4 != 4 {
        return Err(Error::new(Protocol::Ipv4, Field::Version));
    }
    if header.header_len() < ipv4::HEADER_LEN {
        return Err(Error::new(Protocol::Ipv4, Field::HeaderLength));
    }
    carried_by_v4(frame, network, header, header.header_len())
}

#[inline(always)]
fn carried_by_v4(
    frame: &[u8],
    network: usize,
    header: &ipv4::Header,
    header_len: usize,
) -> Result<Packet, Error> {
    let carried = Carried {
        network,
        transport: network + header_len,
        end: network + header.total_length.get() as usize,
        family: Family::V4,
        protocol: IpProtocol(header.protocol),
        traffic_class: header.traffic_class,
    };
    let transport =
        frame.get(carried.transport..carried.end).ok_or(Error::new(Protocol::Ipv4, Field::Length))?;
    if header_len != ipv4::HEADER_LEN || header.protocol != IpProtocol::TCP.0 {
        return classify_carried(&carried, transport, header.fragment());
    }
    if header.is_fragment() {
        return classify_carried(&carried, transport, header.fragment());
    }
    classify_tcp(&carried, transport)
}

#[inline(always)]
fn classify_v6(frame: &[u8], network: usize) -> Result<Packet, Error> {
    const LENGTH: Error = Error::new(Protocol::Ipv6, Field::Length);
    let bytes = frame.get(network..).unwrap_or_default();
    let (header, _) = ipv6::FixedHeader::ref_from_prefix(bytes).map_err(|_| LENGTH)?;
    if header.version_class_label.get() >> 28 != 6 {
        return Err(Error::new(Protocol::Ipv6, Field::Version));
    }
    let transport = network + ipv6::HEADER_LEN;
    let carried = Carried {
        network,
        transport,
        end: transport + header.payload_length.get() as usize,
        family: Family::V6,
        protocol: IpProtocol(header.next_header),
        traffic_class: header.traffic_class(),
    };
    let payload = frame.get(carried.transport..carried.end).ok_or(LENGTH)?;
    if carried.protocol == IpProtocol::TCP {
        classify_tcp(&carried, payload)
    } else {
        classify_v6_rare(carried, payload)
    }
}

/// Extension headers, and all but TCP.
#[cold]
fn classify_v6_rare(fixed: Carried, payload: &[u8]) -> Result<Packet, Error> {
    let upper = ipv6::walk(fixed.protocol, payload)?;
    let carried = Carried { protocol: upper.protocol, transport: fixed.end - upper.payload.len(), ..fixed };
    classify_carried(&carried, upper.payload, upper.fragment)
}

/// Anything behind an IP header.
#[cold]
fn classify_carried(
    carried: &Carried,
    transport: &[u8],
    fragment: Option<Fragment>,
) -> Result<Packet, Error> {
    if let Some(fragment) = fragment {
        return Ok(carried.packet(Kind::Fragment(fragment), carried.transport));
    }
    let (kind, protocol) = match (carried.protocol, carried.family) {
        (IpProtocol::TCP, _) => return classify_tcp(carried, transport),
        (IpProtocol::ICMPV4, Family::V4) => (Kind::Icmpv4, Protocol::Icmpv4),
        (IpProtocol::ICMPV6, Family::V6) => (Kind::Icmpv6, Protocol::Icmpv6),
        _ => return Ok(carried.packet(Kind::OtherProtocol, carried.transport)),
    };
    if transport.len() < icmp::HEADER_LEN {
        return Err(Error::new(protocol, Field::Length));
    }
    Ok(carried.packet(kind, carried.transport + icmp::HEADER_LEN))
}

#[inline(always)]
fn classify_tcp(carried: &Carried, segment: &[u8]) -> Result<Packet, Error> {
    let (header, _) =
        tcp::Header::ref_from_prefix(segment).map_err(|_| Error::new(Protocol::Tcp, Field::Length))?;
    let header_len = header.header_len();
    let options =
        segment.get(tcp::HEADER_LEN..header_len).ok_or(Error::new(Protocol::Tcp, Field::HeaderLength))?;
    let options = match Timestamps::of_aligned(options) {
        Some(timestamps) => OptionsLayout::Timestamps(timestamps),
        None if options.is_empty() => OptionsLayout::None,
        None => OptionsLayout::Mixed,
    };
    let fields = TcpFields {
        seq: header.sequence.get(),
        ack: header.acknowledgment.get(),
        options,
        source_port: header.source_port.get(),
        destination_port: header.destination_port.get(),
        window: header.window.get(),
        flags: Flags::from_bits(header.flags),
    };
    Ok(carried.packet(Kind::Tcp(fields), carried.transport + header_len))
}

/// VLAN tags, ARP, and what is not for us.
#[cold]
fn classify_rare(frame: &[u8]) -> Result<Packet, Error> {
    let vlan::Untagged { tags: _, ether_type, offset } = vlan::skip(frame)?;
    match ether_type {
        EtherType::IPV4 => classify_v4(frame, offset),
        EtherType::IPV6 => classify_v6(frame, offset),
        EtherType::ARP => {
            let end = offset + arp::PACKET_LEN;
            if end > frame.len() {
                return Err(Error::new(Protocol::Arp, Field::Length));
            }
            let carried = Carried {
                network: offset,
                transport: offset,
                end,
                family: Family::Arp,
                protocol: IpProtocol(0),
                traffic_class: 0,
            };
            Ok(carried.packet(Kind::Arp, offset))
        }
        _ => Err(Error::new(Protocol::Ethernet, Field::ProtocolNumber)),
    }
}

/// Verifies the checksum of an IPv4 header; IPv6 and ARP have none.
///
/// `packet` must come from this `frame`: with another one the answer is an error or means nothing.
#[inline]
pub fn verify_network(frame: &[u8], packet: &Packet) -> Result<(), Error> {
    match packet.family {
        Family::V4 => {
            let network = packet.network as usize;
            let header = match packet.transport - packet.network {
                20 => frame.get(network..network + 20).unwrap_or_default(),
                _ => frame.get(network..packet.transport as usize).unwrap_or_default(),
            };
            if Sum::of(header).is_valid() { Ok(()) } else { Err(Error::new(Protocol::Ipv4, Field::Checksum)) }
        }
        Family::V6 | Family::Arp => Ok(()),
    }
}

/// Verifies the checksum of a TCP segment or an ICMP message; of what is not a whole one of these, nothing.
///
/// `packet` must come from this `frame`: with another one the answer is an error or means nothing.
#[inline]
pub fn verify_transport(frame: &[u8], packet: &Packet) -> Result<(), Error> {
    let (protocol, pseudo_header) = match packet.kind {
        Kind::Tcp(_) => (Protocol::Tcp, packet.pseudo_header(frame)),
        Kind::Icmpv4 => (Protocol::Icmpv4, Some(Sum::ZERO)),
        Kind::Icmpv6 => (Protocol::Icmpv6, packet.pseudo_header(frame)),
        Kind::Arp | Kind::Fragment(_) | Kind::OtherProtocol => return Ok(()),
    };
    let message = frame.get(packet.transport as usize..packet.end as usize);
    match (pseudo_header, message) {
        (Some(pseudo_header), Some(message)) if pseudo_header.add(Sum::of(message)).is_valid() => Ok(()),
        _ => Err(Error::new(protocol, Field::Checksum)),
    }
}

impl Packet {
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
    fn pseudo_header(&self, frame: &[u8]) -> Option<Sum> {
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

#[cfg(test)]
mod tests;
