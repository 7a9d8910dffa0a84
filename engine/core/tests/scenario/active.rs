//! Connections that we open.

use core::net::SocketAddr;

use bywash_core::base::time::Duration;
use bywash_core::shard::{ConnectError, ConnectionId};

use crate::harness::*;

/// Connects to the peer's port 443 and answers ARP; the SYN is left to be read.
pub(crate) fn connect(world: &mut World, offer: Offer) -> (Peer, ConnectionId) {
    connect_within(world, offer, None)
}

fn connect_within(world: &mut World, offer: Offer, timeout: Option<Duration>) -> (Peer, ConnectionId) {
    let remote: SocketAddr = "198.18.0.2:443".parse().expect("an address");
    let id = world.stack().connect(remote, timeout).expect("connects");
    world.turn();
    crate::answers::answer_arp(world);
    let mut peer = Peer::new(world, 443, offer);
    let port = world.stack().info(id).expect("it exists").local.port();
    peer.tuple.remote_port = port;
    (peer, id)
}

#[test]
fn c019_connect_sends_a_syn_and_completes() {
    let mut world = World::quiet(config(), 1500);
    let (mut peer, id) = connect(&mut world, Offer::FULL);
    let syn = peer.expect(&mut world, SYN, 0, 0, 0);
    assert_eq!((syn.ack, syn.window), (0, 65_535));
    let options = syn.options;
    assert_eq!((options.mss, options.window_scale), (Some(1460), Some(3)));
    assert_eq!(options.timestamps.expect("timestamps").echo, 0);
    // MSS, SACK-permitted and timestamps, NOP, window scale: Linux's order.
    let kinds = [syn.option_bytes[0], syn.option_bytes[4], syn.option_bytes[6], syn.option_bytes[16]];
    assert_eq!((syn.option_bytes.len(), kinds), (20, [2, 4, 8, 1]));
    let repr = peer.repr(&world, &seg(SYN_ACK, 0, 1), peer.syn_options(&world));
    world.give(&peer.frame(&repr, &[]));
    assert_eq!(world.app.events, [Event::Opened(id, Origin::Connected)]);
    let ack = peer.expect(&mut world, ACK, 1, 1, 0);
    assert_eq!(usize::from(ack.window) << 3, 262_144);
    peer.send(&mut world, seg(PSH, 1, 1).data(b"hi"));
    assert_eq!(world.app.bytes, b"hi");
}

#[test]
fn s03_c020_a_refused_connect_says_so_at_once() {
    let mut world = World::quiet(config(), 1500);
    let (mut peer, id) = connect(&mut world, Offer::FULL);
    peer.expect(&mut world, SYN, 0, 0, 0);
    // A wrong acknowledgment, or none, proves nothing.
    peer.send(&mut world, seg(RST_ACK, 0, 2));
    peer.send(&mut world, seg(RST_ACK, 0, 0));
    peer.send(&mut world, seg(RST, 0, 0));
    assert!(world.app.events.is_empty());
    peer.send(&mut world, seg(RST_ACK, 0, 1));
    assert_eq!(world.app.events, [Event::Closed(id, CloseReason::ConnectionRefused)]);
    world.expect_silence();
    world.expect_idle();
}

#[test]
fn c021_an_unacceptable_syn_ack_is_reset_and_connecting_goes_on() {
    let mut world = World::quiet(config(), 1500);
    let (mut peer, _) = connect(&mut world, Offer::PLAIN);
    peer.expect(&mut world, SYN, 0, 0, 0);
    for ack in [0, 2] {
        let repr = peer.repr(&world, &seg(SYN_ACK, 0, ack), peer.syn_options(&world));
        world.give(&peer.frame(&repr, &[]));
        let got = peer.next(&mut world);
        assert_eq!((got.flags, got.seq), (RST, ack));
    }
    let repr = peer.repr(&world, &seg(SYN_ACK, 0, 1), peer.syn_options(&world));
    world.give(&peer.frame(&repr, &[]));
    peer.expect(&mut world, ACK, 1, 1, 0);
    assert_eq!(world.app.opened(), 1);
}

