//! Connections that peers open.

use crate::harness::*;

#[test]
fn s01_c007_a_closed_port_answers_reset() {
    let mut world = World::quiet(config(), 1500);
    let mut peer = Peer::new(&world, 40_000, Offer::FULL);
    peer.syn(&mut world);
    let got = peer.next(&mut world);
    assert_eq!(got.flags, RST_ACK);
    // RST+ACK has seq 0 and ack = SEG.SEQ + 1, no window, no options.
    assert_eq!((got.seq.wrapping_add(peer.irs), got.ack, got.window, got.option_bytes.len()), (0, 1, 0, 0));
    // SYN and data count both.
    let segment = peer.repr(&world, &seg(SYN, 0, 0), bywash_core::wire::tcp::Options::NONE);
    let frame = peer.frame(&segment, &pattern(10));
    world.give(&frame);
    assert_eq!(peer.next(&mut world).ack, 11);
    // ACK: RST with its number and no ACK.
    peer.send(&mut world, seg(ACK, 1, 77).data(b"x"));
    let got = peer.next(&mut world);
    assert_eq!((got.flags, got.seq), (RST, 77));
    peer.send(&mut world, seg(FIN, 1, 78));
    assert_eq!(peer.next(&mut world).seq, 78);
    // RST: silence.
    peer.send(&mut world, seg(RST, 1, 0));
    peer.send(&mut world, seg(RST_ACK, 1, 1));
    world.expect_silence();
    world.expect_idle();
}

#[test]
fn s02_c001_a_handshake_opens_one_connection() {
    let mut world = World::new();
    let mut peer = Peer::new(&world, 40_000, Offer::FULL);
    peer.syn(&mut world);
    let got = peer.expect(&mut world, SYN_ACK, 0, 1, 0);
    assert_eq!(got.options.mss, Some(1460));
    assert_eq!(got.window, 65_535);
    assert_eq!(world.app.opened(), 0);
    assert_eq!(world.report().half_open, 1);
    peer.send(&mut world, seg(ACK, 1, 1));
    world.expect_silence();
    assert_eq!(world.app.events, [Event::Opened(world.app.last(), Origin::Accepted)]);
    let id = world.app.last();
    let info = world.stack().info(id).expect("it is open");
    assert_eq!(info.local.to_string(), "198.18.0.1:80");
    assert_eq!(info.remote.to_string(), "198.18.0.2:40000");
    assert_eq!((world.report().half_open, world.report().connections), (0, 1));
    // The SYNs took one number each.
    world.stack().write(id, b"hello").expect("open");
    world.turn();
    let got = peer.expect(&mut world, PSH, 1, 1, 5);
    assert_eq!(got.payload, b"hello");
}

#[test]
fn c002_c042_a_bare_ack_to_a_listener_is_reset() {
    let mut world = World::new();
    let mut peer = Peer::new(&world, 40_000, Offer::FULL);
    peer.send(&mut world, seg(ACK, 1, 500));
    let got = peer.next(&mut world);
    assert_eq!((got.flags, got.seq), (RST, 500));
    peer.send(&mut world, seg(FIN, 1, 501));
    let got = peer.next(&mut world);
    assert_eq!((got.flags, got.seq), (RST, 501));
    world.expect_idle();
}

#[test]
fn c003_reset_to_a_listener_is_ignored() {
    let mut world = World::new();
    let peer = Peer::new(&world, 40_000, Offer::FULL);
    peer.send(&mut world, seg(RST, 1, 0));
    peer.send(&mut world, seg(RST_ACK, 1, 1));
    world.expect_silence();
    Peer::connect(&mut world, 40_001, Offer::FULL);
    assert_eq!(world.app.opened(), 1);
}

#[test]
fn c004_syn_ack_to_a_listener_is_reset() {
    let mut world = World::new();
    let mut peer = Peer::new(&world, 40_000, Offer::FULL);
    peer.send(&mut world, seg(SYN_ACK, 0, 900));
    let got = peer.next(&mut world);
    assert_eq!((got.flags, got.seq), (RST, 900));
    world.expect_idle();
}

