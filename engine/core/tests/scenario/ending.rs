//! The ends of streams from other sides than `closing` and `half_close`.

use bywash_core::shard::{ConnectionId, WriteError};

use crate::harness::*;

/// A connection over either family, or with these options.
fn all_kinds(mut test: impl FnMut(World, Peer, ConnectionId)) {
    for offer in [Offer::PLAIN, Offer::SACK, Offer::FULL] {
        for is_v6 in [false, true] {
            let mut world = World::new();
            let mut peer =
                if is_v6 { Peer::v6(&world, 40_000, offer) } else { Peer::new(&world, 40_000, offer) };
            peer.open(&mut world);
            world.expect_silence();
            let id = world.app.last();
            test(world, peer, id);
        }
    }
}

fn close(world: &mut World, id: ConnectionId) {
    world.stack().close(id);
    world.turn();
}

#[test]
fn c109_closing_first_goes_through_both_fin_waits_to_time_wait() {
    all_kinds(|mut world, mut peer, id| {
        world.stack().write(id, b"bye").expect("open");
        close(&mut world, id);
        // FIN_WAIT_1: nothing more can be written.
        peer.expect(&mut world, FIN_PSH, 1, 1, 3);
        assert_eq!(world.stack().write(id, b"x"), Err(WriteError::NotOpen));
        // The text alone is acknowledged: FIN still is not.
        peer.send(&mut world, seg(ACK, 1, 4));
        world.advance_ms(250);
        peer.expect(&mut world, FIN, 4, 1, 0);
        // FIN_WAIT_2.
        peer.send(&mut world, seg(ACK, 1, 5));
        world.advance_ms(30_000);
        world.expect_silence();
        assert_eq!((world.report().connections, world.report().time_wait), (1, 0));
        peer.send(&mut world, seg(FIN, 1, 5));
        peer.expect(&mut world, ACK, 5, 2, 0);
        // TIME_WAIT.
        assert_eq!(world.app.closed(), Some(CloseReason::Finished));
        assert_eq!((world.report().connections, world.report().time_wait), (0, 1));
        world.advance_ms(59_990);
        assert_eq!(world.report().time_wait, 1);
        world.advance_ms(20);
        world.expect_silence();
        world.expect_idle();
    });
}

#[test]
fn c110_closing_second_leaves_nothing_behind() {
    all_kinds(|mut world, mut peer, id| {
        peer.send(&mut world, seg(FIN_PSH, 1, 1).data(b"all"));
        peer.expect(&mut world, ACK, 1, 5, 0);
        assert_eq!((&world.app.bytes[..], world.app.ends()), (&b"all"[..], 1));
        // CLOSE_WAIT, for as long as the application likes: what it writes leaves and is acknowledged.
        world.advance_ms(3_600_000);
        let text = pattern(20_000);
        assert_eq!(world.stack().write(id, &text), Ok(20_000));
        world.turn();
        let mut got = Vec::new();
        while got.len() < text.len() {
            for segment in peer.drain(&mut world) {
                assert_eq!(segment.ack, 5);
                got.extend(segment.payload);
            }
            peer.send(&mut world, seg(ACK, 5, 1 + got.len() as u32));
        }
        assert_eq!(got, text);
        close(&mut world, id);
        // LAST_ACK.
        peer.expect(&mut world, FIN, 20_001, 5, 0);
        assert_eq!(world.app.closed(), None);
        peer.send(&mut world, seg(ACK, 5, 20_002));
        assert_eq!(world.app.closed(), Some(CloseReason::Finished));
        world.expect_idle();
        // No TIME_WAIT: the tuple is free, whatever number its next SYN has.
        peer.iss = peer.iss.wrapping_sub(1_000_000);
        peer.echo = 0;
        peer.open(&mut world);
        assert_eq!(world.app.opened(), 2);
    });
}

