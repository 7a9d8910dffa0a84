//! How the congestion window grows.

use crate::harness::*;

use bywash_core::tcp::congestion::CongestionControl;

const MSS: u32 = 1_460;

/// Acknowledges everything in flight, `per_ack` segments at a time; returns how many segments are in flight after.
fn round(world: &mut World, peer: &mut Peer, acked: &mut u32, in_flight: usize, per_ack: usize) -> usize {
    let mut sent = 0;
    let mut left = in_flight;
    while left > 0 {
        let count = per_ack.min(left);
        *acked += count as u32 * MSS;
        peer.send(world, seg(ACK, 1, *acked));
        sent += peer.drain(world).len();
        left -= count;
    }
    sent
}

fn open(bytes: usize) -> (World, Peer) {
    let mut config = config();
    config.tcp.send_buffer = 4 << 20;
    config.tcp.tcp_congestion_control = CongestionControl::Reno;
    let mut world = World::with(config, 1500);
    let mut peer = Peer::connect(&mut world, 40_000, Offer { scale: Some(10), ..Offer::PLAIN });
    peer.window = 65_535;
    peer.send(&mut world, seg(ACK, 1, 1));
    let id = world.app.last();
    world.stack().write(id, &pattern(bytes)).expect("open");
    world.turn();
    (world, peer)
}

#[test]
fn s17_c149_slow_start_doubles_whatever_the_ack_pattern() {
    for per_ack in [1, 2, 4] {
        let (mut world, mut peer) = open(2_000_000);
        let (mut acked, mut flight) = (1, peer.drain(&mut world).len());
        assert_eq!(flight, 10);
        for expected in [20, 40, 80, 160] {
            flight = round(&mut world, &mut peer, &mut acked, flight, per_ack);
            assert_eq!(flight, expected, "{per_ack} segments for each ACK");
        }
    }
}

#[test]
fn c150_an_application_limited_sender_keeps_its_window() {
    let (mut world, mut peer) = open(0);
    let id = world.app.last();
    let mut acked = 1;
    // Four segments at a time, many times: less than half of ten.
    for _ in 0..30 {
        world.stack().write(id, &pattern(4 * MSS as usize)).expect("open");
        world.turn();
        let flight = peer.drain(&mut world).len();
        assert_eq!(flight, 4);
        round(&mut world, &mut peer, &mut acked, flight, 4);
    }
    world.stack().write(id, &pattern(200_000)).expect("open");
    world.turn();
    assert_eq!(peer.drain(&mut world).len(), 10);
}

#[test]
fn c155_a_new_write_after_a_full_ack_stays_within_the_window() {
    let (mut world, mut peer) = open(10 * MSS as usize);
    assert_eq!(peer.drain(&mut world).len(), 10);
    peer.send(&mut world, seg(ACK, 1, 1 + 10 * MSS));
    let id = world.app.last();
    world.stack().write(id, &pattern(200_000)).expect("open");
    world.turn();
    assert_eq!(peer.drain(&mut world).len(), 20);
}

#[test]
fn s17_congestion_avoidance_adds_one_segment_for_each_window() {
    let (mut world, mut peer) = open(2_000_000);
    let mut flight = peer.drain(&mut world).len();
    // A timeout: threshold 5, window 1.
    world.advance_ms(250);
    let lost = peer.drain(&mut world).len();
    assert_eq!(lost, 1);
    let mut acked = 1 + flight as u32 * MSS;
    peer.send(&mut world, seg(ACK, 1, acked));
    flight = peer.drain(&mut world).len();
    assert_eq!(flight, 2, "slow start again");
    flight = round(&mut world, &mut peer, &mut acked, flight, 1);
    assert_eq!(flight, 4);
    flight = round(&mut world, &mut peer, &mut acked, flight, 1);
    assert_eq!(flight, 5, "up to the threshold, where avoidance begins");
    for expected in [6, 7, 8, 9] {
        flight = round(&mut world, &mut peer, &mut acked, flight, 1);
        assert_eq!(flight, expected);
    }
}

