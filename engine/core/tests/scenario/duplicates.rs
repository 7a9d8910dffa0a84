//! Duplicates that arrive are reported (RFC 2883).

use crate::harness::*;

/// Four times 100 octets have arrived in order and are acknowledged.
fn received(offer: Offer) -> (World, Peer, Vec<u8>) {
    let mut world = World::new();
    let mut peer = Peer::connect(&mut world, 40_000, offer);
    let text = pattern(2_000);
    peer.send(&mut world, seg(PSH, 1, 1).data(&text[..400]));
    world.advance_ms(50);
    peer.expect(&mut world, ACK, 1, 401, 0);
    (world, peer, text)
}

#[test]
fn c066_a_segment_already_acknowledged_is_the_first_block() {
    for offer in [Offer::SACK, Offer::FULL] {
        let (mut world, mut peer, text) = received(offer);
        peer.send(&mut world, seg(PSH, 101, 1).data(&text[100..200]));
        let got = peer.expect(&mut world, ACK, 1, 401, 0);
        assert_eq!(got.sack(peer.iss), [(101, 201)]);
        // RFC 2883 section 4: a duplicate is reported once.
        peer.send(&mut world, seg(PSH, 501, 1).data(&text[500..600]));
        let got = peer.expect(&mut world, ACK, 1, 401, 0);
        assert_eq!(got.sack(peer.iss), [(501, 601)]);
        // With a hole open, the blocks of what is held follow.
        peer.send(&mut world, seg(PSH, 1, 1).data(&text[..100]));
        let got = peer.expect(&mut world, ACK, 1, 401, 0);
        assert_eq!(got.sack(peer.iss), [(1, 101), (501, 601)]);
        assert_eq!(world.app.bytes, text[..400]);
    }
}

#[test]
fn c066_a_segment_already_held_comes_before_the_block_that_contains_it() {
    let (mut world, mut peer, text) = received(Offer::SACK);
    peer.send(&mut world, seg(PSH, 501, 1).data(&text[500..800]));
    peer.send(&mut world, seg(PSH, 901, 1).data(&text[900..1_000]));
    peer.drain(&mut world);
    peer.send(&mut world, seg(PSH, 601, 1).data(&text[600..700]));
    let got = peer.expect(&mut world, ACK, 1, 401, 0);
    assert_eq!(got.sack(peer.iss), [(601, 701), (501, 801), (901, 1_001)]);
}

#[test]
fn c066_a_partial_overlap_is_reported_too() {
    let (mut world, mut peer, text) = received(Offer::SACK);
    // Half of it is new.
    peer.send(&mut world, seg(PSH, 301, 1).data(&text[300..500]));
    let got = peer.expect(&mut world, ACK, 1, 501, 0);
    assert_eq!(got.sack(peer.iss), [(301, 401)]);
    // Of what is held beyond a hole, as well.
    peer.send(&mut world, seg(PSH, 601, 1).data(&text[600..700]));
    peer.expect(&mut world, ACK, 1, 501, 0);
    peer.send(&mut world, seg(PSH, 651, 1).data(&text[650..750]));
    let got = peer.expect(&mut world, ACK, 1, 501, 0);
    assert_eq!(got.sack(peer.iss), [(651, 701), (601, 751)]);
    assert_eq!(world.app.bytes, text[..500]);
}

#[test]
fn c066_neither_without_sack_nor_with_tcp_dsack_0() {
    let (mut world, mut peer, text) = received(Offer::PLAIN);
    peer.send(&mut world, seg(PSH, 101, 1).data(&text[100..200]));
    assert!(peer.expect(&mut world, ACK, 1, 401, 0).option_bytes.is_empty());
    let mut config = config();
    config.tcp.tcp_dsack = false;
    let mut world = World::with(config, 1500);
    let mut peer = Peer::connect(&mut world, 40_000, Offer::SACK);
    peer.send(&mut world, seg(PSH, 1, 1).data(&text[..100]));
    peer.send(&mut world, seg(PSH, 1, 1).data(&text[..100]));
    assert!(peer.expect(&mut world, ACK, 1, 101, 0).option_bytes.is_empty());
}

#[test]
fn c066_a_duplicate_does_not_ride_on_data() {
    let (mut world, mut peer, text) = received(Offer::FULL);
    let id = world.app.last();
    world.stack().write(id, b"out").expect("open");
    // The duplicate and the write are served in the same turn.
    peer.send(&mut world, seg(PSH, 101, 1).data(&text[100..200]));
    let got = peer.expect(&mut world, ACK, 1, 401, 0);
    assert_eq!(got.sack(peer.iss), [(101, 201)]);
    peer.expect(&mut world, PSH, 1, 401, 3);
}