#[test]
fn s04_c023_a_silent_host_is_asked_seven_times() {
    let mut world = World::quiet(config(), 1500);
    let start = world.now;
    let (mut peer, id) = connect(&mut world, Offer::FULL);
    world.advance_ms(126_900);
    assert!(world.app.events.is_empty());
    world.advance_ms(200);
    let times: Vec<u64> = peer.drain(&mut world).iter().map(|got| got.at.since(start).as_millis()).collect();
    assert_eq!(times, [0, 1_000, 3_000, 7_000, 15_000, 31_000, 63_000]);
    assert_eq!(world.app.events, [Event::Closed(id, CloseReason::TimedOut)]);
    world.expect_idle();
}

#[test]
fn s04_the_applications_timeout_ends_it_earlier() {
    let mut world = World::quiet(config(), 1500);
    let (mut peer, id) = connect_within(&mut world, Offer::FULL, Some(Duration::from_millis(1_500)));
    world.advance_ms(1_400);
    assert_eq!(peer.drain(&mut world).len(), 2);
    assert!(world.app.events.is_empty());
    world.advance_ms(200);
    assert_eq!(world.app.events, [Event::Closed(id, CloseReason::TimedOut)]);
    world.expect_silence();
    world.expect_idle();
}

#[test]
fn s05_a_silent_next_hop_is_unreachable() {
    let mut world = World::quiet(config(), 1500);
    let remote: SocketAddr = "198.18.0.9:443".parse().expect("an address");
    let id = world.stack().connect(remote, None).expect("connects");
    world.stack().write(id, b"queued").expect("before it is open");
    world.advance_ms(2_900);
    assert_eq!(world.sent.len(), 3, "three requests, no SYN");
    assert!(world.app.events.is_empty());
    world.advance_ms(200);
    assert_eq!(world.app.events, [Event::Closed(id, CloseReason::HostUnreachable)]);
    assert_eq!(world.sent.len(), 3);
    world.expect_idle();
}

#[test]
fn s05_over_ipv6() {
    let mut world = World::quiet(config(), 1500);
    let remote: SocketAddr = "[fd00:198:18::9]:443".parse().expect("an address");
    let id = world.stack().connect(remote, None).expect("connects");
    world.stack().write(id, b"queued").expect("before it is open");
    world.advance_ms(2_900);
    assert_eq!(world.sent.len(), 3, "three solicitations, no SYN");
    assert!(world.sent.iter().all(|(_, frame)| frame[14 + 6] == 58), "ICMPv6");
    assert!(world.app.events.is_empty());
    world.advance_ms(200);
    assert_eq!(world.app.events, [Event::Closed(id, CloseReason::HostUnreachable)]);
    assert_eq!(world.sent.len(), 3);
    world.expect_idle();
}

#[test]
fn c025_close_in_syn_sent_is_silent_and_a_late_syn_ack_is_reset() {
    let mut world = World::quiet(config(), 1500);
    let (mut peer, id) = connect(&mut world, Offer::PLAIN);
    peer.expect(&mut world, SYN, 0, 0, 0);
    world.stack().close(id);
    world.turn();
    world.expect_silence();
    world.expect_idle();
    let repr = peer.repr(&world, &seg(SYN_ACK, 0, 1), peer.syn_options(&world));
    world.give(&peer.frame(&repr, &[]));
    let got = peer.next(&mut world);
    assert_eq!((got.flags, got.seq), (RST, 1));
}

#[test]
fn c026_data_queued_in_syn_sent_leaves_with_the_ack() {
    let mut world = World::quiet(config(), 1500);
    let (mut peer, id) = connect(&mut world, Offer::FULL);
    peer.expect(&mut world, SYN, 0, 0, 0);
    world.stack().write(id, b"first words").expect("before it is open");
    world.turn();
    world.expect_silence();
    let repr = peer.repr(&world, &seg(SYN_ACK, 0, 1), peer.syn_options(&world));
    world.give(&peer.frame(&repr, &[]));
    let got = peer.expect(&mut world, PSH, 1, 1, 11);
    assert_eq!(got.payload, b"first words");
    world.expect_silence();
}

#[test]
fn c027_an_invalid_remote_fails_at_once() {
    let mut world = World::quiet(config(), 1500);
    for remote in ["198.18.0.2:0", "224.0.0.1:80", "255.255.255.255:80", "0.0.0.0:80", "198.18.0.255:80"] {
        let remote: SocketAddr = remote.parse().expect("an address");
        assert_eq!(world.stack().connect(remote, None), Err(ConnectError::InvalidRemote), "{remote}");
    }
    world.turn();
    world.expect_silence();
    world.expect_idle();
}

