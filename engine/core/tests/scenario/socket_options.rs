//! Options of connections and listeners, seen on the wire.

use bywash_core::base::time::Duration;
use bywash_core::shard::ConnectionId;
use bywash_core::stack::pull::Unread;
use bywash_core::tcp::socket_options::{Linger, Linger2, OptionError, OptionName, SocketOption, Switch};

use crate::active::connect;
use crate::harness::{
    ACK, CloseReason, FIN, Flags, Host, Offer, PSH, Peer, RST, RST_ACK, SYN, SYN_ACK, World, config, pattern,
    seg,
};

fn set(world: &mut World, id: ConnectionId, option: SocketOption) {
    world.stack().set_option(id, option).expect("a value in range");
    world.turn();
}

fn write(world: &mut World, id: ConnectionId, bytes: &[u8]) {
    assert_eq!(world.stack().write(id, bytes), Ok(bytes.len()));
    world.turn();
}

/// Completes the handshake of a connection that we open.
fn establish(world: &mut World, peer: &mut Peer) {
    let repr = peer.repr(world, &seg(SYN_ACK, 0, 1), peer.syn_options(world));
    let frame = peer.frame(&repr, &[]);
    world.give(&frame);
    peer.expect(world, ACK, 1, 1, 0);
}

#[test]
fn c037_maxseg_of_a_listener_is_advertised_and_obeyed() {
    let mut world = World::new();
    world.set_listener_option(SocketOption::TcpMaxseg(600));
    let listener = world.listener.expect("it listens");
    assert_eq!(
        world.stack().listener_option(listener, OptionName::TcpMaxseg),
        Ok(SocketOption::TcpMaxseg(600))
    );
    let mut peer = Peer::new(&world, 40_000, Offer::FULL);
    assert_eq!(peer.open(&mut world).options.mss, Some(600));
    let id = world.app.last();
    // What is in effect: timestamps take twelve octets of it.
    assert_eq!(world.stack().option(id, OptionName::TcpMaxseg), Ok(SocketOption::TcpMaxseg(588)));
    write(&mut world, id, &pattern(1_000));
    peer.expect(&mut world, ACK, 1, 1, 588);
    peer.expect(&mut world, PSH, 589, 1, 412);
    // A peer that takes less decides.
    let mut small = Peer::new(&world, 40_001, Offer { mss: Some(300), ..Offer::PLAIN });
    assert_eq!(small.open(&mut world).options.mss, Some(600));
    let id = world.app.last();
    assert_eq!(world.stack().option(id, OptionName::TcpMaxseg), Ok(SocketOption::TcpMaxseg(300)));
}

#[test]
fn c037_maxseg_before_connect_is_advertised_and_obeyed() {
    let mut world = World::quiet(config(), 1500);
    let remote = "198.18.0.2:443".parse().expect("an address");
    let id = world.stack().connect(remote, None).expect("connects");
    world.stack().set_option(id, SocketOption::TcpMaxseg(700)).expect("in range");
    world.stack().set_option(id, SocketOption::SoRcvbuf(30_000)).expect("in range");
    world.turn();
    crate::answers::answer_arp(&mut world);
    let mut peer = Peer::new(&world, 443, Offer::PLAIN);
    peer.tuple.remote_port = world.stack().info(id).expect("it exists").local.port();
    let syn = peer.expect(&mut world, SYN, 0, 0, 0);
    assert_eq!((syn.options.mss, syn.window, syn.options.window_scale), (Some(700), 30_000, Some(0)));
    establish(&mut world, &mut peer);
    write(&mut world, id, &pattern(701));
    peer.expect(&mut world, ACK, 1, 1, 700);
    peer.expect(&mut world, PSH, 701, 1, 1);
    // Later it can only become less.
    set(&mut world, id, SocketOption::TcpMaxseg(500));
    set(&mut world, id, SocketOption::TcpMaxseg(900));
    assert_eq!(world.stack().option(id, OptionName::TcpMaxseg), Ok(SocketOption::TcpMaxseg(500)));
    let error = world.stack().set_option(id, SocketOption::TcpMaxseg(87)).expect_err("too small");
    assert_eq!(error.to_string(), "TCP_MAXSEG is 87, and must be 88 to 32767");
}

