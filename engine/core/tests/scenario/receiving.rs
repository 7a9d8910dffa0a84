//! Delayed ACKs, out-of-order data, the receive window.

use crate::harness::*;

#[test]
fn c096_every_second_full_segment_is_acknowledged_at_once() {
    let mut world = World::new();
    let mut peer = Peer::connect(&mut world, 40_000, Offer::PLAIN);
    let text = pattern(5_840);
    for i in 0..4_u32 {
        let start = i as usize * 1_460;
        peer.send(&mut world, seg(ACK, 1 + start as u32, 1).data(&text[start..start + 1_460]));
        if i % 2 == 1 {
            peer.expect(&mut world, ACK, 1, 1 + start as u32 + 1_460, 0);
        }
        world.expect_silence();
    }
    assert_eq!(world.app.bytes, text);
}

#[test]
fn c096_a_single_segment_is_acknowledged_after_40_ms() {
    let mut world = World::new();
    let mut peer = Peer::connect(&mut world, 40_000, Offer::PLAIN);
    let start = world.now;
    peer.send(&mut world, seg(PSH, 1, 1).data(b"one"));
    world.advance_ms(39);
    world.expect_silence();
    world.advance_ms(2);
    let got = peer.expect(&mut world, ACK, 1, 4, 0);
    assert_eq!(got.at.since(start).as_millis(), 40);
    world.advance_ms(500);
    world.expect_silence();
}

#[test]
fn c064_c067_c103_out_of_order_data_is_acknowledged_at_once_newest_block_first() {
    let mut world = World::new();
    let mut peer = Peer::connect(&mut world, 40_000, Offer::SACK);
    let text = pattern(1_000);
    let at = |from: usize, to: usize| seg(ACK, 1 + from as u32, 1).data(&text[from..to]);
    peer.send(&mut world, at(200, 300));
    assert_eq!(peer.expect(&mut world, ACK, 1, 1, 0).sack(peer.iss), [(201, 301)]);
    peer.send(&mut world, at(600, 700));
    assert_eq!(peer.expect(&mut world, ACK, 1, 1, 0).sack(peer.iss), [(601, 701), (201, 301)]);
    peer.send(&mut world, at(400, 500));
    let got = peer.expect(&mut world, ACK, 1, 1, 0);
    assert_eq!(got.sack(peer.iss), [(401, 501), (601, 701), (201, 301)]);
    peer.send(&mut world, at(800, 900));
    let got = peer.expect(&mut world, ACK, 1, 1, 0);
    assert_eq!(got.sack(peer.iss), [(801, 901), (401, 501), (601, 701), (201, 301)]);
    // A hole is filled from below: at once, and that block is gone.
    peer.send(&mut world, at(0, 200));
    let got = peer.expect(&mut world, ACK, 1, 301, 0);
    assert_eq!(got.sack(peer.iss), [(801, 901), (401, 501), (601, 701)]);
    assert_eq!(world.app.bytes, text[..300]);
    // Two blocks become one by what lies between.
    peer.send(&mut world, at(500, 600));
    let got = peer.expect(&mut world, ACK, 1, 301, 0);
    assert_eq!(got.sack(peer.iss), [(401, 701), (801, 901)]);
    peer.send(&mut world, at(700, 800));
    assert_eq!(peer.expect(&mut world, ACK, 1, 301, 0).sack(peer.iss), [(401, 901)]);
    // c067: all filled, no SACK any more.
    peer.send(&mut world, at(300, 400));
    let got = peer.expect(&mut world, ACK, 1, 901, 0);
    assert!(got.option_bytes.is_empty());
    assert_eq!(world.app.bytes, text[..900]);
    peer.send(&mut world, at(900, 1_000));
    world.advance_ms(50);
    assert!(peer.expect(&mut world, ACK, 1, 1_001, 0).option_bytes.is_empty());
}

#[test]
fn c064_with_timestamps_three_blocks_fit() {
    let mut world = World::new();
    let mut peer = Peer::connect(&mut world, 40_000, Offer::FULL);
    for i in [1, 3, 5, 7] {
        peer.send(&mut world, seg(ACK, 1 + i * 100, 1).data(&pattern(100)));
    }
    let last = peer.drain(&mut world).pop().expect("an ACK");
    assert_eq!(last.sack(peer.iss), [(701, 801), (501, 601), (301, 401)]);
    assert_eq!(last.option_bytes.len(), 40);
}