#[test]
fn c111_unread_octets_and_octets_after_close_are_told_by_reset() {
    all_kinds(|mut world, mut peer, id| {
        // Left unread by a reader that wants more.
        world.app.on_receive = Box::new(|_, _, _| 0);
        peer.send(&mut world, seg(PSH, 1, 1).data(b"part"));
        world.advance_ms(50);
        peer.expect(&mut world, ACK, 1, 5, 0);
        close(&mut world, id);
        peer.expect(&mut world, RST_ACK, 1, 5, 0);
        assert_eq!(world.app.closed(), Some(CloseReason::Aborted));
        world.expect_idle();
    });
    all_kinds(|mut world, mut peer, id| {
        // All read: FIN. What is repeated is old; what is new gets RST, in FIN_WAIT_1 and in FIN_WAIT_2.
        peer.send(&mut world, seg(PSH, 1, 1).data(b"read"));
        close(&mut world, id);
        peer.expect(&mut world, FIN, 1, 5, 0);
        peer.send(&mut world, seg(PSH, 1, 1).data(b"read"));
        peer.expect(&mut world, ACK, 2, 5, 0);
        if peer.offer.clock.is_some() {
            peer.send(&mut world, seg(ACK, 5, 2));
        }
        peer.send(&mut world, seg(PSH, 3, 2).data(b"ad more"));
        let got = peer.next(&mut world);
        assert_eq!((got.flags, got.seq), (RST_ACK, 2));
        assert_eq!((&world.app.bytes[..], world.app.closed()), (&b"read"[..], Some(CloseReason::Aborted)));
        world.expect_idle();
    });
}

#[test]
fn c123_what_comes_while_we_wait_for_fin_is_delivered_and_acknowledged() {
    all_kinds(|mut world, mut peer, id| {
        world.stack().shutdown(id);
        world.turn();
        peer.expect(&mut world, FIN, 1, 1, 0);
        // FIN_WAIT_1: in order, out of order, and what fills the hole with the ACK of our FIN on board.
        peer.send(&mut world, seg(PSH, 1, 1).data(b"one "));
        assert_eq!(world.app.bytes, b"one ");
        peer.send(&mut world, seg(PSH, 9, 1).data(b"three "));
        peer.expect(&mut world, ACK, 2, 5, 0);
        peer.send(&mut world, seg(PSH, 5, 2).data(b"two "));
        peer.expect(&mut world, ACK, 2, 15, 0);
        assert_eq!(world.app.bytes, b"one two three ");
        // FIN_WAIT_2: the delay of ACKs and the second full segment are what they always are.
        peer.send(&mut world, seg(PSH, 15, 2).data(b"four "));
        world.expect_silence();
        world.advance_ms(41);
        peer.expect(&mut world, ACK, 2, 20, 0);
        let full = pattern(2 * 1_460);
        for half in full.chunks(1_460) {
            let at = 1 + world.app.bytes.len() as u32;
            peer.send(&mut world, seg(ACK, at, 2).data(half));
        }
        peer.expect(&mut world, ACK, 2, 20 + 2_920, 0);
        assert_eq!(world.app.bytes[19..], full);
        peer.send(&mut world, seg(FIN, 2_940, 2));
        peer.expect(&mut world, ACK, 2, 2_941, 0);
        assert_eq!((world.app.ends(), world.app.closed()), (1, Some(CloseReason::Finished)));
    });
}

#[test]
fn c134_a_reset_counts_alike_with_ack_and_with_payload() {
    let resets =
        || [seg(RST, 0, 0), seg(RST_ACK, 0, 1), seg(RST, 0, 0).data(b"why"), seg(RST_ACK, 0, 1).data(b"so")];
    for reset in resets() {
        let at = |seq: u32| Seg { seq, ..reset.clone() };
        // Established: exact, beside, outside.
        let mut world = World::new();
        let (mut peer, _) = Peer::accepted(&mut world, 40_000, Offer::FULL);
        peer.send(&mut world, at(70_000_000));
        world.expect_silence();
        peer.send(&mut world, at(2));
        peer.expect(&mut world, ACK, 1, 1, 0);
        assert_eq!(world.app.closed(), None);
        peer.send(&mut world, at(1));
        assert_eq!(world.app.closed(), Some(CloseReason::ConnectionReset));
        world.expect_silence();
        world.expect_idle();
        // SYN_RECEIVED.
        let mut world = World::new();
        let mut peer = Peer::new(&world, 40_000, Offer::FULL);
        peer.syn(&mut world);
        peer.expect(&mut world, SYN_ACK, 0, 1, 0);
        peer.send(&mut world, at(1));
        world.expect_silence();
        world.expect_idle();
        // TIME_WAIT: of no effect (tcp_rfc1337).
        let mut world = World::new();
        let (mut peer, id) = Peer::accepted(&mut world, 40_000, Offer::FULL);
        close(&mut world, id);
        peer.expect(&mut world, FIN, 1, 1, 0);
        peer.send(&mut world, seg(FIN, 1, 2));
        peer.expect(&mut world, ACK, 2, 2, 0);
        peer.send(&mut world, at(2));
        world.expect_silence();
        assert_eq!(world.report().time_wait, 1);
    }
}
