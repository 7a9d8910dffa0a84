//! Silence: keepalive and `TCP_USER_TIMEOUT`.

use bywash_core::base::time::{Duration, Instant};
use bywash_core::shard::ConnectionId;
use bywash_core::tcp::socket_options::{OptionName, SocketOption, Switch};

use crate::harness::{
    ACK, CloseReason, Got, Host, Offer, PSH, Peer, RST, RST_ACK, World, config, pattern, seg,
};

/// How much later than told a probe may be: the clock of arrivals has steps of 17 ms.
const STEP: Duration = Duration::from_millis(40);

fn set(world: &mut World, id: ConnectionId, option: SocketOption) {
    world.stack().set_option(id, option).expect("a value in range");
}

fn keep_alive(world: &mut World, id: ConnectionId) {
    set(world, id, SocketOption::SoKeepalive(Switch::On));
}

/// Lets time pass until something is sent.
#[track_caller]
fn wait(world: &mut World, peer: &mut Peer, limit: Duration) -> Got {
    let end = world.now + limit;
    while world.now < end {
        world.advance(Duration::from_millis(500));
        if let Some(got) = peer.poll(world) {
            return got;
        }
    }
    panic!("nothing was sent");
}

#[track_caller]
fn assert_after(got: Instant, from: Instant, seconds: u64) {
    let due = from + Duration::from_secs(seconds);
    assert!(got >= due && got < due + STEP, "after {:?}, not {seconds} s", got.since(from));
}

/// A probe: the last octet before what is next, without payload.
#[track_caller]
fn assert_probe(got: &Got, snd_nxt: u32, rcv_nxt: u32) {
    assert_eq!((got.flags, got.seq, got.ack, got.payload.len()), (ACK, snd_nxt - 1, rcv_nxt, 0));
}

#[test]
fn s19_keepalive_with_a_peer_that_is_alive_rebooted_or_gone() {
    // Alive: each answer starts the two hours again.
    let mut world = World::new();
    let (mut peer, id) = Peer::accepted(&mut world, 40_000, Offer::FULL);
    keep_alive(&mut world, id);
    let mut heard = world.now;
    for _ in 0..3 {
        let probe = wait(&mut world, &mut peer, Duration::from_secs(7_300));
        assert_probe(&probe, 1, 1);
        assert_after(probe.at, heard, 7_200);
        heard = world.now;
        peer.send(&mut world, seg(ACK, 1, 1));
        world.expect_silence();
    }
    // Rebooted: RST.
    let probe = wait(&mut world, &mut peer, Duration::from_secs(7_300));
    assert_probe(&probe, 1, 1);
    peer.send(&mut world, seg(RST, 1, 0).bare());
    assert_eq!(world.app.closed(), Some(CloseReason::ConnectionReset));
    assert!(world.report().is_idle());

    // Gone: nine probes 75 s apart, and the end 75 s after the last.
    let (mut peer, id) = Peer::accepted(&mut world, 40_001, Offer::FULL);
    keep_alive(&mut world, id);
    let begun = world.now;
    for count in 0..9 {
        let probe = wait(&mut world, &mut peer, Duration::from_secs(7_300));
        assert_probe(&probe, 1, 1);
        assert_after(probe.at, begun, 7_200 + 75 * count);
    }
    let reset = wait(&mut world, &mut peer, Duration::from_secs(100));
    assert_eq!((reset.flags, reset.seq, reset.ack), (RST_ACK, 1, 1));
    assert_after(reset.at, begun, 7_200 + 75 * 9);
    assert_eq!(world.app.closed(), Some(CloseReason::TimedOut));
    assert!(world.report().is_idle());
}

#[test]
fn c104_without_keepalive_an_idle_connection_stays() {
    let mut world = World::new();
    let (mut peer, id) = Peer::accepted(&mut world, 40_000, Offer::FULL);
    world.advance(Duration::from_secs(20 * 24 * 3600));
    world.expect_silence();
    assert_eq!(world.app.closed(), None);
    world.stack().write(id, b"hello again").expect("open");
    world.turn();
    peer.expect(&mut world, PSH, 1, 1, 11);
}

