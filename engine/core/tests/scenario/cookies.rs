//! SYN cookies: handshakes of which the engine remembers nothing.

use bywash_core::stack::StackConfig;
use bywash_core::wire::Address;

use crate::harness::*;

/// Cookies whenever there are two half-open connections.
fn small_backlog() -> StackConfig {
    let mut config = config();
    config.tcp.tcp_max_syn_backlog = 2;
    config
}

/// Nothing but cookies.
fn always() -> StackConfig {
    let mut config = config();
    config.tcp.tcp_syncookies = 2;
    config
}

/// Fills the backlog of half-open connections.
fn overflow(world: &mut World) {
    for port in [50_000, 50_001] {
        let mut peer = Peer::new(world, port, Offer::FULL);
        peer.syn(world);
        peer.expect(world, SYN_ACK, 0, 1, 0);
    }
    assert_eq!(world.report().half_open, 2);
}

/// The number that acknowledges what the peer has of us, and one beyond it.
fn is_reset(world: &mut World, peer: &mut Peer, ack: u32) {
    let got = peer.next(world);
    assert_eq!((got.flags, got.seq), (RST, ack));
    assert_eq!(world.app.opened(), 0);
}

#[test]
fn s10_c040_a_full_backlog_is_answered_by_cookies() {
    let mut world = World::with(small_backlog(), 1500);
    overflow(&mut world);
    let mut peer = Peer::new(&world, 40_000, Offer::FULL);
    peer.syn(&mut world);
    let got = peer.expect(&mut world, SYN_ACK, 0, 1, 0);
    assert_eq!((got.options.mss, got.options.window_scale, got.window), (Some(1460), Some(3), 65_535));
    assert_eq!((world.report().half_open, world.report().counters.syncookies_sent), (2, 1));
    peer.send(&mut world, seg(ACK, 1, 1));
    world.expect_silence();
    assert_eq!((world.app.opened(), world.report().counters.syncookies_received), (1, 1));
    peer.send(&mut world, seg(PSH, 1, 1).data(b"hello"));
    assert_eq!(world.app.bytes, b"hello");
    let id = world.app.last();
    world.stack().write(id, b"reply").expect("open");
    world.turn();
    assert_eq!(peer.expect(&mut world, PSH, 1, 6, 5).payload, b"reply");
    // Room again: no cookies any more.
    world.advance_ms(70_000);
    world.sent.clear();
    let mut later = Peer::new(&world, 40_001, Offer::FULL);
    later.open(&mut world);
    assert_eq!(world.report().counters.syncookies_sent, 1);
}

#[test]
fn s10_without_cookies_a_full_backlog_drops() {
    let mut config = small_backlog();
    config.tcp.tcp_syncookies = 0;
    let mut world = World::with(config, 1500);
    overflow(&mut world);
    Peer::new(&world, 40_000, Offer::FULL).syn(&mut world);
    world.expect_silence();
    assert_eq!(world.dropped(DropReason::SynBacklogFull), 1);
}

#[test]
fn s10_c040_the_peers_mss_is_rounded_down() {
    // With timestamps twelve octets fewer are payload. Below 536 only the floor is left.
    let sizes = [(48, 48), (535, 48), (536, 524), (1_000, 524), (1_220, 1_208), (1_400, 1_368)];
    let large =
        [(1_440, 1_428), (1_459, 1_428), (1_460, 1_448), (8_959, 1_448), (8_960, 8_948), (9_000, 8_948)];
    for (mss, payload) in sizes.into_iter().chain(large) {
        let mut world = World::with(always(), 9000);
        let offer = Offer { mss: Some(mss), ..Offer::FULL };
        let (mut peer, id) = Peer::accepted(&mut world, 40_000, offer);
        assert_eq!(world.report().counters.syncookies_sent, 1);
        world.stack().write(id, &pattern(60_000)).expect("open");
        world.turn();
        assert_eq!(peer.next(&mut world).payload.len(), payload, "MSS {mss}");
    }
    // No option: 536, and 1220 over IPv6.
    let none = Offer { mss: None, ..Offer::PLAIN };
    for is_v6 in [false, true] {
        let mut world = World::with(always(), 1500);
        let mut peer = if is_v6 { Peer::v6(&world, 40_000, none) } else { Peer::new(&world, 40_000, none) };
        peer.open(&mut world);
        let id = world.app.last();
        world.stack().write(id, &pattern(5_000)).expect("open");
        world.turn();
        assert_eq!(peer.next(&mut world).payload.len(), if is_v6 { 1220 } else { 536 });
    }
}

