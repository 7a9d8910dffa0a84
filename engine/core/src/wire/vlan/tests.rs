extern crate std;

use proptest::prelude::*;
use std::vec::Vec;

use super::super::tests::{ethernet, for_each_truncation};
use super::*;

fn ids(found: &Untagged) -> Vec<u16> {
    found.tags.ids().collect()
}

#[test]
fn an_untagged_frame_passes() {
    let found = skip(&ethernet(EtherType::IPV4, &[])).expect("a frame");
    assert_eq!((found.offset, found.ether_type), (14, EtherType::IPV4));
    assert_eq!(ids(&found), []);
}

#[test]
fn one_and_two_tags_are_skipped_with_their_ids() {
    let one = ethernet(EtherType::VLAN, &[0xf1, 0x23, 0x08, 0x06, 9]);
    let found = skip(&one).expect("one tag");
    assert_eq!((found.offset, found.ether_type), (18, EtherType::ARP));
    assert_eq!(ids(&found), [0x123]);
    assert_eq!(found.tags.wire_len(), 4);
    let two = ethernet(EtherType::SERVICE_VLAN, &[0, 7, 0x81, 0, 0x20, 8, 0x86, 0xdd]);
    let found = skip(&two).expect("two tags");
    assert_eq!((found.offset, found.ether_type), (22, EtherType::IPV6));
    assert_eq!(ids(&found), [7, 8]);
    for_each_truncation(&two, |short| {
        let protocol = if short.len() < 14 { Protocol::Ethernet } else { Protocol::Vlan };
        assert_eq!(skip(short), Err(Error::new(protocol, Field::Length)));
    });
}

#[test]
fn three_tags_are_too_many() {
    let frame = ethernet(EtherType::VLAN, &[0, 1, 0x81, 0, 0, 2, 0x81, 0, 0, 3, 8, 0]);
    assert_eq!(skip(&frame), Err(Error::new(Protocol::Vlan, Field::Depth)));
}

proptest! {
    #[test]
    fn random_tags_never_panic(bytes in proptest::collection::vec(prop::sample::select(std::vec![0x81_u8, 0, 0x88, 0xa8, 8]), 0..40)) {
        if let Ok(found) = skip(&bytes) {
            prop_assert!(found.offset <= bytes.len());
            prop_assert_eq!(found.offset, 14 + found.tags.wire_len());
        }
    }
}
