extern crate std;

use proptest::prelude::*;

use super::*;

const TARGET: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x198, 0x18, 0, 0, 0, 0, 1);
const SENDER: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x198, 0x18, 0, 0, 0, 0, 2);
const MAC: MacAddress = MacAddress([2, 0, 0, 0, 0, 9]);
const SOLICITATION: NdpRepr = NdpRepr::Solicitation { target: TARGET, source_link_address: Some(MAC) };

fn envelope() -> Envelope {
    let group = solicited_node(TARGET);
    Envelope { source: SENDER, destination: group.octets().into(), hop_limit: HOP_LIMIT }
}

fn pseudo_header(repr: &NdpRepr, envelope: &Envelope) -> Sum {
    let (source, destination) = (envelope.source.octets(), envelope.destination.octets());
    Sum::pseudo_v6(source, destination, 58, repr.message_len() as u32)
}

fn emitted(repr: &NdpRepr) -> std::vec::Vec<u8> {
    let mut bytes = std::vec![0xff; repr.message_len()];
    let pseudo = pseudo_header(repr, &envelope());
    assert_eq!(repr.emit(&mut bytes, pseudo), Ok(bytes.len()));
    assert!(Sum::of(&bytes).add(pseudo).is_valid());
    let needed = bytes.len();
    let mut short = std::vec![0; needed - 1];
    assert_eq!(repr.emit(&mut short, pseudo), Err(NoRoom { needed }));
    bytes
}

fn error(field: Field) -> Result<NdpRepr, Error> {
    Err(Error::new(Protocol::Ndp, field))
}

#[test]
fn both_messages_go_there_and_back() {
    let direct = Envelope { destination: SENDER, ..envelope() };
    for link_address in [Some(MAC), None] {
        let solicitation = NdpRepr::Solicitation { target: TARGET, source_link_address: link_address };
        let bytes = emitted(&solicitation);
        assert!(NdpRepr::has_type(bytes[0]));
        assert_eq!(NdpRepr::parse(&bytes, &envelope()), Ok(solicitation));
        for (role, occasion, overriding) in [
            (Role::Host, Occasion::Solicited, Override::Replace),
            (Role::Router, Occasion::Unsolicited, Override::Keep),
        ] {
            let target_link_address = link_address;
            let repr =
                NdpRepr::Advertisement { role, occasion, overriding, target: TARGET, target_link_address };
            let bytes = emitted(&repr);
            assert!(NdpRepr::has_type(bytes[0]));
            assert_eq!(NdpRepr::parse(&bytes, &direct), Ok(repr));
        }
    }
    assert!(!NdpRepr::has_type(128));
}

#[test]
fn the_bytes_are_those_of_the_rfc() {
    let target_link_address = Some(MAC);
    let repr = NdpRepr::Advertisement {
        role: Role::Host,
        occasion: Occasion::Solicited,
        overriding: Override::Replace,
        target: TARGET,
        target_link_address,
    };
    let bytes = emitted(&repr);
    assert_eq!((bytes[0], bytes[1], &bytes[4..8]), (136, 0, &[0x60, 0, 0, 0][..]));
    assert_eq!(bytes[8..24], TARGET.octets());
    assert_eq!(bytes[24..], [2, 1, 2, 0, 0, 0, 0, 9]);
}

#[test]
fn what_the_rfc_has_us_discard_is_an_error() {
    let bytes = emitted(&SOLICITATION);
    let forwarded = Envelope { hop_limit: 254, ..envelope() };
    assert_eq!(NdpRepr::parse(&bytes, &forwarded), error(Field::HopLimit));
    let spoiled = |offset: usize, value: u8| {
        let mut bytes = bytes.clone();
        bytes[offset] = value;
        NdpRepr::parse(&bytes, &envelope())
    };
    assert_eq!(spoiled(0, 134), error(Field::ProtocolNumber));
    assert_eq!(spoiled(1, 1), error(Field::Code));
    assert_eq!(spoiled(8, 0xff), error(Field::Address));
    assert_eq!(spoiled(25, 0), error(Field::Extension));
    assert_eq!(spoiled(25, 2), error(Field::Extension));
    // An option of another kind is skipped.
    let plain = NdpRepr::Solicitation { target: TARGET, source_link_address: None };
    assert_eq!(spoiled(24, 14), Ok(plain));
    for len in 0..24 {
        assert_eq!(NdpRepr::parse(&bytes[..len], &envelope()), error(Field::Length), "{len} bytes");
    }
    for len in 25..32 {
        assert_eq!(NdpRepr::parse(&bytes[..len], &envelope()), error(Field::Extension), "{len} bytes");
    }
}

#[test]
fn a_probe_has_no_link_address_and_goes_to_the_solicited_node() {
    let probe = Envelope { source: Ipv6Addr::UNSPECIFIED, ..envelope() };
    assert_eq!(NdpRepr::parse(&emitted(&SOLICITATION), &probe), error(Field::Address));
    let plain = NdpRepr::Solicitation { target: TARGET, source_link_address: None };
    assert_eq!(NdpRepr::parse(&emitted(&plain), &probe), Ok(plain));
    let elsewhere = Envelope { destination: TARGET, ..probe };
    assert_eq!(NdpRepr::parse(&emitted(&plain), &elsewhere), error(Field::Address));
}

#[test]
fn an_answer_to_everybody_is_not_solicited() {
    let mut bytes = emitted(&SOLICITATION);
    bytes[0] = NEIGHBOR_ADVERTISEMENT;
    bytes[4] = 0x40;
    assert_eq!(NdpRepr::parse(&bytes, &envelope()), error(Field::Address));
    bytes[4] = 0x20;
    assert!(NdpRepr::parse(&bytes, &envelope()).is_ok());
}

#[test]
fn the_solicited_node_address_ends_like_the_target() {
    let target = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0x12ab, 0xcdef);
    let group = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xffab, 0xcdef);
    assert_eq!(solicited_node(target), Address::from(group));
}

proptest! {
    #[test]
    fn random_options_never_panic(tail in proptest::collection::vec(0_u8..4, 0..40), kind in 134_u8..138) {
        let mut bytes = std::vec![0; 24];
        bytes[0] = kind;
        bytes.extend_from_slice(&tail);
        if let Ok(repr) = NdpRepr::parse(&bytes, &envelope()) {
            prop_assert!(NdpRepr::has_type(kind));
            prop_assert_eq!(NdpRepr::parse(&emitted(&repr), &envelope()), Ok(repr));
        }
    }
}
