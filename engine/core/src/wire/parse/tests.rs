extern crate std;

use proptest::prelude::*;
use std::vec::Vec;

use super::super::tests::{
    DESTINATION_V4, DESTINATION_V6, SOURCE_V4, SOURCE_V6, ethernet, for_each_truncation, ipv4, ipv6,
    tcp_repr, tcp_v4, tcp_v6,
};
use super::*;
use crate::wire::ip::MoreFragments;
use crate::wire::tcp::{Flags, Options, Timestamps};
use crate::wire::{Address, Ecn, Sum};

const CLOCKS: Timestamps = Timestamps { value: 0xaabb_ccdd, echo: 0x0102_0304 };

fn with_timestamps() -> Options {
    Options { timestamps: Some(CLOCKS), ..Options::NONE }
}

fn classified(frame: &[u8]) -> Packet {
    classify(frame, Medium::Ethernet).expect("a good frame")
}

fn fields(packet: &Packet) -> TcpFields {
    match packet.kind {
        Kind::Tcp(fields) => fields,
        other => panic!("{other:?} is not TCP"),
    }
}

#[test]
fn a_segment_over_ipv4_is_read_whole() {
    let mut frame = ethernet(EtherType::IPV4, &tcp_v4(&tcp_repr(with_timestamps()), b"hello"));
    frame.extend_from_slice(&[0xee; 7]);
    let packet = classified(&frame);
    assert_eq!(
        packet.kind,
        Kind::Tcp(TcpFields {
            seq: 0x1122_3344,
            ack: 0x5566_7788,
            options: OptionsLayout::Timestamps(CLOCKS),
            source_port: 40001,
            destination_port: 8080,
            window: 0x99aa,
            flags: Flags::ACK | Flags::PSH,
        })
    );
    assert_eq!((packet.network, packet.transport, packet.payload, packet.end), (14, 34, 66, 71));
    assert_eq!((packet.family, packet.protocol, packet.ecn()), (Family::V4, IpProtocol::TCP, Ecn::Ect0));
    assert_eq!(packet.payload(&frame), b"hello");
    assert_eq!(packet.payload_len(), 5);
    assert_eq!(packet.options(&frame), with_timestamps());
    assert_eq!(verify(&frame, &packet), Ok(()));
    let tuple = packet.tuple(&frame).expect("TCP");
    assert_eq!(tuple.local, Address::v4(DESTINATION_V4));
    assert_eq!(tuple.remote, Address::v4(SOURCE_V4));
    assert_eq!((tuple.local_port, tuple.remote_port), (8080, 40001));
    assert_eq!(packet.words_v4(&frame), tuple.words_v4());
}

#[test]
fn a_segment_over_ipv6_is_read_whole() {
    let frame = ethernet(EtherType::IPV6, &tcp_v6(&tcp_repr(with_timestamps()), b"hello"));
    let packet = classified(&frame);
    assert_eq!((packet.network, packet.transport, packet.payload, packet.end), (14, 54, 86, 91));
    assert_eq!((packet.family, packet.protocol, packet.ecn()), (Family::V6, IpProtocol::TCP, Ecn::Ce));
    assert_eq!(fields(&packet).options, OptionsLayout::Timestamps(CLOCKS));
    assert_eq!(verify(&frame, &packet), Ok(()));
    let tuple = packet.tuple(&frame).expect("TCP");
    assert_eq!(tuple.local, Address::v6(DESTINATION_V6));
    assert_eq!(tuple.remote, Address::v6(SOURCE_V6));
    assert_eq!(packet.words_v4(&frame), None);
}

#[test]
fn a_layer_3_port_has_no_ethernet_header() {
    for packet_bytes in [tcp_v4(&tcp_repr(Options::NONE), b"x"), tcp_v6(&tcp_repr(Options::NONE), b"x")] {
        let packet = classify(&packet_bytes, Medium::Ip).expect("a good packet");
        assert_eq!(packet.network, 0);
        assert_eq!(fields(&packet).options, OptionsLayout::None);
        assert_eq!(packet.payload(&packet_bytes), b"x");
        assert_eq!(verify(&packet_bytes, &packet), Ok(()));
    }
    let wrong = classify(&[0x50; 60], Medium::Ip);
    assert_eq!(wrong, Err(Error::new(Protocol::Ipv4, Field::Version)));
}

