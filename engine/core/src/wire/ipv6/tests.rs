extern crate std;

use etherparse::Ipv6HeaderSlice;
use proptest::prelude::*;
use std::vec::Vec;

use super::super::tests::{for_each_truncation, ipv6};
use super::*;

const UDP: u8 = 17;
const EXTENSION: Error = Error::new(Protocol::Ipv6, Field::Extension);

#[test]
fn every_truncation_is_an_error() {
    for_each_truncation(&ipv6(IpProtocol::UDP, b"12345"), |short| {
        assert_eq!(Ipv6View::parse(short).err(), Some(Error::new(Protocol::Ipv6, Field::Length)));
        assert_eq!(Ipv6View::parse_start(short).is_ok(), short.len() >= 40);
    });
}

#[test]
fn version_and_padding() {
    let mut bytes = ipv6(IpProtocol::UDP, b"12345");
    bytes.push(0xee);
    assert_eq!(Ipv6View::parse(&bytes).expect("padded").payload(), b"12345");
    bytes[0] = 0x45;
    assert_eq!(Ipv6Repr::parse(&bytes), Err(Error::new(Protocol::Ipv6, Field::Version)));
}

#[test]
fn extension_headers_are_followed_in_order() {
    let mut bytes = Vec::new();
    bytes.extend_from_slice(&[43, 0, 1, 4, 0, 0, 0, 0]);
    bytes.extend_from_slice(&[60, 1, 0, 0, 0, 0, 0, 0, 9, 9, 9, 9, 9, 9, 9, 9]);
    bytes.extend_from_slice(&[44, 0, 0, 0x1e, 1, 0, 1, 0]);
    bytes.extend_from_slice(&[UDP, 0, 0, 0, 0, 0, 0, 1]);
    bytes.extend_from_slice(b"data");
    let upper = walk(IpProtocol::HOP_BY_HOP, &bytes).expect("all are allowed");
    // The last one is an atomic fragment: whole.
    assert_eq!(
        upper,
        Upper { protocol: IpProtocol::UDP, payload: b"data", fragment: None, next_header_at: 72 }
    );
    for_each_truncation(&bytes[..40], |short| {
        assert_eq!(walk(IpProtocol::HOP_BY_HOP, short), Err(Error::new(Protocol::Ipv6, Field::Length)));
    });
}

#[test]
fn the_walk_is_bounded() {
    let chain = |count: usize| {
        let mut bytes: Vec<u8> = (1..count).flat_map(|_| [60, 0, 1, 4, 0, 0, 0, 0]).collect();
        bytes.extend_from_slice(&[UDP, 0, 1, 4, 0, 0, 0, 0]);
        bytes
    };
    let most = chain(EXTENSION_HEADERS_MAX);
    assert_eq!(walk(IpProtocol::DESTINATION_OPTIONS, &most).map(|upper| upper.protocol), Ok(IpProtocol::UDP));
    let more = chain(EXTENSION_HEADERS_MAX + 1);
    let depth = Err(Error::new(Protocol::Ipv6, Field::Depth));
    assert_eq!(walk(IpProtocol::DESTINATION_OPTIONS, &more), depth);
}

#[test]
fn a_fragment_ends_the_walk() {
    let bytes = [6, 0, 0x01, 0x01, 1, 2, 3, 4, 0xaa];
    let upper = walk(IpProtocol::FRAGMENT, &bytes).expect("a fragment");
    let fragment = Fragment { identification: 0x0102_0304, offset: 0x100, more: MoreFragments::Follow };
    assert_eq!(
        upper,
        Upper { protocol: IpProtocol::TCP, payload: &[0xaa], fragment: Some(fragment), next_header_at: 40 }
    );
}

#[test]
fn routing_headers_are_for_routers() {
    let visited = [UDP, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(walk(IpProtocol::ROUTING, &visited).map(|upper| upper.protocol), Ok(IpProtocol::UDP));
    let waiting = [UDP, 0, 0, 1, 0, 0, 0, 0];
    let error = Err(Error::new(Protocol::Ipv6, Field::RoutingHeader));
    assert_eq!(walk(IpProtocol::ROUTING, &waiting), error);
}

#[test]
fn options_that_must_not_be_skipped_drop_the_packet() {
    let with_option = |kind: u8| [UDP, 0, kind, 4, 0, 0, 0, 0];
    assert!(walk(IpProtocol::DESTINATION_OPTIONS, &with_option(0x3f)).is_ok());
    for kind in [0x40, 0x80, 0xc0, 0xc2] {
        assert_eq!(walk(IpProtocol::DESTINATION_OPTIONS, &with_option(kind)), Err(EXTENSION));
    }
    let too_long = [UDP, 0, 1, 5, 0, 0, 0, 0];
    assert_eq!(walk(IpProtocol::DESTINATION_OPTIONS, &too_long), Err(EXTENSION));
    let no_length = [UDP, 0, 1, 3, 0, 0, 0, 1];
    assert_eq!(walk(IpProtocol::DESTINATION_OPTIONS, &no_length), Err(EXTENSION));
    // Hop-by-hop stands first or not at all.
    let late = [0, 0, 1, 4, 0, 0, 0, 0, UDP, 0, 1, 4, 0, 0, 0, 0];
    assert_eq!(walk(IpProtocol::DESTINATION_OPTIONS, &late), Err(EXTENSION));
}

proptest! {
    #[test]
    fn what_is_emitted_is_parsed_and_an_oracle_agrees(
        addresses: ([u8; 16], [u8; 16]),
        bytes: (u8, u8, u8),
        flow_label in 0_u32..1 << 20,
        payload_len in 0_u16..100,
    ) {
        let repr = Ipv6Repr {
            source: addresses.0.into(),
            destination: addresses.1.into(),
            next_header: IpProtocol(bytes.0),
            payload_len,
            traffic_class: bytes.1,
            flow_label,
            hop_limit: bytes.2,
        };
        let mut packet = [0xff; 140];
        prop_assert_eq!(repr.emit(&mut packet), Ok(40));
        prop_assert_eq!(Ipv6Repr::parse(&packet), Ok(repr));
        let oracle = Ipv6HeaderSlice::from_slice(&packet).expect("a header");
        prop_assert_eq!(oracle.source(), addresses.0);
        prop_assert_eq!(oracle.destination(), addresses.1);
        prop_assert_eq!(oracle.next_header().0, bytes.0);
        prop_assert_eq!(oracle.traffic_class(), bytes.1);
        prop_assert_eq!(oracle.hop_limit(), bytes.2);
        prop_assert_eq!(oracle.flow_label().value(), flow_label);
        prop_assert_eq!(oracle.payload_length(), payload_len);
        prop_assert_eq!(repr.emit(&mut packet[..39]), Err(NoRoom { needed: 40 }));
    }

    #[test]
    fn random_chains_never_panic(
        next in prop::sample::select(std::vec![0_u8, 43, 44, 60, 6, 59]),
        bytes in proptest::collection::vec(prop::sample::select(std::vec![0_u8, 1, 2, 43, 44, 60, 6, 255]), 0..120),
    ) {
        if let Ok(upper) = walk(IpProtocol(next), &bytes) {
            prop_assert!(bytes.ends_with(upper.payload));
        }
    }
}
