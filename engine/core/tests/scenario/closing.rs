//! Closing, in every order.

use bywash_core::shard::ConnectionId;

use crate::harness::*;

pub(crate) fn open() -> (World, Peer, ConnectionId) {
    let mut world = World::new();
    let (peer, id) = Peer::accepted(&mut world, 40_000, Offer::FULL);
    (world, peer, id)
}

pub(crate) fn close(world: &mut World, id: ConnectionId) {
    world.stack().close(id);
    world.turn();
}

/// TIME_WAIT passes, and nothing is left.
#[track_caller]
pub(crate) fn expect_time_wait(world: &mut World) {
    assert_eq!(world.app.closed(), Some(CloseReason::Finished));
    let report = world.report();
    assert_eq!((report.connections, report.time_wait, report.table_entries), (0, 1, 1));
    world.advance_ms(59_900);
    assert_eq!(world.report().time_wait, 1);
    world.advance_ms(200);
    world.expect_silence();
    world.expect_idle();
}

#[test]
fn s22_c110_the_peer_closes_first() {
    let (mut world, mut peer, id) = open();
    peer.send(&mut world, seg(FIN, 1, 1));
    peer.expect(&mut world, ACK, 1, 2, 0);
    assert_eq!(world.app.ends(), 1);
    // CLOSE_WAIT: writing goes on.
    world.stack().write(id, b"still here").expect("CLOSE_WAIT");
    world.turn();
    peer.expect(&mut world, PSH, 1, 2, 10);
    peer.send(&mut world, seg(ACK, 2, 11));
    world.advance_ms(600_000);
    world.expect_silence();
    close(&mut world, id);
    peer.expect(&mut world, FIN, 11, 2, 0);
    assert_eq!(world.app.closed(), None);
    peer.send(&mut world, seg(ACK, 2, 12));
    // LAST_ACK ends without TIME_WAIT.
    assert_eq!(world.app.closed(), Some(CloseReason::Finished));
    world.expect_silence();
    world.expect_idle();
}

#[test]
fn s23_c109_the_application_closes_first() {
    let (mut world, mut peer, id) = open();
    close(&mut world, id);
    peer.expect(&mut world, FIN, 1, 1, 0);
    peer.send(&mut world, seg(ACK, 1, 2));
    world.expect_silence();
    assert_eq!(world.report().connections, 1);
    peer.send(&mut world, seg(FIN, 1, 2));
    peer.expect(&mut world, ACK, 2, 2, 0);
    expect_time_wait(&mut world);
}

#[test]
fn s24_fin_and_ack_in_one_segment_go_straight_to_time_wait() {
    let (mut world, mut peer, id) = open();
    close(&mut world, id);
    peer.expect(&mut world, FIN, 1, 1, 0);
    peer.send(&mut world, seg(FIN, 1, 2));
    peer.expect(&mut world, ACK, 2, 2, 0);
    expect_time_wait(&mut world);
}

#[test]
fn s25_c112_both_close_at_once() {
    let (mut world, mut peer, id) = open();
    close(&mut world, id);
    peer.expect(&mut world, FIN, 1, 1, 0);
    // Its FIN does not acknowledge ours: CLOSING.
    peer.send(&mut world, seg(FIN, 1, 1));
    peer.expect(&mut world, ACK, 2, 2, 0);
    assert_eq!(world.app.closed(), None);
    peer.send(&mut world, seg(ACK, 2, 2));
    expect_time_wait(&mut world);
}

#[test]
fn c112_crossing_fins_with_data_before_them() {
    let (mut world, mut peer, id) = open();
    world.stack().write(id, b"last words").expect("open");
    world.stack().shutdown(id);
    world.turn();
    peer.expect(&mut world, FIN_PSH, 1, 1, 10);
    peer.send(&mut world, seg(FIN_PSH, 1, 1).data(b"mine, too"));
    peer.expect(&mut world, ACK, 12, 11, 0);
    assert_eq!((&world.app.bytes[..], world.app.ends()), (&b"mine, too"[..], 1));
    peer.send(&mut world, seg(ACK, 11, 12));
    expect_time_wait(&mut world);
}

