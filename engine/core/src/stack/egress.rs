//! Building frames: one reservation, headers and payload in place, one copy of the payload with its checksum.

use crate::port::{Capabilities, ChecksumOffload, Medium, Reservation, Transmit, TransmitChecksum};
use crate::wire::ipv4::{Fragmentation, Ipv4Repr};
use crate::wire::ipv6::Ipv6Repr;
use crate::wire::tcp::{self, TcpRepr};
use crate::wire::{Address, EtherType, IpProtocol, MacAddress, Sum};
use crate::wire::{arp, ethernet, ipv4, ipv6, vlan};

mod fragments;
mod segment;
mod template;

pub use fragments::{LongMessage, send_fragments};
pub use segment::{Head, send_segment, send_syn_segment};
pub use template::{PlainHead, Template};

/// Hops that our packets may take (`ip_default_ttl`).
const TTL: u8 = 64;

/// No frame was free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoFrame;

/// Where a packet goes.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    /// The next hop's link-layer address.
    pub mac: MacAddress,
    /// Our address.
    pub local: Address,
    /// The peer's.
    pub remote: Address,
    /// DSCP and ECN.
    pub traffic_class: u8,
}

/// Sends a TCP segment with `payload_len` octets, which `fill` writes and sums.
///
/// # Errors
/// [`NoFrame`]; `fill` was not called.
#[inline]
pub fn send_tcp<T: Transmit>(
    transmit: &mut T,
    capabilities: &Capabilities,
    route: &Route,
    repr: &TcpRepr,
    payload_len: usize,
    fill: impl FnOnce(&mut [u8]) -> Sum,
) -> Result<(), NoFrame> {
    let mut frame = transmit.reserve().ok_or(NoFrame)?;
    let header_len = repr.header_len();
    let segment_len = header_len + payload_len;
    let start = network_headers(&mut frame, capabilities, route, IpProtocol::TCP, TTL, segment_len)?;
    let segment = frame.get_mut(start..start + segment_len).ok_or(NoFrame)?;
    let (header, payload) = segment.split_at_mut(header_len);
    repr.emit(header).map_err(|_| NoFrame)?;
    let pseudo = pseudo_header(route, IpProtocol::TCP, segment_len);
    let checksum = match capabilities.transmit_checksum {
        ChecksumOffload::Software => {
            let sum = fill(payload);
            tcp::seal(header, pseudo.add(sum));
            TransmitChecksum::Complete
        }
        ChecksumOffload::Device => {
            fill(payload);
            tcp::seal_for_device(header, pseudo);
            TransmitChecksum::Partial { start: start as u16, offset: tcp::CHECKSUM_OFFSET as u16 }
        }
    };
    frame.commit(start + segment_len, checksum);
    Ok(())
}

/// Sends a packet of `protocol` whose `len` octets `fill` writes, checksum included; it is given the sum of the
/// pseudo header.
///
/// # Errors
/// [`NoFrame`], also when the packet does not fit a frame.
pub fn send_ip<T: Transmit>(
    transmit: &mut T,
    capabilities: &Capabilities,
    route: &Route,
    packet: &Datagram,
    fill: impl FnOnce(&mut [u8], Sum),
) -> Result<(), NoFrame> {
    let Datagram { protocol, ttl, len } = *packet;
    let mut frame = transmit.reserve().ok_or(NoFrame)?;
    let start = network_headers(&mut frame, capabilities, route, protocol, ttl.unwrap_or(TTL), len)?;
    let body = frame.get_mut(start..start + len).ok_or(NoFrame)?;
    fill(body, pseudo_header(route, protocol, len));
    frame.commit(start + len, TransmitChecksum::Complete);
    Ok(())
}

/// What an IP packet other than a TCP segment carries.
#[derive(Clone, Copy, Debug)]
pub struct Datagram {
    /// What it is.
    pub protocol: IpProtocol,
    /// Hops that it may take; `None`: the usual number.
    pub ttl: Option<u8>,
    /// Octets after the IP header.
    pub len: usize,
}

