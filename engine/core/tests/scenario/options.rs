//! Options, and what follows from them.

use bywash_core::wire::tcp::{Options, SackPermitted, TcpRepr};
use bywash_core::wire::{Sum, tcp};

use crate::harness::*;

/// A SYN whose options are these octets.
fn syn_with(world: &mut World, peer: &Peer, options: &[u8]) {
    raw(world, peer, &seg(SYN, 0, 0), options, &[]);
}

/// A segment whose options are these octets, a multiple of four.
fn raw(world: &mut World, peer: &Peer, segment: &Seg, options: &[u8], payload: &[u8]) {
    let repr: TcpRepr = peer.repr(world, segment, Options::NONE);
    let mut header = vec![0; 20];
    repr.emit(&mut header).expect("room");
    header.extend_from_slice(options);
    header[12] = ((header.len() / 4) << 4) as u8;
    let len = header.len() + payload.len();
    let (source, destination) = (peer.tuple.local, peer.tuple.remote);
    let pseudo = pseudo_header(source, destination, bywash_core::wire::IpProtocol::TCP, len);
    tcp::seal(&mut header, pseudo.add(Sum::of(payload)));
    header.extend_from_slice(payload);
    let protocol = bywash_core::wire::IpProtocol::TCP;
    world.give(&forge_ip((PEER_MAC, OWN_MAC), (source, destination), protocol, 64, &header));
}

/// Writes `len` octets and says how long the first segment is.
fn first_segment(world: &mut World, peer: &mut Peer, len: usize) -> Got {
    let id = world.app.last();
    world.stack().write(id, &pattern(len)).expect("open");
    world.turn();
    peer.next(world)
}

#[test]
fn c028_a_syn_ack_offers_what_the_syn_offers() {
    let mut world = World::new();
    for bits in 0..8 {
        let mut peer = Peer::new(&world, 40_000 + bits, Offer::PLAIN);
        peer.offer.scale = (bits & 1 != 0).then_some(7);
        peer.offer.sack = if bits & 2 == 0 { SackPermitted::Absent } else { SackPermitted::Present };
        peer.offer.clock = (bits & 4 != 0).then_some(77);
        peer.syn(&mut world);
        let got = peer.expect(&mut world, SYN_ACK, 0, 1, 0);
        assert_eq!(got.options.mss, Some(1460));
        assert_eq!(got.options.window_scale, peer.offer.scale.map(|_| 3));
        assert_eq!(got.options.sack_permitted, peer.offer.sack);
        assert_eq!(got.options.timestamps.map(|t| t.echo), peer.offer.clock);
        let len = 4 + 4 * usize::from(bits & 1) + if bits & 4 != 0 { 12 } else { 2 * usize::from(bits & 2) };
        assert_eq!(got.option_bytes.len(), len, "no padding beyond what alignment asks for");
    }
}

#[test]
fn c028_what_is_switched_off_is_not_offered() {
    let mut config = config();
    (config.tcp.tcp_sack, config.tcp.tcp_timestamps, config.tcp.tcp_window_scaling) = (false, false, false);
    let mut world = World::with(config, 1500);
    let mut peer = Peer::new(&world, 40_000, Offer::FULL);
    peer.syn(&mut world);
    let got = peer.expect(&mut world, SYN_ACK, 0, 1, 0);
    assert_eq!(got.option_bytes, [2, 4, 5, 180]);
}

#[test]
fn c029_unknown_options_are_skipped() {
    let mut world = World::new();
    let mut peer = Peer::new(&world, 40_000, Offer::PLAIN);
    // Kind 254 with 6 octets, then MSS 1000, then kind 19 (MD5) with 18 octets.
    let mut options = vec![254, 6, 1, 2, 3, 4, 2, 4, 3, 232, 19, 18];
    options.resize(28, 0xee);
    syn_with(&mut world, &peer, &options);
    peer.expect(&mut world, SYN_ACK, 0, 1, 0);
    peer.send(&mut world, seg(ACK, 1, 1));
    assert_eq!(first_segment(&mut world, &mut peer, 1_200).payload.len(), 1_000);
}

