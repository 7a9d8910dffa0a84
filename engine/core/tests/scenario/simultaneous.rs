//! Both ends open at the same time.

use bywash_core::shard::{ConnectError, ConnectionId};
use bywash_core::stack::ConnectOptions;

use crate::active::connect;
use crate::harness::*;

/// Our SYN has crossed the peer's, and our SYN+ACK was seen.
fn crossed(world: &mut World, offer: Offer) -> (Peer, ConnectionId) {
    let (mut peer, id) = connect(world, offer);
    peer.expect(world, SYN, 0, 0, 0);
    peer.syn(world);
    let got = peer.expect(world, SYN_ACK, 0, 1, 0);
    assert_eq!(got.window, 65_535);
    let options = got.options;
    let timestamps = offer.clock.map(|_| peer.clock(world));
    assert_eq!(options.timestamps.map(|sent| sent.echo), timestamps);
    assert_eq!((options.mss, options.window_scale), (Some(1460), offer.scale.map(|_| 3)));
    assert_eq!(options.sack_permitted, offer.sack);
    assert!(world.app.events.is_empty(), "not open yet");
    (peer, id)
}

/// The peer's SYN+ACK.
fn give_syn_ack(world: &mut World, peer: &Peer, ack: u32) {
    let repr = peer.repr(world, &seg(SYN_ACK, 0, ack), peer.syn_options(world));
    world.give(&peer.frame(&repr, &[]));
}

#[test]
fn s12_c022_crossing_syns_make_one_connection() {
    for offer in [Offer::FULL, Offer::PLAIN] {
        let mut world = World::quiet(config(), 1500);
        let (mut peer, id) = crossed(&mut world, offer);
        // As two ends in RFC 9293's figure 8: each sends SYN+ACK.
        give_syn_ack(&mut world, &peer, 1);
        assert_eq!(world.app.events, [Event::Opened(id, Origin::Connected)]);
        peer.expect(&mut world, ACK, 1, 1, 0);
        peer.send(&mut world, seg(PSH, 1, 1).data(b"hello"));
        assert_eq!(world.app.bytes, b"hello");
        world.stack().write(id, b"reply").expect("open");
        world.turn();
        peer.expect(&mut world, PSH, 1, 6, 5);
        assert_eq!((world.app.opened(), world.report().connections), (1, 1));
    }
}

#[test]
fn s12_c022_a_bare_ack_or_data_complete_it_too() {
    for text in [&b""[..], b"data at once"] {
        let mut world = World::quiet(config(), 1500);
        let (mut peer, id) = crossed(&mut world, Offer::FULL);
        world.stack().write(id, b"queued before").expect("not open yet");
        world.turn();
        world.expect_silence();
        // The peer's window is scaled now.
        peer.window = 100;
        peer.send(&mut world, seg(PSH, 1, 1).data(text));
        assert_eq!(world.app.events, [Event::Opened(id, Origin::Connected)]);
        assert_eq!(world.app.bytes, text);
        let got = peer.expect(&mut world, PSH, 1, 1 + text.len() as u32, 13);
        assert_eq!(got.payload, b"queued before");
        world.expect_silence();
    }
}

#[test]
fn s12_two_stacks_that_open_towards_each_other_get_one_connection() {
    let (mut left, mut right) = (World::quiet(config(), 1500), World::quiet(mirrored(), 1500));
    let from = |local_port| ConnectOptions { local_port, ..ConnectOptions::default() };
    let to_right = "198.18.0.2:2000".parse().expect("an address");
    let to_left = "198.18.0.1:1000".parse().expect("an address");
    let a = left.stack().connect_with(to_right, &from(1000)).expect("connects");
    let b = right.stack().connect_with(to_left, &from(2000)).expect("connects");
    left.turn();
    right.turn();
    for _ in 0..12 {
        // Both send before either hears.
        let (from_left, from_right) = (std::mem::take(&mut left.sent), std::mem::take(&mut right.sent));
        for (_, frame) in &from_left {
            right.give(&readdressed(frame));
        }
        for (_, frame) in &from_right {
            left.give(&readdressed(frame));
        }
    }
    assert_eq!(left.app.events, [Event::Opened(a, Origin::Connected)]);
    assert_eq!(right.app.events, [Event::Opened(b, Origin::Connected)]);
    left.stack().write(a, b"over the crossing").expect("open");
    left.turn();
    for (_, frame) in std::mem::take(&mut left.sent) {
        right.give(&readdressed(&frame));
    }
    assert_eq!(right.app.bytes, b"over the crossing");
}

/// The configuration of a host at the peer's address.
fn mirrored() -> bywash_core::stack::StackConfig {
    let mut config = config();
    let cidr = bywash_core::wire::Cidr::new(address(PEER), 24).expect("a prefix");
    config.addresses = vec![bywash_core::stack::LocalAddress { cidr, ..config.addresses[0] }];
    config
}

