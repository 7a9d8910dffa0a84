//! Timestamps: PAWS and what is echoed.

use crate::harness::*;

#[test]
fn c078_an_older_timestamp_is_dropped_with_an_ack_but_a_reset_counts() {
    let mut world = World::new();
    let mut peer = Peer::connect(&mut world, 40_000, Offer::FULL);
    world.advance_ms(100);
    peer.send(&mut world, seg(PSH, 1, 1).data(b"new"));
    world.advance_ms(50);
    peer.expect(&mut world, ACK, 1, 4, 0);
    peer.send(&mut world, seg(PSH, 4, 1).data(b"old").clock(5_050));
    let got = peer.expect(&mut world, ACK, 1, 4, 0);
    assert_eq!(got.options.timestamps.expect("agreed").echo, 5_100);
    assert_eq!((&world.app.bytes[..], world.dropped(DropReason::Paws)), (&b"new"[..], 1));
    peer.send(&mut world, seg(RST, 4, 0).clock(4_000));
    assert_eq!(world.app.closed(), Some(CloseReason::ConnectionReset));
}

#[test]
fn c079_an_unacceptable_ack_does_not_move_the_echo() {
    let mut world = World::new();
    let mut peer = Peer::connect(&mut world, 40_000, Offer::FULL);
    peer.send(&mut world, seg(PSH, 1, 999).data(b"bad").clock(6_000));
    let got = peer.expect(&mut world, ACK, 1, 1, 0);
    assert_eq!(got.options.timestamps.expect("agreed").echo, 5_000);
}

#[test]
fn c081_the_echo_is_that_of_the_segment_that_filled_the_hole() {
    let mut world = World::new();
    let mut peer = Peer::connect(&mut world, 40_000, Offer::FULL);
    let echo = |got: &Got| got.options.timestamps.expect("agreed").echo;
    // Delayed ACK: the first of the segments that it covers.
    peer.send(&mut world, seg(PSH, 1, 1).data(&pattern(100)).clock(5_010));
    peer.send(&mut world, seg(PSH, 101, 1).data(&pattern(100)).clock(5_020));
    world.advance_ms(50);
    assert_eq!(echo(&peer.expect(&mut world, ACK, 1, 201, 0)), 5_010);
    // A hole: still the last that was in order.
    peer.send(&mut world, seg(PSH, 301, 1).data(&pattern(100)).clock(5_040));
    assert_eq!(echo(&peer.expect(&mut world, ACK, 1, 201, 0)), 5_010);
    peer.send(&mut world, seg(PSH, 201, 1).data(&pattern(100)).clock(5_045));
    assert_eq!(echo(&peer.expect(&mut world, ACK, 1, 401, 0)), 5_045);
}

#[test]
fn c080_after_idle_time_the_clock_is_current() {
    let mut world = World::new();
    let (mut peer, id) = Peer::accepted(&mut world, 40_000, Offer::FULL);
    let before = peer.echo;
    world.advance_ms(10_000);
    world.stack().close(id);
    world.turn();
    let got = peer.expect(&mut world, FIN, 1, 1, 0);
    let clocks = got.options.timestamps.expect("agreed");
    assert_eq!((clocks.value.wrapping_sub(before), clocks.echo), (10_000, 5_000));
}

#[test]
fn c082_a_segment_without_timestamps_is_tolerated() {
    let mut world = World::new();
    let mut peer = Peer::connect(&mut world, 40_000, Offer::FULL);
    peer.send(&mut world, seg(PSH, 1, 1).data(b"bare").bare());
    assert_eq!(world.app.bytes, b"bare");
    peer.send(&mut world, seg(RST, 5, 0).bare());
    assert_eq!(world.app.closed(), Some(CloseReason::ConnectionReset));
    let _ = peer.drain(&mut world);
}

#[test]
fn c083_after_24_days_an_older_timestamp_is_accepted() {
    let mut world = World::new();
    let peer = Peer::connect(&mut world, 40_000, Offer::FULL);
    world.advance_ms(24 * 24 * 3_600_000 + 2_000);
    peer.send(&mut world, seg(PSH, 1, 1).data(b"late").clock(4_000));
    assert_eq!(world.app.bytes, b"late");
}
