//! Datagrams that come in pieces, and IPv6's extension headers.

use bywash_core::port::Medium;
use bywash_core::wire::icmp::EchoId;
use bywash_core::wire::icmpv4::Icmpv4Repr;
use bywash_core::wire::icmpv6::Icmpv6Repr;
use bywash_core::wire::{IpProtocol, Kind, Packet, Sum, classify};

use crate::harness::*;

/// The packet of an Ethernet frame over IPv4, cut behind `at` bytes of what it carries.
fn cut_v4(frame: &[u8], at: usize) -> [Vec<u8>; 2] {
    let piece = |data: &[u8], field: u16| {
        let mut piece = [&frame[..34], data].concat();
        piece[16..18].copy_from_slice(&((20 + data.len()) as u16).to_be_bytes());
        piece[20..22].copy_from_slice(&field.to_be_bytes());
        piece[24..26].fill(0);
        let sum = Sum::of(&piece[14..34]).finish();
        piece[24..26].copy_from_slice(&sum.to_be_bytes());
        piece
    };
    [piece(&frame[34..34 + at], 0x2000), piece(&frame[34 + at..], (at / 8) as u16)]
}

/// The same over IPv6.
fn cut_v6(frame: &[u8], at: usize) -> [Vec<u8>; 2] {
    let piece = |data: &[u8], field: u16| {
        let mut piece = frame[..54].to_vec();
        let next = piece[20];
        piece[20] = 44;
        piece[18..20].copy_from_slice(&((8 + data.len()) as u16).to_be_bytes());
        piece.extend([next, 0, (field >> 8) as u8, field as u8, 0, 0, 0, 9]);
        piece.extend(data);
        piece
    };
    [piece(&frame[54..54 + at], 1), piece(&frame[54 + at..], at as u16)]
}

fn next_packet(world: &mut World) -> (Vec<u8>, Packet) {
    let (_, frame) = world.sent.pop_front().expect("a frame");
    let packet = classify(&frame, Medium::Ethernet).expect("can be read");
    (frame, packet)
}

#[test]
fn c161_a_segment_in_pieces_arrives_once_it_is_whole() {
    let mut world = World::new();
    let peer = Peer::connect(&mut world, 40_000, Offer::FULL);
    let text = pattern(600);
    let [first, second] = cut_v4(&peer.forge(&world, &seg(PSH, 1, 1).data(&text)), 256);
    world.give(&second);
    assert!(world.app.bytes.is_empty());
    world.give(&second);
    world.give(&first);
    assert_eq!(world.app.bytes, text);
    assert_eq!(world.report().counters.reassembled, 1);
    let mut peer = Peer::v6(&world, 40_000, Offer::FULL);
    peer.open(&mut world);
    for piece in cut_v6(&peer.forge(&world, &seg(PSH, 1, 1).data(&text)), 256) {
        world.give(&piece);
    }
    assert_eq!(world.app.bytes, [&text[..], &text].concat());
    // A wrong checksum of the whole: nothing.
    let mut damaged = peer.forge(&world, &seg(PSH, 601, 1).data(&text));
    damaged[300] ^= 1;
    for piece in cut_v6(&damaged, 256) {
        world.give(&piece);
    }
    assert_eq!(world.dropped(DropReason::BadChecksum), 1);
}

#[test]
fn c161_overlapping_pieces_are_dropped_and_so_is_their_datagram() {
    let mut world = World::new();
    let mut peer = Peer::v6(&world, 40_000, Offer::FULL);
    peer.open(&mut world);
    let text = pattern(600);
    let frame = peer.forge(&world, &seg(PSH, 1, 1).data(&text));
    let [first, second] = cut_v6(&frame, 256);
    let [_, early] = cut_v6(&frame, 248);
    for piece in [first, early, second] {
        world.give(&piece);
    }
    assert!(world.app.bytes.is_empty());
    world.expect_silence();
    // And nothing is said when the time is over (RFC 5722 section 4: silently).
    world.advance_ms(61_000);
    world.expect_silence();
    peer.send(&mut world, seg(PSH, 1, 1).data(&text));
    assert_eq!(world.app.bytes, text);
}

