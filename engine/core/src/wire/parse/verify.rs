//! Checksums of a classified frame.

use super::{Family, Kind, Packet};
use crate::wire::{Error, Field, Protocol, Sum};

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
