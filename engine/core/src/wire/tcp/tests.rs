extern crate std;

use etherparse::{TcpHeaderSlice, TcpOptionElement};
use proptest::prelude::*;
use std::format;
use std::vec::Vec;

use super::super::tests::{DESTINATION_V4, SOURCE_V4, for_each_truncation, segment, tcp_repr};
use super::options::tests::any_options;
use super::*;

fn pseudo_header(len: u16) -> Sum {
    Sum::pseudo_v4(SOURCE_V4, DESTINATION_V4, 6, len)
}

fn any_repr() -> impl Strategy<Value = TcpRepr> {
    let fixed = any::<(u16, u16, u32, u32, u8, u16, u16)>();
    (fixed, any_options()).prop_map(
        |((source_port, destination_port, seq, ack, flags, window, urgent), options)| TcpRepr {
            source_port,
            destination_port,
            seq,
            ack,
            flags: Flags::from_bits(flags),
            window,
            urgent,
            options,
        },
    )
}

#[test]
fn every_truncation_is_an_error() {
    let options = Options { mss: Some(1460), ..Options::NONE };
    let bytes = segment(&tcp_repr(options), b"", pseudo_header);
    assert_eq!(bytes.len(), 24);
    for_each_truncation(&bytes, |short| {
        let field = if short.len() < HEADER_LEN { Field::Length } else { Field::HeaderLength };
        assert_eq!(TcpView::parse(short).err(), Some(Error::new(Protocol::Tcp, field)));
    });
}

#[test]
fn a_data_offset_below_five_words_is_an_error() {
    let mut bytes = segment(&tcp_repr(Options::NONE), b"12345678", pseudo_header);
    for words in 0..5 {
        bytes[12] = words << 4;
        assert_eq!(TcpView::parse(&bytes).err(), Some(Error::new(Protocol::Tcp, Field::HeaderLength)));
    }
}

#[test]
fn a_header_has_the_bytes_of_the_rfc() {
    let repr = TcpRepr { urgent: 0xbbcc, ..tcp_repr(Options::NONE) };
    let mut bytes = [0xff; 20];
    assert_eq!(repr.emit(&mut bytes), Ok(20));
    let expected = [
        0x9c, 0x41, 0x1f, 0x90, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x50, 0x18, 0x99, 0xaa, 0, 0,
        0xbb, 0xcc,
    ];
    assert_eq!(bytes, expected);
}

#[test]
fn emit_says_how_much_room_it_needs_and_leaves_a_short_buffer_alone() {
    let mut buffer = [7; 23];
    let repr = tcp_repr(Options { mss: Some(536), ..Options::NONE });
    assert_eq!(repr.emit(&mut buffer), Err(NoRoom { needed: 24 }));
    assert_eq!(buffer, [7; 23]);
}

#[test]
fn the_partial_checksum_is_what_completes_to_the_full_one() {
    let full = segment(&tcp_repr(Options::NONE), b"abc", pseudo_header);
    let mut header = [0; 20];
    tcp_repr(Options::NONE).emit(&mut header).expect("room");
    seal_for_device(&mut header, pseudo_header(23));
    let mut bytes = Vec::from(header);
    bytes.extend_from_slice(b"abc");
    // What the device does: sum from the segment's start, complement, store.
    let checksum = Sum::of(&bytes).finish();
    bytes[16..18].copy_from_slice(&checksum.to_be_bytes());
    assert_eq!(bytes, full);
    let mut short = [1; 17];
    seal(&mut short, Sum::ZERO);
    assert_eq!(short, [1; 17]);
}

