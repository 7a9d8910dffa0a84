extern crate std;

use etherparse::Ipv4HeaderSlice;
use proptest::prelude::*;

use super::super::tests::{for_each_truncation, ipv4};
use super::*;

#[test]
fn every_truncation_is_an_error() {
    for_each_truncation(&ipv4(IpProtocol::UDP, b"12345"), |short| {
        assert_eq!(Ipv4View::parse(short).err(), Some(Error::new(Protocol::Ipv4, Field::Length)));
        // A quoted packet may be cut anywhere behind its header.
        assert_eq!(Ipv4View::parse_start(short).is_ok(), short.len() >= 20);
    });
}

#[test]
fn padding_is_not_payload() {
    let mut bytes = ipv4(IpProtocol::UDP, b"12345");
    bytes.resize(46, 0xee);
    assert_eq!(Ipv4View::parse(&bytes).expect("padded").payload(), b"12345");
    assert_eq!(Ipv4Repr::parse(&bytes).expect("padded").payload_len, 5);
}

#[test]
fn inconsistent_headers_are_errors() {
    let good = ipv4(IpProtocol::UDP, b"12345");
    let spoiled = |offset: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[offset] = value;
        Ipv4Repr::parse(&bytes).expect_err("a spoiled header").field
    };
    assert_eq!(spoiled(0, 0x65), Field::Version);
    assert_eq!(spoiled(0, 0x44), Field::HeaderLength);
    assert_eq!(spoiled(0, 0x4f), Field::HeaderLength);
    assert_eq!(spoiled(3, 19), Field::Length);
    assert_eq!(spoiled(3, 26), Field::Length);
    assert_eq!(spoiled(8, 63), Field::Checksum);
}

#[test]
fn options_are_kept_apart_from_the_payload() {
    let mut bytes = [0; 27];
    bytes[..20].copy_from_slice(&ipv4(IpProtocol::UDP, b""));
    bytes[0] = 0x46;
    bytes[3] = 27;
    bytes[20..].copy_from_slice(&[7, 3, 4, 0, b'a', b'b', b'c']);
    bytes[10..12].fill(0);
    let checksum = Sum::of(&bytes[..24]).finish();
    bytes[10..12].copy_from_slice(&checksum.to_be_bytes());
    let view = Ipv4View::parse(&bytes).expect("options");
    assert_eq!((view.options(), view.payload()), (&[7, 3, 4, 0][..], &b"abc"[..]));
    assert!(view.has_valid_checksum());
    assert_eq!(Ipv4Repr::parse(&bytes).expect("options").payload_len, 3);
}

#[test]
fn a_fragment_is_no_whole_datagram() {
    let mut bytes = ipv4(IpProtocol::UDP, b"12345");
    bytes[6] = 0x20;
    bytes[10..12].fill(0);
    let checksum = Sum::of(&bytes[..20]).finish();
    bytes[10..12].copy_from_slice(&checksum.to_be_bytes());
    assert_eq!(Ipv4Repr::parse(&bytes), Err(Error::new(Protocol::Ipv4, Field::Fragment)));
}

proptest! {
    #[test]
    fn what_is_emitted_is_parsed_and_an_oracle_agrees(
        addresses: ([u8; 4], [u8; 4]),
        bytes: (u8, u8, u8),
        identification: u16,
        payload_len in 0_u16..100,
        may_fragment: bool,
    ) {
        let repr = Ipv4Repr {
            source: addresses.0.into(),
            destination: addresses.1.into(),
            protocol: IpProtocol(bytes.0),
            payload_len,
            traffic_class: bytes.1,
            ttl: bytes.2,
            identification,
            fragmentation: if may_fragment { Fragmentation::Allowed } else { Fragmentation::Forbidden },
        };
        let mut packet = [0xff; 120];
        prop_assert_eq!(repr.emit(&mut packet), Ok(20));
        prop_assert_eq!(Ipv4Repr::parse(&packet), Ok(repr));
        let oracle = Ipv4HeaderSlice::from_slice(&packet).expect("a header");
        prop_assert_eq!(oracle.header_checksum(), oracle.to_header().calc_header_checksum());
        prop_assert_eq!(oracle.source(), addresses.0);
        prop_assert_eq!(oracle.destination(), addresses.1);
        prop_assert_eq!(oracle.protocol().0, bytes.0);
        prop_assert_eq!(oracle.dcp().value() << 2 | oracle.ecn().value(), bytes.1);
        prop_assert_eq!(oracle.ttl(), bytes.2);
        prop_assert_eq!(oracle.total_len(), payload_len + 20);
        prop_assert_eq!(oracle.dont_fragment(), !may_fragment);
        prop_assert_eq!(oracle.identification(), identification);
        prop_assert_eq!(repr.emit(&mut packet[..19]), Err(NoRoom { needed: 20 }));
    }

    #[test]
    fn random_bytes_never_panic(first in 0x43_u8..0x50, rest in proptest::collection::vec(any::<u8>(), 0..80)) {
        let bytes = [&[first], &rest[..]].concat();
        if let Ok(view) = Ipv4View::parse(&bytes) {
            let used = 20 + view.options().len() + view.payload().len();
            prop_assert!(used <= bytes.len());
            prop_assert!(view.fragment().is_none_or(|fragment| fragment.offset % 8 == 0));
        }
    }
}