#[test]
fn pieces_that_stay_alone_are_given_up_and_the_sender_is_told() {
    let mut world = World::new();
    let peer = Peer::connect(&mut world, 40_000, Offer::FULL);
    let frame = peer.forge(&world, &seg(PSH, 1, 1).data(&pattern(600)));
    let [first, _] = cut_v4(&frame, 256);
    world.give(&first);
    world.advance_ms(29_900);
    world.expect_silence();
    world.advance_ms(200);
    let (answer, packet) = next_packet(&mut world);
    let Ok(Icmpv4Repr::TimeExceeded { code: 1, quoted }) = Icmpv4Repr::parse(packet.transport(&answer))
    else {
        panic!("time exceeded in reassembly was due");
    };
    assert_eq!(quoted, &first[14..]);
    // Without the first piece nobody could know what it is about.
    let [_, second] = cut_v4(&frame, 256);
    world.give(&second);
    world.advance_ms(31_000);
    world.expect_silence();
    assert_eq!(world.dropped(DropReason::Fragment), 1);
}

#[test]
fn a_long_ping_comes_back_in_pieces() {
    let mut world = World::new();
    let data = pattern(5_000);
    let id = EchoId { identifier: 7, sequence: 1 };
    let request = Icmpv4Repr::EchoRequest { id, data: &data };
    let mut body = vec![0; request.message_len()];
    request.emit(&mut body).expect("room");
    let macs = (PEER_MAC, OWN_MAC);
    let frame = forge_ip(macs, (address(PEER), address(LOCAL)), IpProtocol::ICMPV4, 64, &body);
    for piece in cut_v4(&frame, 2_400) {
        world.give(&piece);
    }
    let (mut whole, mut ids) = (Vec::new(), Vec::new());
    while !world.sent.is_empty() {
        let (answer, packet) = next_packet(&mut world);
        let Kind::Fragment(fragment) = packet.kind else { panic!("a fragment was due") };
        assert!(packet.network(&answer).len() <= 1_500);
        assert_eq!(usize::from(fragment.offset), whole.len());
        whole.extend_from_slice(packet.transport(&answer));
        ids.push(fragment.identification);
    }
    assert_eq!(Icmpv4Repr::parse(&whole), Ok(Icmpv4Repr::EchoReply { id, data: &data }));
    assert!(ids.len() == 4 && ids.iter().all(|id| *id == ids[0]), "one datagram");
}

#[test]
fn a_long_ping6_comes_back_in_pieces() {
    let mut world = World::new();
    let data = pattern(3_000);
    let id = EchoId { identifier: 7, sequence: 1 };
    let request = Icmpv6Repr::EchoRequest { id, data: &data };
    let addresses = (address(PEER_V6), address(LOCAL_V6));
    let mut body = vec![0; request.message_len()];
    let pseudo = pseudo_header(addresses.0, addresses.1, IpProtocol::ICMPV6, body.len());
    request.emit(&mut body, pseudo).expect("room");
    let frame = forge_ip((PEER_MAC, OWN_MAC), addresses, IpProtocol::ICMPV6, 64, &body);
    for piece in cut_v6(&frame, 1_400) {
        world.give(&piece);
    }
    let mut whole = Vec::new();
    while !world.sent.is_empty() {
        let (answer, packet) = next_packet(&mut world);
        let Kind::Fragment(fragment) = packet.kind else { panic!("a fragment was due") };
        assert_eq!(usize::from(fragment.offset), whole.len());
        whole.extend_from_slice(packet.transport(&answer));
    }
    assert_eq!(Icmpv6Repr::parse(&whole, pseudo), Ok(Icmpv6Repr::EchoReply { id, data: &data }));
}

