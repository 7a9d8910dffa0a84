//! Checksums of a classified frame. `packet` must come from the same `frame`: with another one the answer is an error or means
//! nothing, but nothing worse happens.

use super::{Family, Kind, Packet};
use crate::wire::{Error, Field, Protocol, Sum, ipv4};

/// Verifies all checksums of a frame: [`verify_network`] and [`verify_transport`] at once, in a straight line for the usual segment.
#[inline]
pub fn verify(frame: &[u8], packet: &Packet) -> Result<(), Error> {
    let header_len = packet.transport.wrapping_sub(packet.network) as usize;
    if let (Kind::Tcp(_), Family::V4, ipv4::HEADER_LEN) = (packet.kind, packet.family, header_len)
        && let Some((header, segment)) = packet.network(frame).split_first_chunk::<{ ipv4::HEADER_LEN }>()
    {
        return verify_usual(header, segment);
    }
    verify_network(frame, packet)?;
    verify_transport(frame, packet)
}

/// A TCP segment behind an IPv4 header without options.
#[inline(always)]
fn verify_usual(header: &[u8; ipv4::HEADER_LEN], segment: &[u8]) -> Result<(), Error> {
    if !Sum::of_array(header).is_valid() {
        return Err(Error::new(Protocol::Ipv4, Field::Checksum));
    }
    let [_, _, _, _, _, _, _, _, _, protocol, _, _, addresses @ ..] = *header;
    let pseudo_header = Sum::of_word(addresses).add_word(protocol as u16).add_word(segment.len() as u16);
    if Sum::of(segment).add(pseudo_header).is_valid() {
        Ok(())
    } else {
        Err(Error::new(Protocol::Tcp, Field::Checksum))
    }
}

/// Verifies the checksum of an IPv4 header; IPv6 and ARP have none.
pub fn verify_network(frame: &[u8], packet: &Packet) -> Result<(), Error> {
    let header = match packet.family {
        Family::V4 => frame.get(packet.network as usize..packet.transport as usize).unwrap_or_default(),
        Family::V6 | Family::Arp => return Ok(()),
    };
    if Sum::of(header).is_valid() { Ok(()) } else { Err(Error::new(Protocol::Ipv4, Field::Checksum)) }
}

/// Verifies the checksum of a TCP segment or an ICMP message; of what is not a whole one of these, nothing.
pub fn verify_transport(frame: &[u8], packet: &Packet) -> Result<(), Error> {
    let (protocol, pseudo_header) = match packet.kind {
        Kind::Tcp(_) => (Protocol::Tcp, packet.pseudo_header(frame)),
        Kind::Icmpv4 => (Protocol::Icmpv4, Some(Sum::ZERO)),
        Kind::Icmpv6 => (Protocol::Icmpv6, packet.pseudo_header(frame)),
        Kind::Arp | Kind::Fragment(_) | Kind::OtherProtocol => return Ok(()),
    };
    match pseudo_header {
        Some(pseudo_header) if pseudo_header.add(Sum::of(packet.transport(frame))).is_valid() => Ok(()),
        Some(_) | None => Err(Error::new(protocol, Field::Checksum)),
    }
}
