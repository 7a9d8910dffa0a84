//! How losses are found: RACK, tail loss probes, duplicates counted, a peer that reneges.

use bywash_core::base::time::Duration;
use bywash_core::stack::StackConfig;
use bywash_core::tcp::congestion::CongestionControl;

use crate::harness::*;

const MSS: u32 = 1_460;

/// The first octet of segment `n`.
fn nth(n: u32) -> u32 {
    1 + n * MSS
}

fn seqs(segments: &[Got]) -> Vec<u32> {
    segments.iter().map(|got| (got.seq - 1) / MSS).collect()
}

/// Milliseconds between two points in time.
fn ms(got: &Got, from: &Got) -> u64 {
    got.at.since(from.at).as_millis()
}

fn reno() -> StackConfig {
    let mut config = config();
    config.tcp.tcp_congestion_control = CongestionControl::Reno;
    config
}

/// An open connection whose handshake took `rtt`, with what it sends of `len` octets.
fn sending(config: StackConfig, offer: Offer, rtt: Duration, len: usize) -> (World, Peer, Vec<Got>) {
    let mut world = World::with(config, 1500);
    let mut peer = Peer::new(&world, 40_000, offer);
    peer.syn(&mut world);
    peer.expect(&mut world, SYN_ACK, 0, 1, 0);
    world.advance(rtt);
    peer.send(&mut world, seg(ACK, 1, 1));
    let id = world.app.last();
    world.stack().write(id, &pattern(len)).expect("open");
    world.turn();
    let sent = peer.drain(&mut world);
    (world, peer, sent)
}

fn timeouts(world: &World) -> u64 {
    world.engine.stack().counters().timeouts
}

#[test]
fn c071_a_lost_tail_is_probed_after_two_round_trips() {
    for offer in [Offer::SACK, Offer::FULL] {
        let (mut world, mut peer, sent) = sending(reno(), offer, Duration::from_millis(50), 5_000);
        assert_eq!(sent.len(), 4);
        world.advance_ms(99);
        world.expect_silence();
        world.advance_ms(2);
        // The last segment, once.
        let probe = peer.next(&mut world);
        assert_eq!((probe.seq, &probe.payload), (sent[3].seq, &sent[3].payload));
        assert_eq!(ms(&probe, &sent[0]), 100);
        world.advance_ms(248);
        world.expect_silence();
        // RFC 8985 section 7.3: the timeout counts from the probe: SRTT 50, and 200.
        world.advance_ms(3);
        let head = peer.next(&mut world);
        assert_eq!((head.seq, ms(&head, &probe)), (1, 250));
        assert_eq!(timeouts(&world), 1);
    }
}

#[test]
fn c071_new_data_are_the_probe_where_there_are_any() {
    for offer in [Offer::SACK, Offer::FULL] {
        let (mut world, mut peer, sent) = sending(reno(), offer, Duration::from_millis(50), 50_000);
        assert_eq!(sent.len(), 10);
        world.advance_ms(101);
        let probe = peer.next(&mut world);
        assert_eq!(probe.seq, sent[9].seq + sent[9].payload.len() as u32);
        assert_eq!(ms(&probe, &sent[0]), 100);
        world.advance_ms(200);
        world.expect_silence();
    }
}

#[test]
fn c071_for_one_segment_the_peers_delayed_ack_is_waited_for() {
    // R = 400: SRTT 400, RTTVAR 200, RTO 1200; the probe comes after 800 and the longest delay of an ACK, 200.
    let (mut world, mut peer, sent) = sending(reno(), Offer::SACK, Duration::from_millis(400), 100);
    world.advance_ms(1_100);
    let probe = peer.next(&mut world);
    assert_eq!((probe.seq, ms(&probe, &sent[0])), (1, 1_000));
    world.expect_silence();
}

