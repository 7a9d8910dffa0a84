extern crate std;

use std::string::ToString;

use super::super::tests::{ethernet, for_each_truncation};
use super::*;

#[test]
fn a_header_is_emitted_and_parsed() {
    let frame = ethernet(EtherType::ARP, &[1, 2, 3]);
    assert_eq!(frame[..14], [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 6]);
    let view = EthernetView::parse(&frame).expect("a header");
    assert_eq!(view.payload(), [1, 2, 3]);
    let repr = EthernetRepr::of(&view);
    assert_eq!(repr.ether_type, EtherType::ARP);
    let mut again = [0; 14];
    assert_eq!(repr.emit(&mut again), Ok(14));
    assert_eq!(again, frame[..14]);
    assert_eq!(repr.emit(&mut again[..13]), Err(NoRoom { needed: 14 }));
}

#[test]
fn every_truncation_is_an_error() {
    for_each_truncation(&ethernet(EtherType::IPV4, &[]), |short| {
        assert_eq!(EthernetView::parse(short).err(), Some(Error::new(Protocol::Ethernet, Field::Length)));
    });
}

#[test]
fn addresses_tell_groups_from_stations() {
    let station = MacAddress([2, 0, 0, 0, 0xab, 1]);
    assert_eq!(station.to_string(), "02:00:00:00:ab:01");
    assert!(station.is_unicast() && !station.is_group());
    assert!(MacAddress::BROADCAST.is_group() && !MacAddress::BROADCAST.is_unicast());
    assert!(!MacAddress::ZERO.is_unicast());
}

#[test]
fn groups_have_their_hardware_address() {
    assert_eq!(MacAddress::of_group(Address::BROADCAST), Some(MacAddress::BROADCAST));
    let group = MacAddress::of_group(Address::v4([239, 129, 2, 3]));
    assert_eq!(group, Some(MacAddress([1, 0, 0x5e, 1, 2, 3])));
    let all_nodes = Address::v6([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 7, 8, 9]);
    assert_eq!(MacAddress::of_group(all_nodes), Some(MacAddress([0x33, 0x33, 0xff, 7, 8, 9])));
    assert_eq!(MacAddress::of_group(Address::v4([198, 18, 0, 1])), None);
}
