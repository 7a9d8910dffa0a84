//! The peer's window is closed.

use crate::harness::*;

/// A connection whose peer shows no window, with five octets queued.
fn blocked() -> (World, Peer) {
    let mut world = World::new();
    let (mut peer, id) = Peer::accepted(&mut world, 40_000, Offer::PLAIN);
    peer.window = 0;
    peer.send(&mut world, seg(PSH, 1, 1).data(b"!"));
    world.advance_ms(50);
    peer.expect(&mut world, ACK, 1, 2, 0);
    world.stack().write(id, b"hello").expect("open");
    world.turn();
    world.expect_silence();
    (world, peer)
}

#[test]
fn s15_c086_probes_back_off_and_go_on_while_they_are_answered() {
    let (mut world, mut peer) = blocked();
    let start = world.now;
    let mut times = Vec::new();
    for _ in 0..3_600 {
        world.advance_ms(1_000);
        for got in peer.drain(&mut world) {
            // Just before the window: the peer must answer.
            assert_eq!((got.flags, got.seq, got.ack, got.payload.len()), (ACK, 0, 2, 0));
            times.push(got.at.since(start).as_millis());
            peer.send(&mut world, seg(ACK, 2, 1));
        }
    }
    // The handshake took no time: SRTT 0 and 200 ms.
    let expected = [200, 600, 1_400, 3_000, 6_200, 12_600, 25_400, 51_000, 102_200];
    assert!(times.iter().zip(expected).all(|(at, due)| at.abs_diff(due) <= 10), "{times:?}");
    let late: Vec<u64> = times.windows(2).skip(9).map(|pair| pair[1] - pair[0]).collect();
    assert!(late.len() > 20 && late.iter().all(|gap| (102_000..=120_100).contains(gap)), "{late:?}");
    assert_eq!(world.app.closed(), None);
    // The window opens.
    peer.send(&mut world, seg(ACK, 2, 1).window(1_000));
    assert_eq!(peer.expect(&mut world, PSH, 1, 2, 5).payload, b"hello");
    peer.send(&mut world, seg(ACK, 2, 6).window(1_000));
    world.advance_ms(10_000);
    world.expect_silence();
}

#[test]
fn s15_a_lost_window_update_is_recovered_by_the_probe() {
    let (mut world, mut peer) = blocked();
    world.advance_ms(250);
    peer.expect(&mut world, ACK, 0, 2, 0);
    peer.send(&mut world, seg(ACK, 2, 1).window(65_535));
    peer.expect(&mut world, PSH, 1, 2, 5);
}

#[test]
fn c087_unanswered_probes_time_out() {
    let (mut world, mut peer) = blocked();
    let start = world.now;
    world.advance_ms(920_000);
    assert_eq!(world.app.closed(), None);
    world.advance_ms(10_000);
    assert_eq!(world.app.closed(), Some(CloseReason::TimedOut));
    let probes = peer.drain(&mut world);
    assert_eq!(probes.len(), 15, "tcp_retries2");
    assert!(probes[14].at.since(start).as_secs() > 600);
    world.expect_idle();
}

#[test]
fn c094_a_window_too_small_to_be_worth_it_is_used_by_the_persist_timer() {
    let mut world = World::new();
    let (mut peer, id) = Peer::accepted(&mut world, 40_000, Offer::PLAIN);
    // A window that shrinks counts when the segment is a newer one.
    peer.send(&mut world, seg(ACK, 1, 1).data(b"!"));
    peer.drain(&mut world);
    world.stack().write(id, &pattern(3_000)).expect("open");
    peer.send(&mut world, seg(ACK, 2, 1).data(b"!").window(500));
    world.expect_silence();
    world.advance_ms(250);
    // 500 octets: not a probe without data, for there is room for some.
    let got = peer.drain(&mut world).pop().expect("a probe");
    assert_eq!((got.seq, got.payload.len()), (1, 500));
    peer.send(&mut world, seg(ACK, 3, 501).window(65_535));
    let lens: Vec<usize> = peer.drain(&mut world).iter().map(|got| got.payload.len()).collect();
    assert_eq!(lens, [1_460, 1_040]);
}

#[test]
fn c093_a_syn_with_window_zero_holds_data_back() {
    let mut world = World::new();
    let (mut peer, id) = Peer::with_window(&mut world, 0, Offer::PLAIN);
    world.stack().write(id, b"later").expect("open");
    world.turn();
    world.expect_silence();
    peer.send(&mut world, seg(ACK, 1, 1).window(3));
    // Three octets empty nothing and are half of the largest window seen.
    assert_eq!(peer.expect(&mut world, ACK, 1, 1, 3).payload, b"lat");
    peer.send(&mut world, seg(ACK, 1, 4).window(100));
    assert_eq!(peer.expect(&mut world, PSH, 4, 1, 2).payload, b"er");
}

#[test]
fn s15_a_fin_waits_behind_blocked_data_and_leaves_with_it() {
    let (mut world, mut peer) = blocked();
    let id = world.app.last();
    world.stack().close(id);
    world.turn();
    world.expect_silence();
    peer.send(&mut world, seg(ACK, 2, 1).window(5_000));
    peer.expect(&mut world, FIN_PSH, 1, 2, 5);
}

#[test]
fn c154_the_congestion_window_does_not_grow_while_the_peers_window_limits() {
    let mut world = World::new();
    let (mut peer, id) = Peer::accepted(&mut world, 40_000, Offer::PLAIN);
    peer.window = 4_380;
    peer.send(&mut world, seg(ACK, 1, 1).data(b"!"));
    peer.send(&mut world, seg(ACK, 2, 1).data(b"!"));
    world.advance_ms(50);
    peer.expect(&mut world, ACK, 1, 3, 0);
    world.stack().write(id, &pattern(250_000)).expect("open");
    world.turn();
    let mut acked = 1;
    for _ in 0..20 {
        assert_eq!(peer.drain(&mut world).len(), 3);
        acked += 4_380;
        peer.send(&mut world, seg(ACK, 3, acked));
    }
    assert_eq!(peer.drain(&mut world).len(), 3);
    // The window opens: what leaves is the initial ten, not what twenty round trips would have grown.
    peer.send(&mut world, seg(ACK, 3, acked + 4_380).window(65_535));
    let flight = peer.drain(&mut world).len();
    assert_eq!(flight, 10);
}
