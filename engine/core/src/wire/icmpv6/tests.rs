extern crate std;

use etherparse::{Icmpv6Slice, Icmpv6Type};
use proptest::prelude::*;

use super::super::tests::{DESTINATION_V6, SOURCE_V6};
use super::*;

const ID: EchoId = EchoId { identifier: 0x1234, sequence: 0x5678 };

fn pseudo_header(len: usize) -> Sum {
    Sum::pseudo_v6(SOURCE_V6, DESTINATION_V6, 58, len as u32)
}

#[test]
fn all_messages_go_there_and_back_and_an_oracle_accepts_them() {
    let messages = [
        Icmpv6Repr::DestinationUnreachable { code: 4, quoted: &[0x60; 48] },
        Icmpv6Repr::PacketTooBig { mtu: 1280, quoted: &[0x60; 41] },
        Icmpv6Repr::TimeExceeded { code: 0, quoted: &[0x60; 40] },
        Icmpv6Repr::ParameterProblem { code: 1, pointer: 40, quoted: &[0x60; 40] },
        Icmpv6Repr::EchoRequest { id: ID, data: b"ping" },
        Icmpv6Repr::EchoReply { id: ID, data: b"" },
        Icmpv6Repr::Other { kind: 133, code: 0, rest: 7, body: &[1, 2, 3] },
    ];
    for repr in &messages {
        let mut buffer = [0xff; 64];
        let needed = repr.message_len();
        let pseudo = pseudo_header(needed);
        assert_eq!(repr.emit(&mut buffer, pseudo), Ok(needed));
        let message = &buffer[..needed];
        assert_eq!(Icmpv6Repr::parse(message, pseudo).as_ref(), Ok(repr));
        let oracle = Icmpv6Slice::from_slice(message).expect("a message");
        assert!(oracle.is_checksum_valid(SOURCE_V6, DESTINATION_V6), "{repr:?}");
        if let Icmpv6Repr::PacketTooBig { mtu, quoted } = *repr {
            assert_eq!(oracle.icmp_type(), Icmpv6Type::PacketTooBig { mtu });
            assert_eq!(oracle.payload(), quoted);
        }
        assert_eq!(repr.emit(&mut buffer[..needed - 1], pseudo), Err(NoRoom { needed }));
    }
}

#[test]
fn wrong_checksums_and_truncations_are_errors() {
    let mut buffer = [0; 12];
    let pseudo = pseudo_header(12);
    Icmpv6Repr::EchoRequest { id: ID, data: b"ping" }.emit(&mut buffer, pseudo).expect("room");
    for len in 0..12 {
        assert!(Icmpv6Repr::parse(&buffer[..len], pseudo_header(len)).is_err(), "{len} bytes");
    }
    let other_address = Sum::pseudo_v6(SOURCE_V6, [9; 16], 58, 12);
    let error = Err(Error::new(Protocol::Icmpv6, Field::Checksum));
    assert_eq!(Icmpv6Repr::parse(&buffer, other_address), error);
    buffer[8] ^= 0x10;
    assert_eq!(Icmpv6Repr::parse(&buffer, pseudo), error);
}

proptest! {
    #[test]
    fn any_message_with_a_good_checksum_is_read_and_emitted_alike(
        mut bytes in proptest::collection::vec(any::<u8>(), 8..80),
        kind in prop::sample::select(std::vec![1_u8, 2, 3, 4, 128, 129, 135]),
    ) {
        let pseudo = pseudo_header(bytes.len());
        bytes[0] = kind;
        bytes[2..4].fill(0);
        let checksum = Sum::of(&bytes).add(pseudo).finish();
        bytes[2..4].copy_from_slice(&checksum.to_be_bytes());
        let repr = Icmpv6Repr::parse(&bytes, pseudo).expect("the checksum is good");
        let mut again = std::vec![0; bytes.len()];
        prop_assert_eq!(repr.emit(&mut again, pseudo), Ok(bytes.len()));
        prop_assert_eq!(Icmpv6Repr::parse(&again, pseudo), Ok(repr));
    }
}