#[test]
fn c064_data_to_send_does_not_swallow_the_sack() {
    let mut world = World::new();
    let (mut peer, id) = Peer::accepted(&mut world, 40_000, Offer::SACK);
    world.stack().write(id, b"outgoing").expect("open");
    let frame = peer.forge(&world, &seg(ACK, 101, 1).data(&pattern(100)));
    world.give(&frame);
    let segments = peer.drain(&mut world);
    assert!(segments.iter().any(|got| got.sack(peer.iss) == [(101, 201)]), "{segments:?}");
    assert!(segments.iter().any(|got| got.payload == b"outgoing"));
}

#[test]
fn c065_holes_are_filled_in_every_overlap() {
    let text = pattern(600);
    // Each list of pieces covers 0..600 with overlaps to the left, right, inside, bridging and superset.
    let orders: [&[(usize, usize)]; 6] = [
        &[(200, 400), (100, 300), (0, 150), (350, 600)],
        &[(200, 400), (300, 500), (100, 550), (0, 600)],
        &[(200, 300), (400, 500), (250, 450), (0, 250), (480, 600)],
        &[(200, 400), (250, 350), (200, 400), (0, 600)],
        &[(100, 200), (300, 400), (500, 600), (50, 580), (0, 60)],
        &[(300, 301), (299, 302), (0, 299), (302, 600), (0, 600)],
    ];
    // Without reports of duplicates, whose edges are others.
    let mut plain = config();
    plain.tcp.tcp_dsack = false;
    for (i, order) in orders.into_iter().enumerate() {
        let mut world = World::with(plain.clone(), 1500);
        let mut peer = Peer::connect(&mut world, 40_000, Offer::SACK);
        let mut held = [false; 600];
        for &(from, to) in order {
            peer.send(&mut world, seg(ACK, 1 + from as u32, 1).data(&text[from..to]));
            held[from..to].fill(true);
            world.advance_ms(50);
            let in_order = held.iter().take_while(|held| **held).count();
            let got = peer.drain(&mut world).pop().expect("an ACK");
            assert_eq!(got.ack as usize, 1 + in_order, "order {i}, piece {from}..{to}");
            for (left, right) in got.sack(peer.iss) {
                let (left, right) = (left as usize - 1, right as usize - 1);
                assert!(held[left..right].iter().all(|held| *held), "order {i}: {left}..{right}");
                assert!(!held[left - 1] && (right == 600 || !held[right]), "exact edges");
            }
        }
        assert_eq!(world.app.bytes, text);
        let id = world.app.last();
        world.stack().abort(id);
        world.turn();
        world.expect_idle();
    }
}

#[test]
fn s14_c084_c085_c088_the_window_closes_never_shrinks_and_reopens() {
    let mut world = World::new();
    let (mut peer, id) = Peer::accepted(&mut world, 40_000, Offer::FULL);
    world.stack().pause_reading(id);
    let text = pattern(400_000);
    let (mut sent, mut edge) = (0, 65_535);
    let mut window = 0;
    while sent < edge {
        let len = 1_448.min(edge - sent);
        peer.send(&mut world, seg(ACK, 1 + sent as u32, 1).data(&text[sent..sent + len]));
        sent += len;
        if sent == edge {
            world.advance_ms(50);
        }
        for got in peer.drain(&mut world) {
            let right = (got.ack - 1) as usize + (usize::from(got.window) << 3);
            assert!(right >= edge, "the right edge moved left: {right} < {edge}");
            edge = right;
            window = got.window;
        }
    }
    assert_eq!(window, 0);
    assert!(world.app.bytes.is_empty());
    // c088: a probe is answered and not taken.
    peer.send(&mut world, seg(ACK, 1 + sent as u32, 1).data(b"!"));
    assert_eq!(peer.expect(&mut world, ACK, 1, 1 + sent as u32, 0).window, 0);
    peer.send(&mut world, seg(ACK, sent as u32, 1));
    assert_eq!(peer.expect(&mut world, ACK, 1, 1 + sent as u32, 0).window, 0);
    // c085: a read of one octet is not worth an update; one of a segment is.
    let quota = std::rc::Rc::new(std::cell::Cell::new(1));
    let shared = quota.clone();
    world.app.on_receive = Box::new(move |host, id, bytes| {
        host.pause_reading(id);
        shared.get().min(bytes.len())
    });
    world.stack().resume_reading(id);
    world.turn();
    assert_eq!(world.app.bytes.len(), 1);
    world.expect_silence();
    quota.set(1_500);
    world.stack().resume_reading(id);
    world.turn();
    let update = peer.expect(&mut world, ACK, 1, 1 + sent as u32, 0);
    assert!(usize::from(update.window) << 3 >= 1_448);
    quota.set(usize::MAX);
    world.stack().resume_reading(id);
    world.turn();
    let update = peer.expect(&mut world, ACK, 1, 1 + sent as u32, 0);
    assert!(usize::from(update.window) << 3 >= 262_144);
    assert_eq!(world.app.bytes, text[..sent]);
}

