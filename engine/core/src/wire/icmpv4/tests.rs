extern crate std;

use etherparse::{Icmpv4Slice, Icmpv4Type, icmpv4::DestUnreachableHeader};
use proptest::prelude::*;

use super::*;

const ID: EchoId = EchoId { identifier: 0x1234, sequence: 0x5678 };

fn round_trip<'a>(repr: &Icmpv4Repr<'a>, buffer: &'a mut [u8]) -> Icmpv4Repr<'a> {
    let len = repr.emit(buffer).expect("room");
    assert_eq!(len, repr.message_len());
    Icmpv4Repr::parse(&buffer[..len]).expect("we emitted it")
}

#[test]
fn all_messages_go_there_and_back() {
    let reasons = [
        Unreachable::Network,
        Unreachable::Host,
        Unreachable::Protocol,
        Unreachable::Port,
        Unreachable::FragmentationNeeded { next_hop_mtu: 1400 },
        Unreachable::SourceRouteFailed,
        Unreachable::Other(13),
    ];
    let unreachable =
        reasons.map(|reason| Icmpv4Repr::DestinationUnreachable { reason, quoted: &[0x45, 1, 2] });
    let others = [
        Icmpv4Repr::EchoRequest { id: ID, data: b"ping" },
        Icmpv4Repr::EchoReply { id: ID, data: b"" },
        Icmpv4Repr::TimeExceeded { code: 1, quoted: &[7; 28] },
        Icmpv4Repr::Other { kind: 13, code: 0, rest: 0xdead_beef, body: &[1; 12] },
    ];
    for repr in unreachable.iter().chain(&others) {
        let mut buffer = [0xff; 64];
        assert_eq!(&round_trip(repr, &mut buffer), repr);
        let needed = repr.message_len();
        assert_eq!(repr.emit(&mut buffer[..needed - 1]), Err(NoRoom { needed }));
    }
}

#[test]
fn an_oracle_reads_what_we_emit() {
    let mut buffer = [0; 64];
    let len = Icmpv4Repr::EchoRequest { id: ID, data: b"abc" }.emit(&mut buffer).expect("room");
    let oracle = Icmpv4Slice::from_slice(&buffer[..len]).expect("a message");
    let Icmpv4Type::EchoRequest(echo) = oracle.icmp_type() else { panic!("an echo request") };
    assert_eq!((echo.id, echo.seq, oracle.payload()), (0x1234, 0x5678, &b"abc"[..]));
    assert_eq!(oracle.checksum(), oracle.icmp_type().calc_checksum(oracle.payload()));

    let reason = Unreachable::FragmentationNeeded { next_hop_mtu: 1280 };
    let repr = Icmpv4Repr::DestinationUnreachable { reason, quoted: &[0x45; 28] };
    let len = repr.emit(&mut buffer).expect("room");
    let oracle = Icmpv4Slice::from_slice(&buffer[..len]).expect("a message");
    let expected = DestUnreachableHeader::FragmentationNeeded { next_hop_mtu: 1280 };
    assert_eq!(oracle.icmp_type(), Icmpv4Type::DestinationUnreachable(expected));
    assert_eq!(oracle.checksum(), oracle.icmp_type().calc_checksum(oracle.payload()));
}

#[test]
fn wrong_checksums_and_truncations_are_errors() {
    let mut buffer = [0; 12];
    Icmpv4Repr::EchoRequest { id: ID, data: b"ping" }.emit(&mut buffer).expect("room");
    for len in 0..12 {
        assert!(Icmpv4Repr::parse(&buffer[..len]).is_err(), "{len} bytes");
    }
    buffer[11] ^= 1;
    assert_eq!(Icmpv4Repr::parse(&buffer), Err(Error::new(Protocol::Icmpv4, Field::Checksum)));
}

#[test]
fn an_echo_with_a_code_is_no_echo() {
    let odd = Icmpv4Repr::Other { kind: 8, code: 1, rest: 0, body: b"" };
    assert_eq!(round_trip(&odd, &mut [0; 8]), odd);
}

proptest! {
    #[test]
    fn any_message_with_a_good_checksum_is_read_and_emitted_alike(
        mut bytes in proptest::collection::vec(any::<u8>(), 8..80),
        kind in prop::sample::select(std::vec![0_u8, 3, 8, 11, 13]),
        code in 0_u8..16,
    ) {
        bytes[..4].copy_from_slice(&[kind, code, 0, 0]);
        let checksum = Sum::of(&bytes).finish();
        bytes[2..4].copy_from_slice(&checksum.to_be_bytes());
        prop_assume!(Sum::of(&bytes).is_valid());
        let repr = Icmpv4Repr::parse(&bytes).expect("the checksum is good");
        let mut again = std::vec![0; bytes.len()];
        prop_assert_eq!(repr.emit(&mut again), Ok(bytes.len()));
        prop_assert_eq!(Icmpv4Repr::parse(&again), Ok(repr));
    }

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
        let valid = bytes.len() >= 8 && Sum::of(&bytes).is_valid();
        prop_assert_eq!(Icmpv4Repr::parse(&bytes).is_ok(), valid);
    }
}
