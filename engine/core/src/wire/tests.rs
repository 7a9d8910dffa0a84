//! Helpers of this module's tests.

extern crate std;

use std::vec::Vec;

use super::ethernet::EthernetRepr;
use super::ipv4::{Fragmentation, Ipv4Repr};
use super::ipv6::Ipv6Repr;
use super::tcp::{self, Flags, Options, TcpRepr};
use super::{EtherType, IpProtocol, MacAddress, Sum};

/// Calls `check` with every proper prefix of `bytes`.
pub(super) fn for_each_truncation(bytes: &[u8], mut check: impl FnMut(&[u8])) {
    for len in 0..bytes.len() {
        check(&bytes[..len]);
    }
}

pub(super) const SOURCE_V4: [u8; 4] = [198, 18, 0, 2];
pub(super) const DESTINATION_V4: [u8; 4] = [198, 18, 0, 1];
pub(super) const SOURCE_V6: [u8; 16] = [0xfd, 0, 1, 0x98, 0, 0x18, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];
pub(super) const DESTINATION_V6: [u8; 16] = [0xfd, 0, 1, 0x98, 0, 0x18, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];

/// A header with these options, fields all different.
pub(super) const fn tcp_repr(options: Options) -> TcpRepr {
    TcpRepr {
        source_port: 40001,
        destination_port: 8080,
        seq: 0x1122_3344,
        ack: 0x5566_7788,
        flags: Flags::ACK.with(Flags::PSH),
        window: 0x99aa,
        urgent: 0,
        options,
    }
}

/// An Ethernet header in front of `packet`.
pub(super) fn ethernet(ether_type: EtherType, packet: &[u8]) -> Vec<u8> {
    let header = EthernetRepr {
        destination: MacAddress([2, 0, 0, 0, 0, 1]),
        source: MacAddress([2, 0, 0, 0, 0, 2]),
        ether_type,
    };
    let mut frame = std::vec![0; 14];
    header.emit(&mut frame).expect("14 bytes are there");
    frame.extend_from_slice(packet);
    frame
}

/// An IPv4 header in front of `payload`.
pub(super) fn ipv4(protocol: IpProtocol, payload: &[u8]) -> Vec<u8> {
    let repr = Ipv4Repr {
        source: SOURCE_V4.into(),
        destination: DESTINATION_V4.into(),
        protocol,
        payload_len: payload.len() as u16,
        traffic_class: 2,
        ttl: 64,
        identification: 0,
        fragmentation: Fragmentation::Forbidden,
    };
    let mut packet = std::vec![0; 20];
    repr.emit(&mut packet).expect("20 bytes are there");
    packet.extend_from_slice(payload);
    packet
}

/// An IPv6 header in front of `payload`.
pub(super) fn ipv6(next_header: IpProtocol, payload: &[u8]) -> Vec<u8> {
    let repr = Ipv6Repr {
        source: SOURCE_V6.into(),
        destination: DESTINATION_V6.into(),
        next_header,
        payload_len: payload.len() as u16,
        traffic_class: 3,
        flow_label: 0x12345,
        hop_limit: 64,
    };
    let mut packet = std::vec![0; 40];
    repr.emit(&mut packet).expect("40 bytes are there");
    packet.extend_from_slice(payload);
    packet
}

/// A segment with its checksum under the given pseudo-header.
pub(super) fn segment(repr: &TcpRepr, payload: &[u8], pseudo_header: impl Fn(u16) -> Sum) -> Vec<u8> {
    let mut bytes = std::vec![0; repr.header_len()];
    repr.emit(&mut bytes).expect("room for the header");
    let len = bytes.len() + payload.len();
    tcp::seal(&mut bytes, pseudo_header(len as u16).add(Sum::of(payload)));
    bytes.extend_from_slice(payload);
    bytes
}

/// An IPv4 packet with a TCP segment.
pub(super) fn tcp_v4(repr: &TcpRepr, payload: &[u8]) -> Vec<u8> {
    let segment = segment(repr, payload, |len| Sum::pseudo_v4(SOURCE_V4, DESTINATION_V4, 6, len));
    ipv4(IpProtocol::TCP, &segment)
}

/// An IPv6 packet with a TCP segment.
pub(super) fn tcp_v6(repr: &TcpRepr, payload: &[u8]) -> Vec<u8> {
    let segment = segment(repr, payload, |len| Sum::pseudo_v6(SOURCE_V6, DESTINATION_V6, 6, u32::from(len)));
    ipv6(IpProtocol::TCP, &segment)
}