#[test]
fn c090_a_fin_is_taken_at_a_zero_window_and_so_are_ack_and_reset() {
    let mut world = World::new();
    let (mut peer, id) = fill(&mut world);
    let end = 1 + 65_535;
    world.stack().write(id, b"out").expect("open");
    world.turn();
    assert_eq!(peer.expect(&mut world, PSH, 1, end, 3).window, 0);
    peer.send(&mut world, seg(ACK, end, 4));
    assert_eq!(world.report().send_chunks[0].in_use, 0, "the ACK counted");
    peer.send(&mut world, seg(FIN, end, 4));
    let got = peer.expect(&mut world, ACK, 4, end + 1, 0);
    assert_eq!(got.window, 0, "and the window is still closed");
    assert_eq!(world.app.ends(), 0, "octets come first");
    peer.send(&mut world, seg(RST, end + 1, 0));
    assert_eq!(world.app.closed(), Some(CloseReason::ConnectionReset));
}

#[test]
fn c090_what_a_repeated_segment_acknowledges_counts_when_it_has_closed_the_window() {
    let mut config = config();
    config.tcp.receive_buffer = 1_000;
    let mut world = World::with(config, 1500);
    let (mut peer, id) = Peer::accepted(&mut world, 40_000, Offer::PLAIN);
    world.stack().pause_reading(id);
    world.stack().write(id, b"out").expect("open");
    world.turn();
    peer.expect(&mut world, PSH, 1, 1, 3);
    // It fills the window; its acknowledgment is delayed, and so the peer sends it again, and has our octets by now.
    peer.send(&mut world, seg(ACK, 1, 1).data(&pattern(1_000)));
    peer.send(&mut world, seg(ACK, 1, 4).data(&pattern(1_000)));
    assert_eq!(peer.expect(&mut world, ACK, 4, 1_001, 0).window, 0);
    assert_eq!(world.report().send_chunks[0].in_use, 0, "the ACK counted");
    world.advance_ms(5_000);
    assert_eq!(peer.drain(&mut world).len(), 0, "nothing is sent again");
}

/// A connection without window scaling whose receive buffer of 65,535 octets is full.
fn fill(world: &mut World) -> (Peer, bywash_core::shard::ConnectionId) {
    let mut config = config();
    config.tcp.receive_buffer = 65_535;
    *world = World::with(config, 1500);
    let (mut peer, id) = Peer::accepted(world, 40_000, Offer::PLAIN);
    world.stack().pause_reading(id);
    let text = pattern(65_535);
    for (i, piece) in text.chunks(1_460).enumerate() {
        peer.send(world, seg(ACK, 1 + i as u32 * 1_460, 1).data(piece));
    }
    world.advance_ms(50);
    let last = peer.drain(world).pop().expect("an ACK");
    assert_eq!((last.ack, last.window), (65_536, 0));
    (peer, id)
}

#[test]
fn c091_c124_only_what_lies_in_the_window_is_taken() {
    let mut config = config();
    config.tcp.receive_buffer = 4_000;
    let mut world = World::with(config, 1500);
    let (mut peer, id) = Peer::accepted(&mut world, 40_000, Offer::PLAIN);
    world.stack().pause_reading(id);
    let text = pattern(5_000);
    for from in [0, 1_000, 2_000] {
        peer.send(&mut world, seg(ACK, 1 + from as u32, 1).data(&text[from..from + 1_000]));
    }
    world.advance_ms(50);
    peer.drain(&mut world);
    // 1,000 octets fit of these 1,400.
    peer.send(&mut world, seg(ACK, 3_001, 1).data(&text[3_000..4_400]));
    world.advance_ms(50);
    let got = peer.drain(&mut world).pop().expect("an ACK");
    assert_eq!((got.ack, got.window), (4_001, 0));
    // Wholly outside, on both sides: an ACK and nothing else.
    peer.send(&mut world, seg(ACK, 4_400, 1).data(b"beyond"));
    peer.expect(&mut world, ACK, 1, 4_001, 0);
    peer.send(&mut world, seg(ACK, 1, 1).data(&text[..500]));
    peer.expect(&mut world, ACK, 1, 4_001, 0);
    // c124: FIN behind data that do not fit is not there.
    peer.send(&mut world, seg(FIN, 4_001, 1).data(b"beyond"));
    peer.expect(&mut world, ACK, 1, 4_001, 0);
    world.stack().resume_reading(id);
    world.turn();
    assert_eq!(world.app.bytes, text[..4_000]);
    assert_eq!(world.app.ends(), 0);
}

