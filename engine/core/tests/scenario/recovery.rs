//! Fast retransmit and recovery, with and without SACK.

use crate::harness::*;

use bywash_core::tcp::congestion::CongestionControl;

const MSS: u32 = 1_460;

/// An open connection with `segments` full segments in flight, more queued behind them.
fn in_flight(offer: Offer, segments: u32) -> (World, Peer) {
    let mut config = config();
    config.tcp.tcp_congestion_control = CongestionControl::Reno;
    let mut world = World::with(config, 1500);
    let (mut peer, id) = Peer::accepted(&mut world, 40_000, offer);
    world.stack().write(id, &pattern(200_000)).expect("open");
    world.turn();
    let mut sent = peer.drain(&mut world).len() as u32;
    assert_eq!(sent, 10);
    // Slow start makes room for the rest.
    let mut acked = 0;
    while sent - acked < segments {
        acked += 2;
        peer.send(&mut world, seg(ACK, 1, nth(acked)));
        sent += peer.drain(&mut world).len() as u32;
    }
    assert_eq!(sent - acked, segments);
    peer.irs = peer.irs.wrapping_add(acked * MSS);
    (world, peer)
}

/// The first octet of segment `n` of those in flight.
fn nth(n: u32) -> u32 {
    1 + n * MSS
}

fn seqs(segments: &[Got]) -> Vec<u32> {
    segments.iter().map(|got| (got.seq - 1) / MSS).collect()
}

#[test]
fn c055_c056_c061_three_duplicates_resend_the_head_once() {
    let (mut world, mut peer) = in_flight(Offer::PLAIN, 10);
    // c056: one new segment for each of the first two.
    peer.send(&mut world, seg(ACK, 1, 1));
    assert_eq!(seqs(&peer.drain(&mut world)), [10]);
    peer.send(&mut world, seg(ACK, 1, 1));
    assert_eq!(seqs(&peer.drain(&mut world)), [11]);
    peer.send(&mut world, seg(ACK, 1, 1));
    assert_eq!(seqs(&peer.drain(&mut world)), [0]);
    // ssthresh = 12 / 2; three have left; each further duplicate takes one more out of the pipe.
    for _ in 0..2 {
        peer.send(&mut world, seg(ACK, 1, 1));
        assert_eq!(seqs(&peer.drain(&mut world)), []);
    }
    let mut fresh = Vec::new();
    for _ in 0..6 {
        peer.send(&mut world, seg(ACK, 1, 1));
        fresh.extend(seqs(&peer.drain(&mut world)));
    }
    assert!(!fresh.contains(&0), "exactly one retransmission");
    assert_eq!(fresh.first(), Some(&12));
    // c061: the full ACK ends it without a burst.
    peer.send(&mut world, seg(ACK, 1, nth(12)));
    assert!(peer.drain(&mut world).len() <= 6);
}

#[test]
fn c055_a_duplicate_with_data_or_another_window_does_not_count() {
    let (mut world, mut peer) = in_flight(Offer::PLAIN, 10);
    for i in 0..4 {
        peer.send(&mut world, seg(PSH, 1 + i * 10, 1).data(&pattern(10)));
    }
    for i in 0..4 {
        peer.send(&mut world, seg(ACK, 41, 1).window(60_000 - i));
    }
    world.advance_ms(50);
    assert!(peer.drain(&mut world).iter().all(|got| got.seq != 1), "nothing resent");
}

#[test]
fn c055_newreno_resends_one_hole_for_each_partial_ack() {
    let (mut world, mut peer) = in_flight(Offer::PLAIN, 10);
    // Segments 0, 3 and 6 are lost: seven duplicates.
    for _ in 0..7 {
        peer.send(&mut world, seg(ACK, 1, 1));
    }
    let mut sent = seqs(&peer.drain(&mut world));
    sent.retain(|n| *n < 10);
    assert_eq!(sent, [0]);
    for lost in [3, 6] {
        peer.send(&mut world, seg(ACK, 1, nth(lost)));
        let mut sent = seqs(&peer.drain(&mut world));
        sent.retain(|n| *n < 10);
        assert_eq!(sent, [lost]);
    }
    peer.send(&mut world, seg(ACK, 1, nth(12)));
    let sent = seqs(&peer.drain(&mut world));
    assert!(sent.iter().all(|n| *n >= 12), "{sent:?}");
}

