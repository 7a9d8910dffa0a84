//! What ICMP errors do to connections and paths.

use core::net::SocketAddr;

use bywash_core::shard::ConnectionId;
use bywash_core::stack::IpConfig;
use bywash_core::wire::icmpv4::{Icmpv4Repr, Unreachable};
use bywash_core::wire::icmpv6::Icmpv6Repr;
use bywash_core::wire::{Address, IpProtocol};

use crate::harness::*;

/// A router that is nobody's peer.
const ROUTER: &str = "198.18.0.254";
const ROUTER_V6: &str = "fd00:198:18::254";

/// An ICMP error about `packet`, which it quotes with its first eight octets.
fn complain_v4(world: &mut World, message: impl Fn(&[u8]) -> Icmpv4Repr<'_>, packet: &[u8]) {
    let message = message(&packet[..28]);
    let mut body = vec![0; message.message_len()];
    message.emit(&mut body).expect("room");
    let addresses = (address(ROUTER), address(LOCAL));
    world.give(&forge_ip((PEER_MAC, OWN_MAC), addresses, IpProtocol::ICMPV4, 64, &body));
}

fn complain_v6(world: &mut World, message: impl Fn(&[u8]) -> Icmpv6Repr<'_>, packet: &[u8]) {
    let message = message(&packet[..packet.len().min(1232)]);
    let mut body = vec![0; message.message_len()];
    let addresses = (address(ROUTER_V6), address(LOCAL_V6));
    let pseudo = pseudo_header(addresses.0, addresses.1, IpProtocol::ICMPV6, body.len());
    message.emit(&mut body, pseudo).expect("room");
    world.give(&forge_ip((PEER_MAC, OWN_MAC), addresses, IpProtocol::ICMPV6, 64, &body));
}

fn too_big(next_hop_mtu: u16) -> impl Fn(&[u8]) -> Icmpv4Repr<'_> {
    let reason = Unreachable::FragmentationNeeded { next_hop_mtu };
    move |quoted| Icmpv4Repr::DestinationUnreachable { reason, quoted }
}

fn unreachable(reason: Unreachable) -> impl Fn(&[u8]) -> Icmpv4Repr<'_> {
    move |quoted| Icmpv4Repr::DestinationUnreachable { reason, quoted }
}

fn unreachable_v6(code: u8) -> impl Fn(&[u8]) -> Icmpv6Repr<'_> {
    move |quoted| Icmpv6Repr::DestinationUnreachable { code, quoted }
}

/// An open connection with `len` octets in flight; what was sent.
fn in_flight(world: &mut World, mut peer: Peer, len: usize) -> (Peer, ConnectionId, Vec<Got>) {
    peer.open(world);
    let id = world.app.last();
    world.stack().write(id, &pattern(len)).expect("open");
    world.turn();
    let sent = peer.drain(world);
    (peer, id, sent)
}

fn lengths(sent: &[Got]) -> Vec<(u32, usize)> {
    sent.iter().map(|got| (got.seq, got.payload.len())).collect()
}

#[test]
fn c140_too_big_segments_are_sent_again_smaller_without_a_cut() {
    let mut world = World::new();
    let peer = Peer::new(&world, 40_000, Offer::FULL);
    let (mut peer, _, sent) = in_flight(&mut world, peer, 20_000);
    assert_eq!(lengths(&sent)[..2], [(1, 1448), (1449, 1448)]);
    assert_eq!(sent.len(), 10, "the initial window");
    complain_v4(&mut world, too_big(1400), &sent[0].packet);
    // All of the window is sent again at once, in segments of 1400 - 20 - 20 - 12 octets.
    let again = peer.drain(&mut world);
    assert_eq!(lengths(&again)[..3], [(1, 1348), (1349, 1348), (2697, 1348)]);
    let octets: usize = again.iter().map(|got| got.payload.len()).sum();
    assert!(octets > 14_480 - 1348 && octets <= 14_480, "no cut: {octets}");
    let text = pattern(20_000);
    assert!(again.iter().all(|got| got.payload == text[got.seq as usize - 1..][..got.payload.len()]));
    // The routers' word for the other segments says nothing new.
    for got in &sent[1..] {
        complain_v4(&mut world, too_big(1400), &got.packet);
    }
    world.expect_silence();
    peer.send(&mut world, seg(ACK, 1, 14_481));
    let new = peer.drain(&mut world);
    assert!(new.iter().all(|got| got.payload.len() <= 1348) && !new.is_empty());
    assert_eq!(world.report().counters.path_mtu_lowered, 1);
}