#[test]
fn c092_what_finds_no_memory_is_not_acknowledged() {
    let mut config = config();
    for class in &mut config.receive.classes {
        class.count = class.count.min(1);
    }
    let mut world = World::with(config, 1500);
    let mut peers = Vec::new();
    for i in 0..6 {
        let (mut peer, id) = Peer::accepted(&mut world, 40_000 + i, Offer::PLAIN);
        world.stack().pause_reading(id);
        peer.send(&mut world, seg(PSH, 1, 1).data(b"kept"));
        world.advance_ms(50);
        peers.push((id, peer.drain(&mut world).pop().expect("an ACK").ack));
    }
    let acks: Vec<u32> = peers.iter().map(|(_, ack)| *ack).collect();
    assert_eq!(acks, [5, 5, 5, 5, 1, 1], "four buffers, six connections");
    assert_eq!(world.dropped(DropReason::ReceiveMemory), 2);
}

#[test]
fn c106_a_keepalive_probe_is_answered() {
    let mut world = World::new();
    let mut peer = Peer::connect(&mut world, 40_000, Offer::FULL);
    world.advance_ms(10_000);
    peer.send(&mut world, seg(ACK, 0, 1));
    peer.expect(&mut world, ACK, 1, 1, 0);
    peer.send(&mut world, seg(ACK, 0, 1).data(b"x"));
    peer.expect(&mut world, ACK, 1, 1, 0);
    assert!(world.app.bytes.is_empty());
}

#[test]
fn c104_without_keepalive_an_idle_connection_stays() {
    let mut world = World::new();
    let (_, id) = Peer::accepted(&mut world, 40_000, Offer::FULL);
    world.advance_ms(30 * 24 * 3_600_000);
    world.expect_silence();
    assert!(world.stack().info(id).is_some());
}

#[test]
fn what_the_application_leaves_is_shown_again_with_what_follows() {
    let mut world = World::new();
    world.app.on_receive = Box::new(|_, _, bytes| if bytes.len() < 5 { 0 } else { 5 });
    let peer = Peer::connect(&mut world, 40_000, Offer::PLAIN);
    peer.send(&mut world, seg(PSH, 1, 1).data(b"abc"));
    peer.send(&mut world, seg(PSH, 4, 1).data(b"defg"));
    assert_eq!((&world.app.bytes[..], world.app.shown), (&b"abcde"[..], 2));
    peer.send(&mut world, seg(PSH, 8, 1).data(b"hij"));
    assert_eq!((&world.app.bytes[..], world.app.shown), (&b"abcdefghij"[..], 3));
    peer.send(&mut world, seg(FIN_PSH, 11, 1).data(b"kl"));
    assert_eq!(world.app.events.last(), Some(&Event::End(world.app.last(), b"kl".to_vec())));
}

#[test]
fn a_message_longer_than_the_receive_buffer_ends_the_connection() {
    let mut settings = config();
    settings.tcp.receive_buffer = 8_192;
    let mut world = World::with(settings, 1_500);
    // The application waits for more, whatever it is shown.
    world.app.on_receive = Box::new(|_, _, _| 0);
    let mut peer = Peer::connect(&mut world, 40_000, Offer::PLAIN);
    let text = pattern(8_192);
    let mut at = 0;
    while at < text.len() {
        assert_eq!(world.app.closed(), None, "{at} octets");
        let end = text.len().min(at + 1_460);
        peer.send(&mut world, seg(ACK, 1 + at as u32, 1).data(&text[at..end]));
        at = end;
    }
    assert_eq!(world.app.closed(), Some(CloseReason::MessageTooLong));
    assert_eq!(world.dropped(DropReason::ReceiveMemory), 1);
    let got = peer.drain(&mut world);
    assert!(got.last().is_some_and(|last| last.flags.contains(RST)), "{got:?}");
    world.expect_idle();
}

#[test]
fn a_paused_application_may_fill_the_receive_buffer() {
    let mut settings = config();
    settings.tcp.receive_buffer = 8_192;
    let mut world = World::with(settings, 1_500);
    let (peer, id) = Peer::accepted(&mut world, 40_000, Offer::PLAIN);
    world.stack().pause_reading(id);
    let text = pattern(8_192);
    for (index, piece) in text.chunks(1_024).enumerate() {
        peer.send(&mut world, seg(ACK, 1 + index as u32 * 1_024, 1).data(piece));
    }
    world.advance_ms(1_000);
    assert_eq!(world.app.closed(), None);
    world.stack().resume_reading(id);
    world.turn();
    assert_eq!(world.app.bytes, text);
}