#[test]
fn c041_a_forged_number_is_reset() {
    let mut world = World::with(always(), 1500);
    let mut peer = Peer::new(&world, 40_000, Offer::FULL);
    peer.syn(&mut world);
    peer.expect(&mut world, SYN_ACK, 0, 1, 0);
    for ack in [0, 2, 9, 1_000_000] {
        peer.send(&mut world, seg(ACK, 1, ack));
        is_reset(&mut world, &mut peer, ack);
    }
    // Another sequence number, another port: not what the cookie was made for.
    peer.send(&mut world, seg(ACK, 2, 1));
    is_reset(&mut world, &mut peer, 1);
    let mut other = peer;
    other.tuple.local_port += 1;
    other.send(&mut world, seg(ACK, 1, 1));
    is_reset(&mut world, &mut other, 1);
    assert_eq!(world.report().counters.syncookies_failed, 6);
    world.expect_idle();
}

#[test]
fn s10_c041_a_stale_cookie_is_reset() {
    let mut world = World::with(always(), 1500);
    let mut peer = Peer::new(&world, 40_000, Offer::FULL);
    peer.syn(&mut world);
    peer.expect(&mut world, SYN_ACK, 0, 1, 0);
    let mut early = Peer::new(&world, 40_001, Offer::FULL);
    early.syn(&mut world);
    early.expect(&mut world, SYN_ACK, 0, 1, 0);
    world.advance_ms(60_000);
    early.send(&mut world, seg(ACK, 1, 1));
    assert_eq!(world.app.opened(), 1);
    early.send(&mut world, seg(RST, 1, 0));
    // The other one is sent, and sent again, after two minutes.
    world.advance_ms(68_001);
    world.app.events.clear();
    peer.send(&mut world, seg(ACK, 1, 1));
    is_reset(&mut world, &mut peer, 1);
    peer.send(&mut world, seg(PSH, 1, 1).data(b"late"));
    is_reset(&mut world, &mut peer, 1);
    world.expect_idle();
}

#[test]
fn c042_a_cookie_is_nothing_where_cookies_are_off() {
    let mut giver = World::with(always(), 1500);
    let mut peer = Peer::new(&giver, 40_000, Offer::FULL);
    peer.syn(&mut giver);
    peer.expect(&mut giver, SYN_ACK, 0, 1, 0);
    let mut config = config();
    config.tcp.tcp_syncookies = 0;
    let mut world = World::with(config, 1500);
    peer.send(&mut world, seg(ACK, 1, 1));
    is_reset(&mut world, &mut peer, 1);
    assert_eq!(world.report().counters.syncookies_failed, 0);
}

#[test]
fn s10_c043_with_timestamps_scale_and_sack_are_kept() {
    let mut world = World::with(always(), 1500);
    let mut peer = Peer::new(&world, 40_000, Offer::FULL);
    peer.syn(&mut world);
    let got = peer.expect(&mut world, SYN_ACK, 0, 1, 0);
    let sent = got.options.timestamps.expect("timestamps");
    assert_eq!(sent.echo, peer.clock(&world));
    // A window of 600 in units of 128 octets.
    peer.window = 600;
    peer.send(&mut world, seg(ACK, 1, 1));
    let id = world.app.last();
    peer.send(&mut world, seg(PSH, 101, 1).data(b"ahead"));
    let got = peer.expect(&mut world, ACK, 1, 1, 0);
    assert_eq!(got.sack(peer.iss), [(101, 106)]);
    assert_eq!(usize::from(got.window) << 3, 262_144);
    let now = got.options.timestamps.expect("timestamps");
    assert!(now.value.wrapping_sub(sent.value) < 64, "the cookie's clock is not ahead");
    world.stack().write(id, &pattern(10_000)).expect("open");
    world.turn();
    assert_eq!(peer.drain(&mut world).iter().map(|got| got.payload.len()).sum::<usize>(), 10_000);
}

#[test]
fn s10_c043_without_timestamps_there_is_no_scale_and_no_sack() {
    let mut world = World::with(always(), 1500);
    let offer = Offer { scale: Some(7), ..Offer::SACK };
    let mut peer = Peer::new(&world, 40_000, offer);
    peer.syn(&mut world);
    peer.expect(&mut world, SYN_ACK, 0, 1, 0);
    peer.window = 600;
    peer.send(&mut world, seg(ACK, 1, 1));
    let id = world.app.last();
    peer.send(&mut world, seg(PSH, 101, 1).data(b"ahead"));
    let got = peer.expect(&mut world, ACK, 1, 1, 0);
    assert!(got.option_bytes.is_empty());
    assert_eq!(got.window, 65_535);
    world.stack().write(id, &pattern(10_000)).expect("open");
    world.turn();
    assert_eq!(peer.drain(&mut world).iter().map(|got| got.payload.len()).sum::<usize>(), 600);
}