#[test]
fn c140_over_ipv6() {
    let mut world = World::new();
    let peer = Peer::v6(&world, 40_000, Offer::FULL);
    let (mut peer, _, sent) = in_flight(&mut world, peer, 4_000);
    assert_eq!(lengths(&sent), [(1, 1428), (1429, 1428), (2857, 1144)]);
    // RFC 8201 section 4: less than 1280 must be discarded.
    complain_v6(&mut world, |quoted| Icmpv6Repr::PacketTooBig { mtu: 1279, quoted }, &sent[0].packet);
    world.expect_silence();
    complain_v6(&mut world, |quoted| Icmpv6Repr::PacketTooBig { mtu: 1280, quoted }, &sent[0].packet);
    let again = peer.drain(&mut world);
    assert_eq!(lengths(&again), [(1, 1208), (1209, 1208), (2417, 1208), (3625, 376)]);
}

#[test]
fn c140_a_router_that_names_no_mtu_means_the_next_plateau() {
    let mut world = World::new();
    let peer = Peer::new(&world, 40_000, Offer::PLAIN);
    let (mut peer, _, sent) = in_flight(&mut world, peer, 1_460);
    complain_v4(&mut world, too_big(0), &sent[0].packet);
    assert_eq!(lengths(&peer.drain(&mut world)), [(1, 1452), (1453, 8)]);
    // What is below min_pmtu is not believed.
    complain_v4(&mut world, too_big(68), &sent[0].packet);
    assert_eq!(lengths(&peer.drain(&mut world)), [(1, 512), (513, 512), (1025, 436)]);
}

#[test]
fn c140_new_connections_know_the_path_and_it_is_forgotten_after_ten_minutes() {
    let mut world = World::new();
    let peer = Peer::new(&world, 40_000, Offer::PLAIN);
    let (mut peer, id, sent) = in_flight(&mut world, peer, 1_460);
    complain_v4(&mut world, too_big(1_000), &sent[0].packet);
    assert_eq!(lengths(&peer.drain(&mut world)), [(1, 960), (961, 500)]);
    peer.send(&mut world, seg(ACK, 1, 1_461));
    // The MSS that we announce is the interface's (RFC 1191 section 3.1); what we send fits the path.
    let mut second = Peer::new(&world, 40_001, Offer::PLAIN);
    let syn_ack = second.open(&mut world);
    assert_eq!(syn_ack.options.mss, Some(1_460));
    let other = world.app.last();
    world.stack().write(other, &pattern(1_460)).expect("open");
    world.turn();
    assert_eq!(lengths(&second.drain(&mut world)), [(1, 960), (961, 500)]);
    second.send(&mut world, seg(ACK, 1, 1_461));
    // Another destination is another path.
    world.advance_ms(599_000);
    world.stack().write(id, &pattern(1_000)).expect("open");
    world.turn();
    assert_eq!(lengths(&peer.drain(&mut world)), [(1_461, 960), (2_421, 40)]);
    peer.send(&mut world, seg(ACK, 1, 2_461));
    world.advance_ms(1_100);
    world.stack().write(id, &pattern(1_460)).expect("open");
    world.turn();
    assert_eq!(lengths(&peer.drain(&mut world)), [(2_461, 1_460)]);
}