#[test]
fn c085_a_read_of_one_octet_opens_no_window() {
    let mut settings = config();
    settings.tcp.receive_buffer = 8_000;
    let mut world = World::with(settings, 1500);
    world.app.on_open = Box::new(Host::pause_reading);
    let (mut peer, id) = Peer::accepted(&mut world, 40_000, Offer::PLAIN);
    let mut seq = 1;
    while seq < 8_001 {
        let len = (8_001 - seq).min(1_460);
        peer.send(&mut world, seg(PSH, seq, 1).data(&pattern(len as usize)));
        seq += len;
    }
    world.advance(Duration::from_millis(50));
    assert_eq!(peer.drain(&mut world).last().map(|got| (got.ack, got.window)), Some((8_001, 0)));
    // Less than a segment and than half the buffer: silence.
    for len in [1, 1_000, 458] {
        world.stack().consume(id, len);
        world.advance(Duration::from_millis(100));
        world.expect_silence();
    }
    world.stack().consume(id, 1);
    world.turn();
    let update = peer.expect(&mut world, ACK, 1, 8_001, 0);
    assert_eq!(update.window, 1_460);
    assert_eq!(world.stack().unread(id), Unread::Octets(8_000 - 1_460));
}

#[test]
fn c099_cork_holds_what_is_not_full_for_200_ms() {
    let mut world = World::new();
    let (mut peer, id) = Peer::accepted(&mut world, 40_000, Offer::FULL);
    set(&mut world, id, SocketOption::TcpCork(Switch::On));
    let corked = world.now;
    write(&mut world, id, &pattern(100));
    world.expect_silence();
    // Full segments leave.
    write(&mut world, id, &pattern(1_448));
    peer.expect(&mut world, ACK, 1, 1, 1_448);
    world.expect_silence();
    peer.send(&mut world, seg(ACK, 1, 1_449));
    world.advance(Duration::from_millis(190));
    world.expect_silence();
    // The rest after 200 ms.
    world.advance(Duration::from_millis(11));
    let rest = peer.expect(&mut world, PSH, 1_449, 1, 100);
    let held = rest.at.since(corked);
    assert!(held >= Duration::from_millis(200) && held < Duration::from_millis(201), "{held:?}");
    peer.send(&mut world, seg(ACK, 1, 1_549));
    // The next write is held again, until it is let go.
    write(&mut world, id, b"head");
    world.advance(Duration::from_millis(150));
    world.expect_silence();
    set(&mut world, id, SocketOption::TcpCork(Switch::Off));
    peer.expect(&mut world, PSH, 1_549, 1, 4);
    peer.send(&mut world, seg(ACK, 1, 1_553));
    // NODELAY lets go, too, what is held now, and only that.
    set(&mut world, id, SocketOption::TcpCork(Switch::On));
    write(&mut world, id, b"head");
    world.expect_silence();
    set(&mut world, id, SocketOption::TcpNodelay(Switch::On));
    peer.expect(&mut world, PSH, 1_553, 1, 4);
    write(&mut world, id, b"body");
    world.expect_silence();
    // A close sends all.
    world.stack().close(id);
    world.turn();
    let last = peer.next(&mut world);
    assert_eq!((last.seq, last.payload.len(), last.flags.contains(FIN)), (1_557, 4, true));
}

#[test]
fn c102_small_writes_of_a_client_are_not_stalled() {
    // A head of 51 octets and a body of 2002, as a client of HTTPS writes them.
    for nodelay in [Switch::On, Switch::Off] {
        let mut world = World::quiet(config(), 1500);
        let (mut peer, id) = connect(&mut world, Offer { mss: Some(1_000), ..Offer::PLAIN });
        peer.expect(&mut world, SYN, 0, 0, 0);
        establish(&mut world, &mut peer);
        set(&mut world, id, SocketOption::TcpNodelay(nodelay));
        write(&mut world, id, &pattern(51));
        peer.expect(&mut world, PSH, 1, 1, 51);
        world.advance(Duration::from_millis(1));
        write(&mut world, id, &pattern(2_002));
        peer.expect(&mut world, ACK, 52, 1, 1_000);
        match nodelay {
            Switch::On => {
                peer.expect(&mut world, ACK, 1_052, 1, 1_000);
                peer.expect(&mut world, PSH, 2_052, 1, 2);
            }
            // Nagle holds the last two octets until what is in flight was acknowledged: at once, for two full
            // segments are.
            Switch::Off => {
                peer.expect(&mut world, ACK, 1_052, 1, 1_000);
                world.expect_silence();
                peer.send(&mut world, seg(ACK, 1, 2_052));
                peer.expect(&mut world, PSH, 2_052, 1, 2);
            }
        }
        world.expect_silence();
    }
}

