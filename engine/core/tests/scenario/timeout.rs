//! The retransmission timer.

use crate::harness::*;

/// An open connection with `len` octets sent and not acknowledged; its round trip is `rtt_ms`.
fn in_flight(offer: Offer, rtt_ms: u64, len: usize) -> (World, Peer, Vec<Got>) {
    let mut config = config();
    // Here the timeout is looked at alone.
    config.tcp.tcp_early_retrans = 0;
    let mut world = World::with(config, 1500);
    let mut peer = Peer::new(&world, 40_000, offer);
    peer.syn(&mut world);
    peer.expect(&mut world, SYN_ACK, 0, 1, 0);
    world.advance_ms(rtt_ms);
    peer.send(&mut world, seg(ACK, 1, 1));
    let id = world.app.last();
    world.stack().write(id, &pattern(len)).expect("open");
    world.turn();
    let first = peer.drain(&mut world);
    (world, peer, first)
}

fn times(segments: &[Got], from: &Got) -> Vec<u64> {
    segments.iter().map(|got| got.at.since(from.at).as_millis()).collect()
}

#[test]
fn c048_the_first_sample_sets_the_timeout() {
    // R = 100 ms: SRTT 100, RTTVAR 50, RTO = 100 + max(4 * 50, 200).
    let (mut world, mut peer, first) = in_flight(Offer::PLAIN, 100, 100);
    world.advance_ms(299);
    world.expect_silence();
    world.advance_ms(2);
    let again = peer.drain(&mut world);
    assert_eq!(times(&again, &first[0]), [300]);
}

#[test]
fn c048_without_a_sample_the_timeout_is_one_second() {
    let mut world = World::new();
    let config = config();
    assert_eq!(config.tcp.tcp_rto_initial_us, 1_000_000);
    let mut peer = Peer::new(&world, 40_000, Offer::PLAIN);
    let start = world.now;
    peer.syn(&mut world);
    world.advance_ms(1_001);
    let got = peer.drain(&mut world);
    assert_eq!(got.len(), 2);
    assert_eq!(got[1].at.since(start).as_millis(), 1_000);
    // The SYN+ACK was repeated: data begin with 3 s.
    peer.send(&mut world, seg(ACK, 1, 1));
    let id = world.app.last();
    world.stack().write(id, b"x").expect("open");
    world.turn();
    let first = peer.expect(&mut world, PSH, 1, 1, 1);
    world.advance_ms(3_001);
    assert_eq!(times(&peer.drain(&mut world), &first), [3_000]);
}

#[test]
fn c046_c052_the_head_is_resent_with_doubling_intervals_up_to_the_cap() {
    let (mut world, mut peer, first) = in_flight(Offer::PLAIN, 100, 5_840);
    assert_eq!(first.len(), 4);
    world.advance_ms(400_000);
    let again = peer.drain(&mut world);
    assert!(again.iter().all(|got| (got.seq, got.payload.len()) == (1, 1_460)));
    let expected = [300, 900, 2_100, 4_500, 9_300, 18_900, 38_100, 76_500, 153_300, 273_300, 393_300];
    let found = times(&again, &first[3]);
    assert_eq!(found.len(), expected.len());
    assert!(found.iter().zip(expected).all(|(at, due)| at.abs_diff(due) <= 3), "{found:?}");
    // Loss window of one segment, threshold of half the flight.
    peer.send(&mut world, seg(ACK, 1, 1_461));
    let next: Vec<u32> = peer.drain(&mut world).iter().map(|got| got.seq).collect();
    assert_eq!(next, [1_461, 2_921]);
}

#[test]
fn c047_an_ack_of_new_data_ends_the_back_off_and_karn_takes_no_sample() {
    let (mut world, mut peer, first) = in_flight(Offer::PLAIN, 100, 1_000);
    world.advance_ms(2_200);
    assert_eq!(times(&peer.drain(&mut world), &first[0]), [300, 900, 2_100]);
    // An ACK after 2.2 s of something sent four times says nothing about the round trip.
    peer.send(&mut world, seg(ACK, 1, 1_001));
    let id = world.app.last();
    world.stack().write(id, b"x").expect("open");
    world.turn();
    let fresh = peer.expect(&mut world, PSH, 1_001, 1, 1);
    world.advance_ms(301);
    assert_eq!(times(&peer.drain(&mut world), &fresh), [300]);
}

