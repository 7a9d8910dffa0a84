//! Frames that nobody in his right mind sends.

use bywash_core::base::random::Random;
use bywash_core::wire::tcp::Options;
use bywash_core::wire::{Address, IpProtocol, MacAddress};

use crate::harness::*;

const IP: usize = 14;
const TCP: usize = 34;

fn drops(world: &World) -> u64 {
    world.report().counters.drops.iter().sum()
}

/// Gives the frame and sees it dropped in silence.
#[track_caller]
fn expect_drop(world: &mut World, frame: &[u8]) {
    let (dropped, events) = (drops(world), world.app.events.len());
    world.give(frame);
    world.expect_silence();
    assert_eq!(drops(world), dropped + 1, "counted once");
    assert_eq!((world.app.events.len(), world.app.bytes.len()), (events, 0));
}

#[test]
fn c161_wrong_checksums_offsets_and_lengths_are_dropped() {
    let mut world = World::new();
    let (peer, id) = Peer::accepted(&mut world, 40_000, Offer::PLAIN);
    let good = peer.forge(&world, &seg(PSH, 1, 1).data(b"payload"));
    let mutate = |at: usize, value: u8| {
        let mut frame = good.clone();
        frame[at] ^= value;
        frame
    };
    for at in [TCP + 16, TCP + 4, TCP + 20, IP + 10, IP + 1, IP + 8] {
        expect_drop(&mut world, &mutate(at, 0x10));
    }
    // Data offset below 5 and beyond the segment; IP version, header length, total length.
    for (at, value) in [(TCP + 12, 0x50), (TCP + 12, 0xa0), (IP, 0x20), (IP, 0x07), (IP + 2, 0x40)] {
        expect_drop(&mut world, &mutate(at, value));
    }
    for len in [0, 5, 13, 14, 20, 33, 34, 40, 53] {
        expect_drop(&mut world, &good[..len]);
    }
    assert!(world.stack().info(id).is_some());
    world.give(&good);
    assert_eq!(world.app.bytes, b"payload");
}

#[test]
fn c161_fragments_that_cannot_be_whole_change_nothing() {
    let mut world = World::new();
    let (peer, _) = Peer::accepted(&mut world, 40_000, Offer::PLAIN);
    for field in [0x2000_u16, 0x0001] {
        let mut frame = peer.forge(&world, &seg(PSH, 1, 1).data(b"payload"));
        frame[IP + 6..IP + 8].copy_from_slice(&field.to_be_bytes());
        let sum = bywash_core::wire::Sum::of(&frame[IP..TCP])
            .remove_word(u16::from_be_bytes([frame[IP + 10], frame[IP + 11]]));
        frame[IP + 10..IP + 12].copy_from_slice(&sum.finish().to_be_bytes());
        world.give(&frame);
        world.expect_silence();
    }
    // The first has no whole number of blocks; the second is a tail without a beginning.
    assert_eq!((world.dropped(DropReason::Fragment), world.app.bytes.len()), (1, 0));
}

#[test]
fn c161_land_and_group_sources_are_dropped() {
    let mut world = World::new();
    let sources = [LOCAL, "224.0.0.1", "255.255.255.255", "0.0.0.0", "198.18.0.255"];
    for source in sources {
        let mut peer = Peer::new(&world, PORT, Offer::PLAIN);
        peer.tuple.local = address(source);
        let repr = peer.repr(&world, &seg(SYN, 0, 0), Options::NONE);
        let frame = peer.frame(&repr, &[]);
        expect_drop(&mut world, &frame);
    }
    for source in ["::", "ff02::1", LOCAL_V6] {
        let mut peer = Peer::v6(&world, PORT, Offer::PLAIN);
        peer.tuple.local = address(source);
        let repr = peer.repr(&world, &seg(SYN, 0, 0), Options::NONE);
        let frame = peer.frame(&repr, &[]);
        expect_drop(&mut world, &frame);
    }
    // IPv4 in an IPv6 header: the mapped form never appears on the wire.
    let mut body = [0; 20];
    let peer = Peer::new(&world, 40_000, Offer::PLAIN);
    peer.repr(&world, &seg(SYN, 0, 0), Options::NONE).emit(&mut body).expect("room");
    let mapped = Address::v6(address(PEER).octets());
    let frame = forge_ip_v6((PEER_MAC, OWN_MAC), (mapped, address(LOCAL_V6)), &body);
    expect_drop(&mut world, &frame);
    world.expect_idle();
}