#[test]
fn s11_c044_a_flood_leaves_memory_flat_and_lets_others_connect() {
    const FLOOD: u32 = 5_000;
    let mut config = small_backlog();
    config.tcp.tcp_max_syn_backlog = 64;
    config.half_open_max = 64;
    let mut world = World::with(config, 1500);
    let mut forged = Peer::new(&world, 1_024, Offer::FULL);
    for number in 0..FLOOD {
        forged.tuple.local = Address::v4([198, 19, (number >> 8) as u8, number as u8]);
        forged.tuple.local_port = 1_024 + (number % 40_000) as u16;
        if number % 100 != 99 {
            forged.syn(&mut world);
            assert_eq!(world.sent.len(), 1, "one answer for one SYN");
            world.sent.clear();
            continue;
        }
        // Now and then somebody real.
        let mut peer = Peer::new(&world, 30_000 + (number / 100) as u16, Offer::FULL);
        peer.syn(&mut world);
        peer.expect(&mut world, SYN_ACK, 0, 1, 0);
        peer.send(&mut world, seg(PSH, 1, 1).data(b"x"));
        world.sent.clear();
        assert_eq!(world.report().half_open, 64.min(number as usize - number as usize / 100));
    }
    let report = world.report();
    assert_eq!((world.app.opened(), world.app.bytes.len()), (50, 50));
    // The first 64 are remembered, all others, the real ones among them, were cookies.
    let cookies = u64::from(FLOOD) - 64;
    assert_eq!((report.counters.syncookies_sent, report.counters.syncookies_received), (cookies, 50));
    assert_eq!((report.half_open, report.table_entries), (64, 64 + 50));
}

#[test]
fn c045_the_first_data_bring_the_cookie_when_the_ack_was_lost() {
    let mut world = World::with(always(), 1500);
    let mut peer = Peer::new(&world, 40_000, Offer::FULL);
    peer.syn(&mut world);
    peer.expect(&mut world, SYN_ACK, 0, 1, 0);
    peer.send(&mut world, seg(PSH, 1, 1).data(b"GET /"));
    assert_eq!((world.app.opened(), &world.app.bytes[..]), (1, &b"GET /"[..]));
    world.advance_ms(41);
    peer.expect(&mut world, ACK, 1, 6, 0);
    // FIN and data in one, too.
    let mut brief = Peer::new(&world, 40_001, Offer::PLAIN);
    brief.syn(&mut world);
    brief.expect(&mut world, SYN_ACK, 0, 1, 0);
    brief.send(&mut world, seg(FIN_PSH, 1, 1).data(b"bye"));
    assert_eq!((world.app.opened(), world.app.ends()), (2, 1));
    brief.expect(&mut world, ACK, 1, 5, 0);
}

#[test]
fn c016_a_cookie_waits_for_room_in_the_accept_queue() {
    for abort in [false, true] {
        let mut config = always();
        config.tcp.tcp_abort_on_overflow = abort;
        let mut world = World::quiet(config, 1500);
        let options = ListenOptions { port: PORT, backlog: 1, ..ListenOptions::default() };
        world.stack().listen(options).expect("listens");
        world.stack().pause_accepting();
        let mut second = Peer::new(&world, 40_001, Offer::FULL);
        second.syn(&mut world);
        second.expect(&mut world, SYN_ACK, 0, 1, 0);
        Peer::connect(&mut world, 40_000, Offer::FULL);
        second.send(&mut world, seg(ACK, 1, 1));
        assert_eq!(world.dropped(DropReason::AcceptQueueFull), 1);
        if abort {
            let got = second.next(&mut world);
            assert_eq!((got.flags, got.seq), (RST, 1));
            continue;
        }
        // A SYN is not answered either.
        Peer::new(&world, 40_002, Offer::FULL).syn(&mut world);
        world.expect_silence();
        world.stack().resume_accepting();
        world.turn();
        second.send(&mut world, seg(PSH, 1, 1).data(b"again"));
        assert_eq!((world.app.opened(), &world.app.bytes[..]), (2, &b"again"[..]));
    }
}

#[test]
fn c120_a_cookie_never_takes_the_place_of_time_wait() {
    let mut config = small_backlog();
    config.tcp.tcp_max_syn_backlog = 0;
    let mut world = World::with(config, 1500);
    let (mut peer, id) = Peer::accepted(&mut world, 40_000, Offer::FULL);
    world.stack().close(id);
    world.turn();
    peer.expect(&mut world, FIN, 1, 1, 0);
    peer.send(&mut world, seg(FIN, 1, 2));
    peer.expect(&mut world, ACK, 2, 2, 0);
    world.advance_ms(2_000);
    let old = peer;
    peer.iss = old.iss.wrapping_add(100_000);
    peer.open(&mut world);
    // Its number must be above the old ones, which a cookie's cannot be made.
    assert!((65_537..1 << 31).contains(&peer.irs.wrapping_sub(old.irs.wrapping_add(2))));
    assert_eq!(world.report().counters.syncookies_sent, 1);
    assert_eq!(world.app.opened(), 2);
}