#[test]
fn c071_never_after_less_than_2_ms_and_put_off_by_new_data() {
    for offer in [Offer::SACK, Offer::FULL] {
        let rtt = Duration::from_micros(300);
        let (mut world, mut peer, sent) = sending(reno(), offer, rtt, 4_000);
        world.advance(Duration::from_micros(1_800));
        world.expect_silence();
        let id = world.app.last();
        world.stack().write(id, &pattern(4_000)).expect("open");
        world.turn();
        let more = peer.drain(&mut world);
        assert_eq!(more.len(), 3);
        world.advance(Duration::from_micros(1_900));
        world.expect_silence();
        world.advance(Duration::from_micros(400));
        let probe = peer.next(&mut world);
        let end = |got: &Got| got.seq + got.payload.len() as u32;
        assert_eq!((end(&probe), ms(&probe, &more[0])), (end(&more[2]), 2));
        assert_eq!(ms(&probe, &sent[0]), 3);
    }
}

#[test]
fn c071_neither_without_sack_nor_with_tcp_early_retrans_0() {
    let mut off = reno();
    off.tcp.tcp_early_retrans = 0;
    for (config, offer) in [(reno(), Offer::PLAIN), (off, Offer::SACK)] {
        let (mut world, mut peer, sent) = sending(config, offer, Duration::from_millis(50), 5_000);
        world.advance_ms(249);
        world.expect_silence();
        world.advance_ms(2);
        assert_eq!(ms(&peer.next(&mut world), &sent[0]), 250);
    }
}

#[test]
fn c071_a_probe_that_repaired_a_loss_makes_the_window_smaller() {
    for is_spurious in [false, true] {
        let (mut world, mut peer, _) = sending(reno(), Offer::SACK, Duration::from_millis(50), 10 * 1_460);
        world.advance_ms(101);
        assert_eq!(seqs(&peer.drain(&mut world)), [9]);
        peer.send(&mut world, seg(ACK, 1, nth(10)));
        if is_spurious {
            // Both copies have arrived.
            peer.send(&mut world, seg(ACK, 1, nth(10)).sack(&[(nth(9), nth(10))]));
        }
        let id = world.app.last();
        world.stack().write(id, &pattern(60_000)).expect("open");
        world.turn();
        let first = peer.drain(&mut world).len() as u32;
        peer.send(&mut world, seg(ACK, 1, nth(10 + 1)));
        let flight = first - 1 + peer.drain(&mut world).len() as u32;
        if is_spurious {
            assert!(flight >= 20, "slow start goes on: {flight}");
        } else {
            assert!(flight < first, "RFC 8985 section 7.4.2: {flight} of {first}");
        }
    }
}

#[test]
fn c072_the_answer_to_a_probe_begins_recovery_instead_of_a_timeout() {
    for (len, probe) in [(5 * 1_460, 4), (50_000, 10)] {
        let (mut world, mut peer, sent) = sending(reno(), Offer::SACK, Duration::from_millis(50), len);
        let count = sent.len() as u32;
        world.advance_ms(101);
        assert_eq!(seqs(&peer.drain(&mut world)), [probe]);
        // All was lost but the probe.
        world.advance_ms(50);
        let mut held = vec![(nth(probe), nth(probe + 1))];
        peer.send(&mut world, seg(ACK, 1, 1).sack(&held));
        let mut resent = seqs(&peer.drain(&mut world));
        assert_eq!(resent[0], 0, "at once");
        let mut edge = 0;
        let mut rounds = 0;
        while edge < probe {
            world.advance_ms(50);
            for n in resent.drain(..) {
                assert!(n == edge || n > probe, "the lowest first: {n}");
                if n > probe {
                    held[0].1 = nth(n + 1);
                } else {
                    edge = n + 1;
                }
            }
            let end = if edge == probe { held[0].1 } else { nth(edge) };
            let block = if edge == probe { Vec::new() } else { held.clone() };
            peer.send(&mut world, seg(ACK, 1, end).sack(&block));
            resent = seqs(&peer.drain(&mut world));
            rounds += 1;
            assert!(rounds < 20, "{edge} of {count}");
        }
        assert_eq!(timeouts(&world), 0);
    }
}

