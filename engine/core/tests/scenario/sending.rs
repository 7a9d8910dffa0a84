//! What is sent, when and how: segment sizes, PSH, Nagle, silly windows.

use crate::harness::*;

fn lens(segments: &[Got]) -> Vec<usize> {
    segments.iter().map(|got| got.payload.len()).collect()
}

#[test]
fn c148_ten_segments_leave_after_the_handshake() {
    let mut world = World::new();
    let (mut peer, id) = Peer::accepted(&mut world, 40_000, Offer::PLAIN);
    world.stack().write(id, &pattern(60_000)).expect("open");
    world.turn();
    assert_eq!(lens(&peer.drain(&mut world)), [1_460; 10]);
    world.advance_ms(150);
    world.expect_silence();
}

#[test]
fn c101_the_last_segment_of_a_write_is_pushed() {
    let mut world = World::new();
    let (mut peer, id) = Peer::accepted(&mut world, 40_000, Offer::PLAIN);
    world.stack().write(id, &pattern(4_000)).expect("open");
    world.turn();
    peer.expect(&mut world, ACK, 1, 1, 1_460);
    peer.expect(&mut world, ACK, 1_461, 1, 1_460);
    peer.expect(&mut world, PSH, 2_921, 1, 1_080);
    world.expect_silence();
}

#[test]
fn c097_a_reply_carries_the_ack() {
    let mut world = World::new();
    world.app.on_receive = Box::new(|host, id, bytes| {
        host.write(id, b"reply").expect("open");
        bytes.len()
    });
    let mut peer = Peer::connect(&mut world, 40_000, Offer::FULL);
    peer.send(&mut world, seg(PSH, 1, 1).data(b"request"));
    peer.expect(&mut world, PSH, 1, 8, 5);
    peer.send(&mut world, seg(ACK, 8, 6));
    world.advance_ms(1_000);
    world.expect_silence();
    // Within the delay, but later than the turn: the same.
    world.app.on_receive = Box::new(|_, _, bytes| bytes.len());
    peer.send(&mut world, seg(PSH, 8, 6).data(b"request"));
    world.advance_ms(20);
    world.expect_silence();
    let id = world.app.last();
    world.stack().write(id, b"reply").expect("open");
    world.turn();
    peer.expect(&mut world, PSH, 6, 15, 5);
    peer.send(&mut world, seg(ACK, 15, 11));
    world.advance_ms(100);
    world.expect_silence();
}

#[test]
fn c098_nagle_holds_small_writes_while_data_is_unacknowledged() {
    let mut config = config();
    config.tcp.tcp_nodelay = false;
    let mut world = World::with(config, 1500);
    let (mut peer, id) = Peer::accepted(&mut world, 40_000, Offer::PLAIN);
    world.stack().write(id, b"a").expect("open");
    world.turn();
    peer.expect(&mut world, PSH, 1, 1, 1);
    world.stack().write(id, b"b").expect("open");
    world.stack().write(id, b"c").expect("open");
    world.turn();
    world.expect_silence();
    peer.send(&mut world, seg(ACK, 1, 2));
    peer.expect(&mut world, PSH, 2, 1, 2);
    // A full segment is not held; its tail is.
    world.stack().write(id, &pattern(1_500)).expect("open");
    world.turn();
    peer.expect(&mut world, ACK, 4, 1, 1_460);
    world.expect_silence();
    // FIN needs no more data to wait for.
    world.stack().shutdown(id);
    world.turn();
    peer.expect(&mut world, FIN_PSH, 1_464, 1, 40);
}

#[test]
fn c098_nodelay_sends_at_once() {
    let mut world = World::new();
    let (mut peer, id) = Peer::accepted(&mut world, 40_000, Offer::PLAIN);
    for (i, text) in [b"a", b"b", b"c"].into_iter().enumerate() {
        world.stack().write(id, text).expect("open");
        world.turn();
        peer.expect(&mut world, PSH, 1 + i as u32, 1, 1);
    }
}

#[test]
fn c094_small_segments_only_when_they_empty_the_queue_or_fill_half_the_window() {
    let mut world = World::new();
    let (mut peer, id) = Peer::with_window(&mut world, 4_000, Offer::PLAIN);
    world.stack().write(id, &pattern(20_000)).expect("open");
    world.turn();
    // 4,000 is two full segments; 1,080 is neither the rest nor half of 4,000.
    assert_eq!(lens(&peer.drain(&mut world)), [1_460, 1_460]);
    peer.send(&mut world, seg(ACK, 1, 1_461).window(2_000));
    world.expect_silence();
    peer.send(&mut world, seg(ACK, 1, 2_921).window(1_400));
    world.expect_silence();
    // Half of the largest window seen.
    peer.send(&mut world, seg(ACK, 1, 2_921).window(2_000));
    assert_eq!(lens(&peer.drain(&mut world)), [1_460]);
    peer.send(&mut world, seg(ACK, 1, 4_381).window(2_000));
    assert_eq!(lens(&peer.drain(&mut world)), [1_460]);
}

