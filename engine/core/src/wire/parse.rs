//! The first pass over a burst: each frame becomes offsets, a kind and, for TCP, the fields that every later step needs.
//!
//! Headers are checked from cheap to dear; checksums are a second call, so that frames whose device vouches for them cost none.

use zerocopy::FromBytes;

use super::ethernet::{self, EthernetView};
use super::tcp::{self, Flags, Timestamps};
use super::{Error, EtherType, Field, Fragment, IpProtocol, Protocol};
use super::{arp, icmp, ipv4, ipv6, vlan};

mod packet;
mod verify;

pub use packet::{Addresses, Family, Kind, OptionsLayout, Packet, TcpFields};
pub use verify::{verify_network, verify_transport};

/// What the first byte of a frame belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Medium {
    /// An Ethernet header.
    Ethernet,
    /// An IP header: a layer-3 port.
    Ip,
}

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

#[cfg(test)]
mod tests;