/// Found by the simulator: the SYN came twice, and between the two a place in the backlog became free.
#[test]
fn c040_a_cookie_is_taken_though_its_syn_came_again_and_found_room() {
    let mut world = World::with(small_backlog(), 1500);
    let mut others = [50_000, 50_001].map(|port| Peer::new(&world, port, Offer::FULL));
    for other in &mut others {
        other.syn(&mut world);
        other.expect(&mut world, SYN_ACK, 0, 1, 0);
    }
    let mut early = Peer::new(&world, 40_000, Offer::FULL);
    early.syn(&mut world);
    early.expect(&mut world, SYN_ACK, 0, 1, 0);
    others[0].send(&mut world, seg(RST, 1, 0));
    let mut late = Peer::new(&world, 40_000, Offer::FULL);
    late.syn(&mut world);
    late.expect(&mut world, SYN_ACK, 0, 1, 0);
    assert_eq!(world.report().half_open, 2);
    early.send(&mut world, seg(PSH, 1, 1).data(b"hello"));
    assert_eq!((world.app.opened(), &world.app.bytes[..]), (1, &b"hello"[..]));
    assert_eq!(world.report().half_open, 1);
}

#[test]
fn c040_always_on_keeps_nothing_of_any_syn() {
    let mut world = World::with(always(), 1500);
    let peers: Vec<_> = (40_000..40_010)
        .map(|port| {
            let mut peer = Peer::new(&world, port, Offer::FULL);
            peer.syn(&mut world);
            peer.expect(&mut world, SYN_ACK, 0, 1, 0);
            peer
        })
        .collect();
    world.expect_idle();
    // No SYN+ACK is sent again: there is nothing that could.
    world.advance_ms(30_000);
    world.expect_silence();
    for peer in peers {
        peer.send(&mut world, seg(ACK, 1, 1));
    }
    let report = world.report();
    assert_eq!((world.app.opened(), report.connections, report.counters.syncookies_sent), (10, 10, 10));
}

#[test]
fn c043_every_mixture_of_options_comes_back_with_timestamps() {
    use bywash_core::wire::tcp::SackPermitted;
    for (scale, sack) in [
        (Some(0), SackPermitted::Absent),
        (Some(14), SackPermitted::Absent),
        (None, SackPermitted::Present),
        (None, SackPermitted::Absent),
        (Some(1), SackPermitted::Present),
    ] {
        let mut world = World::with(always(), 1500);
        let offer = Offer { scale, sack, ..Offer::FULL };
        let mut peer = Peer::new(&world, 40_000, offer);
        peer.syn(&mut world);
        peer.expect(&mut world, SYN_ACK, 0, 1, 0);
        peer.window = 100;
        peer.send(&mut world, seg(ACK, 1, 1));
        let id = world.app.last();
        peer.send(&mut world, seg(PSH, 101, 1).data(b"ahead"));
        let got = peer.expect(&mut world, ACK, 1, 1, 0);
        let blocks = if sack == SackPermitted::Present { vec![(101, 106)] } else { Vec::new() };
        assert_eq!(got.sack(peer.iss), blocks, "{offer:?}");
        assert_eq!(usize::from(got.window), if scale.is_some() { 262_144 >> 3 } else { 65_535 }, "{offer:?}");
        world.stack().write(id, &pattern(10_000)).expect("open");
        world.turn();
        let sent: usize = peer.drain(&mut world).iter().map(|got| got.payload.len()).sum();
        assert_eq!(sent, 10_000.min(100 << scale.unwrap_or(0)), "{offer:?}");
    }
}

#[test]
fn c044_handshakes_that_overlap_a_flood_complete() {
    let mut world = World::with(small_backlog(), 1500);
    let mut forged = Peer::new(&world, 1_024, Offer::PLAIN);
    let mut flood = |world: &mut World, round: u8| {
        for number in 0..200 {
            forged.tuple.local = Address::v4([198, 19, round, number]);
            forged.syn(world);
            // Nobody is at home there, and what somebody guesses is not taken.
            forged.send(world, seg(ACK, 1, u32::from(number) << 20));
        }
        world.sent.clear();
    };
    for round in 0..20 {
        flood(&mut world, round);
        let mut peer = Peer::new(&world, 40_000 + u16::from(round), Offer::FULL);
        peer.syn(&mut world);
        peer.expect(&mut world, SYN_ACK, 0, 1, 0);
        flood(&mut world, 100 + round);
        world.advance_ms(50);
        world.sent.clear();
        peer.send(&mut world, seg(PSH, 1, 1).data(b"x"));
        assert_eq!(
            (world.app.opened(), world.app.bytes.len()),
            (usize::from(round) + 1, usize::from(round) + 1)
        );
        assert!(world.report().half_open <= 2);
    }
    assert_eq!(world.report().connections, 20);
}
