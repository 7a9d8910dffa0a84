//! Explicit congestion notification (RFC 3168).

use crate::harness::*;

use bywash_core::tcp::congestion::CongestionControl;
use bywash_core::tcp::ecn::EcnMode;

const MSS: u32 = 1_460;
const ECE: Flags = Flags::ECE;
const CWR: Flags = Flags::CWR;
const ASKING: Flags = SYN.with(ECE).with(CWR);

/// The ECN codepoint of a packet.
fn ecn(got: &Got) -> u8 {
    if got.packet[0] >> 4 == 4 { got.packet[1] & 3 } else { got.packet[1] >> 4 & 3 }
}

/// The frame with this traffic class, the header's checksum right.
fn marked(mut frame: Vec<u8>, class: u8) -> Vec<u8> {
    frame[15] = class;
    frame[24..26].fill(0);
    let sum: u32 = frame[14..34].chunks(2).map(|w| u32::from(w[0]) << 8 | u32::from(w[1])).sum();
    let folded = !((sum & 0xffff) + (sum >> 16)) as u16;
    frame[24..26].copy_from_slice(&folded.to_be_bytes());
    frame
}

const CE: u8 = 3;

fn world(mode: EcnMode) -> World {
    let mut config = config();
    config.tcp.tcp_ecn = mode;
    config.tcp.tcp_congestion_control = CongestionControl::Reno;
    World::with(config, 1500)
}

/// Sends a SYN with these flags; returns the answer.
#[track_caller]
fn ask(world: &mut World, peer: &mut Peer, flags: Flags) -> Got {
    let repr = peer.repr(world, &seg(flags, 0, 0), peer.syn_options(world));
    let frame = peer.frame(&repr, &[]);
    world.give(&frame);
    peer.next(world)
}

/// An open connection with ECN agreed, begun by the peer.
#[track_caller]
fn open(world: &mut World, peer: &mut Peer) {
    assert_eq!(ask(world, peer, ASKING).flags, SYN_ACK.with(ECE));
    peer.send(world, seg(ACK, 1, 1));
    world.expect_silence();
}

#[test]
fn c135_a_syn_that_asks_is_answered_with_ece_alone() {
    for offer in [Offer::PLAIN, Offer::FULL] {
        let mut world = world(EcnMode::Accept);
        let mut peer = Peer::new(&world, 40_000, offer);
        let got = ask(&mut world, &mut peer, ASKING);
        assert_eq!((got.flags, ecn(&got)), (SYN_ACK.with(ECE), 0));
    }
    // Half an offer is none, nor is one on a packet that is marked itself; nor is one that is not wanted.
    for (flags, class, mode) in [
        (SYN.with(ECE), 0, EcnMode::Accept),
        (SYN.with(CWR), 0, EcnMode::Accept),
        (ASKING, 2, EcnMode::Accept),
        (ASKING, 0, EcnMode::Off),
        (SYN, 0, EcnMode::Request),
    ] {
        let mut world = world(mode);
        let mut peer = Peer::new(&world, 40_000, Offer::FULL);
        let repr = peer.repr(&world, &seg(flags, 0, 0), peer.syn_options(&world));
        let frame = marked(peer.frame(&repr, &[]), class);
        world.give(&frame);
        assert_eq!(peer.next(&mut world).flags, SYN_ACK, "{flags:?} {class} {mode:?}");
    }
}

#[test]
fn c135_a_peer_that_falls_back_has_no_ecn() {
    let mut world = world(EcnMode::Accept);
    let mut peer = Peer::new(&world, 40_000, Offer::FULL);
    assert_eq!(ask(&mut world, &mut peer, ASKING).flags, SYN_ACK.with(ECE));
    assert_eq!(ask(&mut world, &mut peer, SYN).flags, SYN_ACK);
    peer.send(&mut world, seg(ACK, 1, 1));
    let id = world.app.last();
    world.stack().write(id, &pattern(100)).expect("open");
    world.turn();
    assert_eq!(ecn(&peer.next(&mut world)), 0);
}

/// The engine connects; returns the peer, which has the engine's SYN.
fn connecting(world: &mut World) -> (Peer, Got) {
    let remote = std::net::SocketAddr::new(PEER.parse().expect("an address"), 9_000);
    world.stack().connect(remote, None).expect("room");
    world.turn();
    let (_, arp) = world.sent.pop_front().expect("an ARP request");
    let reply = arp_reply(&arp);
    world.give(&reply);
    let mut peer = Peer::new(world, 9_000, Offer::FULL);
    let (at, frame) = world.sent.front().expect("a SYN").clone();
    let (tuple, _) = read(at, &frame).expect("a TCP segment");
    peer.tuple = tuple;
    let syn = peer.next(world);
    (peer, syn)
}

/// The answer to an ARP request.
fn arp_reply(request: &[u8]) -> Vec<u8> {
    let mut reply = request[..42].to_vec();
    reply[..6].copy_from_slice(&OWN_MAC.0);
    reply[6..12].copy_from_slice(&PEER_MAC.0);
    reply[21] = 2;
    reply[22..28].copy_from_slice(&PEER_MAC.0);
    reply[28..32].copy_from_slice(&request[38..42]);
    reply[32..38].copy_from_slice(&OWN_MAC.0);
    reply[38..42].copy_from_slice(&request[28..32]);
    reply
}

