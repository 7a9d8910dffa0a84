//! Closing, in every order that the kernel, or a forger, can be made to show.

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::thread;

use bywash_core::shard::{CloseReason, Host};
use bywash_core::stack::StackConfig;
use bywash_xdp::lab::{Direction, Impairment};

use crate::harness::{ACK, FIN, Offer, seg};
use crate::support::{Between, Forger, Wire, ms};

/// Long times made short.
fn quick(config: &mut StackConfig) {
    config.tcp.tcp_rto_min_us = 20_000;
    config.tcp.tcp_time_wait_ms = 300;
    config.tcp.tcp_fin_timeout_ms = 300;
}

/// The connection waits in `TIME_WAIT`, and then nothing is left.
#[track_caller]
fn expect_time_wait(wire: &Wire) {
    assert_eq!(wire.closed(), CloseReason::Finished);
    assert_eq!(wire.with(|stack, _| stack.report().time_wait), 1);
    wire.expect_idle();
}

#[test]
fn s22_the_kernel_closes_first() {
    let Some(wire) = Wire::start("s22", Between::Link, quick) else { return };
    let (mut stream, id) = wire.connect();
    stream.shutdown(Shutdown::Write).expect("open");
    wire.until(|_, app| (app.ends() == 1).then_some(()));
    // CLOSE_WAIT, for as long as we like.
    thread::sleep(ms(400));
    wire.with(move |stack, _| stack.write(id, b"one more").expect("CLOSE_WAIT"));
    wire.with(move |stack, _| stack.close(id));
    let mut got = Vec::new();
    stream.read_to_end(&mut got).expect("and FIN");
    assert_eq!(got, b"one more");
    assert_eq!(wire.closed(), CloseReason::Finished);
    // TIME_WAIT is the kernel's.
    assert_eq!(wire.with(|stack, _| stack.report().time_wait), 0);
    wire.expect_idle();
}

#[test]
fn s23_we_close_first_and_keep_time_wait() {
    let Some(wire) = Wire::start("s23", Between::Link, quick) else { return };
    let (mut stream, id) = wire.connect();
    wire.with(move |stack, _| stack.close(id));
    assert_eq!(stream.read(&mut [0]).expect("FIN"), 0);
    // FIN_WAIT_2.
    thread::sleep(ms(50));
    assert_eq!(wire.with(|stack, _| (stack.report().connections, stack.report().time_wait)), (1, 0));
    drop(stream);
    expect_time_wait(&wire);
}

#[test]
fn s24_one_segment_with_fin_and_ack_skips_fin_wait_2_on_the_wire() {
    let Some(wire) = Wire::start("s24", Between::Link, quick) else { return };
    let mut peer = Forger::new(&wire, 40_000, Offer::FULL);
    peer.open();
    let id = wire.opened(1);
    wire.with(move |stack, _| stack.close(id));
    peer.expect(FIN, 1, 1, 0);
    peer.send(&seg(FIN, 1, 2));
    peer.expect(ACK, 2, 2, 0);
    expect_time_wait(&wire);
}

#[test]
fn s25_fins_that_cross_the_kernels() {
    let Some(wire) = Wire::start("s25", Between::Relay, quick) else { return };
    let far = Impairment { delay: ms(30), ..Impairment::NONE };
    for direction in [Direction::ToServer, Direction::ToClient] {
        wire.lab.impair(direction, far).expect("a relay");
    }
    let (mut stream, id) = wire.connect();
    stream.shutdown(Shutdown::Write).expect("open");
    wire.with(move |stack, _| stack.close(id));
    assert_eq!(stream.read(&mut [0]).expect("FIN"), 0);
    // Our FIN was on its way when the kernel's came: neither end closed second.
    expect_time_wait(&wire);
}

#[test]
fn s28_a_kernel_that_never_closes_is_left() {
    let Some(wire) = Wire::start("s28", Between::Link, quick) else { return };
    let (mut stream, id) = wire.connect();
    wire.with(move |stack, _| stack.close(id));
    assert_eq!(stream.read(&mut [0]).expect("FIN"), 0);
    assert_eq!(wire.closed(), CloseReason::Finished);
    wire.expect_idle();
    // What it says later belongs to nothing.
    stream.write_all(b"anybody?").expect("into the buffer");
    let told = loop {
        match stream.write_all(b"anybody?") {
            Ok(()) => thread::sleep(ms(5)),
            Err(error) => break error.kind(),
        }
    };
    assert!(matches!(told, ErrorKind::BrokenPipe | ErrorKind::ConnectionReset), "{told}");
}

#[test]
fn s30_unread_octets_reset_the_kernel() {
    let Some(wire) = Wire::start("s30", Between::Link, quick) else { return };
    let (mut stream, id) = wire.connect();
    wire.with(move |stack, _| stack.pause_reading(id));
    stream.write_all(b"unread").expect("open");
    wire.until(|stack, _| (stack.counters().bytes_copied_in == 6).then_some(()));
    wire.with(move |stack, _| stack.close(id));
    let told = stream.read(&mut [0]).expect_err("RST, not FIN");
    assert_eq!(told.kind(), ErrorKind::ConnectionReset);
    assert_eq!(wire.closed(), CloseReason::Aborted);
    wire.expect_idle();
}

#[test]
fn s32_a_last_ack_that_never_comes_is_waited_for_up_to_the_limit() {
    let change = |config: &mut StackConfig| {
        quick(config);
        config.tcp.tcp_orphan_retries = 3;
    };
    let Some(wire) = Wire::start("s32", Between::Relay, change) else { return };
    let (stream, id) = wire.connect();
    stream.shutdown(Shutdown::Write).expect("open");
    wire.until(|_, app| (app.ends() == 1).then_some(()));
    thread::sleep(ms(60));
    for direction in [Direction::ToServer, Direction::ToClient] {
        wire.lab.blackout(direction, ms(10_000)).expect("a relay");
    }
    let before = wire.with(|stack, _| stack.report().counters.retransmits);
    wire.with(move |stack, _| stack.close(id));
    assert_eq!(wire.closed(), CloseReason::TimedOut);
    let resent = wire.with(|stack, _| stack.report().counters.retransmits) - before;
    assert!((3..=4).contains(&resent), "three times, and a probe for the tail at most: {resent}");
    wire.expect_idle();
}
