//! RST and RFC 5961.

use bywash_core::shard::WriteError;

use crate::harness::*;

/// Brings a connection into one of the synchronized states; with the numbers of both sides' next octets.
fn in_state(name: &str) -> (World, Peer, u32, u32) {
    let mut world = World::new();
    let (mut peer, id) = Peer::accepted(&mut world, 40_000, Offer::SACK);
    let (mut seq, mut ack) = (1, 1);
    if matches!(name, "CLOSE-WAIT" | "LAST-ACK") {
        peer.send(&mut world, seg(FIN, 1, 1));
        peer.expect(&mut world, ACK, 1, 2, 0);
        seq = 2;
    }
    if !matches!(name, "ESTABLISHED" | "CLOSE-WAIT") {
        world.stack().shutdown(id);
        world.turn();
        peer.expect(&mut world, FIN, 1, seq, 0);
        ack = 2;
    }
    if name == "CLOSING" {
        peer.send(&mut world, seg(FIN, 1, 1));
        peer.expect(&mut world, ACK, 2, 2, 0);
        seq = 2;
    }
    if name == "FIN-WAIT-2" {
        peer.send(&mut world, seg(ACK, 1, 2));
    }
    world.expect_silence();
    (world, peer, seq, ack)
}

const STATES: [&str; 6] = ["ESTABLISHED", "CLOSE-WAIT", "LAST-ACK", "FIN-WAIT-1", "FIN-WAIT-2", "CLOSING"];

#[test]
fn c125_c134_an_exact_reset_ends_every_synchronized_state() {
    for state in STATES {
        for (flags, payload) in [(RST, &b""[..]), (RST_ACK, b""), (RST, b"why"), (RST_ACK, b"because")] {
            let (mut world, peer, seq, ack) = in_state(state);
            peer.send(&mut world, seg(flags, seq, ack).data(payload));
            assert_eq!(world.app.closed(), Some(CloseReason::ConnectionReset), "{state}");
            let id = world.app.last();
            assert_eq!(world.stack().write(id, b"x"), Err(WriteError::NotOpen));
            world.expect_silence();
            world.expect_idle();
        }
    }
}

#[test]
fn c126_a_reset_in_the_window_is_challenged() {
    for state in STATES {
        let (mut world, mut peer, seq, ack) = in_state(state);
        for ahead in [1, 1_000, 60_000] {
            peer.send(&mut world, seg(RST, seq + ahead, 0));
            peer.expect(&mut world, ACK, ack, seq, 0);
        }
        assert_eq!(world.app.closed(), None, "{state}");
        assert_eq!(world.report().counters.challenge_acks, 3);
        // The peer, were it gone, would answer the challenge with an exact one.
        peer.send(&mut world, seg(RST, seq, 0));
        assert_eq!(world.app.closed(), Some(CloseReason::ConnectionReset));
    }
}

#[test]
fn c127_a_reset_outside_the_window_is_dropped_in_silence() {
    let (mut world, peer, seq, _) = in_state("ESTABLISHED");
    for off in [0_u32.wrapping_sub(1), 0_u32.wrapping_sub(100_000), 65_536, 1 << 20, 1 << 31] {
        peer.send(&mut world, seg(RST, seq.wrapping_add(off), 0));
    }
    world.expect_silence();
    assert_eq!(world.app.closed(), None);
}

#[test]
fn c128_a_syn_is_challenged_in_every_synchronized_state() {
    for state in STATES {
        let (mut world, mut peer, seq, ack) = in_state(state);
        peer.send(&mut world, seg(SYN, seq, 0));
        peer.expect(&mut world, ACK, ack, seq, 0);
        peer.send(&mut world, seg(SYN_ACK, seq + 10, ack));
        peer.expect(&mut world, ACK, ack, seq, 0);
        // Also outside of the window (RFC 5961 section 4.2).
        peer.send(&mut world, seg(SYN, seq.wrapping_sub(5_000), 0));
        peer.expect(&mut world, ACK, ack, seq, 0);
        assert_eq!(world.app.closed(), None, "{state}");
        let report = world.report();
        assert_eq!((report.connections, report.half_open), (1, 0));
    }
}