#[test]
fn c135_our_syn_asks_and_falls_back_when_nobody_answers() {
    let mut world = world(EcnMode::Request);
    let (mut peer, syn) = connecting(&mut world);
    assert_eq!((syn.flags, ecn(&syn)), (ASKING, 0));
    world.advance_ms(1_100);
    assert_eq!(peer.next(&mut world).flags, SYN, "the second time without");
    // An answer to the first one comes late: there is no ECN any more.
    let repr = peer.repr(&world, &seg(SYN_ACK.with(ECE), 0, 1), peer.syn_options(&world));
    let frame = peer.frame(&repr, &[]);
    world.give(&frame);
    peer.drain(&mut world);
    let id = world.app.last();
    world.stack().write(id, &pattern(100)).expect("open");
    world.turn();
    assert_eq!(ecn(&peer.next(&mut world)), 0);
}

#[test]
fn c135_a_syn_ack_with_both_bits_agrees_to_nothing() {
    for (bits, agreed) in [(ECE, 2), (ECE.with(CWR), 0), (Flags::NONE, 0)] {
        let mut world = world(EcnMode::Request);
        let (mut peer, syn) = connecting(&mut world);
        assert_eq!(syn.flags, ASKING);
        let repr = peer.repr(&world, &seg(SYN_ACK.with(bits), 0, 1), peer.syn_options(&world));
        let frame = peer.frame(&repr, &[]);
        world.give(&frame);
        peer.drain(&mut world);
        let id = world.app.last();
        world.stack().write(id, &pattern(100)).expect("open");
        world.turn();
        assert_eq!(ecn(&peer.next(&mut world)), agreed, "{bits:?}");
    }
    // Who only accepts does not ask.
    let mut world = world(EcnMode::Accept);
    assert_eq!(connecting(&mut world).1.flags, SYN);
}

#[test]
fn c136_only_new_octets_are_ecn_capable() {
    for (offer, is_v4) in [(Offer::PLAIN, true), (Offer::FULL, true), (Offer::FULL, false)] {
        let mut world = world(EcnMode::Accept);
        let mut peer = if is_v4 { Peer::new(&world, 40_000, offer) } else { Peer::v6(&world, 40_000, offer) };
        open(&mut world, &mut peer);
        let id = world.app.last();
        let data = |world: &mut World, peer: &mut Peer, len| {
            world.stack().write(id, &pattern(len)).expect("open");
            world.turn();
            peer.drain(world)
        };
        let sent = data(&mut world, &mut peer, 5_000);
        assert!(sent.len() >= 4 && sent.iter().all(|got| ecn(got) == 2), "data is ECT(0)");
        // Sent again.
        world.advance_ms(400);
        let again = peer.drain(&mut world);
        assert!(!again.is_empty() && again.iter().all(|got| ecn(got) == 0), "retransmissions are not");
        peer.send(&mut world, seg(ACK, 1, 5_001));
        peer.drain(&mut world);
        // A bare ACK.
        peer.send(&mut world, seg(PSH, 1, 5_001).data(&pattern(10)));
        world.advance_ms(50);
        let bare = peer.next(&mut world);
        assert_eq!((bare.payload.len(), ecn(&bare)), (0, 0));
        // A probe of a closed window.
        peer.send(&mut world, seg(ACK, 11, 5_001).window(0));
        assert_eq!(data(&mut world, &mut peer, 100).len(), 0);
        world.advance_ms(2_000);
        let probes = peer.drain(&mut world);
        assert!(!probes.is_empty() && probes.iter().all(|got| ecn(got) == 0));
        // A reply goes out ECN-capable again, and FIN does not.
        peer.send(&mut world, seg(ACK, 11, 5_001).window(60_000));
        let reply = peer.drain(&mut world);
        assert!(reply.iter().any(|got| got.payload.len() == 100 && ecn(got) == 2), "{reply:?}");
        peer.send(&mut world, seg(ACK, 11, 5_101));
        world.stack().close(id);
        world.turn();
        let fin = peer.drain(&mut world);
        assert!(fin.iter().all(|got| ecn(got) == 0) && fin.last().is_some_and(|got| got.flags == FIN));
    }
}

