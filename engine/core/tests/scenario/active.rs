//! Connections that we open.

use core::net::SocketAddr;

use bywash_core::base::time::Duration;
use bywash_core::shard::{ConnectError, ConnectionId};

use crate::harness::*;

/// Connects to the peer's port 443 and answers ARP; the SYN is left to be read.
fn connect(world: &mut World, offer: Offer) -> (Peer, ConnectionId) {
    connect_within(world, offer, None)
}

fn connect_within(world: &mut World, offer: Offer, timeout: Option<Duration>) -> (Peer, ConnectionId) {
    let remote: SocketAddr = "198.18.0.2:443".parse().expect("an address");
    let id = world.stack().connect(remote, timeout).expect("connects");
    world.turn();
    crate::answers::answer_arp(world);
    let mut peer = Peer::new(world, 443, offer);
    let port = world.stack().info(id).expect("it exists").local.port();
    peer.tuple.remote_port = port;
    (peer, id)
}

#[test]
fn c019_connect_sends_a_syn_and_completes() {
    let mut world = World::quiet(config(), 1500);
    let (mut peer, id) = connect(&mut world, Offer::FULL);
    let syn = peer.expect(&mut world, SYN, 0, 0, 0);
    assert_eq!((syn.ack, syn.window), (0, 65_535));
    let options = syn.options;
    assert_eq!((options.mss, options.window_scale), (Some(1460), Some(3)));
    assert_eq!(options.timestamps.expect("timestamps").echo, 0);
    // MSS, SACK-permitted and timestamps, NOP, window scale: Linux's order.
    let kinds = [syn.option_bytes[0], syn.option_bytes[4], syn.option_bytes[6], syn.option_bytes[16]];
    assert_eq!((syn.option_bytes.len(), kinds), (20, [2, 4, 8, 1]));
    let repr = peer.repr(&world, &seg(SYN_ACK, 0, 1), peer.syn_options(&world));
    world.give(&peer.frame(&repr, &[]));
    assert_eq!(world.app.events, [Event::Opened(id, Origin::Connected)]);
    let ack = peer.expect(&mut world, ACK, 1, 1, 0);
    assert_eq!(usize::from(ack.window) << 3, 262_144);
    peer.send(&mut world, seg(PSH, 1, 1).data(b"hi"));
    assert_eq!(world.app.bytes, b"hi");
}

#[test]
fn s03_c020_a_refused_connect_says_so_at_once() {
    let mut world = World::quiet(config(), 1500);
    let (mut peer, id) = connect(&mut world, Offer::FULL);
    peer.expect(&mut world, SYN, 0, 0, 0);
    // A wrong acknowledgment, or none, proves nothing.
    peer.send(&mut world, seg(RST_ACK, 0, 2));
    peer.send(&mut world, seg(RST_ACK, 0, 0));
    peer.send(&mut world, seg(RST, 0, 0));
    assert!(world.app.events.is_empty());
    peer.send(&mut world, seg(RST_ACK, 0, 1));
    assert_eq!(world.app.events, [Event::Closed(id, CloseReason::ConnectionRefused)]);
    world.expect_silence();
    world.expect_idle();
}

#[test]
fn c021_an_unacceptable_syn_ack_is_reset_and_connecting_goes_on() {
    let mut world = World::quiet(config(), 1500);
    let (mut peer, _) = connect(&mut world, Offer::PLAIN);
    peer.expect(&mut world, SYN, 0, 0, 0);
    for ack in [0, 2] {
        let repr = peer.repr(&world, &seg(SYN_ACK, 0, ack), peer.syn_options(&world));
        world.give(&peer.frame(&repr, &[]));
        let got = peer.next(&mut world);
        assert_eq!((got.flags, got.seq), (RST, ack));
    }
    let repr = peer.repr(&world, &seg(SYN_ACK, 0, 1), peer.syn_options(&world));
    world.give(&peer.frame(&repr, &[]));
    peer.expect(&mut world, ACK, 1, 1, 0);
    assert_eq!(world.app.opened(), 1);
}

#[test]
fn s04_c023_a_silent_host_is_asked_seven_times() {
    let mut world = World::quiet(config(), 1500);
    let start = world.now;
    let (mut peer, id) = connect(&mut world, Offer::FULL);
    world.advance_ms(126_900);
    assert!(world.app.events.is_empty());
    world.advance_ms(200);
    let times: Vec<u64> = peer.drain(&mut world).iter().map(|got| got.at.since(start).as_millis()).collect();
    assert_eq!(times, [0, 1_000, 3_000, 7_000, 15_000, 31_000, 63_000]);
    assert_eq!(world.app.events, [Event::Closed(id, CloseReason::TimedOut)]);
    world.expect_idle();
}