#[test]
fn other_options_are_left_for_a_second_reading() {
    let options = Options { mss: Some(1460), window_scale: Some(7), ..with_timestamps() };
    let frame = ethernet(EtherType::IPV4, &tcp_v4(&tcp_repr(options), b""));
    let packet = classified(&frame);
    assert_eq!(fields(&packet).options, OptionsLayout::Mixed);
    assert_eq!(packet.options(&frame), options);
}

#[test]
fn the_tag_must_be_that_of_our_vlan() {
    let inner = tcp_v4(&tcp_repr(Options::NONE), b"abc");
    let tagged = |id: u8| {
        let tag = [&[0x60, id, 8, 0], &inner[..]].concat();
        ethernet(EtherType::VLAN, &tag)
    };
    let frame = tagged(5);
    let packet = classify(&frame, Medium::Tagged(5)).expect("ours");
    assert_eq!((packet.network, packet.payload(&frame)), (18, &b"abc"[..]));
    assert_eq!(verify(&frame, &packet), Ok(()));
    for_each_truncation(&frame, |short| assert!(classify(short, Medium::Tagged(5)).is_err()));
    let foreign = Err(Error::new(Protocol::Vlan, Field::Address));
    assert_eq!(classify(&tagged(6), Medium::Tagged(5)), foreign);
    assert_eq!(classify(&tagged(5), Medium::Ethernet), foreign);
    assert_eq!(classify(&ethernet(EtherType::IPV4, &inner), Medium::Tagged(5)), foreign);
    // A tag that is a mere priority.
    assert_eq!(classify(&tagged(0), Medium::Ethernet).map(|packet| packet.network), Ok(18));
    let two = [&[0, 5, 0x81, 0, 0, 5, 8, 0], &inner[..]].concat();
    assert_eq!(classify(&ethernet(EtherType::SERVICE_VLAN, &two), Medium::Tagged(5)), foreign);
}

#[test]
fn ipv4_options_move_the_segment() {
    let plain = tcp_v4(&tcp_repr(with_timestamps()), b"data");
    let mut bytes = Vec::from(&plain[..20]);
    bytes.extend_from_slice(&[1, 1, 1, 0]);
    bytes.extend_from_slice(&plain[20..]);
    bytes[0] = 0x46;
    bytes[3] += 4;
    bytes[10..12].fill(0);
    let checksum = Sum::of(&bytes[..24]).finish();
    bytes[10..12].copy_from_slice(&checksum.to_be_bytes());
    let frame = ethernet(EtherType::IPV4, &bytes);
    let packet = classified(&frame);
    assert_eq!((packet.network, packet.transport), (14, 38));
    assert_eq!(packet.payload(&frame), b"data");
    assert_eq!(verify(&frame, &packet), Ok(()));
    for_each_truncation(&frame, |short| assert!(classify(short, Medium::Ethernet).is_err()));
}

#[test]
fn fragments_of_either_version_are_recognised() {
    let mut bytes = tcp_v4(&tcp_repr(Options::NONE), &[0; 16]);
    bytes[4..8].copy_from_slice(&[0xab, 0xcd, 0x20, 0x03]);
    let frame = ethernet(EtherType::IPV4, &bytes);
    let fragment = Fragment { identification: 0xabcd, offset: 24, more: MoreFragments::Follow };
    assert_eq!(classified(&frame).kind, Kind::Fragment(fragment));
    // The first fragment has offset zero, the last one no flag.
    for (field, more, offset) in
        [([0x20, 0], MoreFragments::Follow, 0), ([0x1f, 0xff], MoreFragments::Last, 65528)]
    {
        bytes[6..8].copy_from_slice(&field);
        let frame = ethernet(EtherType::IPV4, &bytes);
        let Kind::Fragment(fragment) = classified(&frame).kind else { panic!("no fragment") };
        assert_eq!((fragment.more, fragment.offset), (more, offset));
    }

    let header = [6, 0, 0x00, 0x11, 0xde, 0xad, 0xbe, 0xef];
    let mut payload = Vec::from(header);
    payload.extend_from_slice(&[7; 24]);
    let frame = ethernet(EtherType::IPV6, &ipv6(IpProtocol::FRAGMENT, &payload));
    let packet = classified(&frame);
    let fragment = Fragment { identification: 0xdead_beef, offset: 16, more: MoreFragments::Follow };
    assert_eq!(packet.kind, Kind::Fragment(fragment));
    assert_eq!(packet.protocol, IpProtocol::TCP);
    assert_eq!(packet.payload(&frame), &[7; 24]);
}

