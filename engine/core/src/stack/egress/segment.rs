//! The usual segment: IPv4 over Ethernet, no options or timestamps alone, written at fixed offsets.

use crate::port::{Capabilities, ChecksumOffload, Medium, Reservation, Transmit, TransmitChecksum};
use crate::tcp::seq::SequenceNumber;
use crate::wire::checksum::Words;
use crate::wire::tcp::{self, Flags, Options, SackBlocks, SynOptions, TcpRepr, Timestamps};
use crate::wire::{EtherType, IpProtocol, MacAddress, Sum};
use crate::wire::{ethernet, ipv4};

use super::{NoFrame, Route, TTL, send_tcp};

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
        self.with_options(Options { timestamps: self.timestamps, sack, ..Options::NONE })
    }

    fn with_options(&self, options: Options) -> TcpRepr {
        TcpRepr {
            source_port: self.local_port,
            destination_port: self.remote_port,
            seq: self.seq.0,
            ack: self.ack.0,
            flags: self.flags,
            window: self.window,
            urgent: 0,
            options,
        }
    }
}

/// Where a segment over IPv4 and Ethernet goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct RouteV4<'a> {
    /// The next hop's link-layer address.
    pub mac: &'a MacAddress,
    /// Our address.
    pub local: [u8; 4],
    /// The peer's.
    pub remote: [u8; 4],
    /// DSCP and ECN.
    pub traffic_class: u8,
}

impl<'a> RouteV4<'a> {
    /// `None` for IPv6, and where there is no Ethernet.
    #[inline(always)]
    fn of(capabilities: &Capabilities, route: &'a Route) -> Option<Self> {
        let Medium::Ethernet = capabilities.medium else { return None };
        Some(Self {
            mac: &route.mac,
            local: route.local.as_v4()?,
            remote: route.remote.as_v4()?,
            traffic_class: route.traffic_class,
        })
    }
}

/// Ethernet, IPv4 and TCP header.
const HEAD_LEN: usize = ethernet::HEADER_LEN + ipv4::HEADER_LEN + tcp::HEADER_LEN;
/// Where the TCP header begins.
pub(super) const TCP: usize = ethernet::HEADER_LEN + ipv4::HEADER_LEN;
/// `NOP NOP TIMESTAMPS 10` (RFC 7323 appendix A).
pub(super) const TIMESTAMPS_HEAD: u32 = 0x0101_080a;
/// Octets of the timestamps option with its padding.
pub(super) const TIMESTAMPS_LEN: usize = 12;
/// The type field, and the first two octets of an IPv4 header without options.
pub(super) const IPV4_HEAD: u32 = (EtherType::IPV4.0 as u32) << 16 | 0x4500;
/// Not to be fragmented, hops and protocol.
pub(super) const FRAGMENT_AND_HOPS: u32 = 0x4000 << 16 | (TTL as u32) << 8 | IpProtocol::TCP.0 as u32;

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
    let Some(route) = RouteV4::of(capabilities, route) else {
        let repr = head.with_sack(SackBlocks::NONE);
        return send_tcp(transmit, capabilities, route, &repr, payload_len, fill);
    };
    match head.timestamps {
        Some(Timestamps { value, echo }) => {
            let options = [TIMESTAMPS_HEAD, value, echo];
            send_v4(transmit, capabilities, &route, head, options, payload_len, fill)
        }
        None => send_v4(transmit, capabilities, &route, head, [], payload_len, fill),
    }
}

/// Sends a SYN or SYN+ACK; of `head`'s own options none. The usual one, with all that a SYN can have, over IPv4 and
/// Ethernet, is written at fixed offsets.
///
/// # Errors
/// [`NoFrame`].
pub fn send_syn_segment<T: Transmit>(
    transmit: &mut T,
    capabilities: &Capabilities,
    route: &Route,
    head: &Head,
    options: &SynOptions,
) -> Result<(), NoFrame> {
    let fill = |_: &mut [u8]| Sum::ZERO;
    match (RouteV4::of(capabilities, route), options.words()) {
        (Some(route), Some(words)) => send_v4(transmit, capabilities, &route, head, words, 0, fill),
        (_, _) => {
            let repr = head.with_options(Options::from(*options));
            send_tcp(transmit, capabilities, route, &repr, 0, fill)
        }
    }
}