#[test]
fn c102_quickack_acknowledges_at_once() {
    let mut world = World::new();
    let (mut peer, id) = Peer::accepted(&mut world, 40_000, Offer::FULL);
    // The delayed ACK that waits leaves, too.
    peer.send(&mut world, seg(PSH, 1, 1).data(b"one"));
    world.expect_silence();
    set(&mut world, id, SocketOption::TcpQuickack(Switch::On));
    peer.expect(&mut world, ACK, 1, 4, 0);
    for seq in [4, 7, 10] {
        peer.send(&mut world, seg(PSH, seq, 1).data(b"two"));
        peer.expect(&mut world, ACK, 1, seq + 3, 0);
    }
    set(&mut world, id, SocketOption::TcpQuickack(Switch::Off));
    peer.send(&mut world, seg(PSH, 13, 1).data(b"two"));
    world.expect_silence();
    world.advance(Duration::from_millis(41));
    peer.expect(&mut world, ACK, 1, 16, 0);
    assert_eq!(world.report().socket_options, 0, "all is as the configuration says");
}

#[test]
fn c114_shut_down_for_reading_what_comes_is_acknowledged_and_dropped() {
    let mut world = World::new();
    world.app.on_open = Box::new(Host::pause_reading);
    let (mut peer, id) = Peer::accepted(&mut world, 40_000, Offer::FULL);
    peer.send(&mut world, seg(PSH, 1, 1).data(b"before"));
    assert_eq!(world.stack().unread(id), Unread::Octets(6));
    world.stack().shutdown_read(id);
    assert_eq!(world.stack().unread(id), Unread::End);
    // More than the receive buffer holds: the window stays open, out of order or not.
    let mut seq = 7;
    for _ in 0..200 {
        peer.send(&mut world, seg(PSH, seq + 1_400, 1).data(&pattern(1_400)));
        peer.send(&mut world, seg(PSH, seq, 1).data(&pattern(1_400)));
        seq += 2_800;
    }
    let last = peer.drain(&mut world).pop().expect("an ACK");
    assert_eq!((last.ack, u32::from(last.window) << 3), (seq, 256 << 10));
    assert!(world.app.bytes.is_empty());
    // Our side goes on; then both are over.
    write(&mut world, id, b"still here");
    peer.expect(&mut world, PSH, 1, seq, 10);
    world.stack().shutdown(id);
    world.turn();
    peer.expect(&mut world, FIN, 11, seq, 0);
    // What is not acknowledged is sent again.
    world.advance(Duration::from_secs(3));
    let again = peer.drain(&mut world);
    assert!(again.iter().any(|got| got.seq == 1 && got.payload.len() == 10), "{again:?}");
    peer.send(&mut world, seg(FIN, seq, 12));
    peer.expect(&mut world, ACK, 12, seq + 1, 0);
    assert_eq!(world.app.closed(), Some(CloseReason::Finished));
}

#[test]
fn c117_linger2_says_when_fin_wait_2_ends() {
    for (linger2, after_ms) in [(Linger2::Default, 60_000), (Linger2::Seconds(3), 3_000), (Linger2::None, 0)]
    {
        let mut world = World::new();
        let (mut peer, id) = Peer::accepted(&mut world, 40_000, Offer::FULL);
        set(&mut world, id, SocketOption::TcpLinger2(linger2));
        world.stack().close(id);
        world.turn();
        peer.expect(&mut world, FIN, 1, 1, 0);
        peer.send(&mut world, seg(ACK, 1, 2));
        if after_ms > 0 {
            world.advance(Duration::from_millis(after_ms - 10));
            assert_eq!(world.app.closed(), None);
        }
        world.advance(Duration::from_millis(20));
        assert_eq!(world.app.closed(), Some(CloseReason::Finished));
        assert!(world.report().is_idle());
        peer.send(&mut world, seg(ACK, 1, 2));
        assert_eq!(peer.next(&mut world).flags, RST, "later segments get RST");
    }
}

