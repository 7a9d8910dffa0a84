//! Keepalive on the wire: a peer that lives, one that has rebooted, one that is gone.

use std::io::Write;
use std::thread;
use std::time::Instant;

use bywash_core::shard::CloseReason;
use bywash_core::stack::StackConfig;
use bywash_xdp::lab::{Direction, Side};

use crate::harness::{ACK, Offer, RST, seg};
use crate::support::{Between, Forger, PATIENCE, Wire, ms};

/// A second, two more, two probes.
fn quick(config: &mut StackConfig) {
    config.tcp.so_keepalive = true;
    config.tcp.tcp_keepalive_time = 1;
    config.tcp.tcp_keepalive_intvl = 1;
    config.tcp.tcp_keepalive_probes = 2;
}

#[test]
fn s19_the_kernel_answers_our_probes_until_it_is_gone() {
    let Some(wire) = Wire::start("s19", Between::Relay, quick) else { return };
    let (mut stream, _) = wire.connect();
    // Idle for longer than time and both probes take.
    thread::sleep(ms(3_600));
    assert_eq!(wire.with(|_, app| app.closed()), None);
    stream.write_all(b"still here").expect("open");
    wire.until(|_, app| (app.bytes == b"still here").then_some(()));
    for direction in [Direction::ToServer, Direction::ToClient] {
        wire.lab.blackout(direction, PATIENCE).expect("a relay");
    }
    let start = Instant::now();
    assert_eq!(wire.closed(), CloseReason::TimedOut);
    assert!((ms(2_500)..ms(4_500)).contains(&start.elapsed()), "{:?}", start.elapsed());
    wire.expect_idle();
}

#[test]
fn s19_a_peer_that_has_rebooted_answers_with_a_reset() {
    let Some(wire) = Wire::start("s19r", Between::Link, quick) else { return };
    let mut peer = Forger::new(&wire, 40_000, Offer::FULL);
    peer.open();
    wire.opened(1);
    let probe = peer.expect(ACK, 0, 1, 0);
    peer.send(&seg(RST, probe.ack, 0));
    assert_eq!(wire.closed(), CloseReason::ConnectionReset);
    wire.expect_idle();
}

#[test]
fn s29_our_probe_finds_a_kernel_that_has_forgotten_us() {
    let Some(wire) = Wire::start("s29", Between::Link, |config| {
        quick(config);
        config.tcp.tcp_keepalive_time = 3;
    }) else {
        return;
    };
    wire.lab.set_sysctl(Side::Client, "net.ipv4.tcp_fin_timeout", "1").expect("a sysctl");
    let (stream, _) = wire.connect();
    // Closed fully: FIN_WAIT_2, which ends after a second. We stay in CLOSE_WAIT.
    drop(stream);
    wire.until(|_, app| (app.ends() == 1).then_some(()));
    thread::sleep(ms(2_000));
    assert_eq!(wire.with(|_, app| app.closed()), None);
    assert_eq!(wire.closed(), CloseReason::ConnectionReset);
    wire.expect_idle();
}