#[test]
fn s28_c117_fin_wait_2_of_a_closed_connection_ends() {
    let (mut world, mut peer, id) = open();
    close(&mut world, id);
    peer.expect(&mut world, FIN, 1, 1, 0);
    peer.send(&mut world, seg(ACK, 1, 2));
    world.advance_ms(59_900);
    assert_eq!(world.report().connections, 1);
    world.advance_ms(200);
    assert_eq!(world.app.closed(), Some(CloseReason::Finished));
    world.expect_silence();
    world.expect_idle();
    peer.send(&mut world, seg(FIN, 1, 2));
    let got = peer.next(&mut world);
    assert_eq!((got.flags, got.seq), (RST, 2));
}

#[test]
fn s28_the_clock_starts_when_a_half_closed_connection_is_closed_fully() {
    let (mut world, mut peer, id) = open();
    world.stack().shutdown(id);
    world.turn();
    peer.expect(&mut world, FIN, 1, 1, 0);
    peer.send(&mut world, seg(ACK, 1, 2));
    world.advance_ms(100_000);
    close(&mut world, id);
    world.advance_ms(59_900);
    assert_eq!(world.app.closed(), None);
    world.advance_ms(200);
    assert_eq!(world.app.closed(), Some(CloseReason::Finished));
    world.expect_idle();
}

#[test]
fn s30_c111_close_with_unread_data_resets() {
    let (mut world, mut peer, id) = open();
    world.stack().pause_reading(id);
    peer.send(&mut world, seg(PSH, 1, 1).data(b"unread"));
    close(&mut world, id);
    let got = peer.expect(&mut world, RST_ACK, 1, 7, 0);
    assert!(got.option_bytes.is_empty());
    assert_eq!(world.app.closed(), Some(CloseReason::Aborted));
    world.expect_silence();
    world.expect_idle();
}

#[test]
fn s30_close_in_the_callback_counts_what_it_leaves() {
    for (consumed, whole) in [(6, true), (2, false)] {
        for is_split in [false, true] {
            let mut world = World::new();
            world.app.on_receive = Box::new(move |host, id, bytes| {
                if bytes.len() < 6 {
                    return 0;
                }
                host.close(id);
                consumed
            });
            let mut peer = Peer::connect(&mut world, 40_000, Offer::FULL);
            let cut = if is_split { 3 } else { 6 };
            peer.send(&mut world, seg(PSH, 1, 1).data(&b"sixtet"[..cut]));
            if is_split {
                peer.send(&mut world, seg(PSH, 4, 1).data(b"tet"));
            }
            let got = peer.drain(&mut world).pop().expect("an end");
            let expected = if whole { FIN } else { RST_ACK };
            assert_eq!((got.flags, got.ack), (expected, 7), "consumed {consumed}, split: {is_split}");
        }
    }
}

#[test]
fn s31_c111_data_after_close_is_answered_by_reset() {
    let (mut world, mut peer, id) = open();
    close(&mut world, id);
    peer.expect(&mut world, FIN, 1, 1, 0);
    peer.send(&mut world, seg(PSH, 1, 2).data(b"too late"));
    let got = peer.next(&mut world);
    assert_eq!((got.flags, got.seq), (RST_ACK, 2));
    assert_eq!(world.app.closed(), Some(CloseReason::Aborted));
    assert!(world.app.bytes.is_empty());
    world.expect_idle();
    peer.send(&mut world, seg(PSH, 9, 2).data(b"still"));
    let got = peer.next(&mut world);
    assert_eq!((got.flags, got.seq), (RST, 2));
}

#[test]
fn s32_c116_a_lost_fin_is_resent_in_last_ack_until_the_limit() {
    let (mut world, mut peer, id) = open();
    peer.send(&mut world, seg(FIN, 1, 1));
    peer.expect(&mut world, ACK, 1, 2, 0);
    close(&mut world, id);
    let first = peer.expect(&mut world, FIN, 1, 2, 0);
    world.advance_ms(120_000);
    let again = peer.drain(&mut world);
    assert!(again.iter().all(|got| (got.flags, got.seq, got.payload.len()) == (FIN, 1, 0)));
    let times: Vec<u64> = again.iter().map(|got| got.at.since(first.at).as_millis()).collect();
    let expected = [200, 600, 1_400, 3_000, 6_200, 12_600, 25_400, 51_000];
    assert_eq!(times.len(), expected.len(), "tcp_orphan_retries");
    assert!(times.iter().zip(expected).all(|(at, due)| at.abs_diff(due) <= 5), "{times:?}");
    assert_eq!(world.app.closed(), Some(CloseReason::TimedOut));
    world.expect_idle();
}