/// A frame as the other end of the link gets it: both worlds' ports have the same MAC address.
fn readdressed(frame: &[u8]) -> Vec<u8> {
    let mut frame = frame.to_vec();
    if frame[0] & 1 == 0 {
        frame[..6].copy_from_slice(&OWN_MAC.0);
    }
    frame
}

#[test]
fn c022_reset_refuses_the_connection() {
    let mut world = World::quiet(config(), 1500);
    let (mut peer, id) = crossed(&mut world, Offer::FULL);
    // In the window, but not exact.
    peer.send(&mut world, seg(RST, 2, 0));
    peer.expect(&mut world, ACK, 1, 1, 0);
    peer.send(&mut world, seg(RST, 70_000, 0));
    world.expect_silence();
    assert!(world.app.events.is_empty());
    peer.send(&mut world, seg(RST, 1, 0));
    assert_eq!(world.app.events, [Event::Closed(id, CloseReason::ConnectionRefused)]);
    world.expect_silence();
    world.expect_idle();
}

#[test]
fn c022_what_does_not_belong_to_the_handshake_is_answered_and_changes_nothing() {
    let mut world = World::quiet(config(), 1500);
    let (mut peer, id) = crossed(&mut world, Offer::FULL);
    for ack in [0, 2, 77] {
        peer.send(&mut world, seg(ACK, 1, ack));
        let got = peer.next(&mut world);
        assert_eq!((got.flags, got.seq), (RST, ack));
    }
    // Another SYN, a SYN+ACK of something else, text beyond the window.
    let mut other = peer;
    other.iss = peer.iss.wrapping_add(1_000);
    other.syn(&mut world);
    peer.expect(&mut world, ACK, 1, 1, 0);
    give_syn_ack(&mut world, &peer, 9);
    peer.expect(&mut world, ACK, 1, 1, 0);
    peer.send(&mut world, seg(ACK, 100_000, 1).data(b"far"));
    peer.expect(&mut world, ACK, 1, 1, 0);
    let old = peer.clock(&world) - 1_000;
    peer.send(&mut world, seg(ACK, 1, 1).clock(old));
    peer.expect(&mut world, ACK, 1, 1, 0);
    peer.send(&mut world, seg(Flags::PSH, 1, 0).data(b"no ack"));
    world.expect_silence();
    assert!(world.app.events.is_empty());
    peer.send(&mut world, seg(ACK, 1, 1));
    assert_eq!(world.app.events, [Event::Opened(id, Origin::Connected)]);
}

#[test]
fn c022_a_lost_syn_ack_is_sent_again() {
    let mut world = World::quiet(config(), 1500);
    let start = world.now;
    let (mut peer, id) = crossed(&mut world, Offer::PLAIN);
    world.advance_ms(400);
    // The peer's SYN comes again: so does the answer.
    peer.syn(&mut world);
    peer.expect(&mut world, SYN_ACK, 0, 1, 0);
    world.advance_ms(3_000);
    let times: Vec<_> =
        peer.drain(&mut world).iter().map(|got| (got.flags, got.at.since(start).as_millis())).collect();
    assert_eq!(times, [(SYN_ACK, 1_000), (SYN_ACK, 3_000)]);
    world.advance_ms(124_000);
    assert_eq!(world.app.events, [Event::Closed(id, CloseReason::TimedOut)]);
    world.expect_idle();
}

#[test]
fn c022_close_waits_for_the_handshake_and_abort_does_not() {
    let mut world = World::quiet(config(), 1500);
    let (mut peer, id) = crossed(&mut world, Offer::FULL);
    world.stack().close(id);
    world.turn();
    world.expect_silence();
    peer.send(&mut world, seg(ACK, 1, 1));
    peer.expect(&mut world, FIN, 1, 1, 0);
    peer.send(&mut world, seg(FIN, 1, 2));
    peer.expect(&mut world, ACK, 2, 2, 0);
    assert_eq!(world.app.events, [Event::Closed(id, CloseReason::Finished)]);

    let mut world = World::quiet(config(), 1500);
    let (mut peer, id) = crossed(&mut world, Offer::FULL);
    world.stack().abort(id);
    world.turn();
    assert_eq!(peer.next(&mut world).flags, RST_ACK);
    assert_eq!(world.app.events, [Event::Closed(id, CloseReason::Aborted)]);
    world.expect_idle();
}

#[test]
fn a_port_that_is_in_use_towards_a_peer_is_not_given_twice() {
    let mut world = World::quiet(config(), 1500);
    let remote = "198.18.0.2:443".parse().expect("an address");
    let options = ConnectOptions { local_port: 1_000, ..ConnectOptions::default() };
    world.stack().connect_with(remote, &options).expect("connects");
    let again = world.stack().connect_with(remote, &options);
    assert_eq!(again, Err(ConnectError::AddrInUse { port: 1_000 }));
    let elsewhere = "198.18.0.2:444".parse().expect("an address");
    world.stack().connect_with(elsewhere, &options).expect("another peer's port");
}
