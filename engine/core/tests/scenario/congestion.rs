//! How the congestion window grows.

use crate::harness::*;

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