#[test]
fn c048_after_a_syn_timeout_data_starts_with_three_seconds() {
    let mut world = World::quiet(config(), 1500);
    let (mut peer, id) = connect(&mut world, Offer::PLAIN);
    world.advance_ms(1_100);
    assert_eq!(peer.drain(&mut world).len(), 2);
    let repr = peer.repr(&world, &seg(SYN_ACK, 0, 1), peer.syn_options(&world));
    world.give(&peer.frame(&repr, &[]));
    peer.expect(&mut world, ACK, 1, 1, 0);
    world.stack().write(id, b"data").expect("open");
    world.turn();
    let first = peer.expect(&mut world, PSH, 1, 1, 4);
    world.advance_ms(3_100);
    let again = peer.expect(&mut world, PSH, 1, 1, 4);
    assert_eq!(again.at.since(first.at).as_millis(), 3_000);
}

#[test]
fn s04_a_late_neighbour_gets_one_syn() {
    let mut world = World::quiet(config(), 1500);
    let (mut peer, _) = connect(&mut world, Offer::FULL);
    peer.expect(&mut world, SYN, 0, 0, 0);
    // News about somebody else do not repeat our SYN.
    crate::answers::announce(&mut world, "198.18.0.77", [2, 0, 0, 0, 0, 0x77]);
    world.sent.retain(|(_, frame)| frame[12..14] != [8, 6]);
    world.expect_silence();
}

#[test]
fn c024_every_syn_has_the_same_options() {
    let mut world = World::quiet(config(), 1500);
    let (mut peer, _) = connect(&mut world, Offer::FULL);
    world.advance_ms(126_000);
    let syns = peer.drain(&mut world);
    assert_eq!(syns.len(), 7);
    for syn in &syns {
        let options = syn.options;
        assert_eq!((options.mss, options.window_scale), (Some(1460), Some(3)));
        assert_eq!(options.sack_permitted, bywash_core::wire::tcp::SackPermitted::Present);
        assert_eq!((syn.seq, syn.flags, syn.option_bytes.len()), (0, SYN, 20));
        let value = options.timestamps.expect("timestamps").value;
        let first = syns[0].options.timestamps.expect("timestamps").value;
        assert_eq!(u64::from(value.wrapping_sub(first)), syn.at.since(syns[0].at).as_millis());
    }
}

/// Connects, and closes first: the port is in TIME_WAIT. `None`: there is no port.
fn wait_out(world: &mut World, offer: Offer) -> Option<Peer> {
    let remote: SocketAddr = "198.18.0.2:443".parse().expect("an address");
    let id = world.stack().connect(remote, None).ok()?;
    world.turn();
    let is_asked = world.sent.front().is_some_and(|(_, frame)| frame[12..14] == [8, 6]);
    if is_asked {
        crate::answers::answer_arp(world);
    }
    let mut peer = Peer::new(world, 443, offer);
    peer.tuple.remote_port = world.stack().info(id).expect("it exists").local.port();
    let got = peer.expect(world, SYN, 0, 0, 0);
    assert_eq!(got.options.timestamps.map(|sent| sent.echo), Some(0));
    let repr = peer.repr(world, &seg(SYN_ACK, 0, 1), peer.syn_options(world));
    world.give(&peer.frame(&repr, &[]));
    peer.expect(world, ACK, 1, 1, 0);
    world.stack().close(id);
    world.turn();
    peer.expect(world, FIN, 1, 1, 0);
    peer.send(world, seg(FIN, 1, 2));
    peer.expect(world, ACK, 2, 2, 0);
    Some(peer)
}

/// Four ports to connect from.
fn few_ports() -> bywash_core::stack::StackConfig {
    let mut config = config();
    config.port_range = (50_000, 50_003);
    config
}