#[test]
fn c030_illegal_option_lengths_do_no_harm() {
    let bad: [&[u8]; 5] =
        [&[254, 0, 0, 0], &[254, 1, 0, 0], &[2, 4, 5, 180, 254, 41, 0, 0], &[8, 200, 0, 0], &[1, 1, 1, 3]];
    let mut world = World::new();
    for (i, options) in bad.into_iter().enumerate() {
        let mut peer = Peer::new(&world, 40_000 + i as u16, Offer::PLAIN);
        syn_with(&mut world, &peer, options);
        peer.expect(&mut world, SYN_ACK, 0, 1, 0);
        peer.send(&mut world, seg(ACK, 1, 1));
        raw(&mut world, &peer, &seg(PSH, 1, 1), options, b"x");
        peer.send(&mut world, seg(PSH, 2, 1).data(b"y"));
    }
    assert_eq!(world.app.bytes, b"xyxyxyxyxy");
}

#[test]
fn c031_padding_is_parsed_anywhere_and_the_end_ends() {
    let mut world = World::new();
    let mut peer = Peer::new(&world, 40_000, Offer::PLAIN);
    // NOP, MSS 900, NOP, scale 2, NOP NOP, end, then an MSS that nobody may read.
    let options = [1, 2, 4, 3, 132, 1, 3, 3, 2, 1, 1, 0, 2, 4, 0, 100];
    syn_with(&mut world, &peer, &options);
    let got = peer.expect(&mut world, SYN_ACK, 0, 1, 0);
    assert_eq!(got.options.window_scale, Some(3));
    // Ours: MSS, NOP, window scale.
    assert_eq!(got.option_bytes, [2, 4, 5, 180, 1, 3, 3, 3]);
    peer.send(&mut world, seg(ACK, 1, 1));
    assert_eq!(first_segment(&mut world, &mut peer, 1_200).payload.len(), 900);
}

#[test]
fn c032_without_mss_536_octets_are_sent() {
    let mut world = World::new();
    let mut peer = Peer::connect(&mut world, 40_000, Offer { mss: None, ..Offer::PLAIN });
    assert_eq!(first_segment(&mut world, &mut peer, 600).payload.len(), 536);
}

#[test]
fn c033_a_tiny_mss_is_raised_to_a_floor() {
    for mss in [0, 1, 12, 40] {
        let mut world = World::new();
        let mut peer = Peer::connect(&mut world, 40_000, Offer { mss: Some(mss), ..Offer::FULL });
        let got = first_segment(&mut world, &mut peer, 400);
        assert_eq!(got.payload.len(), 48, "tcp_min_snd_mss");
    }
}

#[test]
fn c034_mss_on_other_segments_is_ignored() {
    let mut world = World::new();
    let mut peer = Peer::connect(&mut world, 40_000, Offer::PLAIN);
    raw(&mut world, &peer, &seg(PSH, 1, 1), &[2, 4, 0, 100], b"x");
    world.advance_ms(50);
    peer.expect(&mut world, ACK, 1, 2, 0);
    assert_eq!(first_segment(&mut world, &mut peer, 2_000).payload.len(), 1_460);
}

#[test]
fn c035_a_scale_above_14_counts_as_14_and_syns_are_not_scaled() {
    let mut world = World::new();
    let mut peer = Peer::new(&world, 40_000, Offer { scale: Some(200), ..Offer::PLAIN });
    peer.window = 2;
    let syn_ack = peer.open(&mut world);
    assert_eq!(syn_ack.window, 65_535);
    // The SYN showed 2 octets, the ACK 2 << 14: more than the first flight.
    let id = world.app.last();
    world.stack().write(id, &pattern(60_000)).expect("open");
    world.turn();
    let flight: usize = peer.drain(&mut world).iter().map(|got| got.payload.len()).sum();
    assert_eq!(flight, 14_600);
    peer.send(&mut world, seg(ACK, 1, 14_601));
    let flight: usize = peer.drain(&mut world).iter().map(|got| got.payload.len()).sum();
    assert_eq!(flight, 29_200, "within 2 << 14 = 32,768");
}

#[test]
fn c093_the_window_of_a_syn_is_not_scaled() {
    let mut world = World::new();
    let mut peer = Peer::new(&world, 40_000, Offer { scale: Some(7), ..Offer::PLAIN });
    peer.window = 100;
    world.app.on_open = Box::new(|host, id| {
        host.write(id, &pattern(60_000)).expect("open");
    });
    peer.syn(&mut world);
    peer.expect(&mut world, SYN_ACK, 0, 1, 0);
    peer.send(&mut world, seg(ACK, 1, 1));
    // 100 << 7 since the third segment.
    let flight: usize = peer.drain(&mut world).iter().map(|got| got.payload.len()).sum();
    assert_eq!(flight, 8 * 1_460, "full segments only");
}