#[test]
fn c005_neither_syn_nor_ack_to_a_listener_is_silence() {
    let mut world = World::new();
    let peer = Peer::new(&world, 40_000, Offer::FULL);
    for flags in [Flags::NONE, Flags::FIN, Flags::PSH, Flags::URG] {
        peer.send(&mut world, seg(flags, 1, 0).data(b"x"));
    }
    world.expect_silence();
    world.expect_idle();
}

#[test]
fn c006_syn_with_fin_opens_like_a_syn() {
    let mut world = World::new();
    let mut peer = Peer::new(&world, 40_000, Offer::PLAIN);
    let repr = peer.repr(&world, &seg(SYN.with(Flags::FIN), 0, 0), peer.syn_options(&world));
    world.give(&peer.frame(&repr, &[]));
    peer.expect(&mut world, SYN_ACK, 0, 1, 0);
    peer.send(&mut world, seg(ACK, 1, 1));
    // The FIN did not count: the connection is open in both directions.
    assert_eq!((world.app.opened(), world.app.ends()), (1, 0));
    peer.send(&mut world, seg(PSH, 1, 1).data(b"still open"));
    assert_eq!(world.app.bytes, b"still open");
}

#[test]
fn c008_a_repeated_syn_gets_the_same_syn_ack() {
    let mut world = World::new();
    let mut peer = Peer::new(&world, 40_000, Offer::FULL);
    peer.syn(&mut world);
    let first = peer.expect(&mut world, SYN_ACK, 0, 1, 0);
    let irs = peer.irs;
    world.advance_ms(300);
    peer.syn(&mut world);
    let second = peer.expect(&mut world, SYN_ACK, 0, 1, 0);
    assert_eq!(irs, peer.irs);
    assert_eq!((first.window, first.options.mss), (second.window, second.options.mss));
    assert_eq!(world.report().half_open, 1);
}

#[test]
fn c009_a_wrong_ack_in_syn_received_is_reset() {
    let mut world = World::new();
    let mut peer = Peer::new(&world, 40_000, Offer::FULL);
    peer.syn(&mut world);
    peer.expect(&mut world, SYN_ACK, 0, 1, 0);
    for ack in [0, 2, 1_000_000] {
        peer.send(&mut world, seg(ACK, 1, ack));
        let got = peer.next(&mut world);
        assert_eq!((got.flags, got.seq), (RST, ack));
    }
    assert_eq!((world.report().half_open, world.app.opened()), (1, 0));
    peer.send(&mut world, seg(ACK, 1, 1));
    assert_eq!(world.app.opened(), 1);
}

#[test]
fn c010_an_exact_reset_ends_syn_received_in_silence() {
    let mut world = World::new();
    let mut peer = Peer::new(&world, 40_000, Offer::FULL);
    peer.syn(&mut world);
    peer.expect(&mut world, SYN_ACK, 0, 1, 0);
    peer.send(&mut world, seg(RST, 1, 0));
    world.expect_silence();
    world.expect_idle();
    assert!(world.app.events.is_empty());
    Peer::connect(&mut world, 40_001, Offer::FULL);
}

#[test]
fn c011_an_inexact_reset_in_syn_received_is_challenged() {
    let mut world = World::new();
    let mut peer = Peer::new(&world, 40_000, Offer::FULL);
    peer.syn(&mut world);
    peer.expect(&mut world, SYN_ACK, 0, 1, 0);
    peer.send(&mut world, seg(RST, 2, 0));
    peer.expect(&mut world, ACK, 1, 1, 0);
    peer.send(&mut world, seg(RST, 65_535, 0));
    peer.expect(&mut world, ACK, 1, 1, 0);
    peer.send(&mut world, seg(RST, 65_536, 0));
    peer.send(&mut world, seg(RST, 0, 0));
    world.expect_silence();
    assert_eq!(world.report().half_open, 1);
}

