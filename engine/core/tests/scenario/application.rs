//! What applications do within and between callbacks.

use std::cell::RefCell;
use std::rc::Rc;

use bywash_core::base::time::Duration;
use bywash_core::shard::Reading;

use crate::harness::*;

#[test]
fn a_whole_connection_in_one_burst() {
    let mut world = World::new();
    world.app.on_receive = Box::new(|host, id, bytes| {
        host.write(id, b"reply").expect("open");
        bytes.len()
    });
    world.app.on_end = Box::new(Host::close);
    let mut peer = Peer::new(&world, 40_000, Offer::PLAIN);
    peer.syn(&mut world);
    peer.expect(&mut world, SYN_ACK, 0, 1, 0);
    let segments = [seg(ACK, 1, 1), seg(PSH, 1, 1).data(b"request"), seg(FIN, 8, 1)];
    for segment in &segments {
        let frame = peer.forge(&world, segment);
        world.engine.port_mut().give(&frame);
    }
    world.turn();
    // One segment answers all: reply, ACK and FIN.
    let got = peer.expect(&mut world, FIN_PSH, 1, 9, 5);
    assert_eq!(got.payload, b"reply");
    world.expect_silence();
    peer.send(&mut world, seg(ACK, 9, 7));
    assert_eq!(world.app.closed(), Some(CloseReason::Finished));
    world.expect_idle();
}

#[test]
fn frames_of_one_burst_make_and_remove_entries_for_each_other() {
    let mut world = World::new();
    let (peer, _) = Peer::accepted(&mut world, 40_000, Offer::PLAIN);
    // RST ends the connection in this turn; the SYN behind it finds it doomed still, the next one does not.
    for frame in [peer.forge(&world, &seg(RST, 1, 0)), peer.forge(&world, &seg(PSH, 1, 1).data(b"late"))] {
        world.engine.port_mut().give(&frame);
    }
    world.turn();
    assert_eq!(world.app.closed(), Some(CloseReason::ConnectionReset));
    assert!(world.app.bytes.is_empty());
    world.expect_idle();
    let mut again = Peer::new(&world, 40_000, Offer::PLAIN);
    again.open(&mut world);
    assert_eq!(world.app.opened(), 2);
}

#[test]
fn a_callback_writes_to_other_connections() {
    let mut world = World::new();
    let members = Rc::new(RefCell::new(Vec::new()));
    let joined = members.clone();
    world.app.on_open = Box::new(move |_, id| joined.borrow_mut().push(id));
    let present = members.clone();
    world.app.on_receive = Box::new(move |host, _, bytes| {
        for id in present.borrow().iter() {
            host.write(*id, bytes).expect("open");
        }
        bytes.len()
    });
    let mut peers: Vec<Peer> = (0..5).map(|i| Peer::connect(&mut world, 40_000 + i, Offer::FULL)).collect();
    peers[2].send(&mut world, seg(PSH, 1, 1).data(b"hello, all"));
    assert_eq!(world.sent.len(), 5);
    let mut order: Vec<u16> = Vec::new();
    while let Some((_, frame)) = world.sent.front() {
        let port = u16::from_be_bytes([frame[36], frame[37]]);
        order.push(port);
        let peer = &mut peers[usize::from(port - 40_000)];
        assert_eq!(peer.next(&mut world).payload, b"hello, all");
    }
    order.sort_unstable();
    assert_eq!(order, [40_000, 40_001, 40_002, 40_003, 40_004]);
}