#[test]
fn c036_one_side_without_scaling_means_none() {
    let mut world = World::new();
    let (mut peer, id) = Peer::accepted(&mut world, 40_000, Offer::PLAIN);
    world.stack().write(id, b"x").expect("open");
    world.turn();
    assert_eq!(peer.expect(&mut world, PSH, 1, 1, 1).window, 65_535);
    // The peer's windows count as they are.
    peer.send(&mut world, seg(ACK, 1, 2).window(3_000));
    world.stack().write(id, &pattern(10_000)).expect("open");
    world.turn();
    let flight: usize = peer.drain(&mut world).iter().map(|got| got.payload.len()).sum();
    assert_eq!(flight, 2_920);
}

#[test]
fn c038_reserved_bits_are_ignored() {
    let mut world = World::new();
    let mut peer = Peer::connect(&mut world, 40_000, Offer::PLAIN);
    let repr = peer.repr(&world, &seg(PSH, 1, 1), Options::NONE);
    let mut header = vec![0; 20];
    repr.emit(&mut header).expect("room");
    header[12] |= 0x0f;
    let protocol = bywash_core::wire::IpProtocol::TCP;
    let pseudo = pseudo_header(peer.tuple.local, peer.tuple.remote, protocol, 22);
    tcp::seal(&mut header, pseudo.add(Sum::of(b"ok")));
    header.extend_from_slice(b"ok");
    world.give(&forge_ip((PEER_MAC, OWN_MAC), (peer.tuple.local, peer.tuple.remote), protocol, 64, &header));
    assert_eq!(world.app.bytes, b"ok");
    world.advance_ms(50);
    // The harness checks that ours are zero.
    peer.expect(&mut world, ACK, 1, 3, 0);
}

#[test]
fn c039_timestamps_take_twelve_octets_of_each_segment() {
    let mut world = World::new();
    let (mut peer, id) = Peer::accepted(&mut world, 40_000, Offer::FULL);
    world.stack().write(id, &pattern(3_000)).expect("open");
    world.turn();
    let segments = peer.drain(&mut world);
    let lens: Vec<usize> = segments.iter().map(|got| got.payload.len()).collect();
    assert_eq!(lens, [1_448, 1_448, 104]);
    assert!(segments.iter().all(|got| got.options.timestamps.is_some_and(|t| t.echo == 5_000)));
    assert!(segments.iter().all(|got| got.packet.len() <= 1_500));
    peer.send(&mut world, seg(FIN, 1, 3_001));
    peer.expect(&mut world, ACK, 3_001, 2, 0);
    world.stack().close(id);
    world.turn();
    peer.expect(&mut world, FIN, 3_001, 2, 0);
}

#[test]
fn c144_the_advertised_mss_follows_the_mtu() {
    for mtu in [1_280, 1_500, 9_000, 65_535] {
        let mut world = World::with(config(), mtu);
        let mut peer = Peer::new(&world, 40_000, Offer::PLAIN);
        peer.syn(&mut world);
        assert_eq!(peer.expect(&mut world, SYN_ACK, 0, 1, 0).options.mss, Some(mtu - 40));
        let mut peer = Peer::v6(&world, 40_000, Offer::PLAIN);
        peer.syn(&mut world);
        assert_eq!(peer.expect(&mut world, SYN_ACK, 0, 1, 0).options.mss, Some(mtu - 60));
    }
}

#[test]
fn c147_segments_must_not_be_fragmented() {
    let mut world = World::new();
    let (mut peer, id) = Peer::accepted(&mut world, 40_000, Offer::FULL);
    world.stack().write(id, b"x").expect("open");
    world.turn();
    let first = peer.expect(&mut world, PSH, 1, 1, 1);
    world.advance_ms(1_000);
    let again = peer.expect(&mut world, PSH, 1, 1, 1);
    for got in [first, again] {
        assert_eq!(got.packet[6] & 0x40, 0x40, "DF");
        assert_eq!(got.packet[8], 64, "TTL");
    }
}