#[test]
fn c049_a_partial_ack_restarts_the_timer_and_sends_the_next_hole() {
    let (mut world, mut peer, _) = in_flight(Offer::PLAIN, 100, 5_840);
    world.advance_ms(301);
    peer.expect(&mut world, ACK, 1, 1, 1_460);
    world.advance_ms(100);
    peer.send(&mut world, seg(ACK, 1, 1_461));
    let resent = peer.drain(&mut world);
    assert_eq!(resent[0].seq, 1_461);
    let start = resent[0].at;
    world.advance_ms(298);
    world.expect_silence();
    world.advance_ms(3);
    let got = peer.next(&mut world);
    assert_eq!((got.seq, got.at.since(start).as_millis()), (1_461, 300));
}

#[test]
fn s18_c051_a_dead_host_times_out_after_the_retry_limit() {
    let (mut world, mut peer, _) = in_flight(Offer::FULL, 0, 1_000);
    // As Linux with 200 ms: 15 retransmissions, 924.6 s in all.
    world.advance_ms(924_000);
    assert_eq!(world.app.closed(), None);
    world.advance_ms(1_500);
    assert_eq!(world.app.closed(), Some(CloseReason::TimedOut));
    assert_eq!(peer.drain(&mut world).len(), 15);
    world.advance_ms(100_000);
    world.expect_silence();
    world.expect_idle();
    // Later segments find nothing.
    peer.send(&mut world, seg(ACK, 1, 1_001));
    let got = peer.next(&mut world);
    assert_eq!((got.flags, got.seq), (RST, 1_001));
}

#[test]
fn c053_payload_and_fin_are_unchanged_when_resent() {
    let (mut world, mut peer, first) = in_flight(Offer::FULL, 100, 2_000);
    let id = world.app.last();
    peer.send(&mut world, seg(PSH, 1, 1).data(&pattern(1_000)));
    world.stack().shutdown(id);
    world.turn();
    // Paused: the window of the retransmission is the one of then.
    peer.expect(&mut world, FIN, 2_001, 1_001, 0);
    world.stack().pause_reading(id);
    peer.send(&mut world, seg(PSH, 1_001, 1).data(&pattern(1_000)));
    world.advance_ms(400);
    let mut again = peer.drain(&mut world);
    again.retain(|got| !got.payload.is_empty());
    assert_eq!((again[0].seq, &again[0].payload), (1, &first[0].payload));
    assert_eq!(again[0].ack, 2_001);
    assert_eq!(usize::from(again[0].window) << 3, 262_144 - 2_000);
    peer.send(&mut world, seg(ACK, 2_001, 1_449));
    let got = peer.expect(&mut world, FIN_PSH, 1_449, 2_001, 552);
    assert_eq!(got.payload, first[1].payload);
    peer.send(&mut world, seg(ACK, 2_001, 2_002));
    world.advance_ms(10_000);
    world.expect_silence();
}

#[test]
fn c046_without_a_free_recovery_record_the_head_is_resent_all_the_same() {
    let mut config = config();
    config.recoveries_max = 1;
    config.tcp.tcp_early_retrans = 0;
    let mut world = World::with(config, 1500);
    let mut peers: Vec<Peer> = (0..3).map(|i| Peer::connect(&mut world, 40_000 + i, Offer::SACK)).collect();
    let mut ids = Vec::new();
    for event in &world.app.events {
        if let Event::Opened(id, _) = event {
            ids.push(*id);
        }
    }
    for id in ids {
        world.stack().write(id, &pattern(2_000)).expect("open");
    }
    world.turn();
    for peer in &mut peers {
        peer.next(&mut world);
        peer.next(&mut world);
    }
    world.advance_ms(250);
    // All three send their first octets again, though only one record of recovery is free.
    let resent = world.sent.len();
    assert_eq!(resent, 3);
}

#[test]
fn c148_after_several_lost_syn_acks_one_segment_leaves() {
    for (lost, flight) in [(1, 10), (2, 1)] {
        let mut world = World::new();
        let mut peer = Peer::new(&world, 40_000, Offer::PLAIN);
        peer.syn(&mut world);
        world.advance_ms(if lost == 1 { 1_100 } else { 3_100 });
        assert_eq!(peer.drain(&mut world).len(), 1 + lost);
        peer.send(&mut world, seg(ACK, 1, 1));
        let id = world.app.last();
        world.stack().write(id, &pattern(60_000)).expect("open");
        world.turn();
        // RFC 6928 section 2: one loss may be a timer's impatience, two are a loss (RFC 5681 section 3.1).
        assert_eq!(peer.drain(&mut world).len(), flight, "{lost} lost");
    }
}
