//! The usual frame: untagged, an IP header with nothing extra, a whole TCP segment.
//!
//! One length check covers all fixed headers, and every doubt has the same exit, so that the common case is a straight line.

use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

use super::{Family, Kind, Medium, OptionsLayout, Packet, TcpFields};
use crate::wire::tcp::{self, Flags};
use crate::wire::{EtherType, IpProtocol, ethernet, ipv4, ipv6};

#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct TcpOverV4 {
    ip: ipv4::Header,
    tcp: tcp::Header,
}

#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct TcpOverV6 {
    ip: ipv6::FixedHeader,
    tcp: tcp::Header,
}

/// The packet, or `None` where the long way must decide.
#[inline(always)]
pub(super) fn classify(frame: &[u8], medium: Medium) -> Option<Packet> {
    if frame.len() > u16::MAX as usize {
        return None;
    }
    match medium {
        Medium::Ethernet => {
            let (header, packet) = ethernet::Header::ref_from_prefix(frame).ok()?;
            match EtherType(header.ether_type.get()) {
                EtherType::IPV4 => classify_v4(packet, ethernet::HEADER_LEN),
                EtherType::IPV6 => classify_v6(packet, ethernet::HEADER_LEN),
                _ => None,
            }
        }
        // The tag is looked at the long way.
        Medium::Tagged(_) => None,
        Medium::Ip => match frame.first()? >> 4 {
            4 => classify_v4(frame, 0),
            6 => classify_v6(frame, 0),
            _ => None,
        },
    }
}

#[inline(always)]
fn classify_v4(packet: &[u8], network: usize) -> Option<Packet> {
    let (TcpOverV4 { ip, tcp }, _) = TcpOverV4::ref_from_prefix(packet).ok()?;
    if ip.version_ihl != 0x45 || ip.is_fragment() || ip.protocol != IpProtocol::TCP.0 {
        return None;
    }
    let segment = Segment {
        family: Family::V4,
        ip_header_len: ipv4::HEADER_LEN,
        end: ip.total_length.get() as usize,
        traffic_class: ip.traffic_class,
        tcp,
    };
    segment.packet(packet, network)
}

#[inline(always)]
fn classify_v6(packet: &[u8], network: usize) -> Option<Packet> {
    let (TcpOverV6 { ip, tcp }, _) = TcpOverV6::ref_from_prefix(packet).ok()?;
    if ip.version_class_label.get() >> 28 != 6 || ip.next_header != IpProtocol::TCP.0 {
        return None;
    }
    let segment = Segment {
        family: Family::V6,
        ip_header_len: ipv6::HEADER_LEN,
        end: ipv6::HEADER_LEN + ip.payload_length.get() as usize,
        traffic_class: ip.traffic_class(),
        tcp,
    };
    segment.packet(packet, network)
}

/// What IPv4 and IPv6 say of a segment; offsets from the start of the IP header.
struct Segment<'a> {
    family: Family,
    ip_header_len: usize,
    end: usize,
    traffic_class: u8,
    tcp: &'a tcp::Header,
}

impl Segment<'_> {
    #[inline(always)]
    fn packet(&self, packet: &[u8], network: usize) -> Option<Packet> {
        let tcp = self.tcp;
        let header_len = tcp.header_len();
        let payload = self.ip_header_len + header_len;
        if header_len < tcp::HEADER_LEN || payload > self.end || self.end > packet.len() {
            return None;
        }
        let options = match header_len {
            tcp::HEADER_LEN => OptionsLayout::None,
            // Timestamps alone; the constant range spares the general search for them.
            32 => OptionsLayout::of(packet.get(self.ip_header_len + 20..self.ip_header_len + 32)?),
            _ => OptionsLayout::Mixed,
        };
        let fields = TcpFields {
            seq: tcp.sequence.get(),
            ack: tcp.acknowledgment.get(),
            options,
            source_port: tcp.source_port.get(),
            destination_port: tcp.destination_port.get(),
            window: tcp.window.get(),
            flags: Flags::from_bits(tcp.flags),
        };
        // No offset exceeds the frame's length, which fits 16 bits.
        Some(Packet {
            kind: Kind::Tcp(fields),
            network: network as u16,
            transport: (network + self.ip_header_len) as u16,
            payload: (network + payload) as u16,
            end: (network + self.end) as u16,
            family: self.family,
            protocol: IpProtocol::TCP,
            traffic_class: self.traffic_class,
        })
    }
}
