//! One direction ends before the other; FIN ahead of missing data; what is repeated late.

use crate::closing::{close, expect_time_wait, open};
use crate::harness::*;

#[test]
fn s26_c113_half_close_by_the_peer_and_by_us() {
    let (mut world, mut peer, id) = open();
    peer.send(&mut world, seg(FIN, 1, 1));
    peer.expect(&mut world, ACK, 1, 2, 0);
    let text = pattern(10_000);
    world.stack().write(id, &text).expect("CLOSE_WAIT");
    world.stack().shutdown(id);
    world.turn();
    let segments = peer.drain(&mut world);
    assert!(segments[..6].iter().all(|got| !got.flags.contains(Flags::FIN)));
    // FIN on the last segment, behind all data.
    assert_eq!(segments[6].flags, FIN_PSH);
    assert_eq!(segments.iter().flat_map(|got| got.payload.clone()).collect::<Vec<u8>>(), text);
    peer.send(&mut world, seg(ACK, 2, 10_002));
    assert_eq!(world.app.closed(), Some(CloseReason::Finished));
    world.expect_idle();
}

#[test]
fn c113_shutdown_with_more_than_a_window_queued_sends_it_all_before_the_fin() {
    let (mut world, mut peer, id) = open();
    let text = pattern(100_000);
    world.stack().write(id, &text).expect("open");
    world.stack().shutdown(id);
    assert!(world.stack().write(id, b"x").is_err(), "EPIPE");
    world.turn();
    let mut got = Vec::new();
    loop {
        let segments = peer.drain(&mut world);
        let ended = segments.iter().any(|segment| segment.flags.contains(Flags::FIN));
        got.extend(segments.into_iter().flat_map(|segment| segment.payload));
        if ended {
            break;
        }
        peer.send(&mut world, seg(ACK, 1, 1 + got.len() as u32));
    }
    assert_eq!(got, text);
    // Reads continue (c123): FIN_WAIT_1, then FIN_WAIT_2.
    peer.send(&mut world, seg(PSH, 1, 50_000).data(b"one"));
    peer.send(&mut world, seg(PSH, 4, 100_002).data(b"two"));
    assert_eq!(world.app.bytes, b"onetwo");
}

#[test]
fn s27_c123_a_half_closed_connection_does_not_time_out() {
    let (mut world, mut peer, id) = open();
    world.stack().shutdown(id);
    world.turn();
    peer.expect(&mut world, FIN, 1, 1, 0);
    peer.send(&mut world, seg(ACK, 1, 2));
    for i in 0..10 {
        world.advance_ms(30_000);
        peer.send(&mut world, seg(PSH, 1 + i, 2).data(b"x"));
        world.advance_ms(50);
        peer.expect(&mut world, ACK, 2, 2 + i, 0);
    }
    assert_eq!((world.app.bytes.len(), world.app.closed()), (10, None));
    peer.send(&mut world, seg(FIN, 11, 2));
    peer.expect(&mut world, ACK, 2, 12, 0);
    assert_eq!(world.app.ends(), 1);
    expect_time_wait(&mut world);
}

#[test]
fn c115_a_fin_ahead_of_missing_data_is_remembered() {
    for is_closing in [false, true] {
        let (mut world, mut peer, id) = open();
        let mut seq = 1;
        if is_closing {
            world.stack().shutdown(id);
            world.turn();
            peer.expect(&mut world, FIN, 1, 1, 0);
            peer.send(&mut world, seg(ACK, 1, 2));
            seq = 2;
        }
        peer.send(&mut world, seg(FIN_PSH, 6, seq).data(b"world"));
        let got = peer.expect(&mut world, ACK, seq, 1, 0);
        assert_eq!(got.sack(peer.iss), [(6, 11)]);
        assert_eq!(world.app.ends(), 0);
        peer.send(&mut world, seg(PSH, 1, seq).data(b"hello"));
        peer.expect(&mut world, ACK, seq, 12, 0);
        assert_eq!((&world.app.bytes[..], world.app.ends()), (&b"helloworld"[..], 1));
        // A bare FIN ahead as well.
        let (mut world, mut peer, _) = open();
        peer.send(&mut world, seg(FIN, 6, 1));
        peer.expect(&mut world, ACK, 1, 1, 0);
        peer.send(&mut world, seg(PSH, 1, 1).data(b"hello"));
        peer.expect(&mut world, ACK, 1, 7, 0);
        assert_eq!((&world.app.bytes[..], world.app.ends()), (&b"hello"[..], 1));
    }
}

#[test]
fn c122_retransmitted_data_is_acknowledged_again_when_closing() {
    let (mut world, mut peer, id) = open();
    peer.send(&mut world, seg(FIN_PSH, 1, 1).data(b"bye"));
    peer.expect(&mut world, ACK, 1, 5, 0);
    // CLOSE_WAIT.
    peer.send(&mut world, seg(FIN_PSH, 1, 1).data(b"bye"));
    peer.expect(&mut world, ACK, 1, 5, 0);
    close(&mut world, id);
    peer.expect(&mut world, FIN, 1, 5, 0);
    // LAST_ACK.
    peer.send(&mut world, seg(FIN_PSH, 1, 1).data(b"bye"));
    peer.expect(&mut world, ACK, 2, 5, 0);
    // FIN_WAIT_2.
    let (mut world, mut peer, id) = open();
    peer.send(&mut world, seg(PSH, 1, 1).data(b"bye"));
    close(&mut world, id);
    peer.expect(&mut world, FIN, 1, 4, 0);
    peer.send(&mut world, seg(ACK, 4, 2));
    peer.send(&mut world, seg(PSH, 1, 2).data(b"bye"));
    peer.expect(&mut world, ACK, 2, 4, 0);
    assert_eq!(world.app.bytes, b"bye");
}