#[test]
fn c137_ce_is_echoed_until_cwr() {
    for offer in [Offer::PLAIN, Offer::FULL] {
        let mut world = world(EcnMode::Accept);
        let mut peer = Peer::new(&world, 40_000, offer);
        open(&mut world, &mut peer);
        let id = world.app.last();
        let give = |world: &mut World, peer: &Peer, seq, flags: Flags, class| {
            let frame = marked(peer.forge(world, &seg(PSH.with(flags), seq, 1).data(&pattern(10))), class);
            world.give(&frame);
        };
        give(&mut world, &peer, 1, Flags::NONE, 2);
        world.advance_ms(50);
        assert_eq!(peer.next(&mut world).flags, ACK);
        give(&mut world, &peer, 11, Flags::NONE, CE);
        assert_eq!(peer.next(&mut world).flags, ACK.with(ECE), "at once");
        // What is not marked does not end it, on data neither.
        give(&mut world, &peer, 21, Flags::NONE, 2);
        world.advance_ms(50);
        assert_eq!(peer.next(&mut world).flags, ACK.with(ECE));
        world.stack().write(id, &pattern(50)).expect("open");
        world.turn();
        let data = peer.next(&mut world);
        assert_eq!((data.flags, data.payload.len()), (PSH.with(ECE), 50));
        peer.send(&mut world, seg(ACK, 31, 51));
        // CWR ends it.
        let cwr = peer.forge(&world, &seg(PSH.with(CWR), 31, 51).data(&pattern(10)));
        world.give(&cwr);
        world.advance_ms(50);
        assert_eq!(peer.next(&mut world).flags, ACK);
        // One that is marked itself begins it anew.
        let both = marked(peer.forge(&world, &seg(PSH.with(CWR), 41, 51).data(&pattern(10))), CE);
        world.give(&both);
        assert_eq!(peer.next(&mut world).flags, ACK.with(ECE));
        world.expect_silence();
    }
}

#[test]
fn c137_without_agreement_marks_mean_nothing() {
    let mut world = World::new();
    let (mut peer, _) = Peer::accepted(&mut world, 40_000, Offer::FULL);
    let frame = marked(peer.forge(&world, &seg(PSH, 1, 1).data(&pattern(10))), CE);
    world.give(&frame);
    world.advance_ms(50);
    assert_eq!(peer.next(&mut world).flags, ACK);
    assert_eq!(world.app.bytes.len(), 10);
}

/// Ten segments in flight, more behind them.
fn in_flight(offer: Offer) -> (World, Peer) {
    let mut world = world(EcnMode::Accept);
    let mut peer = Peer::new(&world, 40_000, offer);
    open(&mut world, &mut peer);
    let id = world.app.last();
    world.stack().write(id, &pattern(200_000)).expect("open");
    world.turn();
    assert_eq!(peer.drain(&mut world).len(), 10);
    (world, peer)
}

#[test]
fn c138_ece_reduces_once_in_a_window_and_cwr_says_so_once() {
    let (mut world, mut peer) = in_flight(Offer::PLAIN);
    let echo = ACK.with(ECE);
    // Ten in flight: five may be.
    let mut sent = Vec::new();
    for n in 1..=10 {
        peer.send(&mut world, seg(echo, 1, 1 + n * MSS));
        sent.extend(peer.drain(&mut world));
    }
    assert_eq!(sent.len(), 5, "half of ten, and not less for nine more echoes");
    let with_cwr: Vec<usize> = (0..sent.len()).filter(|i| sent[*i].flags.intersects(CWR)).collect();
    assert_eq!(with_cwr, [0], "on the first new segment alone");
    // The next window is reduced again.
    let mut sent = Vec::new();
    for n in 11..=15 {
        peer.send(&mut world, seg(echo, 1, 1 + n * MSS));
        sent.extend(peer.drain(&mut world));
    }
    assert_eq!(sent.len(), 2, "half of five");
    assert!(sent[0].flags.intersects(CWR) && !sent[1].flags.intersects(CWR));
    // Without an echo it grows.
    let mut sent = 2;
    let mut acked = 15;
    for _ in 0..6 {
        let window = sent;
        sent = 0;
        for _ in 0..window {
            acked += 1;
            peer.send(&mut world, seg(ACK, 1, 1 + acked * MSS));
            sent += peer.drain(&mut world).len();
        }
    }
    assert!(sent >= 6, "{sent}");
}

#[test]
fn c063_a_loss_in_the_window_of_an_echo_reduces_nothing_more() {
    let (mut world, mut peer) = in_flight(Offer::SACK);
    peer.send(&mut world, seg(ACK.with(ECE), 1, 1 + MSS));
    assert_eq!(peer.drain(&mut world).len(), 0);
    // The second segment is lost; what comes after it arrives.
    for right in 5..=10 {
        peer.send(&mut world, seg(ACK, 1, 1 + MSS).sack(&[(1 + 2 * MSS, 1 + right * MSS)]));
    }
    let sent = peer.drain(&mut world);
    assert_eq!(sent[0].seq, 1 + MSS, "sent again");
    let highest = sent.iter().map(|got| got.seq).max().expect("some") + MSS;
    peer.send(&mut world, seg(ACK, 1, highest));
    // Five after the echo, and five still: ten are in flight when two windows have been acknowledged.
    let mut acked = highest;
    let mut flight = peer.drain(&mut world).len() as u32;
    for _ in 0..2 {
        let window = flight;
        flight = 0;
        for _ in 0..window {
            acked += MSS;
            peer.send(&mut world, seg(ACK, 1, acked));
            flight += peer.drain(&mut world).len() as u32;
        }
    }
    assert!((5..=7).contains(&flight), "five, and growth: {flight}");
}