#[test]
fn a_callback_that_closes_all_leaves_nothing_behind() {
    for abort in [false, true] {
        let mut world = World::new();
        let members = Rc::new(RefCell::new(Vec::new()));
        let joined = members.clone();
        world.app.on_open = Box::new(move |_, id| joined.borrow_mut().push(id));
        let present = members.clone();
        world.app.on_receive = Box::new(move |host, _, bytes| {
            for id in present.borrow().iter() {
                if abort { host.abort(*id) } else { host.close(*id) }
            }
            bytes.len()
        });
        let peers: Vec<Peer> = (0..5).map(|i| Peer::connect(&mut world, 40_000 + i, Offer::FULL)).collect();
        peers[2].send(&mut world, seg(PSH, 1, 1).data(b"go away"));
        assert_eq!(world.sent.len(), 5);
        world.sent.clear();
        if !abort {
            for (i, peer) in peers.iter().enumerate() {
                let mut peer = *peer;
                peer.offer.clock = peer.offer.clock.map(|clock| clock + 10);
                let seq = if i == 2 { 8 } else { 1 };
                peer.send(&mut world, seg(FIN, seq, 2));
            }
            world.advance_ms(61_000);
        }
        let ends = world.app.events.iter().filter(|event| matches!(event, Event::Closed(..))).count();
        assert_eq!(ends, 5);
        world.expect_idle();
    }
}

#[test]
fn a_place_is_used_again_at_once_and_old_keys_reach_nobody() {
    let mut world = World::new();
    let (old, id) = Peer::accepted(&mut world, 40_000, Offer::PLAIN);
    old.send(&mut world, seg(RST, 1, 0));
    let (mut peer, new) = Peer::accepted(&mut world, 40_001, Offer::PLAIN);
    assert_eq!(id.index, new.index);
    assert!(world.stack().write(id, b"x").is_err());
    world.stack().close(id);
    world.stack().abort(id);
    let now = world.now;
    world.stack().set_timer(id, Some(now));
    world.turn();
    world.expect_silence();
    world.stack().write(new, b"mine").expect("open");
    world.turn();
    assert_eq!(peer.expect(&mut world, PSH, 1, 1, 4).payload, b"mine");
}

#[test]
fn reading_can_be_paused_and_resumed_within_a_callback() {
    let mut world = World::new();
    world.app.on_receive = Box::new(|host, id, bytes| {
        host.pause_reading(id);
        host.resume_reading(id);
        1.min(bytes.len())
    });
    let (peer, _) = Peer::accepted(&mut world, 40_000, Offer::PLAIN);
    peer.send(&mut world, seg(PSH, 1, 1).data(b"abc"));
    peer.send(&mut world, seg(PSH, 4, 1).data(b"d"));
    assert!(world.app.bytes.starts_with(b"ab"));
    assert!(b"abcd".starts_with(&world.app.bytes[..]), "in order, each once");
}

#[test]
fn a_full_send_buffer_pauses_reading_until_the_replies_are_acknowledged() {
    let mut config = config();
    config.tcp.send_buffer = 4_000;
    let mut world = World::with(config, 1500);
    world.app.on_receive = Box::new(|host, id, bytes| {
        let mut consumed = 0;
        while consumed < bytes.len() && host.reading(id) == Reading::Open {
            let space = host.reserve(id, 2_000).expect("room");
            space.fill(b'r');
            host.commit(id, 2_000);
            consumed += 1;
        }
        consumed
    });
    let (mut peer, id) = Peer::accepted(&mut world, 40_000, Offer::PLAIN);
    for i in 0..6 {
        peer.send(&mut world, seg(PSH, 1 + i, 1).data(b"q"));
    }
    assert_eq!(world.app.bytes.len(), 2, "two replies fill it");
    assert_eq!(world.stack().send_space(id), 0);
    let mut acked = 1;
    for _ in 0..20 {
        for got in peer.drain(&mut world) {
            acked = acked.max(got.seq + got.payload.len() as u32);
        }
        peer.send(&mut world, seg(ACK, 7, acked));
    }
    assert_eq!((world.app.bytes.len(), acked), (6, 12_001));
}