#[test]
fn c105_any_segment_puts_the_probes_off() {
    for offer in [Offer::FULL, Offer::PLAIN] {
        let mut world = World::new();
        let (mut peer, id) = Peer::accepted(&mut world, 40_000, offer);
        set(&mut world, id, SocketOption::TcpKeepidle(10));
        set(&mut world, id, SocketOption::TcpKeepintvl(2));
        set(&mut world, id, SocketOption::TcpKeepcnt(3));
        keep_alive(&mut world, id);
        // Data, and later an ACK of ours: ten seconds count from the last of them.
        world.advance(Duration::from_secs(7));
        peer.send(&mut world, seg(PSH, 1, 1).data(b"one"));
        world.advance(Duration::from_secs(6));
        peer.drain(&mut world);
        world.stack().write(id, b"two").expect("open");
        world.turn();
        peer.expect(&mut world, PSH, 1, 4, 3);
        world.advance(Duration::from_millis(20));
        peer.send(&mut world, seg(ACK, 4, 4));
        let heard = world.now;
        let first = wait(&mut world, &mut peer, Duration::from_secs(15));
        assert_probe(&first, 4, 4);
        assert_after(first.at, heard, 10);
        // Two of three are lost; the answer to the third counts.
        let second = wait(&mut world, &mut peer, Duration::from_secs(3));
        assert_after(second.at, heard, 12);
        peer.send(&mut world, seg(ACK, 4, 4));
        let heard = world.now;
        let again = wait(&mut world, &mut peer, Duration::from_secs(15));
        assert_after(again.at, heard, 10);
        for _ in 0..2 {
            assert_probe(&wait(&mut world, &mut peer, Duration::from_secs(3)), 4, 4);
        }
        assert_eq!(wait(&mut world, &mut peer, Duration::from_secs(3)).flags, RST_ACK);
        assert_eq!(world.app.closed(), Some(CloseReason::TimedOut));
        // Nobody is there any more.
        peer.send(&mut world, seg(ACK, 4, 4));
        assert_eq!(peer.next(&mut world).flags, RST);
    }
}

#[test]
fn s29_our_probe_in_close_wait_meets_a_peer_that_has_forgotten() {
    let mut world = World::new();
    let (mut peer, id) = Peer::accepted(&mut world, 40_000, Offer::FULL);
    keep_alive(&mut world, id);
    peer.send(&mut world, seg(crate::harness::FIN, 1, 1));
    peer.expect(&mut world, ACK, 1, 2, 0);
    let probe = wait(&mut world, &mut peer, Duration::from_secs(7_300));
    assert_probe(&probe, 1, 2);
    // The peer's FIN_WAIT_2 is over: it answers as to an unknown connection.
    peer.send(&mut world, seg(RST, 2, 0).bare());
    assert_eq!(world.app.closed(), Some(CloseReason::ConnectionReset));
    assert!(world.report().is_idle());
}

#[test]
fn c107_user_timeout_ends_what_is_not_acknowledged() {
    let mut world = World::new();
    let (mut peer, id) = Peer::accepted(&mut world, 40_000, Offer::FULL);
    set(&mut world, id, SocketOption::TcpUserTimeout(5_000));
    world.stack().write(id, b"anybody?").expect("open");
    world.turn();
    let sent = peer.expect(&mut world, PSH, 1, 1, 8).at;
    let mut count = 0;
    while world.app.closed().is_none() {
        world.advance(Duration::from_millis(10));
        count += peer.drain(&mut world).iter().filter(|got| got.payload.len() == 8).count();
        assert!(world.now < sent + Duration::from_secs(6), "it goes on");
    }
    assert_eq!(world.app.closed(), Some(CloseReason::TimedOut));
    assert!(world.now >= sent + Duration::from_millis(4_900), "after {:?}", world.now.since(sent));
    assert!((3..=7).contains(&count), "{count} retransmissions");
    // Later packets get RST.
    peer.send(&mut world, seg(ACK, 1, 9));
    assert_eq!(peer.next(&mut world).flags, RST);
}

#[test]
fn c107_a_user_timeout_that_is_set_while_nothing_is_acknowledged_counts_from_the_beginning() {
    let mut world = World::new();
    let (_, id) = Peer::accepted(&mut world, 40_000, Offer::FULL);
    world.stack().write(id, b"anybody?").expect("open");
    let begun = world.now;
    world.advance(Duration::from_secs(1));
    set(&mut world, id, SocketOption::TcpUserTimeout(12_000));
    while world.app.closed().is_none() {
        world.advance(Duration::from_millis(50));
        assert!(world.now < begun + Duration::from_secs(13), "it goes on");
    }
    assert_eq!(world.app.closed(), Some(CloseReason::TimedOut));
    assert!(world.now >= begun + Duration::from_millis(11_500), "after {:?}", world.now.since(begun));
}

