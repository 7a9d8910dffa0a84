//! Packets that are longer than the path takes, cut by us: long answers to echo requests (RFC 1122 section 3.2.2.6).

use crate::port::{Capabilities, Reservation, Transmit, TransmitChecksum};
use crate::wire::ipv4::{self, Fragmentation, Ipv4Repr};
use crate::wire::ipv6::{self, Ipv6Repr};
use crate::wire::{EtherType, IpProtocol, Sum};

use super::{NoFrame, Route, TTL, link_header};

/// Bytes of IPv6's fragment header.
const FRAGMENT_HEADER_LEN: usize = 8;
const MORE_FRAGMENTS: u16 = 0x2000;

/// A message to be cut: its header, and what follows.
#[derive(Clone, Copy, Debug)]
pub struct LongMessage<'a> {
    /// What it is.
    pub protocol: IpProtocol,
    /// Its header, checksum included.
    pub head: [u8; 8],
    /// What follows.
    pub body: &'a [u8],
    /// The datagram's identification, unlike that of any other one on its way (RFC 6864 section 4.3).
    pub identification: u32,
}

impl LongMessage<'_> {
    /// Copies `to.len()` bytes from byte `start` of the message on.
    pub fn copy(&self, start: usize, to: &mut [u8]) {
        let from_head = self.head.get(start..).unwrap_or_default();
        let head_len = from_head.len().min(to.len());
        let (first, rest) = to.split_at_mut(head_len);
        first.copy_from_slice(&from_head[..head_len]);
        let at = (start + head_len).saturating_sub(self.head.len());
        if let Some(body) = self.body.get(at..at + rest.len()) {
            rest.copy_from_slice(body);
        }
    }
}

/// Sends `message` in fragments of `mtu` bytes at most, and says how many those were.
///
/// # Errors
/// [`NoFrame`]; some may have left.
pub fn send_fragments<T: Transmit>(
    transmit: &mut T,
    capabilities: &Capabilities,
    route: &Route,
    message: &LongMessage<'_>,
    mtu: u16,
) -> Result<u32, NoFrame> {
    let is_v4 = route.local.is_v4();
    let header_len = if is_v4 { ipv4::HEADER_LEN } else { ipv6::HEADER_LEN + FRAGMENT_HEADER_LEN };
    let step = usize::from(mtu).saturating_sub(header_len) / 8 * 8;
    let len = message.head.len() + message.body.len();
    let (mut start, mut sent) = (0, 0);
    while start < len && step > 0 {
        let piece = Piece { start, len: step.min(len - start), is_last: start + step >= len };
        send_piece(transmit, capabilities, route, message, piece)?;
        start += step;
        sent += 1;
    }
    Ok(sent)
}

#[derive(Clone, Copy)]
struct Piece {
    start: usize,
    len: usize,
    is_last: bool,
}

fn send_piece<T: Transmit>(
    transmit: &mut T,
    capabilities: &Capabilities,
    route: &Route,
    message: &LongMessage<'_>,
    piece: Piece,
) -> Result<(), NoFrame> {
    let mut frame = transmit.reserve().ok_or(NoFrame)?;
    let ether_type = if route.local.is_v4() { EtherType::IPV4 } else { EtherType::IPV6 };
    let mut at = link_header(&mut frame, capabilities, route.mac, ether_type)?;
    at += write_network(frame.get_mut(at..).ok_or(NoFrame)?, route, message, piece)?;
    message.copy(piece.start, frame.get_mut(at..at + piece.len).ok_or(NoFrame)?);
    frame.commit(at + piece.len, TransmitChecksum::Complete);
    Ok(())
}

/// Writes the IP header of one fragment; returns its length.
fn write_network(
    network: &mut [u8],
    route: &Route,
    message: &LongMessage<'_>,
    piece: Piece,
) -> Result<usize, NoFrame> {
    if let (Some(source), Some(destination)) = (route.local.as_v4(), route.remote.as_v4()) {
        let repr = Ipv4Repr {
            source: source.into(),
            destination: destination.into(),
            protocol: message.protocol,
            payload_len: piece.len as u16,
            traffic_class: 0,
            ttl: TTL,
            identification: message.identification as u16,
            fragmentation: Fragmentation::Allowed,
        };
        let header_len = repr.emit(network).map_err(|_| NoFrame)?;
        let more = if piece.is_last { 0 } else { MORE_FRAGMENTS };
        network[6..8].copy_from_slice(&((piece.start / 8) as u16 | more).to_be_bytes());
        network[10..12].fill(0);
        let sum = Sum::of(&network[..header_len]).finish();
        network[10..12].copy_from_slice(&sum.to_be_bytes());
        return Ok(header_len);
    }
    let repr = Ipv6Repr {
        source: route.local.octets().into(),
        destination: route.remote.octets().into(),
        next_header: IpProtocol::FRAGMENT,
        payload_len: (piece.len + FRAGMENT_HEADER_LEN) as u16,
        traffic_class: 0,
        flow_label: 0,
        hop_limit: TTL,
    };
    let start = repr.emit(network).map_err(|_| NoFrame)?;
    let end = start + FRAGMENT_HEADER_LEN;
    let header = network.get_mut(start..end).ok_or(NoFrame)?;
    let offset = piece.start as u16 | u16::from(!piece.is_last);
    header[0..2].copy_from_slice(&[message.protocol.0, 0]);
    header[2..4].copy_from_slice(&offset.to_be_bytes());
    header[4..8].copy_from_slice(&message.identification.to_be_bytes());
    Ok(end)
}