#[test]
fn c140_the_cache_of_paths_is_bounded() {
    let ip = IpConfig { path_mtus_max: 4, ..IpConfig::default() };
    let mut world = World::with(bywash_core::stack::StackConfig { ip, ..config() }, 1500);
    for last in 2..40 {
        let mut peer = Peer::new(&world, 40_000, Offer::PLAIN);
        peer.tuple.local = Address::v4([198, 18, 0, last]);
        let (_, _, sent) = in_flight(&mut world, peer, 1_460);
        complain_v4(&mut world, too_big(1_000), &sent[0].packet);
        world.sent.clear();
    }
    assert_eq!(world.report().counters.path_mtu_lowered, 38);
}

#[test]
fn c141_errors_about_what_is_not_in_flight_are_ignored() {
    let mut world = World::new();
    let peer = Peer::new(&world, 40_000, Offer::PLAIN);
    let (mut peer, id, sent) = in_flight(&mut world, peer, 2_920);
    peer.send(&mut world, seg(ACK, 1, 1_461));
    let irs = peer.irs;
    let with_seq = |seq: u32| {
        let mut packet = sent[1].packet.clone();
        packet[24..28].copy_from_slice(&irs.wrapping_add(seq).to_be_bytes());
        packet
    };
    let ignored = |world: &mut World, packet: &[u8]| {
        let before = world.dropped(DropReason::IcmpUnmatched);
        complain_v4(world, too_big(600), packet);
        assert_eq!(world.dropped(DropReason::IcmpUnmatched), before + 1);
        world.expect_silence();
    };
    // SND.UNA is 1461, SND.NXT 2921.
    ignored(&mut world, &with_seq(1_460));
    ignored(&mut world, &with_seq(2_921));
    ignored(&mut world, &with_seq(0x4000_0000));
    // Another connection's, and nobody's.
    let mut other = with_seq(1_461);
    other[22..24].copy_from_slice(&41_000_u16.to_be_bytes());
    ignored(&mut world, &other);
    // What quotes no segment of ours says nothing at all.
    let mut foreign = with_seq(1_461);
    foreign[12..16].copy_from_slice(&[198, 18, 0, 3]);
    complain_v4(&mut world, too_big(600), &foreign);
    complain_v4(&mut world, unreachable(Unreachable::Host), &with_seq(1_460));
    world.expect_silence();
    // The edges: the first octet in flight counts, and so does the last.
    complain_v4(&mut world, too_big(1_400), &with_seq(2_920));
    assert_eq!(lengths(&peer.drain(&mut world)), [(1_461, 1_360), (2_821, 100)]);
    complain_v4(&mut world, too_big(1_300), &with_seq(1_461));
    assert_eq!(lengths(&peer.drain(&mut world)), [(1_461, 1_260), (2_721, 200)]);
    assert!(world.stack().info(id).is_some());
}

#[test]
fn c142_soft_errors_are_told_only_when_the_connection_times_out() {
    let mut world = World::new();
    let peer = Peer::new(&world, 40_000, Offer::FULL);
    let (mut peer, id, sent) = in_flight(&mut world, peer, 100);
    for reason in [Unreachable::Network, Unreachable::Host, Unreachable::SourceRouteFailed] {
        complain_v4(&mut world, unreachable(reason), &sent[0].packet);
    }
    complain_v4(&mut world, |quoted| Icmpv4Repr::TimeExceeded { code: 0, quoted }, &sent[0].packet);
    world.expect_silence();
    assert_eq!(world.app.closed(), None);
    // It goes on; and what was acknowledged since does not count any more.
    peer.send(&mut world, seg(ACK, 1, 101));
    world.stack().write(id, &pattern(10)).expect("open");
    world.turn();
    peer.expect(&mut world, PSH, 101, 1, 10);
    world.advance_ms(2_000_000);
    assert_eq!(world.app.closed(), Some(CloseReason::TimedOut));

    let peer = Peer::new(&world, 40_001, Offer::FULL);
    world.sent.clear();
    let (_, _, sent) = in_flight(&mut world, peer, 100);
    complain_v4(&mut world, unreachable(Unreachable::Host), &sent[0].packet);
    world.advance_ms(2_000_000);
    assert_eq!(world.app.closed(), Some(CloseReason::HostUnreachable));
    world.expect_idle();
}

