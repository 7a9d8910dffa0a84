//! `TIME_WAIT` on the wire.

use std::io::Read;
use std::net::{Shutdown, SocketAddr};
use std::thread;
use std::time::Instant;

use bywash_core::shard::{CloseReason, Host};
use bywash_core::stack::StackConfig;
use bywash_xdp::lab::{CLIENT_IPV4, Direction};
use socket2::{Domain, Socket, Type};

use crate::harness::{ACK, FIN, Offer, RST, SYN_ACK, seg};
use crate::support::{Between, Forger, PATIENCE, Wire, ms, patient, server};

fn quick(config: &mut StackConfig) {
    config.tcp.tcp_rto_min_us = 20_000;
    config.tcp.tcp_time_wait_ms = 600;
}

/// A forger whose connection waits in `TIME_WAIT`.
fn in_time_wait(wire: &Wire) -> Forger {
    let mut peer = Forger::new(wire, 40_000, Offer::FULL);
    peer.open();
    let id = wire.opened(1);
    wire.with(move |stack, _| stack.close(id));
    peer.expect(FIN, 1, 1, 0);
    peer.send(&seg(FIN, 1, 2));
    peer.expect(ACK, 2, 2, 0);
    assert_eq!(wire.closed(), CloseReason::Finished);
    peer
}

fn time_waits(wire: &Wire) -> usize {
    wire.with(|stack, _| stack.report().time_wait)
}

#[test]
fn s33_a_fin_that_comes_again_starts_the_clock_again_on_the_wire() {
    let Some(wire) = Wire::start("s33", Between::Link, quick) else { return };
    let mut peer = in_time_wait(&wire);
    thread::sleep(ms(400));
    let start = Instant::now();
    peer.send(&seg(FIN, 1, 2));
    peer.expect(ACK, 2, 2, 0);
    thread::sleep(ms(350));
    assert_eq!(time_waits(&wire), 1, "600 ms after the first FIN, not after the second");
    wire.expect_idle();
    assert!(start.elapsed() >= ms(590));
}

#[test]
fn s33_the_kernels_fin_comes_again_when_our_ack_was_lost() {
    let Some(wire) = Wire::start("s33k", Between::Relay, |config| {
        quick(config);
        config.tcp.tcp_time_wait_ms = 2_000;
    }) else {
        return;
    };
    let (mut stream, id) = wire.connect();
    wire.with(move |stack, _| stack.close(id));
    assert_eq!(stream.read(&mut [0]).expect("FIN"), 0);
    thread::sleep(ms(60));
    // The kernel's FIN gets through, our ACK does not.
    wire.lab.blackout(Direction::ToClient, ms(150)).expect("a relay");
    stream.shutdown(Shutdown::Write).expect("open");
    assert_eq!(wire.closed(), CloseReason::Finished);
    let before = wire.with(|stack, _| stack.counters().dropped(bywash_core::stack::DropReason::TimeWait));
    wire.until(move |stack, _| {
        let now = stack.counters().dropped(bywash_core::stack::DropReason::TimeWait);
        (now > before).then_some(())
    });
    assert_eq!(time_waits(&wire), 1);
    wire.expect_idle();
}

#[test]
fn s34_a_reset_does_not_end_time_wait_on_the_wire() {
    let Some(wire) = Wire::start("s34", Between::Link, quick) else { return };
    let mut peer = in_time_wait(&wire);
    peer.send(&seg(RST, 2, 0));
    peer.send(&seg(RST, 3, 0));
    peer.expect_silence(ms(50));
    assert_eq!(time_waits(&wire), 1);
    wire.expect_idle();
}

#[test]
fn s35_the_kernel_opens_the_same_tuple_again() {
    let Some(wire) = Wire::start("s35", Between::Link, |_| {}) else { return };
    let from = SocketAddr::new(CLIENT_IPV4.into(), 45_000);
    let open = || {
        wire.client(|| {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
            socket.set_reuse_address(true).expect("a socket");
            socket.bind(&from.into()).expect("the port is free for the kernel");
            socket.connect_timeout(&server().into(), PATIENCE).expect("connects at once");
            patient(socket.into())
        })
    };
    for round in 1..=3 {
        let start = Instant::now();
        let mut stream = open();
        assert!(start.elapsed() < ms(900), "not by a second SYN");
        let id = wire.opened(round);
        assert_eq!(time_waits(&wire), 0);
        wire.with(move |stack, _| stack.write(id, &[round as u8]).expect("open"));
        let mut got = [0];
        stream.read_exact(&mut got).expect("an octet");
        assert_eq!(got, [round as u8]);
        wire.with(move |stack, _| stack.close(id));
        assert_eq!(stream.read(&mut got).expect("FIN"), 0);
        drop(stream);
        wire.until(|stack, _| (stack.report().time_wait == 1).then_some(()));
        // Timestamps of the kernel's are of a millisecond.
        thread::sleep(ms(5));
    }
}

#[test]
fn s35_our_number_lies_far_above_the_old_one_and_an_old_syn_is_not_taken() {
    let Some(wire) = Wire::start("s35f", Between::Link, |_| {}) else { return };
    let mut peer = in_time_wait(&wire);
    let old = peer.peer.irs.wrapping_add(2);
    // An old duplicate: an earlier timestamp.
    let newer = peer.peer.offer.clock;
    peer.peer.offer.clock = newer.map(|clock| clock.wrapping_sub(1_000_000));
    peer.syn();
    peer.expect(ACK, 2, 2, 0);
    peer.peer.offer.clock = newer.map(|clock| clock.wrapping_add(1_000));
    peer.peer.iss = peer.peer.iss.wrapping_sub(50_000);
    peer.peer.echo = 0;
    peer.syn();
    peer.expect(SYN_ACK, 0, 1, 0);
    let above = peer.peer.irs.wrapping_sub(old);
    assert!((65_537..1 << 30).contains(&above), "{above}");
}