#[test]
fn c129_an_ack_of_the_future_or_the_far_past_is_challenged_and_its_data_dropped() {
    let (mut world, mut peer, seq, ack) = in_state("ESTABLISHED");
    for wrong in [ack + 1, ack + 1_000_000, ack.wrapping_sub(65_536), ack.wrapping_sub(1 << 30)] {
        peer.send(&mut world, seg(PSH, seq, wrong).data(b"injected"));
        peer.expect(&mut world, ACK, ack, seq, 0);
    }
    assert!(world.app.bytes.is_empty());
    // An old one within the largest window is fine.
    peer.send(&mut world, seg(PSH, seq, ack.wrapping_sub(65_535)).data(b"genuine"));
    assert_eq!(world.app.bytes, b"genuine");
}

#[test]
fn c130_a_segment_without_ack_is_dropped() {
    let (mut world, peer, seq, _) = in_state("ESTABLISHED");
    for flags in [Flags::NONE, Flags::PSH, Flags::FIN, Flags::URG.with(Flags::PSH)] {
        peer.send(&mut world, seg(flags, seq, 0).data(b"null"));
    }
    world.advance_ms(100);
    world.expect_silence();
    assert_eq!((world.app.bytes.len(), world.app.ends()), (0, 0));
}

#[test]
fn c131_a_connection_answers_ten_invalid_segments_and_then_one_in_half_a_second() {
    let mut world = World::new();
    let (mut peer, _) = Peer::accepted(&mut world, 40_000, Offer::SACK);
    let (mut other, _) = Peer::accepted(&mut world, 40_001, Offer::SACK);
    let flood = |world: &mut World, peer: &mut Peer| {
        for i in 0..30 {
            // A SYN, a reset beside the edge, an impossible ACK, a bare segment outside the window.
            let kinds = [seg(SYN, 1, 0), seg(RST, 2, 0), seg(ACK, 1, 99), seg(ACK, 0, 1)];
            peer.send(world, kinds[i % 4].clone());
        }
        peer.drain(world).len()
    };
    assert_eq!(flood(&mut world, &mut peer), 10);
    assert_eq!(flood(&mut world, &mut other), 10, "its own ten");
    world.advance_ms(501);
    assert_eq!(flood(&mut world, &mut peer), 1);
    world.advance_ms(10_000);
    assert_eq!(flood(&mut world, &mut peer), 10);
    // What carries data is told at once where we are, however often it comes.
    for _ in 0..30 {
        peer.send(&mut world, seg(PSH, 0_u32.wrapping_sub(500), 1).data(b"old"));
        peer.expect(&mut world, ACK, 1, 1, 0);
    }
    assert!(world.dropped(DropReason::RateLimited) > 0);
}

#[test]
fn c131_all_connections_together_send_a_number_of_challenges_that_nobody_can_guess() {
    let mut config = config();
    config.tcp.tcp_challenge_ack_limit = 20;
    let mut world = World::with(config, 1500);
    let mut peers: Vec<Peer> =
        (0..40).map(|i| Peer::accepted(&mut world, 40_000 + i, Offer::SACK).0).collect();
    let mut counts = Vec::new();
    for _ in 0..12 {
        world.advance_ms(1_001);
        let before = world.report().counters.challenge_acks;
        for peer in &mut peers {
            peer.send(&mut world, seg(SYN, 1, 0));
            peer.drain(&mut world);
        }
        counts.push(world.report().counters.challenge_acks - before);
    }
    assert!(counts.iter().all(|count| (10..30).contains(count)), "{counts:?}");
    counts.sort_unstable();
    counts.dedup();
    assert!(counts.len() > 4, "{counts:?}");
}

#[test]
fn c132_no_reset_answers_a_reset() {
    let mut world = World::new();
    let mut peer = Peer::new(&world, 40_000, Offer::FULL);
    peer.tuple.remote_port = 81;
    for flags in [RST, RST_ACK, RST.with(SYN), RST.with(FIN)] {
        peer.send(&mut world, seg(flags, 5, 5));
    }
    world.expect_silence();
}

#[test]
fn c133_a_reset_while_data_waits_is_told() {
    let (mut world, peer, seq, _) = in_state("ESTABLISHED");
    let id = world.app.last();
    world.stack().pause_reading(id);
    peer.send(&mut world, seg(PSH, seq, 1).data(b"waiting"));
    peer.send(&mut world, seg(RST, seq + 7, 0));
    assert_eq!(world.app.events.last(), Some(&Event::Closed(id, CloseReason::ConnectionReset)));
    assert!(world.stack().info(id).is_none());
    world.expect_idle();
}