/// Connects over `remote`'s family; the SYN that left, without its link header.
fn syn_sent(world: &mut World, remote: &str) -> (ConnectionId, Vec<u8>) {
    let remote: SocketAddr = remote.parse().expect("an address");
    crate::answers::announce(world, PEER, PEER_MAC.0);
    crate::answers::announce_v6(world);
    world.sent.clear();
    let id = world.stack().connect(remote, None).expect("connects");
    world.turn();
    let (_, frame) = world.sent.pop_front().expect("a SYN");
    (id, frame[14..].to_vec())
}

#[test]
fn c143_hard_errors_end_a_connect_and_leave_an_open_connection_alone() {
    let remote = "198.18.0.2:443";
    for (reason, expected) in [
        (Unreachable::Port, CloseReason::ConnectionRefused),
        (Unreachable::Protocol, CloseReason::ConnectionRefused),
        (Unreachable::Other(13), CloseReason::HostUnreachable),
    ] {
        let mut world = World::new();
        let (id, mut syn) = syn_sent(&mut world, remote);
        syn[27] ^= 1;
        complain_v4(&mut world, unreachable(reason), &syn);
        assert!(world.app.events.is_empty(), "a wrong sequence number proves nothing");
        syn[27] ^= 1;
        complain_v4(&mut world, unreachable(reason), &syn);
        assert_eq!(world.app.events, [Event::Closed(id, expected)]);
        world.expect_silence();
        world.expect_idle();
        // Open connections ignore the same.
        let peer = Peer::new(&world, 40_000, Offer::FULL);
        let (peer, _, sent) = in_flight(&mut world, peer, 100);
        complain_v4(&mut world, unreachable(reason), &sent[0].packet);
        peer.send(&mut world, seg(PSH, 1, 101).data(b"alive"));
        assert_eq!(world.app.bytes, b"alive");
    }
}

#[test]
fn c143_over_ipv6() {
    for (code, expected) in [(4, CloseReason::ConnectionRefused), (1, CloseReason::HostUnreachable)] {
        let mut world = World::new();
        let (id, syn) = syn_sent(&mut world, "[fd00:198:18::2]:443");
        complain_v6(&mut world, unreachable_v6(code), &syn);
        assert_eq!(world.app.events, [Event::Closed(id, expected)]);
        world.expect_silence();
        world.expect_idle();
    }
}

#[test]
fn c142_c143_a_soft_error_does_not_end_a_connect() {
    let mut world = World::new();
    let (id, syn) = syn_sent(&mut world, "198.18.0.2:443");
    complain_v4(&mut world, unreachable(Unreachable::Host), &syn);
    complain_v4(&mut world, unreachable(Unreachable::Network), &syn);
    assert!(world.app.events.is_empty());
    world.advance_ms(126_000);
    assert!(world.app.events.is_empty());
    world.advance_ms(2_000);
    assert_eq!(world.app.events, [Event::Closed(id, CloseReason::HostUnreachable)]);
}

#[test]
fn c143_a_hard_error_ends_a_half_open_connection() {
    let mut world = World::new();
    let mut peer = Peer::new(&world, 40_000, Offer::FULL);
    peer.syn(&mut world);
    let syn_ack = peer.expect(&mut world, SYN_ACK, 0, 1, 0);
    complain_v4(&mut world, unreachable(Unreachable::Host), &syn_ack.packet);
    assert_eq!(world.report().half_open, 1, "this may pass");
    complain_v4(&mut world, unreachable(Unreachable::Port), &syn_ack.packet);
    world.expect_silence();
    world.expect_idle();
}