/// Sends a segment over IPv4 and Ethernet, with `options` in words.
///
/// # Errors
/// [`NoFrame`]; `fill` was not called.
#[inline]
fn send_v4<T: Transmit, const OPTIONS: usize>(
    transmit: &mut T,
    capabilities: &Capabilities,
    route: &RouteV4<'_>,
    head: &Head,
    options: [u32; OPTIONS],
    payload_len: usize,
    fill: impl FnOnce(&mut [u8]) -> Sum,
) -> Result<(), NoFrame> {
    let options_len = OPTIONS * 4;
    let len = HEAD_LEN + options_len + payload_len;
    let mut frame = transmit.reserve().ok_or(NoFrame)?;
    let (fixed, rest) =
        frame.get_mut(..len).and_then(|frame| frame.split_first_chunk_mut::<HEAD_LEN>()).ok_or(NoFrame)?;
    let (option_bytes, payload) = rest.split_at_mut(options_len);
    let segment_len = (len - TCP) as u16;
    let addresses = write_network(fixed, capabilities, route, segment_len);
    let mut sum = write_fixed(fixed, head, options_len);
    for (bytes, word) in option_bytes.as_chunks_mut().0.iter_mut().zip(options) {
        sum = sum.add(put::<4>(bytes, 0, word));
    }
    let pseudo = addresses.add(Words::of_u16(IpProtocol::TCP.0.into())).add(Words::of_u16(segment_len));
    let (field, checksum) = match capabilities.transmit_checksum {
        ChecksumOffload::Software => {
            let sum = fill(payload).add_words(sum.add(pseudo));
            (!sum.fold(), TransmitChecksum::Complete)
        }
        ChecksumOffload::Device => {
            fill(payload);
            let offset = tcp::CHECKSUM_OFFSET as u16;
            (Sum::ZERO.add_words(pseudo).fold(), TransmitChecksum::Partial { start: TCP as u16, offset })
        }
    };
    // Checksum, and no urgent pointer.
    let field = u16::from_be(field);
    put(fixed, TCP + 16, u32::from(field) << 16);
    frame.commit(len, checksum);
    Ok(())
}

/// Writes a big-endian word and returns it to be summed: to read it back would wait for the store.
#[inline(always)]
pub(super) fn put<const N: usize>(bytes: &mut [u8; N], at: usize, word: u32) -> Words {
    bytes[at..at + 4].copy_from_slice(&word.to_be_bytes());
    Words::of_u32(word)
}

/// Link and IP header: not to be fragmented, no identification (RFC 6864). Returns the sum of the addresses.
#[inline(always)]
fn write_network(
    fixed: &mut [u8; HEAD_LEN],
    capabilities: &Capabilities,
    route: &RouteV4<'_>,
    segment_len: u16,
) -> Words {
    fixed[..6].copy_from_slice(&route.mac.0);
    fixed[6..12].copy_from_slice(&capabilities.mac.0);
    let head = IPV4_HEAD | u32::from(route.traffic_class);
    put(fixed, 12, head);
    let lengths = put(fixed, 16, u32::from(segment_len + ipv4::HEADER_LEN as u16) << 16);
    put(fixed, 20, FRAGMENT_AND_HOPS);
    fixed[26..30].copy_from_slice(&route.local);
    fixed[30..34].copy_from_slice(&route.remote);
    let addresses = Words::of_octets(route.local).add(Words::of_octets(route.remote));
    let constant = Words::of_u16(head as u16).add(Words::of_u32(FRAGMENT_AND_HOPS));
    let checksum = !Sum::ZERO.add_words(constant.add(lengths).add(addresses)).fold();
    fixed[24..26].copy_from_slice(&checksum.to_ne_bytes());
    addresses
}

/// The TCP header but for its checksum; returns its sum.
#[inline(always)]
fn write_fixed(fixed: &mut [u8; HEAD_LEN], head: &Head, options_len: usize) -> Words {
    let ports = u32::from(head.local_port) << 16 | u32::from(head.remote_port);
    let data_offset = ((tcp::HEADER_LEN + options_len) as u32) << 26;
    let control = data_offset | u32::from(head.flags.bits()) << 16 | u32::from(head.window);
    let ports = put(fixed, TCP, ports);
    let seq = put(fixed, TCP + 4, head.seq.0);
    let ack = put(fixed, TCP + 8, head.ack.0);
    ports.add(seq).add(ack).add(put(fixed, TCP + 12, control))
}
