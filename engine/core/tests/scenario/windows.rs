//! The two windows from other sides than `receiving` and `persist`: what a reader's pace, and a full buffer, do to them.

use bywash_core::base::random::Random;
use bywash_core::shard::ConnectionId;

use crate::harness::*;

/// A connection with `buffer` octets for what comes, whose application reads only `quota` octets when it is woken.
fn small(buffer: u32, offer: Offer) -> (World, Peer, ConnectionId) {
    let mut settings = config();
    settings.tcp.receive_buffer = buffer;
    let mut world = World::with(settings, 1500);
    let (peer, id) = Peer::accepted(&mut world, 40_000, offer);
    world.stack().pause_reading(id);
    (world, peer, id)
}

/// The application reads `count` octets and no more.
fn read(world: &mut World, id: ConnectionId, count: usize) {
    let mut left = count;
    world.app.on_receive = Box::new(move |host, id, bytes| {
        let take = left.min(bytes.len());
        left -= take;
        host.pause_reading(id);
        take
    });
    world.stack().resume_reading(id);
    world.turn();
}

#[test]
fn c084_the_right_edge_never_moves_left_however_the_application_reads() {
    for (seed, scale) in [(1, None), (2, None), (3, Some(7)), (4, Some(14))] {
        let offer = Offer { scale, ..Offer::SACK };
        let (mut world, mut peer, id) = small(if scale.is_some() { 200_000 } else { 20_000 }, offer);
        let shift = if scale.is_some() { 2 } else { 0 };
        let mut rng = Random::from_seed(seed);
        let text = pattern(600_000);
        let (mut sent, mut edge) = (0, 20_000);
        for _ in 0..2_000 {
            let len = (1 + rng.below(1_460) as usize).min(edge - sent).min(text.len() - sent);
            if len > 0 && rng.below(3) > 0 {
                peer.send(&mut world, seg(PSH, 1 + sent as u32, 1).data(&text[sent..sent + len]));
                sent += len;
            } else {
                read(&mut world, id, rng.below(4_000) as usize);
            }
            if rng.below(4) == 0 {
                world.advance_ms(45);
            }
            for got in peer.drain(&mut world) {
                let right = (got.ack - 1) as usize + (usize::from(got.window) << shift);
                // What scaling cannot say is less than a unit, and what was sent up to the edge is taken all the same.
                assert!(right + (1 << shift) > edge, "seed {seed}: {right} is left of {edge}");
                edge = edge.max(right);
            }
        }
        read(&mut world, id, usize::MAX);
        assert_eq!(world.app.bytes, text[..sent], "seed {seed}");
        assert!(sent > 100_000, "seed {seed}: {sent}");
    }
}

#[test]
fn c086_the_first_probe_comes_after_the_timeout_and_each_next_one_twice_as_late() {
    let mut world = World::new();
    let mut peer = Peer::new(&world, 40_000, Offer::FULL);
    peer.window = 0;
    peer.syn(&mut world);
    peer.expect(&mut world, SYN_ACK, 0, 1, 0);
    world.advance_ms(100);
    peer.send(&mut world, seg(ACK, 1, 1));
    let id = world.app.last();
    world.stack().write(id, b"waiting").expect("open");
    world.turn();
    world.expect_silence();
    // A handshake of 100 ms: SRTT 100 ms, RTTVAR 50 ms.
    let mut last = world.now;
    let mut gaps = Vec::new();
    for _ in 0..86_400 {
        world.advance_ms(1_000);
        for got in peer.drain(&mut world) {
            assert_eq!((got.flags, got.seq, got.payload.len()), (ACK, 0, 0));
            gaps.push(got.at.since(last).as_millis());
            last = got.at;
            peer.send(&mut world, seg(ACK, 1, 1));
        }
    }
    let doubling = [300, 600, 1_200, 2_400, 4_800, 9_600, 19_200, 38_400, 76_800, 120_000, 120_000];
    assert!(gaps.iter().zip(doubling).all(|(gap, due)| gap.abs_diff(due) <= 10), "{gaps:?}");
    assert!(gaps.len() > 700 && gaps[9..].iter().all(|gap| *gap <= 120_010), "a day of probes");
    assert_eq!(world.app.closed(), None);
    peer.send(&mut world, seg(ACK, 1, 1).window(512));
    assert_eq!(peer.expect(&mut world, PSH, 1, 1, 7).payload, b"waiting");
}

#[test]
fn c088_the_octet_of_a_probe_is_taken_once_there_is_room() {
    let (mut world, mut peer, id) = small(4_000, Offer::PLAIN);
    let text = pattern(5_000);
    for from in [0, 1_000, 2_000, 3_000] {
        peer.send(&mut world, seg(ACK, 1 + from as u32, 1).data(&text[from..from + 1_000]));
    }
    world.advance_ms(50);
    assert_eq!(peer.drain(&mut world).pop().expect("an ACK").window, 0);
    // As Linux probes: nothing, one before the window. As BSD: the next octet.
    for probe in [seg(ACK, 4_000, 1), seg(ACK, 4_001, 1).data(&text[4_000..4_001])] {
        for _ in 0..3 {
            world.advance_ms(1_000);
            peer.send(&mut world, probe.clone());
            assert_eq!(peer.expect(&mut world, ACK, 1, 4_001, 0).window, 0);
            world.expect_silence();
        }
    }
    assert!(world.app.bytes.is_empty());
    read(&mut world, id, 2_500);
    let update = peer.expect(&mut world, ACK, 1, 4_001, 0);
    assert_eq!(update.window, 2_500);
    peer.send(&mut world, seg(ACK, 4_001, 1).data(&text[4_000..4_001]));
    world.advance_ms(50);
    assert_eq!(peer.expect(&mut world, ACK, 1, 4_002, 0).window, 2_499);
    read(&mut world, id, usize::MAX);
    assert_eq!(world.app.bytes, text[..4_001]);
}