#[test]
fn timers_of_the_application_fire_once_and_survive_opening() {
    let mut world = World::new();
    let id = world.stack().connect("198.18.0.2:443".parse().expect("an address"), None).expect("connects");
    let at = world.now + Duration::from_secs(5);
    world.stack().set_timer(id, Some(at));
    world.turn();
    crate::answers::answer_arp(&mut world);
    let mut peer = Peer::new(&world, 443, Offer::PLAIN);
    peer.tuple.remote_port = world.stack().info(id).expect("it exists").local.port();
    peer.expect(&mut world, SYN, 0, 0, 0);
    let repr = peer.repr(&world, &seg(SYN_ACK, 0, 1), peer.syn_options(&world));
    world.give(&peer.frame(&repr, &[]));
    peer.expect(&mut world, ACK, 1, 1, 0);
    world.advance_ms(4_990);
    assert!(!world.app.events.contains(&Event::Timer(id)));
    world.advance_ms(20);
    assert!(world.app.events.contains(&Event::Timer(id)));
    world.advance_ms(100_000);
    assert_eq!(world.app.events.iter().filter(|event| **event == Event::Timer(id)).count(), 1);
    // One that lies days ahead, moved nearer, then taken back.
    let far = world.now + Duration::from_secs(30 * 24 * 3_600);
    world.stack().set_timer(id, Some(far));
    let near = world.now + Duration::from_secs(1);
    world.stack().set_timer(id, Some(near));
    world.stack().set_timer(id, None);
    world.advance_ms(10_000);
    assert_eq!(world.app.events.iter().filter(|event| **event == Event::Timer(id)).count(), 1);
    world.stack().set_timer(id, Some(far));
    peer.send(&mut world, seg(RST, 1, 0));
    world.expect_idle();
}

#[test]
fn a_timer_set_while_connecting_is_gone_with_the_connection() {
    let mut world = World::new();
    let id = world.stack().connect("198.18.0.2:443".parse().expect("an address"), None).expect("connects");
    let at = world.now + Duration::from_secs(500);
    world.stack().set_timer(id, Some(at));
    world.turn();
    crate::answers::answer_arp(&mut world);
    let mut peer = Peer::new(&world, 443, Offer::PLAIN);
    peer.tuple.remote_port = world.stack().info(id).expect("it exists").local.port();
    peer.expect(&mut world, SYN, 0, 0, 0);
    let repr = peer.repr(&world, &seg(SYN_ACK, 0, 1), peer.syn_options(&world));
    world.give(&peer.frame(&repr, &[]));
    peer.expect(&mut world, ACK, 1, 1, 0);
    peer.send(&mut world, seg(RST, 1, 0));
    world.expect_idle();
}

#[test]
fn accepting_has_a_budget_for_each_turn() {
    let mut config = config();
    config.accept_budget = 2;
    let mut world = World::with(config, 1500);
    world.stack().pause_accepting();
    for i in 0..5 {
        Peer::connect(&mut world, 40_000 + i, Offer::PLAIN);
    }
    world.stack().resume_accepting();
    let mut seen = Vec::new();
    loop {
        let turn = bywash_core::shard::Transport::turn(&mut world.engine, world.now, &mut world.app);
        seen.push(world.app.opened());
        if !turn.again {
            break;
        }
    }
    assert_eq!(seen, [2, 4, 5]);
}

#[test]
fn a_connection_can_be_opened_again_from_the_callback_that_says_it_is_gone() {
    let mut world = World::new();
    let first = Peer::connect(&mut world, 40_000, Offer::PLAIN);
    world.app.on_closed = Box::new(|host, _| {
        let id = host.connect("198.18.0.2:443".parse().expect("an address"), None).expect("connects");
        host.write(id, b"hello again").expect("queued");
    });
    first.send(&mut world, seg(RST, 1, 0));
    let (_, frame) = world.sent.pop_front().expect("the neighbour was known by its SYN: ours leaves");
    let mut peer = Peer::new(&world, 443, Offer::PLAIN);
    peer.tuple.remote_port = u16::from_be_bytes([frame[34], frame[35]]);
    world.sent.push_front((world.now, frame));
    peer.expect(&mut world, SYN, 0, 0, 0);
    world.expect_silence();
    let repr = peer.repr(&world, &seg(SYN_ACK, 0, 1), peer.syn_options(&world));
    world.give(&peer.frame(&repr, &[]));
    assert_eq!(peer.expect(&mut world, PSH, 1, 1, 11).payload, b"hello again");
}
