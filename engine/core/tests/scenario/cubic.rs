//! CUBIC and `HyStart++` in virtual time: a path whose round trips the test chooses.

use crate::harness::*;

use bywash_core::shard::Host;
use bywash_core::tcp::congestion::CongestionControl;
use bywash_core::tcp::socket_options::{OptionName, SocketOption};

const MSS: u32 = 1_448;

/// A bulk transfer of which everything is acknowledged, segment by segment, one round trip after it was sent.
struct Transfer {
    world: World,
    peer: Peer,
    acked: u32,
    flight: usize,
}

impl Transfer {
    fn new(algorithm: CongestionControl) -> Self {
        let mut config = config();
        config.tcp.tcp_congestion_control = algorithm;
        config.tcp.send_buffer = 64 << 20;
        config.send = bywash_core::buffer::SendConfig::with_memory(96 << 20);
        let mut world = World::with(config, 1500);
        let mut peer = Peer::new(&world, 40_000, Offer { scale: Some(10), ..Offer::FULL });
        peer.syn(&mut world);
        world.advance_ms(40);
        peer.expect(&mut world, SYN_ACK, 0, 1, 0);
        peer.send(&mut world, seg(ACK, 1, 1));
        let id = world.app.last();
        world.stack().write(id, &pattern(60 << 20)).expect("open");
        world.turn();
        let flight = peer.drain(&mut world).len();
        Self { world, peer, acked: 1, flight }
    }

    /// One round trip; says how many segments are in flight after it.
    fn round(&mut self, rtt_ms: u64) -> usize {
        self.world.advance_ms(rtt_ms);
        for _ in 0..std::mem::take(&mut self.flight) {
            self.acked += MSS;
            self.peer.send(&mut self.world, seg(ACK, 1, self.acked));
            self.flight += self.peer.drain(&mut self.world).len();
        }
        self.flight
    }

    /// The first segment of the flight is lost and sent again; all is acknowledged after that, and the window filled.
    fn loss(&mut self, rtt_ms: u64) {
        let (una, n) = (self.acked, self.flight as u32);
        self.world.advance_ms(rtt_ms);
        let mut end = una + n * MSS;
        for right in 4..=n {
            self.peer.send(&mut self.world, seg(ACK, 1, una).sack(&[(una + MSS, una + right * MSS)]));
        }
        let sent = self.peer.drain(&mut self.world);
        assert_eq!(sent[0].seq, una, "sent again");
        for got in &sent {
            end = end.max(got.seq + got.payload.len() as u32);
        }
        self.world.advance_ms(rtt_ms);
        self.acked = end;
        self.peer.send(&mut self.world, seg(ACK, 1, end));
        self.flight = self.peer.drain(&mut self.world).len();
    }
}

/// Slow start to 80 segments, then a loss: 56 are left.
fn after_loss(rtt_ms: u64) -> Transfer {
    let mut transfer = Transfer::new(CongestionControl::Cubic);
    for expected in [20, 40, 80] {
        assert_eq!(transfer.round(rtt_ms), expected);
    }
    transfer.loss(rtt_ms);
    // Whatever the end of recovery leaves in flight, a round or two later the window is used.
    for _ in 0..6 {
        if transfer.round(rtt_ms) >= 55 {
            break;
        }
    }
    assert!((55..=60).contains(&transfer.flight), "0.7 of 80: {}", transfer.flight);
    transfer
}

#[test]
fn c152_after_a_loss_the_window_is_concave_to_the_old_one_and_convex_beyond() {
    let mut transfer = after_loss(100);
    let windows: Vec<i64> = (0..110).map(|_| transfer.round(100) as i64).collect();
    let growth = |from: usize, to: usize| windows[to] - windows[from];
    // K is the cube root of 24 / 0.4, 3.9 s: 39 round trips.
    assert!(growth(0, 10) > growth(10, 20) + 3, "concave: {windows:?}");
    assert!((76..=82).contains(&windows[38]), "back at 80: {windows:?}");
    // Where Reno would be further, as it: a segment for each. Then ever more.
    assert!((9..=11).contains(&growth(60, 70)), "{windows:?}");
    assert!(growth(90, 100) > 25 && growth(95, 105) > growth(88, 98) + 5, "convex: {windows:?}");
}

#[test]
fn c152_on_a_short_path_the_window_grows_by_alpha_and_past_the_old_one_by_a_segment() {
    let mut transfer = after_loss(2);
    let begin = transfer.flight;
    for _ in 0..20 {
        transfer.round(2);
    }
    // 20 round trips of 9/17.
    let grown = transfer.flight - begin;
    assert!((10..=12).contains(&grown), "{grown}");
    while transfer.flight < 82 {
        transfer.round(2);
    }
    let begin = transfer.flight;
    for _ in 0..10 {
        transfer.round(2);
    }
    let grown = transfer.flight - begin;
    assert!((9..=12).contains(&grown), "{grown}");
}

