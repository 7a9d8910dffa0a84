//! The first pass over a burst: each frame becomes offsets, a kind and, for TCP, the fields that every later step needs.
//!
//! Nearly all frames are one of two patterns that `usual` recognises in a few dozen instructions; whatever it does not know goes
//! the long way through the views, which find the same packets and say what is wrong with the others. Checksums are a second
//! call, so that frames whose device vouches for them cost none.

use super::icmp;
use super::ipv4::Ipv4View;
use super::ipv6::Ipv6View;
use super::tcp::TcpView;
use super::{Error, EtherType, Field, Fragment, IpProtocol, Protocol};
use super::{arp, ipv6, vlan};

mod packet;
mod plain;
mod syn;
mod usual;
mod verify;

pub use packet::{Addresses, Family, Kind, OptionsLayout, Packet, TcpFields};
pub use plain::{PlainHeaders, PlainSegment};
pub use syn::SynHeaders;
pub use verify::{verify, verify_network, verify_transport};

/// What the first byte of a frame belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Medium {
    /// An Ethernet header without a tag, or with one that says nothing but a priority.
    Ethernet,
    /// An Ethernet header with one tag of IEEE 802.1Q, of this VLAN, 1 to 4094.
    Tagged(u16),
    /// An IP header: a layer-3 port.
    Ip,
}

/// Checks the headers of a frame. No checksum is looked at: see [`verify_network`] and [`verify_transport`].
#[inline]
pub fn classify(frame: &[u8], medium: Medium) -> Result<Packet, Error> {
    match usual::classify(frame, medium) {
        Some(packet) => Ok(packet),
        None => classify_any(frame, medium),
    }
}

/// Like [`classify`], into a slot of the caller's: nothing is copied on the way. On an error the slot stays as it was.
#[inline]
pub fn classify_into(frame: &[u8], medium: Medium, slot: &mut Packet) -> Result<(), Error> {
    if let Some(packet) = usual::classify(frame, medium) {
        *slot = packet;
        return Ok(());
    }
    classify_any_into(frame, medium, slot)
}

#[cold]
#[inline(never)]
fn classify_any_into(frame: &[u8], medium: Medium, slot: &mut Packet) -> Result<(), Error> {
    *slot = classify_any(frame, medium)?;
    Ok(())
}

/// The long way, for any frame.
#[cold]
#[inline(never)]
fn classify_any(frame: &[u8], medium: Medium) -> Result<Packet, Error> {
    if frame.len() > u16::MAX as usize {
        return Err(Error::new(Protocol::Ethernet, Field::Length));
    }
    let (ether_type, network) = match medium {
        Medium::Ethernet | Medium::Tagged(_) => {
            let vlan::Untagged { tags, ether_type, offset } = vlan::skip(frame)?;
            // IEEE 802.1Q section 6.9: identifier 0 is none. All other networks are not ours.
            let is_ours = match medium {
                Medium::Tagged(id) => tags.ids().eq([id]),
                Medium::Ethernet | Medium::Ip => tags.ids().all(|id| id == 0),
            };
            if !is_ours {
                return Err(Error::new(Protocol::Vlan, Field::Address));
            }
            (ether_type, offset)
        }
        Medium::Ip => match frame.first().map(|first| first >> 4) {
            Some(6) => (EtherType::IPV6, 0),
            _ => (EtherType::IPV4, 0),
        },
    };
    let packet = frame.get(network..).unwrap_or_default();
    match ether_type {
        EtherType::IPV4 => classify_v4(packet, network),
        EtherType::IPV6 => classify_v6(packet, network),
        EtherType::ARP => classify_arp(packet, network),
        _ => Err(Error::new(Protocol::Ethernet, Field::ProtocolNumber)),
    }
}

fn classify_v4(packet: &[u8], network: usize) -> Result<Packet, Error> {
    let view = Ipv4View::parse(packet)?;
    let carried = Carried {
        network,
        transport: network + view.header_len(),
        family: Family::V4,
        protocol: view.protocol(),
        traffic_class: view.traffic_class(),
        bytes: view.payload(),
    };
    carried.classify(view.fragment())
}

fn classify_v6(packet: &[u8], network: usize) -> Result<Packet, Error> {
    let view = Ipv6View::parse(packet)?;
    let upper = view.walk()?;
    let extensions_len = view.payload().len() - upper.payload.len();
    let carried = Carried {
        network,
        transport: network + ipv6::HEADER_LEN + extensions_len,
        family: Family::V6,
        protocol: upper.protocol,
        traffic_class: view.traffic_class(),
        bytes: upper.payload,
    };
    carried.classify(upper.fragment)
}

fn classify_arp(packet: &[u8], network: usize) -> Result<Packet, Error> {
    let bytes = packet.get(..arp::PACKET_LEN).ok_or(Error::new(Protocol::Arp, Field::Length))?;
    let carried = Carried {
        network,
        transport: network,
        family: Family::Arp,
        protocol: IpProtocol(0),
        traffic_class: 0,
        bytes,
    };
    Ok(carried.packet(Kind::Arp, 0))
}

/// What a network layer carries.
struct Carried<'a> {
    network: usize,
    transport: usize,
    family: Family,
    protocol: IpProtocol,
    traffic_class: u8,
    bytes: &'a [u8],
}

impl Carried<'_> {
    fn classify(&self, fragment: Option<Fragment>) -> Result<Packet, Error> {
        if let Some(fragment) = fragment {
            return Ok(self.packet(Kind::Fragment(fragment), 0));
        }
        let (kind, protocol) = match (self.protocol, self.family) {
            (IpProtocol::TCP, _) => return self.classify_tcp(),
            (IpProtocol::ICMPV4, Family::V4) => (Kind::Icmpv4, Protocol::Icmpv4),
            (IpProtocol::ICMPV6, Family::V6) => (Kind::Icmpv6, Protocol::Icmpv6),
            _ => return Ok(self.packet(Kind::OtherProtocol, 0)),
        };
        if self.bytes.len() < icmp::HEADER_LEN {
            return Err(Error::new(protocol, Field::Length));
        }
        Ok(self.packet(kind, icmp::HEADER_LEN))
    }

    fn classify_tcp(&self) -> Result<Packet, Error> {
        let view = TcpView::parse(self.bytes)?;
        let fields = TcpFields {
            seq: view.seq(),
            ack: view.ack(),
            options: OptionsLayout::of(view.option_bytes()),
            source_port: view.source_port(),
            destination_port: view.destination_port(),
            window: view.window(),
            flags: view.flags(),
        };
        Ok(self.packet(Kind::Tcp(fields), view.header_len()))
    }

    fn packet(&self, kind: Kind, header_len: usize) -> Packet {
        // No offset exceeds the frame's length, which fits 16 bits.
        Packet {
            kind,
            network: self.network as u16,
            transport: self.transport as u16,
            payload: (self.transport + header_len) as u16,
            end: (self.transport + self.bytes.len()) as u16,
            family: self.family,
            protocol: self.protocol,
            traffic_class: self.traffic_class,
        }
    }
}

#[cfg(test)]
mod tests;
