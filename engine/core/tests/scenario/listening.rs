//! What peers that open see: once more, from other sides than `opening`.

use bywash_core::wire::tcp::Options;

use crate::harness::*;

#[test]
fn c001_a_syn_is_answered_with_its_number_and_our_options() {
    for (offer, options) in [
        // MSS alone; MSS and SACK behind padding; Linux's order for everything.
        (Offer::PLAIN, &b"\x02\x04\x05\xb4"[..]),
        (Offer::SACK, b"\x02\x04\x05\xb4\x01\x01\x04\x02"),
        (Offer::FULL, b"\x02\x04\x05\xb4\x04\x02\x08\x0attttEEEE\x01\x03\x03\x03"),
    ] {
        for is_v6 in [false, true] {
            let mut world = World::new();
            let mut peer =
                if is_v6 { Peer::v6(&world, 40_000, offer) } else { Peer::new(&world, 40_000, offer) };
            peer.syn(&mut world);
            let got = peer.expect(&mut world, SYN_ACK, 0, 1, 0);
            let mut expected = options.to_vec();
            if is_v6 {
                expected[2..4].copy_from_slice(&1_440_u16.to_be_bytes());
            }
            if let Some(timestamps) = got.options.timestamps {
                assert_eq!(timestamps.echo, peer.clock(&world));
                expected[8..12].copy_from_slice(&timestamps.value.to_be_bytes());
                expected[12..16].copy_from_slice(&timestamps.echo.to_be_bytes());
            }
            assert_eq!(got.option_bytes, expected);
            assert_eq!(world.app.opened(), 0, "not before its ACK");
            peer.send(&mut world, seg(ACK, 1, 1));
            world.expect_silence();
            assert_eq!((world.app.opened(), world.report().half_open), (1, 0));
            assert_eq!(world.app.events, [Event::Opened(world.app.last(), Origin::Accepted)]);
        }
    }
}

#[test]
fn c007_whatever_reaches_a_closed_port_gets_the_reset_that_fits() {
    for is_v6 in [false, true] {
        let mut world = World::quiet(config(), 1500);
        let mut peer = if is_v6 {
            Peer::v6(&world, 40_000, Offer::PLAIN)
        } else {
            Peer::new(&world, 40_000, Offer::PLAIN)
        };
        // Without ACK: number 0, and everything acknowledged that takes a number.
        for (flags, payload, len) in [
            (SYN, 0, 1),
            (SYN.with(Flags::FIN), 0, 2),
            (SYN, 100, 101),
            (Flags::FIN, 10, 11),
            (Flags::NONE, 3, 3),
            (Flags::URG, 0, 0),
        ] {
            let repr = peer.repr(&world, &seg(flags, 0, 0), Options::NONE);
            world.give(&peer.frame(&repr, &pattern(payload)));
            let got = peer.next(&mut world);
            assert_eq!((got.flags, got.seq.wrapping_add(peer.irs), got.ack), (RST_ACK, 0, len), "{flags:?}");
            assert_eq!((got.window, got.option_bytes.len(), got.payload.len()), (0, 0, 0));
        }
        // With ACK: its number, and nothing acknowledged.
        for flags in [ACK, SYN_ACK, FIN, PSH] {
            let ack = 0x8000_0000;
            peer.send(&mut world, seg(flags, 7, ack).data(b"octets"));
            let got = peer.next(&mut world);
            assert_eq!((got.flags, got.seq), (RST, ack), "{flags:?}");
        }
        for flags in [RST, RST_ACK, RST.with(SYN), RST.with(Flags::FIN)] {
            peer.send(&mut world, seg(flags, 7, 9).data(b"why"));
        }
        world.expect_silence();
        world.expect_idle();
    }
}