/// An IPv6 packet whose addresses may be mapped ones.
fn forge_ip_v6(macs: (MacAddress, MacAddress), addresses: (Address, Address), body: &[u8]) -> Vec<u8> {
    let mut frame = forge_ip(macs, (address(PEER_V6), addresses.1), IpProtocol::TCP, 64, body);
    frame[IP + 8..IP + 24].copy_from_slice(&addresses.0.octets());
    frame
}

#[test]
fn c161_other_destinations_are_dropped() {
    let mut world = World::new();
    for destination in ["198.18.0.3", "255.255.255.255", "198.18.0.255", "224.0.0.1"] {
        let mut peer = Peer::new(&world, 40_000, Offer::PLAIN);
        peer.tuple.remote = address(destination);
        let repr = peer.repr(&world, &seg(SYN, 0, 0), Options::NONE);
        let frame = peer.frame(&repr, &[]);
        expect_drop(&mut world, &frame);
    }
    // Our address, but by link-layer broadcast (RFC 1122 section 3.3.6).
    let peer = Peer::new(&world, 40_000, Offer::PLAIN);
    let repr = peer.repr(&world, &seg(SYN, 0, 0), Options::NONE);
    let mut frame = peer.frame(&repr, &[]);
    frame[..6].fill(0xff);
    expect_drop(&mut world, &frame);
    world.expect_idle();
}

#[test]
fn c139_urgent_data_is_read_in_line() {
    let mut world = World::new();
    let (mut peer, _) = Peer::accepted(&mut world, 40_000, Offer::PLAIN);
    for pointer in [0, 1, 5, 60_000] {
        let seq = 1 + world.app.bytes.len() as u32;
        let mut repr = peer.repr(&world, &seg(PSH.with(Flags::URG), seq, 1), Options::NONE);
        repr.urgent = pointer;
        let frame = peer.frame(&repr, b"urgent");
        world.give(&frame);
    }
    assert_eq!(world.app.bytes, b"urgent".repeat(4));
    world.advance_ms(50);
    assert_eq!(peer.drain(&mut world).pop().expect("an ACK").ack, 25);
}

#[test]
fn random_segments_on_a_connection_break_nothing() {
    for seed in 0..60 {
        let mut random = Random::from_seed(seed);
        let mut world = World::new();
        let (peer, id) = Peer::accepted(&mut world, 40_000, Offer::FULL);
        world.app.on_receive = Box::new(|host, id, bytes| {
            let _ = host.write(id, bytes);
            bytes.len()
        });
        world.stack().write(id, &pattern(50_000)).expect("open");
        for _ in 0..300 {
            let near = |random: &mut Random| match random.below(4) {
                0 => random.next_u32(),
                1 => 1,
                2 => random.below(70_000) as u32,
                _ => 0_u32.wrapping_sub(random.below(70_000) as u32),
            };
            let mut flags = Flags::from_bits(random.next_u32() as u8);
            if random.chance_in(9, 10) {
                flags = flags.without(Flags::RST).without(Flags::SYN).with(ACK);
            }
            let mut segment = seg(flags, near(&mut random), near(&mut random));
            segment.window = Some(random.next_u32() as u16);
            if random.chance_in(1, 2) {
                segment.payload = pattern(random.below(1_400) as usize);
            }
            for _ in 0..random.below(3) {
                let (left, right) = (near(&mut random), near(&mut random));
                segment.sack.push((left, right));
            }
            segment.bare = random.chance_in(1, 4);
            peer.send(&mut world, segment);
            world.sent.clear();
            if random.chance_in(1, 10) {
                world.advance_ms(random.below(3_000));
                world.sent.clear();
            }
        }
        // A SYN of these may have opened another connection after the first was reset.
        let mut open = Vec::new();
        bywash_core::shard::Transport::open_connections(&world.engine, &mut open);
        for id in open {
            world.stack().abort(id);
        }
        world.turn();
        world.sent.clear();
        world.advance_ms(200_000);
        world.sent.clear();
        world.expect_idle();
    }
}