#[test]
fn everything_else_has_a_kind() {
    let cases = [
        (ethernet(EtherType::IPV4, &ipv4(IpProtocol::ICMPV4, &[0; 8])), Kind::Icmpv4, 8),
        (ethernet(EtherType::IPV6, &ipv6(IpProtocol::ICMPV6, &[0; 8])), Kind::Icmpv6, 8),
        (ethernet(EtherType::IPV4, &ipv4(IpProtocol::UDP, &[0; 3])), Kind::OtherProtocol, 0),
        (ethernet(EtherType::IPV4, &ipv4(IpProtocol::ICMPV6, &[0; 3])), Kind::OtherProtocol, 0),
        (ethernet(EtherType::IPV6, &ipv6(IpProtocol::ICMPV4, &[0; 3])), Kind::OtherProtocol, 0),
        (ethernet(EtherType::IPV6, &ipv6(IpProtocol::NO_NEXT_HEADER, &[])), Kind::OtherProtocol, 0),
        (ethernet(EtherType::ARP, &[0; 28]), Kind::Arp, 0),
    ];
    for (frame, kind, header_len) in cases {
        let packet = classified(&frame);
        assert_eq!(packet.kind, kind);
        assert_eq!(packet.payload - packet.transport, header_len);
        assert_eq!(packet.end as usize, frame.len());
        assert_eq!(packet.tuple(&frame), None);
        assert_eq!(packet.options(&frame), Options::NONE);
        for_each_truncation(&frame, |short| assert!(classify(short, Medium::Ethernet).is_err()));
    }
    let unknown = ethernet(EtherType(0x88cc), &[0; 50]);
    assert_eq!(
        classify(&unknown, Medium::Ethernet),
        Err(Error::new(Protocol::Ethernet, Field::ProtocolNumber))
    );
}

#[test]
fn segments_behind_extension_headers_are_found() {
    let plain = tcp_v6(&tcp_repr(with_timestamps()), b"data");
    let mut bytes = Vec::from(&plain[..40]);
    bytes.extend_from_slice(&[6, 0, 1, 4, 0, 0, 0, 0]);
    bytes.extend_from_slice(&plain[40..]);
    bytes[5] += 8;
    bytes[6] = IpProtocol::HOP_BY_HOP.0;
    let frame = ethernet(EtherType::IPV6, &bytes);
    let packet = classified(&frame);
    assert_eq!(packet.payload(&frame), b"data");
    assert_eq!(packet.transport, 14 + 48);
    assert_eq!(verify(&frame, &packet), Ok(()));
    for_each_truncation(&frame, |short| assert!(classify(short, Medium::Ethernet).is_err()));
}

#[test]
fn truncated_segments_are_errors_of_the_right_protocol() {
    for options in [Options::NONE, with_timestamps()] {
        for frame in [
            ethernet(EtherType::IPV4, &tcp_v4(&tcp_repr(options), b"payload")),
            ethernet(EtherType::IPV6, &tcp_v6(&tcp_repr(options), b"payload")),
        ] {
            for_each_truncation(&frame, |short| {
                let error = classify(short, Medium::Ethernet).expect_err("a short frame");
                assert_eq!(error.field, Field::Length);
                assert_eq!(error.protocol == Protocol::Ethernet, short.len() < 14);
            });
        }
    }
}

#[test]
fn inconsistent_lengths_are_errors() {
    let good = ethernet(EtherType::IPV4, &tcp_v4(&tcp_repr(with_timestamps()), b"payload"));
    let spoiled = |offset: usize, value: u8| {
        let mut frame = good.clone();
        frame[offset] = value;
        classify(&frame, Medium::Ethernet)
    };
    let error = |protocol, field| Err(Error::new(protocol, field));
    assert_eq!(spoiled(14, 0x55), error(Protocol::Ipv4, Field::Version));
    assert_eq!(spoiled(14, 0x44), error(Protocol::Ipv4, Field::HeaderLength));
    assert_eq!(spoiled(17, 60), error(Protocol::Ipv4, Field::Length));
    assert_eq!(spoiled(17, 19), error(Protocol::Ipv4, Field::Length));
    assert_eq!(spoiled(17, 39), error(Protocol::Tcp, Field::Length));
    assert_eq!(spoiled(46, 0x40), error(Protocol::Tcp, Field::HeaderLength));
    assert_eq!(spoiled(46, 0xf0), error(Protocol::Tcp, Field::HeaderLength));
    assert_eq!(spoiled(17, 50), error(Protocol::Tcp, Field::HeaderLength));
    let huge = std::vec![0; 65536];
    assert_eq!(classify(&huge, Medium::Ethernet), error(Protocol::Ethernet, Field::Length));
}

