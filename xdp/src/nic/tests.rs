//! What can be asked about the loopback interface without privileges.

use std::net::Ipv4Addr;

use super::*;
use crate::Blame;

#[test]
fn loopback_is_known_by_name_and_by_index() {
    let loopback = Interface::by_name("lo").unwrap();
    assert_eq!(Interface::by_index(loopback.index()).unwrap().name(), "lo");
    assert_eq!(loopback.mac().unwrap(), MacAddress([0; 6]));
    assert_eq!(loopback.queues().unwrap(), Queues { receive: 1, transmit: 1 });
    assert_eq!(loopback.spread().unwrap(), 1);
    loopback.check_served(1).unwrap();
}

#[test]
fn an_unknown_interface_names_the_known_ones() {
    for error in
        [Interface::by_name("bywash-none").unwrap_err(), Interface::by_index(0x7fff_fff0).unwrap_err()]
    {
        assert_eq!(error.blame(), Blame::Misuse);
        assert!(error.to_string().contains("lo"), "{error}");
        assert!(matches!(error, Error::NoSuchInterface { .. }));
    }
}

#[test]
fn a_name_too_long_for_the_kernel_is_unknown() {
    assert!(matches!(
        Interface::by_name("a-name-of-more-than-fifteen-bytes"),
        Err(Error::NoSuchInterface { .. })
    ));
}

#[test]
fn more_queues_than_exist_are_refused() {
    match Interface::by_name("lo").unwrap().check_served(3) {
        Err(Error::QueueOutOfRange { queue: 2, queues: 1, .. }) => {}
        answer => panic!("{answer:?}"),
    }
}

#[test]
fn an_mtu_beyond_the_frame_is_refused_with_the_largest_that_fits() {
    let loopback = Interface::by_name("lo").unwrap();
    let config = SocketConfig::new(loopback.index(), 0);
    match loopback.check_mtu(&config) {
        Err(Error::MtuTooLarge { mtu, max, .. }) => {
            assert_eq!(mtu, loopback.mtu().unwrap());
            assert_eq!(max, config.mtu_max());
        }
        Ok(()) => assert!(loopback.mtu().unwrap() <= config.mtu_max()),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn loopback_has_its_addresses_where_it_is_up() {
    let addresses = Interface::by_name("lo").unwrap().addresses().unwrap();
    assert!(addresses.is_empty() || addresses.contains(&Ipv4Addr::LOCALHOST.into()));
}

#[test]
fn a_mac_address_is_shown_in_the_usual_form() {
    assert_eq!(MacAddress([2, 0, 0, 0xab, 0, 1]).to_string(), "02:00:00:ab:00:01");
}