/// Sends an ARP packet to `destination`.
///
/// # Errors
/// [`NoFrame`].
pub fn send_arp<T: Transmit>(
    transmit: &mut T,
    capabilities: &Capabilities,
    destination: MacAddress,
    repr: &arp::ArpRepr,
) -> Result<(), NoFrame> {
    let mut frame = transmit.reserve().ok_or(NoFrame)?;
    let start = link_header(&mut frame, capabilities, destination, EtherType::ARP)?;
    let body = frame.get_mut(start..).ok_or(NoFrame)?;
    let len = repr.emit(body).map_err(|_| NoFrame)?;
    frame.commit(start + len, TransmitChecksum::Complete);
    Ok(())
}

/// Writes the link header, if the medium has one; returns its length.
#[inline]
fn link_header(
    frame: &mut [u8],
    capabilities: &Capabilities,
    destination: MacAddress,
    ether_type: EtherType,
) -> Result<usize, NoFrame> {
    let source = capabilities.mac;
    let untagged = |ether_type| ethernet::EthernetRepr { destination, source, ether_type };
    match capabilities.medium {
        Medium::Ip => Ok(0),
        Medium::Ethernet => untagged(ether_type).emit(frame).map_err(|_| NoFrame),
        Medium::Tagged(id) => {
            let start = untagged(EtherType::VLAN).emit(frame).map_err(|_| NoFrame)?;
            let tag = frame.get_mut(start..).ok_or(NoFrame)?;
            Ok(start + vlan::emit(id, ether_type, tag).map_err(|_| NoFrame)?)
        }
    }
}

/// Writes the link and IP headers; returns where the transport begins.
#[inline]
fn network_headers(
    frame: &mut [u8],
    capabilities: &Capabilities,
    route: &Route,
    protocol: IpProtocol,
    ttl: u8,
    len: usize,
) -> Result<usize, NoFrame> {
    let ether_type = if route.local.is_v4() { EtherType::IPV4 } else { EtherType::IPV6 };
    let start = link_header(frame, capabilities, route.mac, ether_type)?;
    let network = frame.get_mut(start..).ok_or(NoFrame)?;
    let header_len = match (route.local.as_v4(), route.remote.as_v4()) {
        (Some(source), Some(destination)) => Ipv4Repr {
            source: source.into(),
            destination: destination.into(),
            protocol,
            payload_len: len as u16,
            traffic_class: route.traffic_class,
            ttl,
            // RFC 6864: an atomic datagram needs no identification.
            identification: 0,
            fragmentation: Fragmentation::Forbidden,
        }
        .emit(network),
        (_, _) => Ipv6Repr {
            source: route.local.octets().into(),
            destination: route.remote.octets().into(),
            next_header: protocol,
            payload_len: len as u16,
            traffic_class: route.traffic_class,
            flow_label: 0,
            hop_limit: ttl,
        }
        .emit(network),
    };
    Ok(start + header_len.map_err(|_| NoFrame)?)
}

#[inline]
fn pseudo_header(route: &Route, protocol: IpProtocol, len: usize) -> Sum {
    match (route.local.as_v4(), route.remote.as_v4()) {
        (Some(source), Some(destination)) => Sum::pseudo_v4(source, destination, protocol.0, len as u16),
        (_, _) => Sum::pseudo_v6(route.local.octets(), route.remote.octets(), protocol.0, len as u32),
    }
}

/// Payload octets of a TCP segment without options that fit one packet of `mtu` octets.
pub fn path_mss(mtu: u16, remote: Address) -> u16 {
    let headers = if remote.is_v4() { ipv4::HEADER_LEN } else { ipv6::HEADER_LEN } + tcp::HEADER_LEN;
    mtu.saturating_sub(headers as u16).max(64)
}
