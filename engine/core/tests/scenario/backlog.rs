//! The backlog: connections that nobody has accepted.

use crate::harness::*;

#[test]
fn s08_the_backlog_completes_handshakes_without_the_application() {
    let mut world = World::new();
    world.stack().pause_accepting();
    let mut peer = Peer::connect(&mut world, 40_000, Offer::FULL);
    let mut other = Peer::connect(&mut world, 40_001, Offer::FULL);
    world.expect_silence();
    assert_eq!(world.app.opened(), 0);
    // What they send is acknowledged and kept, until the window is closed.
    let text = pattern(300_000);
    let (mut sent, mut edge) = (0, 65_535);
    while sent < edge {
        let len = 1448.min(edge - sent);
        peer.send(&mut world, seg(ACK, 1 + sent as u32, 1).data(&text[sent..sent + len]));
        sent += len;
        if sent == edge {
            world.advance_ms(50);
        }
        for got in peer.drain(&mut world) {
            edge = (got.ack - 1) as usize + (usize::from(got.window) << 3);
        }
    }
    // A window is told in units of 8 and never shrinks, so it may grow by a few octets.
    assert!((262_144..262_144 + 1_500).contains(&sent), "the window is the receive buffer, not {sent}");
    other.send(&mut world, seg(PSH, 1, 1).data(b"second"));
    assert_eq!((world.app.opened(), world.app.bytes.len()), (0, 0));
    world.stack().resume_accepting();
    world.turn();
    assert_eq!(world.app.opened(), 2);
    assert_eq!(world.app.bytes[..sent], text[..sent]);
    assert_eq!(&world.app.bytes[sent..], b"second");
    // The window opens again.
    let update = peer.expect(&mut world, ACK, 1, 1 + sent as u32, 0);
    assert_eq!(usize::from(update.window) << 3, 262_144);
    world.advance_ms(50);
    other.expect(&mut world, ACK, 1, 7, 0);
}

#[test]
fn s09_c016_a_full_accept_queue_ignores_and_completes_later() {
    let mut world = World::quiet(config(), 1500);
    let options = ListenOptions { port: PORT, backlog: 1, ..ListenOptions::default() };
    world.stack().listen(options).expect("listens");
    world.stack().pause_accepting();
    let mut second = Peer::new(&world, 40_001, Offer::FULL);
    second.syn(&mut world);
    second.expect(&mut world, SYN_ACK, 0, 1, 0);
    Peer::connect(&mut world, 40_000, Offer::FULL);
    // Full: neither a third ACK nor a SYN is answered.
    second.send(&mut world, seg(ACK, 1, 1));
    let third = Peer::new(&world, 40_002, Offer::FULL);
    third.syn(&mut world);
    world.expect_silence();
    assert_eq!(world.dropped(DropReason::AcceptQueueFull), 2);
    world.stack().resume_accepting();
    world.turn();
    assert_eq!(world.app.opened(), 1);
    // The SYN+ACK is repeated, the peer answers it again, and now there is room.
    world.advance_ms(1_100);
    second.expect(&mut world, SYN_ACK, 0, 1, 0);
    second.send(&mut world, seg(ACK, 1, 1));
    assert_eq!(world.app.opened(), 2);
}

#[test]
fn s09_a_full_accept_queue_resets_if_told_to() {
    let mut config = config();
    config.tcp.tcp_abort_on_overflow = true;
    let mut world = World::quiet(config, 1500);
    let options = ListenOptions { port: PORT, backlog: 1, ..ListenOptions::default() };
    world.stack().listen(options).expect("listens");
    world.stack().pause_accepting();
    let mut second = Peer::new(&world, 40_001, Offer::FULL);
    second.syn(&mut world);
    second.expect(&mut world, SYN_ACK, 0, 1, 0);
    Peer::connect(&mut world, 40_000, Offer::FULL);
    second.send(&mut world, seg(ACK, 1, 1));
    let got = second.next(&mut world);
    assert_eq!((got.flags, got.seq), (RST, 1));
    assert_eq!(world.dropped(DropReason::AcceptQueueFull), 1);
    assert_eq!(world.report().half_open, 0);
}

#[test]
fn c017_what_a_closed_listener_leaves_is_reset() {
    use bywash_core::shard::Transport;
    let mut world = World::new();
    world.stack().pause_accepting();
    let mut waiting = Peer::connect(&mut world, 40_000, Offer::FULL);
    let mut half_open = Peer::new(&world, 40_001, Offer::FULL);
    half_open.syn(&mut world);
    half_open.expect(&mut world, SYN_ACK, 0, 1, 0);
    world.engine.stop_listening();
    world.turn();
    waiting.expect(&mut world, RST_ACK, 1, 1, 0);
    half_open.send(&mut world, seg(ACK, 1, 1));
    let got = half_open.next(&mut world);
    assert_eq!((got.flags, got.seq), (RST, 1));
    world.expect_idle();
}