#[test]
fn one_wrong_bit_anywhere_under_a_checksum_is_noticed() {
    for good in [
        ethernet(EtherType::IPV4, &tcp_v4(&tcp_repr(with_timestamps()), b"some payload")),
        ethernet(EtherType::IPV6, &tcp_v6(&tcp_repr(with_timestamps()), b"some payload")),
    ] {
        let start = match classified(&good).family {
            Family::V4 => 14,
            // The first eight bytes of IPv6 are under no checksum but for length and next header.
            Family::V6 | Family::Arp => 22,
        };
        for position in start..good.len() {
            for bit in 0..8 {
                let mut frame = good.clone();
                frame[position] ^= 1 << bit;
                let accepted = classify(&frame, Medium::Ethernet).and_then(|packet| verify(&frame, &packet));
                assert!(accepted.is_err(), "byte {position}, bit {bit}");
            }
        }
    }
}

#[test]
fn a_packet_with_a_frame_that_is_not_its_own_is_harmless() {
    let frame = ethernet(EtherType::IPV4, &tcp_v4(&tcp_repr(with_timestamps()), b"payload"));
    let packet = classified(&frame);
    for_each_truncation(&frame, |short| {
        assert!(verify(short, &packet).is_err());
        assert_eq!(packet.payload(short), b"");
    });
    assert_eq!(packet.tuple(&[]), None);
    assert_eq!(packet.words_v4(&[]), None);
}

/// Whether a second reading of the segment finds any option.
fn has_options(packet: &Packet, frame: &[u8]) -> bool {
    matches!(packet.kind, Kind::Tcp(_))
        && TcpView::parse(packet.transport(frame)).is_ok_and(|view| view.options() != Options::NONE)
}

/// Everything that can be asked of a packet, and the order of its offsets.
fn exercise(frame: &[u8], medium: Medium) -> Result<(), TestCaseError> {
    let found = classify(frame, medium);
    // The short cut is only that.
    prop_assert_eq!(found, classify_any(frame, medium));
    let Ok(packet) = found else { return Ok(()) };
    prop_assert!(packet.network <= packet.transport);
    prop_assert!(packet.transport <= packet.payload);
    prop_assert!(packet.payload <= packet.end);
    prop_assert!(packet.end as usize <= frame.len());
    prop_assert_eq!(packet.payload(frame).len(), packet.payload_len());
    prop_assert_eq!(packet.addresses(frame).is_some(), packet.family != Family::Arp);
    prop_assert_eq!(packet.tuple(frame).is_some(), matches!(packet.kind, Kind::Tcp(_)));
    if packet.family == Family::V4 {
        prop_assert_eq!(packet.words_v4(frame), packet.tuple(frame).and_then(|tuple| tuple.words_v4()));
    }
    let by_parts = verify_network(frame, &packet).and_then(|()| verify_transport(frame, &packet));
    prop_assert_eq!(verify(frame, &packet), by_parts);
    let mut slot = Packet::EMPTY;
    prop_assert_eq!(classify_into(frame, medium, &mut slot), Ok(()));
    prop_assert_eq!(slot, packet);
    prop_assert_eq!(packet.options(frame) == Options::NONE, !has_options(&packet, frame));
    Ok(())
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
        exercise(&bytes, Medium::Ethernet)?;
        exercise(&bytes, Medium::Ip)?;
    }

    #[test]
    fn spoiled_frames_never_panic(
        six in any::<bool>(),
        tagged in any::<bool>(),
        edits in proptest::collection::vec((0_usize..100, any::<u8>()), 0..6),
        cut in 0_usize..120,
    ) {
        let (packet, ether_type) = if six {
            (tcp_v6(&tcp_repr(with_timestamps()), b"payload"), EtherType::IPV6)
        } else {
            (tcp_v4(&tcp_repr(with_timestamps()), b"payload"), EtherType::IPV4)
        };
        let mut frame = if tagged {
            let mut tag = std::vec![0, 1];
            tag.extend_from_slice(&ether_type.0.to_be_bytes());
            tag.extend_from_slice(&packet);
            ethernet(EtherType::VLAN, &tag)
        } else {
            ethernet(ether_type, &packet)
        };
        for (position, value) in edits {
            if let Some(byte) = frame.get_mut(position) {
                *byte = value;
            }
        }
        frame.truncate(cut.max(20));
        exercise(&frame, Medium::Ethernet)?;
        exercise(&frame, Medium::Tagged(1))?;
        exercise(frame.get(14..).unwrap_or_default(), Medium::Ip)?;
    }
}
