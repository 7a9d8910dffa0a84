//! Requirements of the RFCs that have no number of their own in docs/conformance.md.

use bywash_core::wire::Sum;

use crate::harness::*;

/// Octets of an Ethernet header.
const LINK: usize = 14;

/// The frame with these options in its IPv4 header, whose length and checksum fit again.
fn with_ip_options(mut frame: Vec<u8>, options: &[u8]) -> Vec<u8> {
    assert!(frame[LINK] == 0x45 && options.len().is_multiple_of(4));
    frame.splice(LINK + 20..LINK + 20, options.iter().copied());
    let header = LINK..LINK + 20 + options.len();
    frame[LINK] = 0x40 | ((20 + options.len()) / 4) as u8;
    let total = (frame.len() - LINK) as u16;
    frame[LINK + 2..LINK + 4].copy_from_slice(&total.to_be_bytes());
    frame[LINK + 10..LINK + 12].fill(0);
    let checksum = Sum::of(&frame[header]).finish();
    frame[LINK + 10..LINK + 12].copy_from_slice(&checksum.to_be_bytes());
    frame
}

#[test]
fn ip_options_are_skipped() {
    let mut world = World::new();
    let mut peer = Peer::new(&world, 40_000, Offer::FULL);
    // NOPs; a record route and the end; a router alert.
    let kinds: [&[u8]; 3] = [&[1; 8], b"\x07\x07\x04\0\0\0\0\0", b"\x94\x04\0\0"];
    let repr = peer.repr(&world, &seg(SYN, 0, 0), peer.syn_options(&world));
    let syn = peer.frame(&repr, &[]);
    world.give(&with_ip_options(syn, kinds[0]));
    peer.expect(&mut world, SYN_ACK, 0, 1, 0);
    peer.send(&mut world, seg(ACK, 1, 1));
    let mut seq = 1;
    for options in kinds {
        let frame = peer.forge(&world, &seg(PSH, seq, 1).data(b"octets"));
        world.give(&with_ip_options(frame, options));
        seq += 6;
    }
    assert_eq!(world.app.bytes, b"octetsoctetsoctets");
    world.advance_ms(50);
    let got = peer.drain(&mut world).pop().expect("an ACK");
    assert_eq!(got.ack, seq);
    assert_eq!(got.packet[0], 0x45, "ours has none");
}

#[test]
fn source_routed_packets_are_answered_without_their_route() {
    let mut world = World::new();
    let mut peer = Peer::new(&world, 40_000, Offer::PLAIN);
    let repr = peer.repr(&world, &seg(SYN, 0, 0), peer.syn_options(&world));
    // A loose source route that is at its end, and the end of options.
    let routed = with_ip_options(peer.frame(&repr, &[]), &[131, 7, 8, 198, 18, 0, 99, 0]);
    world.give(&routed);
    let got = peer.expect(&mut world, SYN_ACK, 0, 1, 0);
    assert_eq!((got.packet[0], &got.packet[16..20]), (0x45, &[198, 18, 0, 2][..]));
}
