//! TIME_WAIT.

use crate::harness::*;

/// A connection that ended by our FIN first; the peer's next number is 2, ours 2.
fn waiting(world: &mut World, offer: Offer) -> Peer {
    let (mut peer, id) = Peer::accepted(world, 40_000, offer);
    world.stack().close(id);
    world.turn();
    peer.expect(world, FIN, 1, 1, 0);
    peer.send(world, seg(FIN, 1, 2));
    peer.expect(world, ACK, 2, 2, 0);
    assert_eq!(world.report().time_wait, 1);
    peer
}

#[test]
fn s33_c118_a_repeated_fin_is_acknowledged_and_restarts_the_clock() {
    let mut world = World::new();
    let mut peer = waiting(&mut world, Offer::FULL);
    world.advance_ms(50_000);
    peer.send(&mut world, seg(FIN, 1, 2));
    peer.expect(&mut world, ACK, 2, 2, 0);
    world.advance_ms(59_900);
    assert_eq!(world.report().time_wait, 1);
    world.advance_ms(200);
    world.expect_idle();
}

#[test]
fn s33_a_restarted_clock_does_not_hold_back_others() {
    let mut world = World::new();
    let peer = waiting(&mut world, Offer::FULL);
    let (mut other, id) = Peer::accepted(&mut world, 40_001, Offer::FULL);
    world.advance_ms(10_000);
    world.stack().close(id);
    world.turn();
    other.expect(&mut world, FIN, 1, 1, 0);
    other.send(&mut world, seg(FIN, 1, 2));
    other.expect(&mut world, ACK, 2, 2, 0);
    world.advance_ms(40_000);
    peer.send(&mut world, seg(FIN, 1, 2));
    world.sent.clear();
    world.advance_ms(20_100);
    assert_eq!(world.report().time_wait, 1);
    world.advance_ms(40_100);
    world.expect_idle();
}

#[test]
fn c118_old_data_is_acknowledged_and_bare_acks_are_not() {
    let mut world = World::new();
    let mut peer = waiting(&mut world, Offer::FULL);
    peer.send(&mut world, seg(ACK, 2, 2));
    world.expect_silence();
    peer.send(&mut world, seg(PSH, 1, 2).data(b"x"));
    peer.expect(&mut world, ACK, 2, 2, 0);
    peer.send(&mut world, seg(PSH, 2, 2).data(b"more"));
    peer.expect(&mut world, ACK, 2, 2, 0);
    world.advance_ms(60_100);
    world.expect_idle();
}

#[test]
fn s34_c119_reset_is_ignored() {
    let mut world = World::new();
    let peer = waiting(&mut world, Offer::FULL);
    peer.send(&mut world, seg(RST, 2, 0));
    peer.send(&mut world, seg(RST_ACK, 2, 2));
    world.expect_silence();
    assert_eq!(world.report().time_wait, 1);
}

#[test]
fn c119_reset_closes_without_rfc1337() {
    let mut config = config();
    config.tcp.tcp_rfc1337 = false;
    let mut world = World::with(config, 1500);
    let peer = waiting(&mut world, Offer::FULL);
    peer.send(&mut world, seg(RST, 3, 0));
    assert_eq!(world.report().time_wait, 1, "only an exact one");
    peer.send(&mut world, seg(RST, 2, 0));
    world.expect_silence();
    world.expect_idle();
}

#[test]
fn s35_c120_a_newer_syn_opens_a_new_connection() {
    // By timestamp, though its number is lower; and by number, where there are no timestamps.
    for (offer, step) in [(Offer::FULL, 0_u32.wrapping_sub(50_000)), (Offer::PLAIN, 100_000)] {
        let mut world = World::new();
        let old = waiting(&mut world, offer);
        world.advance_ms(2_000);
        let mut peer = old;
        peer.iss = old.iss.wrapping_add(step);
        let syn_ack = peer.open(&mut world);
        assert_eq!(syn_ack.flags, SYN_ACK);
        // Above all that the old one could have sent.
        let above = peer.irs.wrapping_sub(old.irs.wrapping_add(2));
        assert!((65_537..1 << 31).contains(&above), "{above}");
        assert_eq!((world.app.opened(), world.report().time_wait), (2, 0));
        peer.send(&mut world, seg(PSH, 1, 1).data(b"again"));
        assert_eq!(world.app.bytes, b"again");
    }
}

#[test]
fn s35_c120_an_older_syn_is_acknowledged() {
    for offer in [Offer::FULL, Offer::PLAIN] {
        let mut world = World::new();
        let old = waiting(&mut world, offer);
        let mut peer = old;
        peer.iss = old.iss.wrapping_sub(1_000);
        peer.offer.clock = offer.clock.map(|clock| clock - 1_000);
        peer.syn(&mut world);
        let mut seen = old;
        seen.expect(&mut world, ACK, 2, 2, 0);
        assert_eq!((world.app.opened(), world.report().time_wait), (1, 1));
    }
}

#[test]
fn s23_time_wait_ends_after_the_time_configured() {
    let mut config = config();
    config.tcp.tcp_time_wait_ms = 1_000;
    let mut world = World::with(config, 1500);
    waiting(&mut world, Offer::FULL);
    world.advance_ms(990);
    assert_eq!(world.report().time_wait, 1);
    world.advance_ms(20);
    world.expect_idle();
}

#[test]
fn a_full_time_wait_table_evicts_the_oldest() {
    let mut config = config();
    config.time_wait_max = 2;
    let mut world = World::with(config, 1500);
    let mut peers = Vec::new();
    for i in 0..3 {
        let (mut peer, id) = Peer::accepted(&mut world, 40_000 + i, Offer::FULL);
        world.stack().close(id);
        world.turn();
        peer.expect(&mut world, FIN, 1, 1, 0);
        peer.send(&mut world, seg(FIN, 1, 2));
        peer.expect(&mut world, ACK, 2, 2, 0);
        peers.push(peer);
    }
    assert_eq!(world.report().counters.time_wait_evicted, 1);
    peers[0].send(&mut world, seg(FIN, 1, 2));
    assert_eq!(peers[0].next(&mut world).flags, RST);
    peers[1].send(&mut world, seg(FIN, 1, 2));
    peers[1].expect(&mut world, ACK, 2, 2, 0);
    world.advance_ms(61_000);
    world.expect_idle();
}