#[test]
fn c089_a_shrunken_window_stops_new_data_and_probes() {
    let mut world = World::new();
    let (mut peer, id) = Peer::accepted(&mut world, 40_000, Offer::PLAIN);
    world.stack().write(id, &pattern(20_000)).expect("open");
    world.turn();
    assert_eq!(peer.drain(&mut world).len(), 10);
    // Two arrive; the window now ends before what is in flight.
    peer.send(&mut world, seg(ACK, 1, 2_921).window(1_460));
    world.expect_silence();
    world.advance_ms(250);
    peer.expect(&mut world, ACK, 2_921, 1, 1_460);
    peer.send(&mut world, seg(ACK, 1, 14_601).window(65_535));
    // Slow start after the timeout: one segment and one more for this ACK.
    assert_eq!(lens(&peer.drain(&mut world)), [1_460; 2]);
    peer.send(&mut world, seg(ACK, 1, 17_521));
    assert_eq!(lens(&peer.drain(&mut world)), [1_460, 1_020]);
    peer.send(&mut world, seg(ACK, 1, 20_001));
    world.advance_ms(5_000);
    world.expect_silence();
}

#[test]
fn c089_a_window_shrunk_to_zero_over_data_in_flight_never_kills() {
    let mut world = World::new();
    let (mut peer, id) = Peer::accepted(&mut world, 40_000, Offer::PLAIN);
    world.stack().write(id, &pattern(2_000)).expect("open");
    world.turn();
    assert_eq!(peer.drain(&mut world).len(), 2);
    peer.send(&mut world, seg(ACK, 1, 1).window(0));
    // The peer goes on answering what is sent again, for longer than `tcp_retries2` would last.
    for _ in 0..40 {
        world.advance_ms(60_000);
        for _ in peer.drain(&mut world) {
            peer.send(&mut world, seg(ACK, 1, 1).window(0));
        }
    }
    assert_eq!(world.app.closed(), None, "it answers: it is alive");
    assert!(world.stack().info(id).is_some());
}

#[test]
fn c160_streams_are_identical_both_ways_through_many_buffers() {
    let mut world = World::new();
    world.app.on_receive = Box::new(|host, id, bytes| host.write(id, bytes).expect("open"));
    let mut peer = Peer::connect(&mut world, 40_000, Offer::FULL);
    let text = pattern(1_000_000);
    let (mut sent, mut acked, mut back) = (0, 0, Vec::new());
    while back.len() < text.len() {
        let len = 1_448.min(text.len() - sent).min(60_000 - (sent - acked).min(60_000));
        if len > 0 {
            let segment = seg(ACK, 1 + sent as u32, 1 + back.len() as u32);
            peer.send(&mut world, segment.data(&text[sent..sent + len]));
            sent += len;
        } else {
            world.advance_ms(50);
        }
        for got in peer.drain(&mut world) {
            acked = (got.ack - 1) as usize;
            assert_eq!(got.seq as usize, 1 + back.len(), "in order");
            back.extend_from_slice(&got.payload);
        }
        peer.send(&mut world, seg(ACK, 1 + sent as u32, 1 + back.len() as u32));
    }
    assert_eq!(back, text);
    world.advance_ms(100);
    assert_eq!(world.report().send_chunks.iter().map(|class| class.in_use).sum::<u32>(), 0);
}

#[test]
fn c157_c158_a_write_beyond_the_send_buffer_is_partial_and_told_when_there_is_room() {
    let mut world = World::new();
    let (mut peer, id) = Peer::accepted(&mut world, 40_000, Offer::FULL);
    let text = pattern(400_000);
    let written = world.stack().write(id, &text).expect("open");
    assert_eq!(written, 262_144, "SO_SNDBUF");
    assert_eq!(world.stack().send_space(id), 0);
    assert_eq!(world.stack().write(id, b"x"), Ok(0));
    world.turn();
    let mut acked = 1;
    while world.app.events.len() == 1 {
        acked =
            peer.drain(&mut world).iter().map(|got| got.seq + got.payload.len() as u32).max().expect("data");
        peer.send(&mut world, seg(ACK, 1, acked));
    }
    // c157: one event, once half of it is free.
    assert!(acked as usize > 131_072);
    assert_eq!(world.app.events.last(), Some(&Event::Writable(id)));
    assert_eq!(world.app.events.len(), 2);
}

#[test]
fn c054_no_free_frame_delays_but_loses_nothing() {
    let mut world = World::new();
    let (mut peer, id) = Peer::accepted(&mut world, 40_000, Offer::PLAIN);
    world.engine.port_mut().set_room(3);
    world.stack().write(id, &pattern(7_000)).expect("open");
    let mut app = Recorder::default();
    // The engine asks for another turn as long as something is left to send.
    let turn = bywash_core::shard::Transport::turn(&mut world.engine, world.now, &mut app);
    assert!(turn.again);
    assert!(world.dropped(DropReason::NoTransmitFrame) > 0);
    world.engine.port_mut().set_room(usize::MAX);
    world.turn();
    assert_eq!(lens(&peer.drain(&mut world)), [1_460, 1_460, 1_460, 1_460, 1_160]);
}