#[test]
fn c116_a_lost_fin_is_resent_in_fin_wait_1_and_closing() {
    let (mut world, mut peer, id) = open();
    close(&mut world, id);
    peer.expect(&mut world, FIN, 1, 1, 0);
    world.advance_ms(250);
    peer.expect(&mut world, FIN, 1, 1, 0);
    peer.send(&mut world, seg(FIN, 1, 1));
    peer.expect(&mut world, ACK, 2, 2, 0);
    world.advance_ms(500);
    peer.expect(&mut world, FIN, 1, 2, 0);
    peer.send(&mut world, seg(ACK, 2, 2));
    expect_time_wait(&mut world);
}

#[test]
fn c121_abort_resets_at_once_in_every_state() {
    for state in 0..5 {
        let (mut world, mut peer, id) = open();
        let (mut seq, mut ack) = (1, 1);
        if state == 1 || state == 2 {
            peer.send(&mut world, seg(FIN, 1, 1));
            peer.expect(&mut world, ACK, 1, 2, 0);
            ack = 2;
        }
        if state >= 2 {
            world.stack().shutdown(id);
            world.turn();
            peer.expect(&mut world, FIN, 1, ack, 0);
            seq = 2;
        }
        if state == 4 {
            peer.send(&mut world, seg(ACK, 1, 2));
        }
        world.stack().abort(id);
        world.turn();
        peer.expect(&mut world, RST_ACK, seq, ack, 0);
        assert_eq!(world.app.closed(), Some(CloseReason::Aborted));
        world.advance_ms(1_000);
        world.expect_silence();
        world.expect_idle();
    }
}

#[test]
fn c121_abort_drops_what_is_queued() {
    let (mut world, mut peer, id) = open();
    world.stack().write(id, &pattern(100_000)).expect("open");
    world.turn();
    let sent: usize = peer.drain(&mut world).iter().map(|got| got.payload.len()).sum();
    world.stack().abort(id);
    world.turn();
    peer.expect(&mut world, RST_ACK, 1 + sent as u32, 1, 0);
    world.expect_idle();
}

#[test]
fn the_end_of_a_stream_waits_for_a_paused_reader() {
    let (mut world, mut peer, id) = open();
    world.stack().pause_reading(id);
    peer.send(&mut world, seg(FIN_PSH, 1, 1).data(b"later"));
    peer.expect(&mut world, ACK, 1, 7, 0);
    assert_eq!((world.app.bytes.len(), world.app.ends()), (0, 0));
    world.stack().resume_reading(id);
    world.turn();
    assert_eq!((&world.app.bytes[..], world.app.ends()), (&b"later"[..], 1));
}

#[test]
fn closing_in_the_end_of_stream_callback_sends_the_fin_with_the_ack() {
    let mut world = World::new();
    world.app.on_end = Box::new(Host::close);
    let mut peer = Peer::connect(&mut world, 40_000, Offer::FULL);
    peer.send(&mut world, seg(FIN, 1, 1));
    peer.expect(&mut world, FIN, 1, 2, 0);
    world.expect_silence();
    peer.send(&mut world, seg(ACK, 2, 2));
    assert_eq!(world.app.closed(), Some(CloseReason::Finished));
    world.expect_idle();
}

#[test]
fn a_peer_that_leaves_before_it_was_accepted_is_shown_in_full() {
    let mut world = World::new();
    world.stack().pause_accepting();
    let mut peer = Peer::connect(&mut world, 40_000, Offer::FULL);
    peer.send(&mut world, seg(FIN_PSH, 1, 1).data(b"all I have"));
    peer.expect(&mut world, ACK, 1, 12, 0);
    world.stack().resume_accepting();
    world.turn();
    assert_eq!((&world.app.bytes[..], world.app.ends()), (&b"all I have"[..], 1));
}