#[test]
fn c121_linger_0_resets_at_once_and_drops_what_is_queued() {
    let mut world = World::new();
    let (mut peer, id) = Peer::accepted(&mut world, 40_000, Offer::FULL);
    set(&mut world, id, SocketOption::SoLinger(Linger::Seconds(0)));
    write(&mut world, id, b"sent");
    peer.expect(&mut world, PSH, 1, 1, 4);
    world.stack().write(id, b"never sent").expect("open");
    world.stack().close(id);
    world.turn();
    let reset = peer.next(&mut world);
    assert_eq!((reset.flags, reset.seq, reset.ack), (RST_ACK, 5, 1));
    world.advance(Duration::from_secs(10));
    world.expect_silence();
    assert!(world.report().is_idle());
}

#[test]
fn c121_linger_does_no_harm_in_other_states() {
    for linger in [0, 5] {
        // SYN-SENT: silence, whatever was asked for.
        let mut world = World::quiet(config(), 1500);
        let (mut peer, id) = connect(&mut world, Offer::FULL);
        set(&mut world, id, SocketOption::SoLinger(Linger::Seconds(linger)));
        peer.expect(&mut world, SYN, 0, 0, 0);
        world.stack().close(id);
        world.turn();
        world.advance(Duration::from_secs(10));
        world.expect_silence();
        assert!(world.report().is_idle());
        // CLOSE-WAIT.
        let mut world = World::new();
        let (mut peer, id) = Peer::accepted(&mut world, 40_000, Offer::FULL);
        set(&mut world, id, SocketOption::SoLinger(Linger::Seconds(linger)));
        peer.send(&mut world, seg(FIN, 1, 1));
        peer.expect(&mut world, ACK, 1, 2, 0);
        world.stack().close(id);
        world.turn();
        let end = peer.next(&mut world);
        assert_eq!(end.flags, if linger == 0 { RST_ACK } else { FIN });
        if linger > 0 {
            peer.send(&mut world, seg(ACK, 2, 2));
        }
        assert!(world.report().is_idle());
    }
}

#[test]
fn c139_urgent_data_stay_in_the_stream() {
    let mut world = World::new();
    let (mut peer, _) = Peer::accepted(&mut world, 40_000, Offer::FULL);
    let mut expected = Vec::new();
    let mut seq = 1;
    // A pointer to the octet in the segment, to none of them, far behind it; urgent data of one octet and of many.
    for (urgent, text) in
        [(1, &b"u"[..]), (3, b"abc"), (0, b"def"), (60_000, b"ghi"), (1_000, &pattern(1_448))]
    {
        let options = bywash_core::wire::tcp::Options {
            timestamps: peer.syn_options(&world).timestamps,
            ..bywash_core::wire::tcp::Options::NONE
        };
        let mut repr = peer.repr(&world, &seg(PSH | Flags::URG, seq, 1), options);
        repr.urgent = urgent;
        let frame = peer.frame(&repr, text);
        world.give(&frame);
        expected.extend_from_slice(text);
        seq += text.len() as u32;
    }
    assert_eq!(world.app.bytes, expected, "every octet in its place");
    world.advance(Duration::from_millis(50));
    assert_eq!(peer.drain(&mut world).last().map(|got| got.ack), Some(seq), "and acknowledged");
    // A closed window does not stall on a pointer alone.
    peer.send(&mut world, seg(PSH, seq, 1).data(b"plain"));
    assert_eq!(world.app.bytes.len(), expected.len() + 5);
}

#[test]
fn buffers_and_lowat_of_one_connection_are_its_own() {
    let mut world = World::new();
    let (mut peer, id) = Peer::with_window(&mut world, 1_000, Offer::PLAIN);
    set(&mut world, id, SocketOption::SoSndbuf(10_000));
    assert_eq!(world.stack().send_space(id), 10_000);
    assert_eq!(world.stack().write(id, &pattern(20_000)), Ok(10_000));
    assert_eq!(world.stack().write(id, b"more"), Ok(0));
    world.turn();
    peer.drain(&mut world);
    assert_eq!(world.app.events.len(), 1, "opened, and nothing since");
    set(&mut world, id, SocketOption::TcpNotsentLowat(5_000));
    // 5,500 are not sent yet: no room; after some more there is.
    let mut acked = 1;
    while world.stack().send_space(id) == 0 {
        acked += 500;
        peer.send(&mut world, seg(ACK, 1, acked));
        peer.drain(&mut world);
        assert!(acked < 10_000);
    }
    assert_eq!(acked, 4_501);
    assert_eq!(world.app.events.len(), 1, "half of the low-water mark is not reached");
    while world.app.events.len() == 1 {
        acked += 500;
        peer.send(&mut world, seg(ACK, 1, acked));
        peer.drain(&mut world);
        assert!(acked < 10_000);
    }
    assert!((6_400..=7_100).contains(&acked), "{acked}");
    let rcvbuf_max = u64::from(config().receive.receive_buffer_max);
    assert_eq!(
        world.stack().set_option(id, SocketOption::SoRcvbuf(u32::MAX)),
        Err(OptionError::OutOfRange {
            option: OptionName::SoRcvbuf,
            value: u64::from(u32::MAX),
            min: 1,
            max: rcvbuf_max
        })
    );
}