#[test]
fn c012_the_first_data_opens_what_the_lost_ack_did_not() {
    // In order; ahead of a hole; with FIN.
    for (seq, flags) in [(1, PSH), (101, PSH), (1, FIN_PSH)] {
        let mut world = World::new();
        let mut peer = Peer::new(&world, 40_000, Offer::FULL);
        peer.syn(&mut world);
        peer.expect(&mut world, SYN_ACK, 0, 1, 0);
        peer.send(&mut world, seg(flags, seq, 1).data(&pattern(100)));
        assert_eq!((world.app.opened(), world.report().half_open), (1, 0));
        world.advance_ms(50);
        let got = peer.drain(&mut world).pop().expect("an ACK");
        match (seq, flags == FIN_PSH) {
            (1, false) => assert_eq!((got.flags, got.ack), (ACK, 101)),
            (1, true) => assert_eq!((got.ack, world.app.ends()), (102, 1)),
            (_, _) => {
                assert_eq!((got.ack, got.sack(peer.iss)), (1, vec![(101, 201)]));
                peer.send(&mut world, seg(PSH, 1, 1).data(&pattern(100)));
                peer.expect(&mut world, ACK, 1, 201, 0);
            }
        }
        assert_eq!(world.app.bytes[..100], pattern(100));
        // No SYN+ACK comes any more.
        world.advance_ms(100_000);
        assert!(peer.drain(&mut world).iter().all(|got| !got.flags.contains(SYN)));
    }
}

#[test]
fn c013_the_limit_of_syn_acks_is_the_configured_one() {
    let mut settings = config();
    settings.tcp.tcp_synack_retries = 2;
    let mut world = World::with(settings, 1500);
    let mut peer = Peer::new(&world, 40_000, Offer::FULL);
    let start = world.now;
    peer.syn(&mut world);
    world.advance_ms(6_900);
    let times: Vec<u64> =
        peer.drain(&mut world).iter().map(|got| got.at.since(start).as_millis() / 10).collect();
    assert_eq!(times, [0, 100, 300], "1 s, 2 s, and 4 s of waiting");
    assert_eq!(world.report().half_open, 1);
    world.advance_ms(200);
    world.expect_silence();
    world.expect_idle();
    assert_eq!(world.report().counters.half_open_expired, 1);
    // Its ACK comes too late; another SYN does not.
    peer.send(&mut world, seg(ACK, 1, 1));
    assert_eq!(peer.next(&mut world).flags, RST);
    peer.open(&mut world);
    assert_eq!(world.app.opened(), 1);
}

#[test]
fn c162_initial_numbers_tell_nothing_of_each_other_and_never_fall_back() {
    let mut world = World::new();
    let opened = |world: &mut World, port: u16| {
        let mut peer = Peer::new(world, port, Offer::FULL);
        peer.syn(world);
        peer.expect(world, SYN_ACK, 0, 1, 0);
        peer.send(world, seg(RST, 1, 0));
        peer.irs
    };
    // At one instant, over neighbouring ports: neither equal, nor equally far apart, nor of one half of the range.
    let numbers: Vec<u32> = (0..256).map(|i| opened(&mut world, 40_000 + i)).collect();
    let mut steps: Vec<u32> = numbers.windows(2).map(|pair| pair[1].wrapping_sub(pair[0])).collect();
    steps.sort_unstable();
    steps.dedup();
    assert_eq!(steps.len(), 255);
    for bit in 0..32 {
        let set = numbers.iter().filter(|number| *number >> bit & 1 == 1).count();
        assert!((80..=176).contains(&set), "bit {bit} is set in {set} of 256");
    }
    // One tuple: the clock of 4 µs and nothing else.
    let first = opened(&mut world, 39_999);
    world.advance_ms(1_000);
    assert_eq!(opened(&mut world, 39_999).wrapping_sub(first), 250_000);
    // Out of TIME_WAIT, when the old connection was faster than the clock: still above all that it used.
    let (mut peer, id) = Peer::accepted(&mut world, 39_998, Offer::FULL);
    let (old, mut acked) = (peer.irs, 1);
    for _ in 0..8 {
        world.stack().write(id, &pattern(14_480)).expect("open");
        world.turn();
        peer.drain(&mut world);
        acked += 14_480;
        peer.send(&mut world, seg(ACK, 1, acked));
    }
    world.stack().close(id);
    world.turn();
    peer.expect(&mut world, FIN, acked, 1, 0);
    peer.send(&mut world, seg(FIN, 1, acked + 1));
    peer.expect(&mut world, ACK, acked + 1, 2, 0);
    world.advance_ms(2);
    peer.iss = peer.iss.wrapping_add(100_000);
    peer.echo = 0;
    peer.syn(&mut world);
    peer.expect(&mut world, SYN_ACK, 0, 1, 0);
    let above = peer.irs.wrapping_sub(old.wrapping_add(acked + 1));
    assert!((65_537..1 << 30).contains(&above), "{above}");
}