#[test]
fn s04_the_applications_timeout_ends_it_earlier() {
    let mut world = World::quiet(config(), 1500);
    let (mut peer, id) = connect_within(&mut world, Offer::FULL, Some(Duration::from_millis(1_500)));
    world.advance_ms(1_400);
    assert_eq!(peer.drain(&mut world).len(), 2);
    assert!(world.app.events.is_empty());
    world.advance_ms(200);
    assert_eq!(world.app.events, [Event::Closed(id, CloseReason::TimedOut)]);
    world.expect_silence();
    world.expect_idle();
}

#[test]
fn s05_a_silent_next_hop_is_unreachable() {
    let mut world = World::quiet(config(), 1500);
    let remote: SocketAddr = "198.18.0.9:443".parse().expect("an address");
    let id = world.stack().connect(remote, None).expect("connects");
    world.stack().write(id, b"queued").expect("before it is open");
    world.advance_ms(2_900);
    assert_eq!(world.sent.len(), 3, "three requests, no SYN");
    assert!(world.app.events.is_empty());
    world.advance_ms(200);
    assert_eq!(world.app.events, [Event::Closed(id, CloseReason::HostUnreachable)]);
    assert_eq!(world.sent.len(), 3);
    world.expect_idle();
}

#[test]
fn c025_close_in_syn_sent_is_silent_and_a_late_syn_ack_is_reset() {
    let mut world = World::quiet(config(), 1500);
    let (mut peer, id) = connect(&mut world, Offer::PLAIN);
    peer.expect(&mut world, SYN, 0, 0, 0);
    world.stack().close(id);
    world.turn();
    world.expect_silence();
    world.expect_idle();
    let repr = peer.repr(&world, &seg(SYN_ACK, 0, 1), peer.syn_options(&world));
    world.give(&peer.frame(&repr, &[]));
    let got = peer.next(&mut world);
    assert_eq!((got.flags, got.seq), (RST, 1));
}

#[test]
fn c026_data_queued_in_syn_sent_leaves_with_the_ack() {
    let mut world = World::quiet(config(), 1500);
    let (mut peer, id) = connect(&mut world, Offer::FULL);
    peer.expect(&mut world, SYN, 0, 0, 0);
    world.stack().write(id, b"first words").expect("before it is open");
    world.turn();
    world.expect_silence();
    let repr = peer.repr(&world, &seg(SYN_ACK, 0, 1), peer.syn_options(&world));
    world.give(&peer.frame(&repr, &[]));
    let got = peer.expect(&mut world, PSH, 1, 1, 11);
    assert_eq!(got.payload, b"first words");
    world.expect_silence();
}

#[test]
fn c027_an_invalid_remote_fails_at_once() {
    let mut world = World::quiet(config(), 1500);
    for remote in ["198.18.0.2:0", "224.0.0.1:80", "255.255.255.255:80", "0.0.0.0:80", "198.18.0.255:80"] {
        let remote: SocketAddr = remote.parse().expect("an address");
        assert_eq!(world.stack().connect(remote, None), Err(ConnectError::InvalidRemote), "{remote}");
    }
    world.turn();
    world.expect_silence();
    world.expect_idle();
}

#[test]
fn c048_after_a_syn_timeout_data_starts_with_three_seconds() {
    let mut world = World::quiet(config(), 1500);
    let (mut peer, id) = connect(&mut world, Offer::PLAIN);
    world.advance_ms(1_100);
    assert_eq!(peer.drain(&mut world).len(), 2);
    let repr = peer.repr(&world, &seg(SYN_ACK, 0, 1), peer.syn_options(&world));
    world.give(&peer.frame(&repr, &[]));
    peer.expect(&mut world, ACK, 1, 1, 0);
    world.stack().write(id, b"data").expect("open");
    world.turn();
    let first = peer.expect(&mut world, PSH, 1, 1, 4);
    world.advance_ms(3_100);
    let again = peer.expect(&mut world, PSH, 1, 1, 4);
    assert_eq!(again.at.since(first.at).as_millis(), 3_000);
}

#[test]
fn s04_a_late_neighbour_gets_one_syn() {
    let mut world = World::quiet(config(), 1500);
    let (mut peer, _) = connect(&mut world, Offer::FULL);
    peer.expect(&mut world, SYN, 0, 0, 0);
    // News about somebody else do not repeat our SYN.
    crate::answers::announce(&mut world, "198.18.0.77", [2, 0, 0, 0, 0, 0x77]);
    world.sent.retain(|(_, frame)| frame[12..14] != [8, 6]);
    world.expect_silence();
}