/// Grown to 80 segments, everything acknowledged, nothing queued.
fn grown(after_idle: bool) -> (World, Peer, u32) {
    let mut config = config();
    config.tcp.send_buffer = 4 << 20;
    config.tcp.tcp_slow_start_after_idle = after_idle;
    let mut world = World::with(config, 1500);
    let mut peer = Peer::connect(&mut world, 40_000, Offer { scale: Some(10), ..Offer::PLAIN });
    peer.send(&mut world, seg(ACK, 1, 1));
    let id = world.app.last();
    world.stack().write(id, &pattern(70 * MSS as usize)).expect("open");
    world.turn();
    let (mut acked, mut flight) = (1, peer.drain(&mut world).len());
    for _ in 0..3 {
        flight = round(&mut world, &mut peer, &mut acked, flight, 1);
    }
    assert_eq!((flight, acked), (0, 1 + 70 * MSS));
    (world, peer, acked)
}

#[test]
fn c151_after_an_idle_time_slow_start_begins_again_if_enabled() {
    for (after_idle, idle_ms, expected) in [(true, 1_500, 10), (true, 100, 80), (false, 10_000, 80)] {
        let (mut world, mut peer, _) = grown(after_idle);
        world.advance_ms(idle_ms);
        let id = world.app.last();
        world.stack().write(id, &pattern(1_000_000)).expect("open");
        world.turn();
        let sent = peer.drain(&mut world).len();
        // Of 70 segments the last round was not full.
        let is_as_expected = if expected == 10 { sent == 10 } else { sent >= 50 };
        assert!(is_as_expected, "{after_idle} {idle_ms}: {sent}");
    }
}

#[test]
fn c151_a_window_that_was_never_larger_is_kept() {
    let (mut world, mut peer) = open(0);
    world.advance_ms(5_000);
    let id = world.app.last();
    world.stack().write(id, &pattern(100_000)).expect("open");
    world.turn();
    assert_eq!(peer.drain(&mut world).len(), 10);
}

#[test]
fn c150_in_avoidance_all_but_one_segment_is_not_the_whole_window() {
    let (mut world, mut peer) = open(10 * MSS as usize);
    let id = world.app.last();
    let mut acked = 1;
    assert_eq!(peer.drain(&mut world).len(), 10);
    // A timeout: threshold 5; slow start up to it.
    world.advance_ms(250);
    peer.drain(&mut world);
    acked += 10 * MSS;
    peer.send(&mut world, seg(ACK, 1, acked));
    let write = |world: &mut World, peer: &mut Peer, segments: u32| {
        world.stack().write(id, &pattern((segments * MSS) as usize)).expect("open");
        world.turn();
        peer.drain(world).len()
    };
    for _ in 0..3 {
        let flight = write(&mut world, &mut peer, 5);
        let rest = round(&mut world, &mut peer, &mut acked, flight, 1);
        round(&mut world, &mut peer, &mut acked, rest, 1);
    }
    // Four at a time prove nothing, however often.
    for _ in 0..20 {
        let flight = write(&mut world, &mut peer, 4);
        assert_eq!(flight, 4);
        round(&mut world, &mut peer, &mut acked, flight, 1);
    }
    let before = write(&mut world, &mut peer, 30) as u32;
    assert!((5..=6).contains(&before), "{before}");
    // The whole window, acknowledged: one more.
    let after = round(&mut world, &mut peer, &mut acked, before as usize, 1) as u32;
    assert_eq!(after, before + 1);
}

#[test]
fn c154_a_sender_held_back_by_the_peer_keeps_its_window() {
    let (mut world, mut peer) = open(0);
    let mut acked = 1;
    peer.window = 5;
    // 5 KiB: three segments and a part that is not sent. Only a newer segment makes the window smaller.
    peer.send(&mut world, seg(PSH, 1, 1).data(b"x"));
    peer.send(&mut world, seg(ACK, 2, 1));
    peer.drain(&mut world);
    let id = world.app.last();
    world.stack().write(id, &pattern(1_000_000)).expect("open");
    world.turn();
    let mut sent = peer.drain(&mut world);
    for _ in 0..40 {
        assert!(sent.len() <= 4);
        let Some(end) = sent.last().map(|got| got.seq + got.payload.len() as u32) else { break };
        acked = end;
        peer.send(&mut world, seg(ACK, 2, acked));
        sent = peer.drain(&mut world);
    }
    acked = sent.last().map_or(acked, |got| got.seq + got.payload.len() as u32);
    peer.window = 65_535;
    peer.send(&mut world, seg(ACK, 2, acked));
    assert_eq!(peer.drain(&mut world).len(), 10);
}