#[test]
fn without_a_free_record_an_option_is_refused_and_an_inherited_one_is_counted() {
    let mut world = World::with(bywash_core::stack::StackConfig { socket_options_max: 1, ..config() }, 1500);
    let (_, first) = Peer::accepted(&mut world, 40_000, Offer::FULL);
    let (_, second) = Peer::accepted(&mut world, 40_001, Offer::FULL);
    let keep = SocketOption::SoKeepalive(Switch::On);
    assert_eq!(world.stack().set_option(first, keep), Ok(()));
    let full = Err(OptionError::TooMany { socket_options_max: 1 });
    assert_eq!(world.stack().set_option(second, keep), full);
    // Nagle's algorithm needs none.
    assert_eq!(world.stack().set_option(second, SocketOption::TcpNodelay(Switch::Off)), Ok(()));
    world.set_listener_option(keep);
    Peer::accepted(&mut world, 40_002, Offer::FULL);
    assert_eq!(world.report().counters.options_not_inherited, 1);
    world.stack().abort(first);
    world.turn();
    assert_eq!(world.stack().set_option(second, keep), Ok(()));
}

#[test]
fn tcp_info_says_what_is_known_at_any_moment() {
    use bywash_core::tcp::state::State;
    let mut world = World::quiet(config(), 1500);
    let (mut peer, id) = connect(&mut world, Offer::FULL);
    let info = world.stack().tcp_info(id).expect("it is being opened");
    assert_eq!((info.tcpi_state, info.tcpi_advmss, info.tcpi_pmtu), (State::SynSent, 1_460, 1_500));
    peer.expect(&mut world, SYN, 0, 0, 0);
    world.advance(Duration::from_millis(80));
    establish(&mut world, &mut peer);
    let info = world.stack().tcp_info(id).expect("it is open");
    assert_eq!((info.tcpi_state, info.tcpi_snd_mss, info.tcpi_snd_cwnd), (State::Established, 1_448, 10));
    assert!((80_000..81_000).contains(&info.tcpi_rtt), "{info:?}");
    assert_eq!((info.tcpi_rttvar, info.tcpi_snd_ssthresh), (info.tcpi_rtt / 2, 0x7fff_ffff));
    assert_eq!((info.tcpi_snd_wscale, info.tcpi_rcv_wscale, info.tcpi_rcv_wnd), (7, 3, 256 << 10));
    assert!(info.tcpi_options.timestamps && info.tcpi_options.sack && info.tcpi_options.wscale);
    // Ten segments in flight, one of them with the peer by SACK; the rest waits.
    write(&mut world, id, &pattern(20_000));
    let info = world.stack().tcp_info(id).expect("it is open");
    assert_eq!((info.tcpi_unacked, info.tcpi_notsent_bytes), (10, 20_000 - 14_480));
    peer.send(&mut world, seg(ACK, 1, 1).sack(&[(1 + 1_448, 1 + 2 * 1_448)]));
    let info = world.stack().tcp_info(id).expect("it is open");
    assert_eq!(info.tcpi_sacked, 1);
    world.advance(Duration::from_secs(3));
    let info = world.stack().tcp_info(id).expect("it is open");
    assert!((2_900..=3_001).contains(&info.tcpi_last_ack_recv), "{info:?}");
    assert!(info.tcpi_backoff >= 2 && info.tcpi_snd_cwnd < 10, "{info:?}");
    world.stack().abort(id);
    world.turn();
    assert_eq!(world.stack().tcp_info(id), None);
}