#[test]
fn s36_a_port_in_time_wait_is_used_again_after_a_second() {
    let mut world = World::quiet(few_ports(), 1500);
    let mut old: Vec<_> = (0..4).map(|_| wait_out(&mut world, Offer::FULL).expect("a port")).collect();
    old.sort_by_key(|peer| peer.tuple.remote_port);
    let ports: Vec<_> = old.iter().map(|peer| peer.tuple.remote_port).collect();
    assert_eq!(ports, [50_000, 50_001, 50_002, 50_003]);
    let remote: SocketAddr = "198.18.0.2:443".parse().expect("an address");
    world.advance_ms(990);
    let refused = world.stack().connect(remote, None).expect_err("all ports wait");
    assert_eq!(refused, ConnectError::PortsExhausted);
    assert!(refused.to_string().contains("ports exhausted"), "{refused}");
    world.advance_ms(20);
    let peer = wait_out(&mut world, Offer::FULL).expect("a port again");
    assert_eq!((world.report().time_wait, world.report().table_entries), (4, 4));
    // Its numbers begin above the old ones.
    let former = old.iter().find(|old| old.tuple == peer.tuple).expect("one of the four");
    let above = peer.irs.wrapping_sub(former.irs.wrapping_add(2));
    assert!((65_537..1 << 31).contains(&above), "{above}");
    world.advance_ms(70_000);
    world.expect_idle();
}

#[test]
fn s36_without_reuse_or_timestamps_the_ports_are_exhausted() {
    let switched_off = {
        let mut config = few_ports();
        config.tcp.tcp_tw_reuse = 0;
        config
    };
    let loopback_only = {
        let mut config = few_ports();
        config.tcp.tcp_tw_reuse = 2;
        config
    };
    let cases = [(switched_off, Offer::FULL), (loopback_only, Offer::FULL), (few_ports(), Offer::PLAIN)];
    for (config, offer) in cases {
        let mut world = World::quiet(config, 1500);
        for _ in 0..4 {
            wait_out(&mut world, offer).expect("a port");
        }
        world.advance_ms(30_000);
        let remote: SocketAddr = "198.18.0.2:443".parse().expect("an address");
        assert_eq!(world.stack().connect(remote, None), Err(ConnectError::PortsExhausted));
        // To another port of the peer they are free.
        world.stack().connect("198.18.0.2:444".parse().expect("an address"), None).expect("free");
        world.advance_ms(40_000);
        world.stack().connect(remote, None).expect("free again");
    }
}

#[test]
fn s36_the_last_free_port_of_many_is_found() {
    let mut config = config();
    config.port_range = (40_000, 42_999);
    config.connections_max = 3_100;
    config.half_open_max = 3_100;
    let mut world = World::quiet(config, 1500);
    let remote: SocketAddr = "198.18.0.2:443".parse().expect("an address");
    let mut ports: Vec<u16> = (0..3_000)
        .map(|_| {
            let id = world.stack().connect(remote, None).expect("one is free");
            world.stack().info(id).expect("it exists").local.port()
        })
        .collect();
    assert_eq!(world.stack().connect(remote, None), Err(ConnectError::PortsExhausted));
    // RFC 6056: nobody who sees none of them knows where they begin.
    let first = ports[0];
    ports.sort_unstable();
    ports.dedup();
    assert_eq!((ports.len(), ports[0], ports[2_999]), (3_000, 40_000, 42_999));
    assert_ne!(first, 40_000);
}

#[test]
fn s04_c023_the_first_syns_are_repeated_at_the_same_pace_if_asked_for() {
    let mut config = config();
    config.tcp.tcp_syn_linear_timeouts = 4;
    let mut world = World::quiet(config, 1500);
    let start = world.now;
    let (mut peer, id) = connect(&mut world, Offer::FULL);
    world.advance_ms(70_000);
    let times: Vec<u64> = peer.drain(&mut world).iter().map(|got| got.at.since(start).as_millis()).collect();
    // As Linux: the fifth wait is still one second, the sixth two.
    assert_eq!(times, [0, 1_000, 2_000, 3_000, 4_000, 5_000, 7_000]);
    assert_eq!(world.app.events, [Event::Closed(id, CloseReason::TimedOut)]);
}

