//! The neighbour cache as the link sees it.

use bywash_core::wire::MacAddress;
use bywash_core::wire::arp::{ArpRepr, Operation};

use crate::answers::{announce, arp, next_arp, v4};
use crate::harness::*;

const STRANGER: MacAddress = MacAddress([2, 0, 0, 0, 0, 0x66]);

fn packet(operation: Operation, mac: MacAddress, sender: &str, target: &str) -> ArpRepr {
    ArpRepr {
        operation,
        sender_hardware: mac,
        sender_protocol: v4(sender),
        target_hardware: MacAddress::ZERO,
        target_protocol: v4(target),
    }
}

/// The frames that are ARP packets: where they went, and who is asked for.
fn requests(world: &mut World) -> Vec<(MacAddress, core::net::Ipv4Addr)> {
    let (asked, rest) = world.sent.drain(..).partition(|(_, frame)| frame[12..14] == [8, 6]);
    world.sent = asked;
    let mut found = Vec::new();
    while !world.sent.is_empty() {
        let (mac, repr) = next_arp(world);
        assert_eq!(repr.operation, Operation::Request);
        found.push((mac, repr.target_protocol));
    }
    world.sent = rest;
    found
}

#[test]
fn an_address_of_ours_is_defended_but_not_too_often() {
    let mut world = World::new();
    let claim = arp(MacAddress::BROADCAST, &packet(Operation::Request, STRANGER, LOCAL, LOCAL));
    let (peer, _) = Peer::accepted(&mut world, 40_000, Offer::FULL);
    world.give(&claim);
    let (mac, repr) = next_arp(&mut world);
    assert_eq!((mac, repr.sender_hardware), (MacAddress::BROADCAST, OWN_MAC));
    assert_eq!((repr.sender_protocol, repr.target_protocol), (v4(LOCAL), v4(LOCAL)));
    for _ in 0..100 {
        world.give(&claim);
    }
    world.expect_silence();
    assert_eq!(world.report().counters.address_conflicts, 101);
    world.advance_ms(10_001);
    world.give(&arp(OWN_MAC, &packet(Operation::Reply, STRANGER, LOCAL, LOCAL)));
    assert_eq!(next_arp(&mut world).1.sender_hardware, OWN_MAC);
    // The connection has not noticed.
    peer.send(&mut world, seg(PSH, 1, 1).data(b"here"));
    assert_eq!(world.app.bytes, b"here");
}

#[test]
fn a_reply_that_nobody_asked_for_is_not_believed() {
    let mut world = World::new();
    world.give(&arp(OWN_MAC, &packet(Operation::Reply, STRANGER, PEER, LOCAL)));
    world.give(&arp(MacAddress::BROADCAST, &packet(Operation::Request, STRANGER, PEER, PEER)));
    world.expect_silence();
    world.stack().connect("198.18.0.2:443".parse().expect("an address"), None).expect("connects");
    world.turn();
    assert_eq!(requests(&mut world), [(MacAddress::BROADCAST, v4(PEER))]);
    // Nor is one with a group's link-layer address.
    world.give(&arp(OWN_MAC, &packet(Operation::Reply, MacAddress::BROADCAST, PEER, LOCAL)));
    world.expect_silence();
    assert_eq!(world.dropped(DropReason::BadSource), 1);
}

#[test]
fn a_flood_of_askers_leaves_those_in_use_alone() {
    let config = bywash_core::stack::StackConfig { neighbours_max: 8, ..config() };
    let mut world = World::with(config, 1500);
    let (mut peer, id) = Peer::accepted(&mut world, 40_000, Offer::FULL);
    for last in 10..250 {
        announce(&mut world, &format!("198.18.0.{last}"), [2, 0, 0, 0, 1, last]);
    }
    world.sent.clear();
    world.stack().write(id, b"still there").expect("open");
    world.turn();
    peer.expect(&mut world, PSH, 1, 1, 11);
}

#[test]
fn a_silent_neighbour_is_asked_itself_then_the_link_and_data_goes_on_when_it_answers() {
    let mut world = World::new();
    world.neighbours = false;
    let (mut peer, id) = Peer::accepted(&mut world, 40_000, Offer::FULL);
    world.advance_ms(100_000);
    world.expect_silence();
    // STALE: used at once, asked after five seconds without progress.
    world.stack().write(id, b"anybody?").expect("open");
    world.turn();
    peer.expect(&mut world, PSH, 1, 1, 8);
    world.advance_ms(4_900);
    assert_eq!(requests(&mut world), []);
    world.advance_ms(3_000);
    assert_eq!(requests(&mut world), [(PEER_MAC, v4(PEER)); 3]);
    world.advance_ms(3_200);
    assert_eq!(requests(&mut world), [(MacAddress::BROADCAST, v4(PEER)); 3]);
    world.sent.clear();
    // Nothing leaves while nobody knows where to; each timeout asks again.
    world.advance_ms(30_000);
    assert!(!requests(&mut world).is_empty());
    world.expect_silence();
    assert!(world.dropped(DropReason::NoNextHop) > 0);
    announce(&mut world, PEER, PEER_MAC.0);
    next_arp(&mut world);
    world.advance_ms(60_000);
    requests(&mut world);
    assert_eq!(peer.next(&mut world).payload, b"anybody?");
    world.sent.clear();
    peer.send(&mut world, seg(ACK, 1, 9));
    assert!(world.stack().info(id).is_some());
}

#[test]
fn progress_spares_the_question() {
    let mut world = World::new();
    world.neighbours = false;
    let (mut peer, id) = Peer::accepted(&mut world, 40_000, Offer::FULL);
    for second in 0..200 {
        world.stack().write(id, &[7]).expect("open");
        world.turn();
        peer.expect(&mut world, PSH, 1 + second, 1, 1);
        peer.send(&mut world, seg(ACK, 1, 2 + second));
        world.advance_ms(1_000);
    }
    world.expect_silence();
}
