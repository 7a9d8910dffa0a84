extern crate std;

use proptest::prelude::*;

use super::super::tests::for_each_truncation;
use super::*;

const REQUEST: [u8; 28] =
    [0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 2, 198, 18, 0, 2, 0, 0, 0, 0, 0, 0, 198, 18, 0, 1];

#[test]
fn a_request_is_parsed_and_emitted() {
    let repr = ArpRepr::parse(&REQUEST).expect("a request");
    assert_eq!(
        repr,
        ArpRepr {
            operation: Operation::Request,
            sender_hardware: MacAddress([2, 0, 0, 0, 0, 2]),
            sender_protocol: Ipv4Addr::new(198, 18, 0, 2),
            target_hardware: MacAddress::ZERO,
            target_protocol: Ipv4Addr::new(198, 18, 0, 1),
        }
    );
    let mut bytes = [0xff; 28];
    assert_eq!(repr.emit(&mut bytes), Ok(28));
    assert_eq!(bytes, REQUEST);
    assert_eq!(repr.emit(&mut bytes[..27]), Err(NoRoom { needed: 28 }));
}

#[test]
fn every_truncation_is_an_error_and_padding_is_not() {
    for_each_truncation(&REQUEST, |short| {
        assert_eq!(ArpRepr::parse(short), Err(Error::new(Protocol::Arp, Field::Length)));
    });
    let mut padded = [0; 46];
    padded[..28].copy_from_slice(&REQUEST);
    assert_eq!(ArpRepr::parse(&padded), ArpRepr::parse(&REQUEST));
}

#[test]
fn other_types_lengths_and_operations_are_errors() {
    let spoiled = |offset: usize, value: u8| {
        let mut bytes = REQUEST;
        bytes[offset] = value;
        ArpRepr::parse(&bytes).expect_err("a spoiled packet").field
    };
    assert_eq!(spoiled(1, 6), Field::ProtocolNumber);
    assert_eq!(spoiled(2, 0x86), Field::ProtocolNumber);
    assert_eq!(spoiled(4, 8), Field::HeaderLength);
    assert_eq!(spoiled(5, 16), Field::HeaderLength);
    assert_eq!(spoiled(7, 3), Field::Operation);
}

proptest! {
    #[test]
    fn what_is_emitted_is_parsed(reply: bool, sender: ([u8; 6], [u8; 4]), target: ([u8; 6], [u8; 4])) {
        let repr = ArpRepr {
            operation: if reply { Operation::Reply } else { Operation::Request },
            sender_hardware: MacAddress(sender.0),
            sender_protocol: sender.1.into(),
            target_hardware: MacAddress(target.0),
            target_protocol: target.1.into(),
        };
        let mut bytes = [0; PACKET_LEN];
        prop_assert_eq!(repr.emit(&mut bytes), Ok(PACKET_LEN));
        prop_assert_eq!(ArpRepr::parse(&bytes), Ok(repr));
    }
}