/// The parameter problem that answers `payload` behind an IPv6 header which names `next`.
fn problem(next: u8, payload: &[u8]) -> Option<(u8, u32)> {
    let mut world = World::new();
    let addresses = (address(PEER_V6), address(LOCAL_V6));
    world.give(&forge_ip((PEER_MAC, OWN_MAC), addresses, IpProtocol(next), 64, payload));
    if world.sent.is_empty() {
        return None;
    }
    let (answer, packet) = next_packet(&mut world);
    let message = packet.transport(&answer);
    let pseudo = pseudo_header(addresses.1, addresses.0, IpProtocol::ICMPV6, message.len());
    match Icmpv6Repr::parse(message, pseudo) {
        Ok(Icmpv6Repr::ParameterProblem { code, pointer, quoted }) => {
            assert_eq!(&quoted[40..], payload);
            Some((code, pointer))
        }
        other => panic!("a parameter problem was due: {other:?}"),
    }
}

#[test]
fn unknown_headers_and_options_of_ipv6_are_answered_as_they_ask() {
    const PAD: [u8; 4] = [1, 2, 0, 0];
    let options = |next: u8, kind: u8| [&[next, 0, kind, 0][..], &PAD].concat();
    // An unknown protocol, named by the fixed header or by an extension (RFC 4443 section 3.4).
    assert_eq!(problem(132, &[0; 16]), Some((1, 6)));
    assert_eq!(problem(60, &[&options(132, 1)[..], &[0; 16]].concat()), Some((1, 40)));
    assert_eq!(problem(59, &[0; 8]), None);
    // Options: 00 is skipped, 01 dropped in silence, 10 and 11 are answered (RFC 8200 section 4.2).
    assert_eq!(problem(60, &[&options(132, 0x3e)[..], &[0; 16]].concat()), Some((1, 40)));
    assert_eq!(problem(60, &options(59, 0x7e)), None);
    assert_eq!(problem(60, &options(59, 0xbe)), Some((2, 42)));
    assert_eq!(problem(0, &options(59, 0xfe)), Some((2, 42)));
    // A routing header that wants to go on (section 4.4), and hop-by-hop options that are not first (section 4).
    assert_eq!(problem(43, &[59, 0, 0, 1, 0, 0, 0, 0]), Some((0, 42)));
    assert_eq!(problem(60, &[&options(0, 1)[..], &options(59, 1)].concat()), Some((1, 40)));
    // A fragment whose length is no multiple of eight, and one beyond the longest packet (section 4.5).
    assert_eq!(problem(44, &[6, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0]), Some((0, 4)));
    assert_eq!(problem(44, &[6, 0, 0xff, 0xf8, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]), Some((0, 42)));
}

#[test]
fn segments_behind_extension_headers_and_atomic_fragments_are_whole() {
    let mut world = World::new();
    let mut peer = Peer::v6(&world, 40_000, Offer::FULL);
    peer.open(&mut world);
    let with_header = |world: &World, at: u32, kind: u8, header: [u8; 8]| {
        let mut frame = peer.forge(world, &seg(PSH, at, 1).data(b"word"));
        let len = u16::from_be_bytes([frame[18], frame[19]]) + 8;
        frame[18..20].copy_from_slice(&len.to_be_bytes());
        frame[20] = kind;
        frame.splice(54..54, header);
        frame
    };
    let frames = [
        with_header(&world, 1, 0, [6, 0, 1, 4, 0, 0, 0, 0]),
        with_header(&world, 5, 60, [6, 0, 1, 4, 0, 0, 0, 0]),
        with_header(&world, 9, 43, [6, 0, 0, 0, 0, 0, 0, 0]),
        // RFC 6946: a fragment that is alone.
        with_header(&world, 13, 44, [6, 0, 0, 0, 0, 0, 0, 5]),
    ];
    for frame in &frames {
        world.give(frame);
    }
    assert_eq!(world.app.bytes, b"word".repeat(4));
}