#[test]
fn c107_user_timeout_ends_a_connect() {
    let mut world = World::quiet(config(), 1500);
    let (_, id) = crate::active::connect(&mut world, Offer::FULL);
    set(&mut world, id, SocketOption::TcpUserTimeout(3_000));
    let begun = world.now;
    while world.app.closed().is_none() {
        world.advance(Duration::from_millis(50));
        assert!(world.now < begun + Duration::from_secs(8), "it goes on");
    }
    assert_eq!(world.app.closed(), Some(CloseReason::TimedOut));
    assert!(world.now >= begun + Duration::from_millis(2_900), "after {:?}", world.now.since(begun));
}

#[test]
fn c107_user_timeout_ends_a_window_that_stays_closed_though_probes_are_answered() {
    let mut world = World::new();
    let (mut peer, id) = Peer::accepted(&mut world, 40_000, Offer::FULL);
    set(&mut world, id, SocketOption::TcpUserTimeout(10_000));
    peer.send(&mut world, seg(ACK, 1, 1).window(0));
    peer.send(&mut world, seg(PSH, 1, 1).data(b"x").window(0));
    world.stack().write(id, &pattern(5_000)).expect("open");
    world.turn();
    let begun = world.now;
    while world.app.closed().is_none() {
        world.advance(Duration::from_millis(50));
        for _ in peer.drain(&mut world) {
            peer.send(&mut world, seg(ACK, 2, 1).window(0));
        }
        assert!(world.now < begun + Duration::from_secs(12), "it goes on");
    }
    assert_eq!(world.app.closed(), Some(CloseReason::TimedOut));
    assert!(world.now >= begun + Duration::from_millis(9_500), "after {:?}", world.now.since(begun));
}

#[test]
fn c108_the_values_of_keepalive_are_those_of_the_configuration_and_of_the_listener() {
    let mut settings = config();
    settings.tcp.tcp_keepalive_intvl = 33;
    let mut world = World::with(settings, 1500);
    let values = |world: &mut World, id: ConnectionId| {
        [
            OptionName::SoKeepalive,
            OptionName::TcpKeepidle,
            OptionName::TcpKeepintvl,
            OptionName::TcpKeepcnt,
            OptionName::TcpUserTimeout,
        ]
        .map(|name| world.stack().option(id, name).expect("it is open"))
    };
    let (_, plain) = Peer::accepted(&mut world, 40_000, Offer::FULL);
    let expected = [
        SocketOption::SoKeepalive(Switch::Off),
        SocketOption::TcpKeepidle(7_200),
        SocketOption::TcpKeepintvl(33),
        SocketOption::TcpKeepcnt(9),
        SocketOption::TcpUserTimeout(0),
    ];
    assert_eq!(values(&mut world, plain), expected);
    // A listener's are inherited, and take effect.
    world.set_listener_option(SocketOption::SoKeepalive(Switch::On));
    world.set_listener_option(SocketOption::TcpKeepidle(60));
    let (mut peer, heir) = Peer::accepted(&mut world, 40_001, Offer::FULL);
    assert_eq!(
        values(&mut world, heir)[..2],
        [SocketOption::SoKeepalive(Switch::On), SocketOption::TcpKeepidle(60)]
    );
    assert_eq!(values(&mut world, plain), expected, "who was there before is not touched");
    let begun = world.now;
    let probe = wait(&mut world, &mut peer, Duration::from_secs(70));
    assert_after(probe.at, begun, 60);
    // Out of range: the key, the value and the range.
    let error = world.stack().set_option(heir, SocketOption::TcpKeepidle(40_000)).expect_err("too long");
    assert_eq!(error.to_string(), "TCP_KEEPIDLE is 40000, and must be 1 to 32767");
    assert!(world.stack().set_option(heir, SocketOption::TcpKeepcnt(0)).is_err());
}

#[test]
fn keepalive_of_one_that_we_open_begins_when_it_is_open() {
    let mut settings = config();
    settings.tcp.so_keepalive = true;
    settings.tcp.tcp_keepalive_time = 5;
    let mut world = World::quiet(settings, 1500);
    let remote = format!("{}:80", crate::harness::PEER).parse().expect("an address");
    world.stack().connect(remote, None).expect("a connection begins");
    // The neighbour never answers: nothing but ARP, and then the end.
    world.advance(Duration::from_secs(200));
    assert_eq!(world.app.closed(), Some(CloseReason::HostUnreachable));
    assert!(world.report().is_idle());
}
