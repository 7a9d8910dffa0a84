//! Building frames: one reservation, headers and payload in place, one copy of the payload with its checksum.

use crate::port::{Capabilities, ChecksumOffload, Medium, Reservation, Transmit, TransmitChecksum};
use crate::tcp::seq::SequenceNumber;
use crate::wire::ipv4::{Fragmentation, Ipv4Repr};
use crate::wire::ipv6::Ipv6Repr;
use crate::wire::tcp::{self, Flags, Options, SackBlocks, TcpRepr, Timestamps};
use crate::wire::{Address, EtherType, IpProtocol, MacAddress, Sum};
use crate::wire::{arp, ethernet, ipv4, ipv6};

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

/// The head of a segment whose only option can be timestamps.
#[derive(Clone, Copy, Debug)]
pub struct Head {
    /// Our port.
    pub local_port: u16,
    /// The peer's.
    pub remote_port: u16,
    /// First octet's sequence number.
    pub seq: SequenceNumber,
    /// Acknowledgment number.
    pub ack: SequenceNumber,
    /// Control bits.
    pub flags: Flags,
    /// The window field.
    pub window: u16,
    /// The timestamps option.
    pub timestamps: Option<Timestamps>,
}

impl Head {
    /// The same with SACK blocks, for [`send_tcp`].
    pub fn with_sack(&self, sack: SackBlocks) -> TcpRepr {
        TcpRepr {
            source_port: self.local_port,
            destination_port: self.remote_port,
            seq: self.seq.0,
            ack: self.ack.0,
            flags: self.flags,
            window: self.window,
            urgent: 0,
            options: Options { timestamps: self.timestamps, sack, ..Options::NONE },
        }
    }
}

/// Ethernet, IPv4 and TCP header.
const HEAD_LEN: usize = ethernet::HEADER_LEN + ipv4::HEADER_LEN + tcp::HEADER_LEN;
/// Where the IPv4 and the TCP header begin.
const IP: usize = ethernet::HEADER_LEN;
const TCP: usize = IP + ipv4::HEADER_LEN;

/// Sends a segment as [`send_tcp`] does. The usual one, IPv4 over Ethernet, is written at fixed offsets.
///
/// # Errors
/// [`NoFrame`]; `fill` was not called.
#[inline]
pub fn send_segment<T: Transmit>(
    transmit: &mut T,
    capabilities: &Capabilities,
    route: &Route,
    head: &Head,
    payload_len: usize,
    fill: impl FnOnce(&mut [u8]) -> Sum,
) -> Result<(), NoFrame> {
    let (Medium::Ethernet, Some(source), Some(destination)) =
        (capabilities.medium, route.local.as_v4(), route.remote.as_v4())
    else {
        let repr = head.with_sack(SackBlocks::NONE);
        return send_tcp(transmit, capabilities, route, &repr, payload_len, fill);
    };
    let options_len = if head.timestamps.is_some() { TIMESTAMPS_LEN } else { 0 };
    let len = HEAD_LEN + options_len + payload_len;
    let mut frame = transmit.reserve().ok_or(NoFrame)?;
    let (fixed, rest) =
        frame.get_mut(..len).and_then(|frame| frame.split_first_chunk_mut::<HEAD_LEN>()).ok_or(NoFrame)?;
    let (options, payload) = rest.split_at_mut(options_len);
    fixed[..6].copy_from_slice(&route.mac.0);
    fixed[6..12].copy_from_slice(&capabilities.mac.0);
    let segment_len = (len - TCP) as u16;
    write_ipv4(fixed, source, destination, segment_len);
    fixed[TCP..TCP + 2].copy_from_slice(&head.local_port.to_be_bytes());
    fixed[TCP + 2..TCP + 4].copy_from_slice(&head.remote_port.to_be_bytes());
    fixed[TCP + 4..TCP + 8].copy_from_slice(&head.seq.0.to_be_bytes());
    fixed[TCP + 8..TCP + 12].copy_from_slice(&head.ack.0.to_be_bytes());
    let data_offset = ((tcp::HEADER_LEN + options_len) as u8) << 2;
    fixed[TCP + 12..TCP + 14].copy_from_slice(&[data_offset, head.flags.bits()]);
    fixed[TCP + 14..TCP + 16].copy_from_slice(&head.window.to_be_bytes());
    fixed[TCP + 16..].copy_from_slice(&[0; 4]);
    let mut sum = Sum::pseudo_v4(source, destination, IpProtocol::TCP.0, segment_len);
    if let (Some(Timestamps { value, echo }), Ok(options)) =
        (head.timestamps, <&mut [u8; TIMESTAMPS_LEN]>::try_from(options))
    {
        options[..4].copy_from_slice(&[1, 1, 8, 10]);
        options[4..8].copy_from_slice(&value.to_be_bytes());
        options[8..].copy_from_slice(&echo.to_be_bytes());
        if matches!(capabilities.transmit_checksum, ChecksumOffload::Software) {
            sum = sum.add(Sum::of(options));
        }
    }
    let (field, checksum) = match capabilities.transmit_checksum {
        ChecksumOffload::Software => {
            let sum = sum.add(fill(payload)).add(Sum::of(&fixed[TCP..]));
            (sum.finish(), TransmitChecksum::Complete)
        }
        ChecksumOffload::Device => {
            fill(payload);
            let offset = tcp::CHECKSUM_OFFSET as u16;
            (sum.partial(), TransmitChecksum::Partial { start: TCP as u16, offset })
        }
    };
    fixed[TCP + 16..TCP + 18].copy_from_slice(&field.to_be_bytes());
    frame.commit(len, checksum);
    Ok(())
}