#[test]
fn c153_longer_round_trips_slow_slow_start_down_and_end_it() {
    let mut transfer = Transfer::new(CongestionControl::Cubic);
    assert_eq!([transfer.round(40), transfer.round(40)], [20, 40]);
    // 20 ms more. A few ACKs must say so; the rest count for a quarter.
    let mut last = transfer.round(60);
    assert!((48..=60).contains(&last), "{last}");
    for _ in 0..4 {
        let now = transfer.round(60);
        assert!(now > last + last / 8 && now < last + last / 3, "a quarter more: {last} {now}");
        last = now;
    }
    // Congestion avoidance, for ever.
    for _ in 0..3 {
        let now = transfer.round(60);
        assert!(now <= last + 3, "{last} {now}");
        last = now;
    }
}

#[test]
fn c153_slow_start_goes_on_when_the_round_trips_are_short_again() {
    let mut transfer = Transfer::new(CongestionControl::Cubic);
    for rtt in [40, 40, 60] {
        transfer.round(rtt);
    }
    let last = transfer.flight;
    transfer.round(40);
    let now = transfer.round(40);
    assert!(now >= 3 * last, "{last} {now}");
}

#[test]
fn c153_reno_does_without() {
    let mut transfer = Transfer::new(CongestionControl::Reno);
    let rounds = [40, 40, 60, 80].map(|rtt| transfer.round(rtt));
    assert_eq!(rounds, [20, 40, 80, 160]);
}

#[test]
fn s17_a_loss_scales_the_window_of_cubic_and_halves_that_of_reno() {
    for (algorithm, left) in [(CongestionControl::Cubic, 55..=65), (CongestionControl::Reno, 39..=48)] {
        let mut transfer = Transfer::new(algorithm);
        for _ in 0..3 {
            transfer.round(50);
        }
        transfer.loss(50);
        let most = (0..7).map(|_| transfer.round(50)).max().expect("rounds");
        assert!(left.contains(&most), "{algorithm}: {most}");
    }
}

#[test]
fn s17_listeners_and_connections_choose_their_algorithm() {
    let mut world = World::new();
    let (_, by_default) = Peer::accepted(&mut world, 40_000, Offer::FULL);
    let listener = world.stack().listener_of(by_default).expect("it is open");
    let reno = SocketOption::TcpCongestion(CongestionControl::Reno);
    let cubic = SocketOption::TcpCongestion(CongestionControl::Cubic);
    world.stack().set_listener_option(listener, reno).expect("it listens");
    let (_, by_listener) = Peer::accepted(&mut world, 40_001, Offer::FULL);
    let stack = world.stack();
    assert_eq!(stack.option(by_default, OptionName::TcpCongestion), Ok(cubic));
    assert_eq!(stack.option(by_listener, OptionName::TcpCongestion), Ok(reno));
    stack.set_option(by_default, reno).expect("open");
    assert_eq!(stack.option(by_default, OptionName::TcpCongestion), Ok(reno));
    // One that changes while its window is used goes on from there.
    let mut transfer = Transfer::new(CongestionControl::Cubic);
    assert_eq!(transfer.round(40), 20);
    let id = transfer.world.app.last();
    transfer.world.stack().set_option(id, reno).expect("open");
    assert_eq!([transfer.round(60), transfer.round(80)], [40, 80], "no HyStart++");
}

#[test]
fn s17_without_records_windows_grow_all_the_same() {
    let mut config = config();
    config.congestions_max = 1;
    config.tcp.send_buffer = 4 << 20;
    let mut world = World::with(config, 1500);
    let offer = Offer { scale: Some(10), ..Offer::FULL };
    let mut peers = [Peer::accepted(&mut world, 40_000, offer), Peer::accepted(&mut world, 40_001, offer)];
    let mut flights = [0; 2];
    for (flight, (peer, id)) in flights.iter_mut().zip(&mut peers) {
        world.stack().write(*id, &pattern(1_000_000)).expect("open");
        world.turn();
        *flight = peer.drain(&mut world).len();
        let mut sent = 0;
        for n in 1..=*flight as u32 {
            peer.send(&mut world, seg(ACK, 1, 1 + n * MSS));
            sent += peer.drain(&mut world).len();
        }
        *flight = sent;
    }
    assert_eq!(flights, [20, 20]);
    let report = world.report();
    assert!(report.congestions == 1 && report.counters.congestion_records_refused > 0);
}
