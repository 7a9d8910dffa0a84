//! Bugs that the simulator has found, each as the segments that show it.

use bywash_core::shard::{CloseReason, Host};

use crate::harness::*;

#[test]
fn without_window_scaling_a_large_buffer_asks_for_no_update_after_each_segment() {
    let mut config = config();
    config.tcp.receive_buffer = 500 << 10;
    let mut world = World::with(config, 1500);
    let mut peer = Peer::connect(&mut world, 40_000, Offer::PLAIN);
    world.expect_silence();
    peer.send(&mut world, seg(PSH, 1, 1).data(b"one"));
    world.expect_silence();
    world.advance_ms(50);
    assert_eq!(peer.expect(&mut world, ACK, 1, 4, 0).window, 65_535);
    world.expect_silence();
}

#[test]
fn rst_after_both_fins_leaves_a_paused_reader_its_octets_and_their_end() {
    let mut world = World::new();
    let (mut peer, id) = Peer::accepted(&mut world, 40_000, Offer::PLAIN);
    world.stack().pause_reading(id);
    world.stack().shutdown(id);
    world.turn();
    peer.expect(&mut world, FIN, 1, 1, 0);
    peer.send(&mut world, seg(FIN_PSH, 1, 2).data(b"all of it"));
    peer.expect(&mut world, ACK, 2, 11, 0);
    peer.send(&mut world, seg(RST, 11, 0));
    assert_eq!(world.app.closed(), None);
    world.stack().resume_reading(id);
    world.turn();
    assert_eq!((&world.app.bytes[..], world.app.ends()), (&b"all of it"[..], 1));
    assert_eq!(world.app.closed(), Some(CloseReason::Finished));
}

#[test]
fn sack_ranges_that_a_new_ack_cuts_are_not_counted_twice() {
    let mut world = World::new();
    let (mut peer, id) = Peer::accepted(&mut world, 40_000, Offer::SACK);
    world.stack().write(id, &pattern(10_000)).expect("open");
    world.turn();
    peer.drain(&mut world);
    peer.send(&mut world, seg(ACK, 1, 1).sack(&[(2_921, 5_841)]));
    world.expect_silence();
    // The ACK lies within what was reported, and the block overlaps that: three segments in all, one ACKed.
    peer.send(&mut world, seg(ACK, 1, 4_381).sack(&[(4_391, 7_301)]));
    world.expect_silence();
}

#[test]
fn a_timeout_without_a_recovery_record_sends_no_more_again_than_was_sent() {
    let mut world = World::with(bywash_core::stack::StackConfig { recoveries_max: 0, ..config() }, 1500);
    let (mut peer, id) = Peer::with_window(&mut world, 588, Offer::PLAIN);
    world.stack().write(id, &pattern(5_000)).expect("open");
    world.turn();
    peer.expect(&mut world, ACK, 1, 1, 588);
    world.advance_ms(1_500);
    peer.expect(&mut world, ACK, 1, 1, 588);
}

#[test]
fn a_fin_behind_a_window_that_its_data_fills_leaves_no_window_open() {
    let mut config = config();
    config.tcp.receive_buffer = 2_000;
    let mut world = World::with(config, 1500);
    let (mut peer, id) = Peer::accepted(&mut world, 40_000, Offer::PLAIN);
    world.stack().pause_reading(id);
    let text = pattern(2_000);
    peer.send(&mut world, seg(ACK, 1, 1).data(&text[..1_000]));
    peer.send(&mut world, seg(FIN_PSH, 1_001, 1).data(&text[1_000..]));
    let last = peer.drain(&mut world).pop().expect("the FIN is acknowledged");
    assert_eq!((last.ack, last.window), (2_002, 0));
}