#[test]
fn s07_c012_the_third_segment_carries_data() {
    let mut world = World::new();
    let mut peer = Peer::new(&world, 40_000, Offer::FULL);
    peer.syn(&mut world);
    peer.expect(&mut world, SYN_ACK, 0, 1, 0);
    // The bare ACK was lost; the data brings the same news.
    peer.send(&mut world, seg(PSH, 1, 1).data(b"GET /"));
    assert_eq!((world.app.opened(), &world.app.bytes[..]), (1, &b"GET /"[..]));
    world.advance_ms(41);
    peer.expect(&mut world, ACK, 1, 6, 0);
}

#[test]
fn s06_c013_an_unanswered_syn_ack_backs_off_and_gives_up() {
    let mut world = World::new();
    let mut peer = Peer::new(&world, 40_000, Offer::FULL);
    let start = world.now;
    peer.syn(&mut world);
    world.advance_ms(63_500);
    let times: Vec<u64> = peer.drain(&mut world).iter().map(|got| got.at.since(start).as_millis()).collect();
    assert_eq!(times, [0, 1_000, 3_000, 7_000, 15_000, 31_000]);
    assert_eq!(world.report().counters.half_open_expired, 1);
    world.expect_idle();
    assert!(world.app.events.is_empty());
}

#[test]
fn c014_data_on_the_syn_is_not_acknowledged_and_comes_again() {
    let mut world = World::new();
    let mut peer = Peer::new(&world, 40_000, Offer::PLAIN);
    let repr = peer.repr(&world, &seg(SYN, 0, 0), peer.syn_options(&world));
    world.give(&peer.frame(&repr, b"early"));
    peer.expect(&mut world, SYN_ACK, 0, 1, 0);
    assert!(world.app.bytes.is_empty());
    peer.send(&mut world, seg(PSH, 1, 1).data(b"early"));
    assert_eq!(world.app.bytes, b"early");
}

#[test]
fn c018_a_second_syn_with_another_number_is_challenged() {
    let mut world = World::new();
    let mut peer = Peer::new(&world, 40_000, Offer::FULL);
    peer.syn(&mut world);
    peer.expect(&mut world, SYN_ACK, 0, 1, 0);
    let irs = peer.irs;
    let mut later = peer;
    later.iss = peer.iss.wrapping_add(100_000);
    later.syn(&mut world);
    peer.expect(&mut world, ACK, 1, 1, 0);
    assert_eq!((peer.irs, world.report().half_open), (irs, 1));
    peer.send(&mut world, seg(ACK, 1, 1));
    assert_eq!(world.app.opened(), 1);
}

#[test]
fn s13_c162_initial_numbers_grow_with_the_clock_and_differ_by_tuple() {
    let mut world = World::new();
    let mut isns = Vec::new();
    for _ in 0..4 {
        let mut peer = Peer::new(&world, 40_000, Offer::PLAIN);
        peer.syn(&mut world);
        peer.expect(&mut world, SYN_ACK, 0, 1, 0);
        isns.push(peer.irs);
        peer.send(&mut world, seg(RST, 1, 0));
        world.advance_ms(1_000);
    }
    // 4 µs per number: 250,000 in a second.
    assert!(isns.windows(2).all(|pair| pair[1].wrapping_sub(pair[0]) == 250_000), "{isns:?}");
    let mut of_others: Vec<u32> = (0..64)
        .map(|i| {
            let mut peer = Peer::new(&world, 41_000 + i, Offer::PLAIN);
            peer.syn(&mut world);
            peer.expect(&mut world, SYN_ACK, 0, 1, 0);
            peer.irs
        })
        .collect();
    let steps: Vec<u32> = of_others.windows(2).map(|pair| pair[1].wrapping_sub(pair[0])).collect();
    assert!(steps.windows(2).all(|pair| pair[0] != pair[1]), "predictable");
    of_others.sort_unstable();
    of_others.dedup();
    assert_eq!(of_others.len(), 64);
}