#[test]
fn c073_a_hole_is_resent_when_the_reordering_window_is_over() {
    for (rtt_us, wait_us) in [(80_000, 20_000), (4_000, 2_000)] {
        let (mut world, mut peer, _) = sending(reno(), Offer::SACK, Duration::from_micros(rtt_us), 60_000);
        world.advance(Duration::from_micros(rtt_us));
        peer.drain(&mut world);
        let start = world.now;
        peer.send(&mut world, seg(ACK, 1, 1).sack(&[(nth(1), nth(2))]));
        // Limited transmit, and nothing again.
        assert!(seqs(&peer.drain(&mut world)).iter().all(|n| *n >= 10));
        world.advance(Duration::from_micros(wait_us - 100));
        world.expect_silence();
        world.advance(Duration::from_micros(300));
        let got = peer.next(&mut world);
        assert_eq!(seqs(std::slice::from_ref(&got)), [0]);
        let waited = got.at.since(start).as_micros();
        assert!(waited >= wait_us && waited <= wait_us + 200, "{waited} of {wait_us} µs");
        assert_eq!(timeouts(&world), 0);
    }
}

#[test]
fn c073_after_reordering_was_seen_duplicates_do_not_hurry_it() {
    let (mut world, mut peer, _) = sending(reno(), Offer::SACK, Duration::from_millis(80), 60_000);
    world.advance_ms(80);
    peer.send(&mut world, seg(ACK, 1, 1).sack(&[(nth(1), nth(2))]));
    world.advance_ms(5);
    // The first segment was only late.
    peer.send(&mut world, seg(ACK, 1, nth(2)));
    peer.drain(&mut world);
    peer.send(&mut world, seg(ACK, 1, nth(2)).sack(&[(nth(3), nth(8))]));
    assert!(seqs(&peer.drain(&mut world)).iter().all(|n| *n >= 10), "five above it are not enough");
    world.advance_ms(19);
    assert!(seqs(&peer.drain(&mut world)).iter().all(|n| *n >= 10));
    world.advance_ms(2);
    assert_eq!(seqs(&peer.drain(&mut world))[0], 2);
    // What comes in time is never resent.
    let (mut world, mut peer, _) = sending(reno(), Offer::SACK, Duration::from_millis(80), 60_000);
    world.advance_ms(80);
    peer.send(&mut world, seg(ACK, 1, 1).sack(&[(nth(1), nth(2))]));
    world.advance_ms(19);
    peer.send(&mut world, seg(ACK, 1, nth(2)));
    world.advance_ms(60);
    assert!(seqs(&peer.drain(&mut world)).iter().all(|n| *n >= 10));
}

#[test]
fn c073_with_tcp_recovery_0_only_three_segments_count() {
    let mut config = reno();
    config.tcp.tcp_recovery = 0;
    config.tcp.tcp_early_retrans = 0;
    let (mut world, mut peer, _) = sending(config, Offer::SACK, Duration::from_millis(80), 60_000);
    peer.send(&mut world, seg(ACK, 1, 1).sack(&[(nth(1), nth(3))]));
    world.advance_ms(100);
    assert!(seqs(&peer.drain(&mut world)).iter().all(|n| *n >= 10));
    peer.send(&mut world, seg(ACK, 1, 1).sack(&[(nth(1), nth(4))]));
    assert_eq!(seqs(&peer.drain(&mut world))[0], 0);
}