#[test]
fn c057_three_segments_sacked_above_a_hole_resend_it_on_a_single_ack() {
    let (mut world, mut peer) = in_flight(Offer::SACK, 10);
    peer.send(&mut world, seg(ACK, 1, 1).sack(&[(nth(1), nth(4))]));
    assert_eq!(seqs(&peer.drain(&mut world))[0], 0);
    // Three separate segments do so, too, each a block of its own.
    let (mut world, mut peer) = in_flight(Offer::SACK, 10);
    let blocks = [(nth(5), nth(6)), (nth(3), nth(4)), (nth(1), nth(2))];
    peer.send(&mut world, seg(ACK, 1, 1).sack(&blocks));
    assert_eq!(seqs(&peer.drain(&mut world))[0], 0);
    // Two segments do not.
    let (mut world, mut peer) = in_flight(Offer::SACK, 10);
    peer.send(&mut world, seg(ACK, 1, 1).sack(&[(nth(1), nth(3))]));
    let sent = seqs(&peer.drain(&mut world));
    assert!(sent.iter().all(|n| *n >= 10), "{sent:?}");
}

#[test]
fn c068_sacked_segments_are_not_resent_and_the_lowest_hole_goes_first() {
    let (mut world, mut peer) = in_flight(Offer::SACK, 10);
    // 0, 2 and 5 are lost.
    peer.send(&mut world, seg(ACK, 1, 1).sack(&[(nth(1), nth(2))]));
    peer.send(&mut world, seg(ACK, 1, 1).sack(&[(nth(3), nth(4)), (nth(1), nth(2))]));
    peer.send(&mut world, seg(ACK, 1, 1).sack(&[(nth(3), nth(5)), (nth(1), nth(2))]));
    let mut sent = seqs(&peer.drain(&mut world));
    for right in 7..=10 {
        let blocks = [(nth(6), nth(right)), (nth(3), nth(5)), (nth(1), nth(2))];
        peer.send(&mut world, seg(ACK, 1, 1).sack(&blocks));
        sent.extend(seqs(&peer.drain(&mut world)));
    }
    sent.retain(|n| *n < 10);
    assert_eq!(sent, [0, 2, 5]);
    // The retransmissions arrive.
    peer.send(&mut world, seg(ACK, 1, nth(2)).sack(&[(nth(6), nth(10)), (nth(3), nth(5))]));
    peer.send(&mut world, seg(ACK, 1, nth(5)).sack(&[(nth(6), nth(10))]));
    let mut sent = seqs(&peer.drain(&mut world));
    sent.retain(|n| *n < 10);
    assert_eq!(sent, [], "nothing again");
    peer.send(&mut world, seg(ACK, 1, nth(10)));
    assert!(seqs(&peer.drain(&mut world)).iter().all(|n| *n >= 10));
}

#[test]
fn c059_sack_on_an_old_ack_counts() {
    let (mut world, mut peer) = in_flight(Offer::SACK, 10);
    peer.send(&mut world, seg(ACK, 1, nth(2)));
    peer.drain(&mut world);
    peer.send(&mut world, seg(ACK, 1, nth(1)).sack(&[(nth(3), nth(6))]));
    assert_eq!(seqs(&peer.drain(&mut world))[0], 2);
}

#[test]
fn c060_mere_reordering_does_not_reduce_the_window() {
    let (mut world, mut peer) = in_flight(Offer::SACK, 10);
    peer.send(&mut world, seg(ACK, 1, 1).sack(&[(nth(1), nth(2))]));
    assert_eq!(seqs(&peer.drain(&mut world)), [10]);
    peer.send(&mut world, seg(ACK, 1, nth(2)));
    // Growth, not reduction: at least as many in flight as before.
    let sent = seqs(&peer.drain(&mut world));
    assert!(sent.len() >= 2 && sent[0] == 11, "{sent:?}");
}

#[test]
fn c069_blocks_in_any_order_give_the_same_scoreboard() {
    let orders: [&[(u32, u32)]; 5] = [
        &[(1, 3), (5, 8)],
        &[(5, 8), (1, 3)],
        &[(5, 6), (1, 2), (6, 8), (2, 3)],
        &[(1, 3), (6, 8), (5, 7)],
        &[(5, 7), (1, 3), (6, 8), (5, 8)],
    ];
    for order in orders {
        let (mut world, mut peer) = in_flight(Offer::SACK, 10);
        let blocks: Vec<(u32, u32)> = order.iter().map(|(left, right)| (nth(*left), nth(*right))).collect();
        peer.send(&mut world, seg(ACK, 1, 1).sack(&blocks));
        // Five of ten are there, three lost, two on the path; half of ten may be.
        assert_eq!(seqs(&peer.drain(&mut world)), [0, 3, 4], "{order:?}");
    }
}

#[test]
fn c070_bogus_blocks_are_ignored() {
    let (mut world, mut peer) = in_flight(Offer::SACK, 10);
    let wrapped = 0_u32.wrapping_sub(peer.irs);
    let bogus = [
        (nth(3), nth(3)),
        (nth(5), nth(2)),
        (nth(8), nth(99)),
        (wrapped, wrapped + 5),
        (0_u32.wrapping_sub(5_000), 1),
    ];
    for block in bogus {
        peer.send(&mut world, seg(ACK, 1, 1).sack(&[block]).window(60_000 + (block.0 & 0xff) as u16));
    }
    let sent = seqs(&peer.drain(&mut world));
    assert!(sent.iter().all(|n| *n >= 10), "{sent:?}");
    peer.send(&mut world, seg(ACK, 1, nth(10)));
    assert!(world.app.closed().is_none());
}