#[test]
fn c095_of_a_burst_beyond_the_buffer_as_much_is_taken_as_fits() {
    let (mut world, mut peer, id) = small(4_000, Offer::PLAIN);
    let text = pattern(7_300);
    // Five full segments in one burst.
    for (i, piece) in text.chunks(1_460).enumerate() {
        let frame = peer.forge(&world, &seg(ACK, 1 + i as u32 * 1_460, 1).data(piece));
        world.engine.port_mut().give(&frame);
    }
    world.turn();
    world.advance_ms(50);
    let got = peer.drain(&mut world).pop().expect("an ACK");
    assert_eq!((got.ack, got.window), (4_001, 0), "the buffer to its last octet");
    assert_eq!(world.dropped(DropReason::OutOfWindow), 2, "the two that lie beyond");
    read(&mut world, id, usize::MAX);
    assert_eq!(world.app.bytes, text[..4_000]);
    assert_eq!(peer.expect(&mut world, ACK, 1, 4_001, 0).window, 4_000);
    for from in [4_000, 5_460, 6_920] {
        let end = text.len().min(from + 1_460);
        peer.send(&mut world, seg(PSH, 1 + from as u32, 1).data(&text[from..end]));
    }
    read(&mut world, id, usize::MAX);
    assert_eq!(world.app.bytes, text);
    world.advance_ms(50);
    assert_eq!(peer.drain(&mut world).pop().expect("an ACK").ack, 7_301);
}

#[test]
fn c103_a_hole_and_each_piece_that_fills_it_is_acknowledged_without_delay() {
    let mut world = World::new();
    let mut peer = Peer::connect(&mut world, 40_000, Offer::PLAIN);
    let at = |from: u32, len: usize| seg(ACK, 1 + from, 1).data(&pattern(len));
    // In order, and small: this one waits.
    peer.send(&mut world, at(0, 100));
    world.expect_silence();
    // Ahead: at once, and the delayed one with it.
    peer.send(&mut world, at(300, 100));
    peer.expect(&mut world, ACK, 1, 101, 0);
    // The first half of the hole, then the second: each at once.
    peer.send(&mut world, at(100, 100));
    peer.expect(&mut world, ACK, 1, 201, 0);
    peer.send(&mut world, at(200, 100));
    peer.expect(&mut world, ACK, 1, 401, 0);
    // Nothing is owed any more, and what is in order waits again.
    world.advance_ms(100);
    world.expect_silence();
    peer.send(&mut world, at(400, 100));
    world.expect_silence();
    world.advance_ms(41);
    peer.expect(&mut world, ACK, 1, 501, 0);
}

#[test]
fn c124_a_fin_beyond_the_window_counts_only_when_it_fits() {
    let (mut world, mut peer, id) = small(4_000, Offer::PLAIN);
    let text = pattern(5_000);
    // The FIN of these 5,000 octets lies a thousand beyond.
    let lens = [1_400, 1_400, 1_000, 1_200];
    let mut from = 0;
    for (i, len) in lens.into_iter().enumerate() {
        let flags = if i == 3 { FIN_PSH } else { ACK };
        peer.send(&mut world, seg(flags, 1 + from as u32, 1).data(&text[from..from + len]));
        from += len;
    }
    world.advance_ms(50);
    assert_eq!(peer.drain(&mut world).pop().expect("an ACK").ack, 4_001);
    read(&mut world, id, usize::MAX);
    assert_eq!((world.app.bytes.len(), world.app.ends()), (4_000, 0));
    peer.drain(&mut world);
    // Its text fits to the last octet, the FIN behind it does as well: it takes no room.
    world.app.on_receive = Box::new(|_, _, bytes| bytes.len());
    world.stack().resume_reading(id);
    peer.send(&mut world, seg(FIN_PSH, 4_001, 1).data(&text[4_000..]));
    assert_eq!((&world.app.bytes[..], world.app.ends()), (&text[..], 1));
    peer.expect(&mut world, ACK, 1, 5_002, 0);
}

#[test]
fn c085_a_window_is_told_again_when_a_segment_or_half_the_buffer_is_free() {
    // The step is the smaller of the two: a segment of a large buffer, half of a small one.
    for (buffer, step) in [(8_000, 1_460), (2_000, 1_000)] {
        let (mut world, mut peer, id) = small(buffer, Offer::PLAIN);
        let text = pattern(buffer as usize);
        let mut from = 0;
        for piece in text.chunks(1_000) {
            peer.send(&mut world, seg(ACK, 1 + from, 1).data(piece));
            from += piece.len() as u32;
        }
        world.advance_ms(50);
        assert_eq!(peer.drain(&mut world).pop().expect("an ACK").window, 0);
        let edge = 1 + buffer;
        read(&mut world, id, 1);
        read(&mut world, id, step - 2);
        world.advance_ms(10_000);
        world.expect_silence();
        read(&mut world, id, 1);
        assert_eq!(usize::from(peer.expect(&mut world, ACK, 1, edge, 0).window), step);
        // The next step is not told alone before it is a whole one again.
        read(&mut world, id, step / 2);
        world.expect_silence();
    }
}