#[test]
fn c074_a_retransmission_that_is_lost_is_repeated_without_a_timeout() {
    let (mut world, mut peer, _) = sending(reno(), Offer::SACK, Duration::from_millis(40), 100_000);
    world.advance_ms(40);
    peer.drain(&mut world);
    peer.send(&mut world, seg(ACK, 1, 1).sack(&[(nth(1), nth(4))]));
    let mut sent = seqs(&peer.drain(&mut world));
    assert_eq!(sent[0], 0);
    let mut edge = 4;
    while sent.iter().filter(|n| **n == 0).count() < 2 {
        // Everything arrives but the head.
        world.advance_ms(10);
        edge += 1;
        assert!(edge < 30, "never repeated: {sent:?}");
        let newest = sent.iter().copied().max().unwrap_or(0).max(10);
        if edge > newest {
            break;
        }
        peer.send(&mut world, seg(ACK, 1, 1).sack(&[(nth(1), nth(edge))]));
        sent.extend(seqs(&peer.drain(&mut world)));
    }
    assert_eq!(sent.iter().filter(|n| **n == 0).count(), 2, "{sent:?}");
    // The first new segment after the retransmission told.
    assert_eq!(edge, 11, "{sent:?}");
    assert_eq!(timeouts(&world), 0);
}

#[test]
fn c075_what_a_peer_reneges_on_is_kept_and_sent_again() {
    let (mut world, mut peer, sent) = sending(reno(), Offer::SACK, Duration::from_millis(40), 10 * 1_460);
    peer.send(&mut world, seg(ACK, 1, 1).sack(&[(nth(1), nth(10))]));
    assert_eq!(seqs(&peer.drain(&mut world)), [0]);
    // It has the head, and has thrown away all behind it.
    world.advance_ms(40);
    peer.send(&mut world, seg(ACK, 1, nth(1)));
    let mut edge = 1;
    let mut rounds = 0;
    while edge < 10 {
        world.advance_ms(60);
        for got in peer.drain(&mut world) {
            if got.seq == nth(edge) {
                assert_eq!(got.payload, sent[edge as usize].payload);
                edge += 1;
            }
        }
        peer.send(&mut world, seg(ACK, 1, nth(edge)));
        rounds += 1;
        assert!(rounds < 20, "stuck at {edge}");
    }
    world.advance_ms(2_000);
    world.expect_silence();
}

#[test]
fn c056_with_sack_too_each_of_two_duplicates_lets_one_new_segment_leave() {
    let (mut world, mut peer, sent) = sending(reno(), Offer::SACK, Duration::from_millis(80), 60_000);
    assert_eq!(sent.len(), 10);
    peer.send(&mut world, seg(ACK, 1, 1).sack(&[(nth(1), nth(2))]));
    assert_eq!(seqs(&peer.drain(&mut world)), [10]);
    peer.send(&mut world, seg(ACK, 1, 1).sack(&[(nth(1), nth(3))]));
    assert_eq!(seqs(&peer.drain(&mut world)), [11]);
    // The window is what it was: ten are on the path.
    peer.send(&mut world, seg(ACK, 1, nth(3)));
    let flight = 12 - 3 + peer.drain(&mut world).len();
    assert!((10..=13).contains(&flight), "{flight}");
}

/// Found by the simulator, seed 359.
#[test]
fn a_delayed_ack_is_sent_though_a_tail_is_due_and_no_record_is_left_for_its_probe() {
    let config = StackConfig { recoveries_max: 0, ..reno() };
    let (mut world, mut peer, _) = sending(config, Offer::SACK, Duration::from_millis(50), 5_000);
    peer.send(&mut world, seg(PSH, 1, 1).data(b"in"));
    world.expect_silence();
    // Both are due when the next turn comes: the shard had something else to do.
    world.now += Duration::from_millis(120);
    world.turn();
    peer.expect(&mut world, ACK, 5_001, 3, 0);
}

/// Found by the simulator: the wheel looked again and again.
#[test]
fn a_look_that_finds_probe_and_timeout_due_but_no_record_takes_the_timeout() {
    let config = StackConfig { recoveries_max: 0, ..reno() };
    let (mut world, mut peer, sent) = sending(config, Offer::SACK, Duration::from_millis(50), 5_000);
    world.now += Duration::from_secs(1);
    world.turn();
    assert_eq!(peer.next(&mut world).seq, sent[0].seq, "the head");
    assert_eq!(timeouts(&world), 1);
}