/// Octets of the timestamps option with its padding.
const TIMESTAMPS_LEN: usize = 12;

/// The type field and an IPv4 header as [`Ipv4Repr`] writes it: no options, not to be fragmented, no identification.
#[inline]
fn write_ipv4(fixed: &mut [u8; HEAD_LEN], source: [u8; 4], destination: [u8; 4], segment_len: u16) {
    let total_len = segment_len + ipv4::HEADER_LEN as u16;
    fixed[12..14].copy_from_slice(&EtherType::IPV4.0.to_be_bytes());
    fixed[IP..IP + 2].copy_from_slice(&[0x45, 0]);
    fixed[IP + 2..IP + 4].copy_from_slice(&total_len.to_be_bytes());
    fixed[IP + 4..IP + 12].copy_from_slice(&[0, 0, 0x40, 0, TTL, IpProtocol::TCP.0, 0, 0]);
    fixed[IP + 12..IP + 16].copy_from_slice(&source);
    fixed[IP + 16..TCP].copy_from_slice(&destination);
    let checksum = Sum::of(&fixed[IP..TCP]).finish();
    fixed[IP + 10..IP + 12].copy_from_slice(&checksum.to_be_bytes());
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
    let header = ethernet::EthernetRepr { destination, source: capabilities.mac, ether_type: EtherType::ARP };
    let start = header.emit(&mut frame).map_err(|_| NoFrame)?;
    let body = frame.get_mut(start..).ok_or(NoFrame)?;
    let len = repr.emit(body).map_err(|_| NoFrame)?;
    frame.commit(start + len, TransmitChecksum::Complete);
    Ok(())
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
    let mut start = 0;
    if matches!(capabilities.medium, Medium::Ethernet) {
        let ether_type = if route.local.is_v4() { EtherType::IPV4 } else { EtherType::IPV6 };
        let header = ethernet::EthernetRepr { destination: route.mac, source: capabilities.mac, ether_type };
        start = header.emit(frame).map_err(|_| NoFrame)?;
    }
    let network = frame.get_mut(start..).ok_or(NoFrame)?;
    let header_len = match (route.local.as_v4(), route.remote.as_v4()) {
        (Some(source), Some(destination)) => Ipv4Repr {
            source: source.into(),
            destination: destination.into(),
            protocol,
            payload_len: len as u16,
            traffic_class: 0,
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
            traffic_class: 0,
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