#[test]
fn c075_after_a_timeout_sacked_data_is_resent_too() {
    let (mut world, mut peer) = in_flight(Offer::SACK, 10);
    peer.send(&mut world, seg(ACK, 1, 1).sack(&[(nth(1), nth(2))]));
    peer.drain(&mut world);
    world.advance_ms(250);
    assert_eq!(seqs(&peer.drain(&mut world)), [0, 0], "by RACK's timer and by the timeout");
    // The peer has thrown away what it had.
    peer.send(&mut world, seg(ACK, 1, nth(1)));
    assert_eq!(seqs(&peer.drain(&mut world)), [1, 2]);
}

#[test]
fn s17_recovery_halves_the_window() {
    let (mut world, mut peer) = in_flight(Offer::SACK, 20);
    peer.send(&mut world, seg(ACK, 1, 1).sack(&[(nth(1), nth(5))]));
    let mut sent = seqs(&peer.drain(&mut world));
    let mut highest = 19;
    for right in 6..=20 {
        peer.send(&mut world, seg(ACK, 1, 1).sack(&[(nth(1), nth(right))]));
        sent.extend(seqs(&peer.drain(&mut world)));
    }
    assert_eq!(sent[0], 0);
    highest = highest.max(sent.iter().copied().max().unwrap_or(0));
    // Everything but the head is SACKed: pipe = the head and what is new; half of 20 may fly.
    assert_eq!(highest, 19 + 9);
    peer.send(&mut world, seg(ACK, 1, nth(20)));
    let after = seqs(&peer.drain(&mut world));
    assert!(after.len() <= 2, "no burst: {after:?}");
    // Congestion avoidance from 10: one more for a window of ACKs.
    let mut acked = 20;
    let mut next = highest + 1 + after.len() as u32;
    for _ in 0..10 {
        acked += 1;
        peer.send(&mut world, seg(ACK, 1, nth(acked)));
        next += peer.drain(&mut world).len() as u32;
    }
    assert_eq!(next - acked, 11);
}

#[test]
fn c050_recovery_across_the_wrap_sends_the_right_octets() {
    // The acknowledged part moves the numbers on until they wrap within a flight.
    let mut config = config();
    config.tcp.send_buffer = 64 << 20;
    config.send = bywash_core::buffer::SendConfig::with_memory(64 << 20);
    let mut world = World::with(config, 1500);
    // An initial number that lies at most 30 MB below the wrap: the clock decides.
    let mut peer = Peer::new(&world, 40_000, Offer { scale: Some(7), ..Offer::SACK });
    peer.syn(&mut world);
    peer.expect(&mut world, SYN_ACK, 0, 1, 0);
    let to_wrap = 0_u32.wrapping_sub(peer.irs);
    peer.send(&mut world, seg(RST, 1, 0));
    world.advance_ms(u64::from(to_wrap - 40_000) / 250);
    peer.syn(&mut world);
    peer.expect(&mut world, SYN_ACK, 0, 1, 0);
    let to_wrap = 0_u32.wrapping_sub(peer.irs);
    assert!(to_wrap < 50_000, "{to_wrap}");
    peer.send(&mut world, seg(ACK, 1, 1));
    let id = world.app.last();
    let text = pattern(200_000);
    world.stack().write(id, &text).expect("open");
    world.turn();
    let (mut got, mut edge, mut lost) = (vec![0_u8; text.len()], 1_u32, Vec::new());
    let mut held = vec![false; text.len()];
    let mut dice = 0_u32;
    while (edge as usize) <= text.len() {
        let flight = peer.drain(&mut world);
        if flight.is_empty() {
            world.advance_ms(100);
            continue;
        }
        for segment in flight {
            dice = dice.wrapping_mul(1_103_515_245).wrapping_add(12_345);
            if dice >> 28 == 0 && !lost.contains(&segment.seq) {
                lost.push(segment.seq);
                continue;
            }
            let at = segment.seq as usize - 1;
            got[at..at + segment.payload.len()].copy_from_slice(&segment.payload);
            held[at..at + segment.payload.len()].fill(true);
            edge = 1 + held.iter().take_while(|held| **held).count() as u32;
            let block = (segment.seq, segment.seq + segment.payload.len() as u32);
            let blocks: &[(u32, u32)] = if segment.seq > edge { &[block] } else { &[] };
            peer.send(&mut world, seg(ACK, 1, edge).sack(blocks));
        }
    }
    assert_eq!(got, text);
    assert!(lost.len() > 3, "some of it was lost: {lost:?}");
    world.advance_ms(5_000);
    world.expect_silence();
}
