//! How long we ask, and how fast we grow: once more, from other sides than `active`, `timeout` and `congestion`.

use bywash_core::shard::WriteError;

use crate::active::connect;
use crate::harness::*;

#[test]
fn c020_only_a_reset_that_acknowledges_our_syn_refuses() {
    let mut world = World::quiet(config(), 1500);
    let (mut peer, id) = connect(&mut world, Offer::FULL);
    peer.expect(&mut world, SYN, 0, 0, 0);
    world.stack().write(id, b"queued").expect("it is being opened");
    // Whatever its number is, it must acknowledge exactly the SYN.
    for seq in [0, 1, 70_000] {
        for ack in [0, 2, 0_u32.wrapping_sub(1)] {
            peer.send(&mut world, seg(RST_ACK, seq, ack));
        }
        peer.send(&mut world, seg(RST, seq, 0));
    }
    world.expect_silence();
    assert_eq!(world.app.closed(), None);
    // The SYN is repeated as if nothing had been.
    world.advance_ms(1_001);
    peer.expect(&mut world, SYN, 0, 0, 0);
    peer.send(&mut world, seg(RST_ACK, 12_345, 1).data(b"why"));
    assert_eq!(world.app.events, [Event::Closed(id, CloseReason::ConnectionRefused)]);
    assert_eq!(world.stack().write(id, b"more"), Err(WriteError::NotOpen));
    world.expect_silence();
    world.expect_idle();
}

#[test]
fn c023_syns_are_repeated_with_doubling_intervals_up_to_the_limit() {
    for (retries, due) in [(1, &[0, 1_000, 3_000][..]), (4, &[0, 1_000, 3_000, 7_000, 15_000, 31_000])] {
        let mut settings = config();
        settings.tcp.tcp_syn_retries = retries;
        let mut world = World::quiet(settings, 1500);
        let (mut peer, id) = connect(&mut world, Offer::FULL);
        let start = world.now;
        let (last, syns) = due.split_last().expect("some");
        world.advance_ms(last - 10);
        let got = peer.drain(&mut world);
        assert!(got.iter().all(|got| (got.flags, got.seq) == (SYN, 0)));
        let times: Vec<u64> = got.iter().map(|got| got.at.since(start).as_millis()).collect();
        assert!(times.len() == syns.len() && times.iter().zip(syns).all(|(at, due)| at.abs_diff(*due) <= 2));
        assert_eq!(world.app.closed(), None);
        world.advance_ms(20);
        assert_eq!(world.app.events, [Event::Closed(id, CloseReason::TimedOut)]);
        world.expect_silence();
        world.expect_idle();
    }
}

/// A connection without SACK whose round trip is 100 ms, with 100 octets in flight.
fn unanswered(change: impl FnOnce(&mut bywash_core::stack::StackConfig)) -> (World, Peer, Got) {
    let mut settings = config();
    change(&mut settings);
    let mut world = World::with(settings, 1500);
    let mut peer = Peer::new(&world, 40_000, Offer::PLAIN);
    peer.syn(&mut world);
    peer.expect(&mut world, SYN_ACK, 0, 1, 0);
    world.advance_ms(100);
    peer.send(&mut world, seg(ACK, 1, 1));
    let id = world.app.last();
    world.stack().write(id, &pattern(100)).expect("open");
    world.turn();
    let first = peer.expect(&mut world, PSH, 1, 1, 100);
    (world, peer, first)
}

fn gaps(first: &Got, again: &[Got]) -> Vec<u64> {
    let mut last = first.at;
    let gap = |got: &Got| {
        let gap = got.at.since(last).as_millis();
        last = got.at;
        gap
    };
    again.iter().map(gap).collect()
}

#[test]
fn c051_after_the_last_retry_the_application_hears_and_the_peer_does_not() {
    let (mut world, mut peer, first) = unanswered(|config| config.tcp.tcp_retries2 = 3);
    world.advance_ms(4_480);
    let again = peer.drain(&mut world);
    assert!(again.iter().all(|got| (got.flags, got.seq, got.payload.len()) == (PSH, 1, 100)));
    let gaps = gaps(&first, &again);
    assert!(gaps.iter().zip([300, 600, 1_200]).all(|(gap, due)| gap.abs_diff(due) <= 3), "{gaps:?}");
    assert_eq!((gaps.len(), world.app.closed()), (3, None));
    world.advance_ms(40);
    assert_eq!(world.app.closed(), Some(CloseReason::TimedOut));
    world.expect_silence();
    world.expect_idle();
    // The peer that wakes too late learns that nobody is there.
    peer.send(&mut world, seg(ACK, 1, 101));
    let got = peer.next(&mut world);
    assert_eq!((got.flags, got.seq), (RST, 101));
}

#[test]
fn c052_intervals_double_until_they_reach_the_ceiling() {
    for (max_us, due) in [
        (120_000_000, &[300, 600, 1_200, 2_400, 4_800, 9_600, 19_200, 38_400, 76_800, 120_000, 120_000][..]),
        (5_000_000, &[300, 600, 1_200, 2_400, 4_800, 5_000, 5_000, 5_000]),
    ] {
        let (mut world, mut peer, first) = unanswered(|config| config.tcp.tcp_rto_max_us = max_us);
        world.advance_ms(due.iter().sum::<u64>() + 1_000);
        let gaps = gaps(&first, &peer.drain(&mut world));
        assert_eq!(gaps.len(), due.len(), "{gaps:?}");
        assert!(gaps.iter().zip(due).all(|(gap, due)| gap.abs_diff(*due) <= 3), "{gaps:?}");
    }
}

#[test]
fn c149_slow_start_counts_what_is_acknowledged_and_not_the_acknowledgments() {
    const MSS: u32 = 1_460;
    // Halves of segments, single ones, stretch ACKs of ten: the window doubles with each round trip.
    for piece in [MSS / 2, MSS, 10 * MSS] {
        let mut settings = config();
        settings.tcp.send_buffer = 4 << 20;
        let mut world = World::with(settings, 1500);
        let (mut peer, id) = Peer::accepted(&mut world, 40_000, Offer { scale: Some(10), ..Offer::PLAIN });
        world.stack().write(id, &pattern(1_000_000)).expect("open");
        world.turn();
        let mut acked = 1;
        let mut in_flight = peer.drain(&mut world).len() as u32;
        for expected in [10, 20, 40, 80] {
            assert_eq!(in_flight, expected, "ACKs of {piece} octets");
            let end = acked + in_flight * MSS;
            in_flight = 0;
            while acked < end {
                acked = end.min(acked + piece);
                peer.send(&mut world, seg(ACK, 1, acked));
                in_flight += peer.drain(&mut world).len() as u32;
            }
        }
    }
}