#[test]
fn a_connection_begins_at_the_address_that_suits_the_peer() {
    use bywash_core::stack::ConnectOptions;
    let mut config = config();
    for (text, prefix_len) in [("198.19.0.1", 16), ("198.19.7.1", 24), ("fe80::1", 64)] {
        let cidr = bywash_core::wire::Cidr::new(address(text), prefix_len).expect("a prefix");
        config.addresses.push(bywash_core::stack::LocalAddress { cidr, ..config.addresses[0] });
    }
    let mut world = World::quiet(config, 1500);
    let mut source = |remote: &str, local_address: Option<&str>| {
        let local_address = local_address.map(|text| text.parse().expect("an address"));
        let options = ConnectOptions { local_address, ..ConnectOptions::default() };
        let remote = remote.parse().expect("an address");
        let id = world.stack().connect_with(remote, &options)?;
        Ok(world.stack().info(id).expect("it exists").local.ip().to_string())
    };
    // On the link, on the narrower network, behind the gateway 198.18.0.254.
    for (remote, local) in [
        ("198.19.3.3:80", "198.19.0.1"),
        ("198.19.7.3:80", "198.19.7.1"),
        ("8.8.8.8:80", "198.18.0.1"),
        ("[fd00:198:18::9]:80", LOCAL_V6),
        ("[fe80::9]:80", "fe80::1"),
        ("[2001:db8::9]:80", LOCAL_V6),
    ] {
        assert_eq!(source(remote, None).as_deref(), Ok(local), "{remote}");
    }
    assert_eq!(source("198.19.7.3:80", Some(LOCAL)).as_deref(), Ok(LOCAL));
    assert_eq!(source("198.19.7.3:80", Some("0.0.0.0")).as_deref(), Ok("198.19.7.1"));
    for wrong in ["198.18.0.77", LOCAL_V6] {
        let address = wrong.parse().expect("an address");
        assert_eq!(source("198.19.7.3:80", Some(wrong)), Err(ConnectError::AddrNotAvailable { address }));
    }
}

#[test]
fn s36_ports_begin_where_nobody_can_guess_and_go_on_from_there() {
    // RFC 6056 section 3.3.3: where they begin depends on the peer, and on a secret.
    let first_towards = |world: &mut World, host: u8| {
        let remote = SocketAddr::from(([198, 18, 0, host], 443));
        let mut port = || {
            let id = world.stack().connect(remote, None).expect("connects");
            world.stack().info(id).expect("it exists").local.port()
        };
        let (first, second) = (port(), port());
        assert!(second == first + 1 || (first, second) == (60_999, 32_768), "{first}, {second}");
        assert!((32_768..=60_999).contains(&first));
        first
    };
    let mut world = World::quiet(config(), 1500);
    let firsts: Vec<_> = (2..34).map(|host| first_towards(&mut world, host)).collect();
    let steps: Vec<_> = firsts.windows(2).map(|pair| pair[1].wrapping_sub(pair[0])).collect();
    assert!(steps.windows(2).all(|pair| pair[0] != pair[1]), "predictable: {firsts:?}");
    let other = first_towards(&mut World::seeded([7; 32]), 2);
    assert_ne!(other, firsts[0]);
}

#[test]
fn c020_only_a_reset_that_acknowledges_our_syn_refuses() {
    let mut world = World::quiet(config(), 1500);
    let (mut peer, id) = connect(&mut world, Offer::PLAIN);
    peer.expect(&mut world, SYN, 0, 0, 0);
    world.advance_ms(1_100);
    peer.expect(&mut world, SYN, 0, 0, 0);
    for wrong in
        [seg(RST, 0, 0), seg(RST, 1, 1), seg(RST_ACK, 7, 0), seg(RST_ACK, 7, 2), seg(RST_ACK, 7, 1 << 31)]
    {
        peer.send(&mut world, wrong);
        assert!(world.app.events.is_empty());
    }
    world.expect_silence();
    // Its own number does not matter, nor a SYN beside it.
    peer.send(&mut world, seg(RST_ACK.with(SYN), 99, 1));
    assert_eq!(world.app.events, [Event::Closed(id, CloseReason::ConnectionRefused)]);
    assert_eq!(world.report().counters.resets_received, 1);
    world.expect_silence();
    world.expect_idle();
}

#[test]
fn c023_the_number_of_syns_is_that_of_the_configuration() {
    let mut config = config();
    config.tcp.tcp_syn_retries = 2;
    let mut world = World::quiet(config, 1500);
    let start = world.now;
    let (mut peer, id) = connect(&mut world, Offer::FULL);
    world.advance_ms(6_900);
    assert!(world.app.events.is_empty());
    world.advance_ms(200);
    let times: Vec<u64> = peer.drain(&mut world).iter().map(|got| got.at.since(start).as_millis()).collect();
    assert_eq!(times, [0, 1_000, 3_000]);
    assert_eq!(world.app.events, [Event::Closed(id, CloseReason::TimedOut)]);
    world.expect_idle();
}