#[test]
fn flags_print_their_names() {
    assert_eq!(format!("{:?}", Flags::SYN | Flags::ACK), "SYN|ACK");
    assert_eq!(format!("{:?}", Flags::NONE), "NONE");
    let mut flags = Flags::SYN | Flags::ECE;
    flags |= Flags::CWR;
    assert!(flags.contains(Flags::ECE | Flags::CWR) && !flags.contains(Flags::ECE | Flags::ACK));
    assert!(flags.intersects(Flags::ECE | Flags::ACK) && !flags.intersects(Flags::FIN | Flags::ACK));
    assert_eq!(flags.without(Flags::SYN | Flags::FIN).bits(), 0xc0);
}

/// The same options in the oracle's words.
fn by_oracle(header: &TcpHeaderSlice<'_>) -> Options {
    let mut options = Options::NONE;
    for element in header.options_iterator() {
        match element.expect("options that we emitted") {
            TcpOptionElement::Noop => {}
            TcpOptionElement::MaximumSegmentSize(mss) => options.mss = Some(mss),
            TcpOptionElement::WindowScale(shift) => options.window_scale = Some(shift),
            TcpOptionElement::SelectiveAcknowledgementPermitted => {
                options.sack_permitted = SackPermitted::Present;
            }
            TcpOptionElement::SelectiveAcknowledgement(first, rest) => {
                for (left, right) in core::iter::once(first).chain(rest.into_iter().flatten()) {
                    options.sack.push(SackBlock { left, right }).expect("at most four");
                }
            }
            TcpOptionElement::Timestamp(value, echo) => options.timestamps = Some(Timestamps { value, echo }),
        }
    }
    options
}

proptest! {
    #[test]
    fn what_is_emitted_is_parsed_and_an_oracle_agrees(
        repr in any_repr(),
        payload in proptest::collection::vec(any::<u8>(), 0..60),
    ) {
        let bytes = segment(&repr, &payload, pseudo_header);
        let view = TcpView::parse(&bytes).expect("we emitted it");
        prop_assert_eq!(TcpRepr::of(&view), repr);
        prop_assert_eq!(view.payload(), &payload[..]);
        prop_assert!(pseudo_header(bytes.len() as u16).add(view.sum()).is_valid());

        let oracle = TcpHeaderSlice::from_slice(&bytes).expect("a header");
        prop_assert_eq!(oracle.source_port(), repr.source_port);
        prop_assert_eq!(oracle.destination_port(), repr.destination_port);
        prop_assert_eq!(oracle.sequence_number(), repr.seq);
        prop_assert_eq!(oracle.acknowledgment_number(), repr.ack);
        prop_assert_eq!(oracle.window_size(), repr.window);
        prop_assert_eq!(oracle.urgent_pointer(), repr.urgent);
        prop_assert_eq!(oracle.syn(), repr.flags.contains(Flags::SYN));
        prop_assert_eq!(oracle.fin(), repr.flags.contains(Flags::FIN));
        prop_assert_eq!(oracle.rst(), repr.flags.contains(Flags::RST));
        prop_assert_eq!(oracle.psh(), repr.flags.contains(Flags::PSH));
        prop_assert_eq!(oracle.ack(), repr.flags.contains(Flags::ACK));
        prop_assert_eq!(oracle.urg(), repr.flags.contains(Flags::URG));
        prop_assert_eq!(oracle.ece(), repr.flags.contains(Flags::ECE));
        prop_assert_eq!(oracle.cwr(), repr.flags.contains(Flags::CWR));
        prop_assert_eq!(by_oracle(&oracle), repr.options);
        let checksum = oracle
            .to_header()
            .calc_checksum_ipv4_raw(SOURCE_V4, DESTINATION_V4, &payload)
            .expect("a short segment");
        prop_assert_eq!(oracle.checksum(), checksum);
    }

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        if let Ok(view) = TcpView::parse(&bytes) {
            let repr = TcpRepr::of(&view);
            let mut buffer = [0; HEADER_LEN_MAX];
            prop_assert!(repr.emit(&mut buffer).is_ok());
            prop_assert_eq!(HEADER_LEN + view.option_bytes().len() + view.payload().len(), bytes.len());
        }
    }
}
