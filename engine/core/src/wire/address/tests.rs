extern crate std;

use std::format;
use std::string::ToString;

use super::*;

fn address(text: &str) -> Address {
    text.parse::<IpAddr>().expect("an address").into()
}

fn cidr(text: &str) -> Cidr {
    text.parse().expect("a network")
}

#[test]
fn both_families_convert_and_print() {
    for text in ["198.18.0.1", "0.0.0.0", "255.255.255.255", "fd00:198:18::1", "::", "::1", "::1:2"] {
        let parsed = address(text);
        assert_eq!(parsed.to_string(), text);
        assert_eq!(format!("{parsed:?}"), text);
        assert_eq!(parsed.is_v4(), text.contains('.'), "{text}");
        assert_eq!(IpAddr::from(parsed), text.parse::<IpAddr>().expect("an address"));
    }
    assert_eq!(address("198.18.0.1").as_v4(), Some([198, 18, 0, 1]));
    assert_eq!(address("::ffff:198.18.0.1"), Address::v4([198, 18, 0, 1]));
    assert_eq!(address("fd00:198:18::1").as_v4(), None);
    assert_eq!(address("::fffe:198.18.0.1").as_v4(), None);
}

#[test]
fn special_addresses_are_recognised() {
    let unspecified = |text: &str| address(text).is_unspecified();
    assert!(unspecified("0.0.0.0") && unspecified("::") && !unspecified("0.0.0.1") && !unspecified("::1"));
    let loopback = |text: &str| address(text).is_loopback();
    assert!(loopback("127.0.0.1") && loopback("127.255.0.9") && loopback("::1"));
    assert!(!loopback("128.0.0.1") && !loopback("::2") && !loopback("0.0.0.1"));
    let multicast = |text: &str| address(text).is_multicast();
    assert!(multicast("224.0.0.1") && multicast("239.255.255.255") && multicast("ff02::1"));
    assert!(!multicast("223.255.255.255") && !multicast("240.0.0.0") && !multicast("fe80::1"));
    assert!(Address::BROADCAST.is_broadcast() && !address("255.255.255.254").is_broadcast());
    assert!(!address("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff").is_broadcast());
    let link_local = |text: &str| address(text).is_link_local();
    assert!(link_local("169.254.3.4") && link_local("fe80::1") && link_local("febf::1"));
    assert!(!link_local("169.253.0.1") && !link_local("fec0::1"));
    assert!(address("198.18.0.1").is_unicast() && address("fd00::1").is_unicast());
    for text in ["0.0.0.0", "::", "224.0.0.1", "ff02::1", "255.255.255.255"] {
        assert!(!address(text).is_unicast(), "{text}");
    }
}

#[test]
fn networks_contain_their_own_family_only() {
    let net = cidr("198.18.5.7/15");
    assert!(net.contains(address("198.18.0.0")) && net.contains(address("198.19.255.255")));
    assert!(!net.contains(address("198.20.0.0")) && !net.contains(address("fd00::1")));
    assert_eq!(net.network(), address("198.18.0.0"));
    assert_eq!(net.address(), address("198.18.5.7"));
    assert_eq!(net.prefix_len(), 15);
    let six = cidr("fd00:198:18::1/48");
    assert!(six.contains(address("fd00:198:18:ffff::9")) && !six.contains(address("fd00:198:19::1")));
    let all_v4 = cidr("0.0.0.0/0");
    assert!(all_v4.contains(address("255.1.2.3")) && !all_v4.contains(address("::1")));
    let all_v6 = cidr("::/0");
    assert!(all_v6.contains(address("ff02::1")) && !all_v6.contains(address("198.18.0.1")));
    let host = cidr("198.18.0.1/32");
    assert!(host.contains(address("198.18.0.1")) && !host.contains(address("198.18.0.0")));
    let host = cidr("fd00::1/128");
    assert!(host.contains(address("fd00::1")) && !host.contains(address("fd00::")));
}

#[test]
fn broadcast_is_for_ipv4_networks_with_hosts() {
    assert_eq!(cidr("198.18.0.1/24").broadcast(), Some(address("198.18.0.255")));
    assert_eq!(cidr("198.18.0.1/30").broadcast(), Some(address("198.18.0.3")));
    assert_eq!(cidr("0.0.0.0/0").broadcast(), Some(Address::BROADCAST));
    for text in ["198.18.0.1/31", "198.18.0.1/32", "fd00::1/64"] {
        assert_eq!(cidr(text).broadcast(), None, "{text}");
    }
}

#[test]
fn networks_are_read_and_printed() {
    for text in ["198.18.0.1/24", "fd00:198:18::1/64", "0.0.0.0/0", "::/128"] {
        assert_eq!(cidr(text).to_string(), text);
    }
    for text in
        ["198.18.0.1", "198.18.0.1/33", "::/129", "198.18.0/24", "x/8", "198.18.0.1/", "198.18.0.1/-1"]
    {
        assert_eq!(text.parse::<Cidr>(), Err(CidrSyntax), "{text}");
    }
    assert_eq!(Cidr::new(Address::v4([0; 4]), 33), None);
}

#[test]
fn tuples_become_words() {
    let tuple = Tuple {
        local: address("198.18.0.1"),
        remote: address("198.18.0.2"),
        local_port: 0x1f90,
        remote_port: 0x9c41,
    };
    assert_eq!(tuple.words_v4(), Some([0xc612_0001, 0xc612_0002, 0x1f90_9c41]));
    assert_eq!(tuple.words_v6(), [0, 0, 0xffff, 0xc612_0001, 0, 0, 0xffff, 0xc612_0002, 0x1f90_9c41]);
    let six = Tuple { local: address("fd00:198:18::1"), ..tuple };
    assert_eq!(six.words_v4(), None);
    assert_eq!(six.words_v6()[..4], [0xfd00_0198, 0x0018_0000, 0, 1]);
    let back = tuple.reversed();
    assert_eq!((back.local, back.local_port), (tuple.remote, tuple.remote_port));
    assert_eq!(back.reversed(), tuple);
    assert_eq!(tuple.to_string(), "198.18.0.1 port 8080 <- 198.18.0.2 port 40001");
}
