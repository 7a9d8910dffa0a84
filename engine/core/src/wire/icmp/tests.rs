extern crate std;

use super::super::tests::{
    DESTINATION_V4, DESTINATION_V6, SOURCE_V4, SOURCE_V6, for_each_truncation, ipv4, ipv6, tcp_repr, tcp_v4,
    tcp_v6,
};
use super::super::{Address, tcp};
use super::*;

#[test]
fn every_truncation_of_the_header_is_an_error() {
    for_each_truncation(&[0; 8], |short| {
        let error = IcmpView::parse(short, Protocol::Icmpv6).err();
        assert_eq!(error, Some(Error::new(Protocol::Icmpv6, Field::Length)));
    });
    let view = IcmpView::parse(&[8, 1, 0xaa, 0xbb, 1, 2, 3, 4, 5], Protocol::Icmpv4).expect("a message");
    assert_eq!((view.kind(), view.code(), view.rest(), view.body()), (8, 1, 0x0102_0304, &[5][..]));
    assert_eq!(view.echo(), EchoId { identifier: 0x0102, sequence: 0x0304 });
}

#[test]
fn a_quoted_segment_of_ours_names_its_connection() {
    let quoted = tcp_v4(&tcp_repr(tcp::Options::NONE), b"payload");
    let ours = QuotedTcp::of_v4(&quoted[..28]).expect("eight bytes of TCP");
    let expected = Tuple {
        local: Address::v4(SOURCE_V4),
        remote: Address::v4(DESTINATION_V4),
        local_port: 40001,
        remote_port: 8080,
    };
    assert_eq!(ours, QuotedTcp { tuple: expected, seq: 0x1122_3344, packet_len: 47 });
    for_each_truncation(&quoted[..28], |short| assert!(QuotedTcp::of_v4(short).is_err()));

    let quoted = tcp_v6(&tcp_repr(tcp::Options::NONE), b"payload");
    let ours = QuotedTcp::of_v6(&quoted[..48]).expect("eight bytes of TCP");
    let expected = Tuple { local: Address::v6(SOURCE_V6), remote: Address::v6(DESTINATION_V6), ..expected };
    assert_eq!(ours, QuotedTcp { tuple: expected, seq: 0x1122_3344, packet_len: 67 });
    for_each_truncation(&quoted[..48], |short| assert!(QuotedTcp::of_v6(short).is_err()));
}

#[test]
fn quoted_fragments_and_other_protocols_are_refused() {
    let mut later_piece = tcp_v4(&tcp_repr(tcp::Options::NONE), b"");
    later_piece[7] = 3;
    assert_eq!(QuotedTcp::of_v4(&later_piece), Err(Error::new(Protocol::Ipv4, Field::Fragment)));
    let mut first_piece = tcp_v4(&tcp_repr(tcp::Options::NONE), b"");
    first_piece[6] = 0x20;
    assert!(QuotedTcp::of_v4(&first_piece).is_ok());
    let other = ipv4(IpProtocol::UDP, &[0; 8]);
    assert_eq!(QuotedTcp::of_v4(&other), Err(Error::new(Protocol::Ipv4, Field::ProtocolNumber)));
    let other = ipv6(IpProtocol::UDP, &[0; 8]);
    assert_eq!(QuotedTcp::of_v6(&other), Err(Error::new(Protocol::Ipv6, Field::ProtocolNumber)));
    let later_piece = ipv6(IpProtocol::FRAGMENT, &[6, 0, 0, 8, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(QuotedTcp::of_v6(&later_piece), Err(Error::new(Protocol::Ipv6, Field::Fragment)));
}

proptest::proptest! {
    #[test]
    fn random_quotes_never_panic(
        first in proptest::sample::select(std::vec![0x45_u8, 0x46, 0x60]),
        rest in proptest::collection::vec(0_u8..8, 0..100),
    ) {
        let bytes = [&[first], &rest[..]].concat();
        let read = QuotedTcp::of_v4(&bytes).is_ok() || QuotedTcp::of_v6(&bytes).is_ok();
        proptest::prop_assert!(!read || bytes.len() >= 28);
    }
}
