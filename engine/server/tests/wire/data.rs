//! Octets under way: slow readers, bad paths, peers that die.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Instant;

use bywash_core::shard::{CloseReason, ConnectionId, Host};
use bywash_core::stack::{Stack, StackConfig};
use bywash_xdp::lab::{Direction, Impairment, Probability, Side};

use crate::harness::{ACK, Offer, Recorder, pattern, seg};
use crate::support::{Between, Forger, PATIENCE, Wire, ms, patient, server, server_v6};

/// Timeouts that suit a test.
fn quick(config: &mut StackConfig) {
    config.tcp.tcp_rto_min_us = 20_000;
    config.tcp.tcp_rto_initial_us = 100_000;
}

/// The application writes all of `text` to `id`, as fast as there is room.
fn pour(stack: &mut Stack, app: &mut Recorder, id: ConnectionId, text: Vec<u8>) {
    let mut sent = 0;
    let mut more = move |stack: &mut Stack, id: ConnectionId| {
        while sent < text.len() {
            match stack.write(id, &text[sent..]) {
                Ok(0) | Err(_) => return,
                Ok(len) => sent += len,
            }
        }
        stack.shutdown(id);
    };
    more(stack, id);
    app.on_writable = Box::new(more);
}

#[test]
fn s14_a_slow_application_stops_the_kernel_and_loses_nothing() {
    let Some(wire) = Wire::start("s14", Between::Link, |config| config.tcp.receive_buffer = 60_000) else {
        return;
    };
    let (mut stream, id) = wire.connect();
    wire.with(move |stack, _| stack.pause_reading(id));
    let text = pattern(3_000_000);
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            stream.write_all(&text).expect("the application wakes in time");
            stream.shutdown(std::net::Shutdown::Write).expect("open");
        });
        thread::sleep(ms(300));
        assert!(!writer.is_finished(), "three megabytes fit nowhere");
        assert!(wire.with(|_, app| app.bytes.is_empty()));
        // It reads a piece, pauses, and reads on.
        for _ in 0..20 {
            wire.with(move |stack, app| {
                app.on_receive = Box::new(|stack, id, bytes| {
                    stack.pause_reading(id);
                    bytes.len().min(10_000)
                });
                stack.resume_reading(id);
            });
            thread::sleep(ms(5));
        }
        wire.with(move |stack, app| {
            app.on_receive = Box::new(|_, _, bytes| bytes.len());
            stack.resume_reading(id);
        });
    });
    let len = text.len();
    wire.until(move |_, app| (app.ends() == 1 && app.bytes.len() == len).then_some(()));
    assert!(wire.with(move |_, app| app.bytes == text), "every octet, in order");
}

#[test]
fn s15_a_lost_window_update_of_the_kernels_is_found_by_probes() {
    let Some(wire) = Wire::start("s15", Between::Relay, quick) else { return };
    let (mut stream, id) = wire.connect();
    let text = pattern(8_000_000);
    let sent = text.clone();
    wire.with(move |stack, app| pour(stack, app, id, sent));
    // The kernel's buffers fill, and its window closes.
    let start = Instant::now();
    let mut before = 0;
    while start.elapsed() < PATIENCE {
        thread::sleep(ms(150));
        let now = wire.with(|stack, _| stack.report().counters.frames_sent);
        // Probes only: a few, and rarer ones.
        if now - before < 10 {
            break;
        }
        before = now;
    }
    assert_eq!(wire.with(|_, app| app.closed()), None);
    // Everything that the kernel says while it reads is lost.
    wire.lab.blackout(Direction::ToServer, ms(300)).expect("a relay");
    let mut got = vec![0; 200_000];
    stream.read_exact(&mut got).expect("what is there");
    thread::sleep(ms(350));
    stream.read_to_end(&mut got).expect("the rest");
    assert!(got == text, "{} octets of {}", got.len(), text.len());
}

/// The kernel sends and receives this much at once, over a bad path.
fn both_ways(wire: &Wire, stream: &TcpStream, len: usize) {
    let text = pattern(len);
    let got = thread::scope(|scope| {
        scope.spawn(|| {
            let mut writer: &TcpStream = stream;
            writer.write_all(&text).expect("the connection lives");
            stream.shutdown(std::net::Shutdown::Write).expect("open");
        });
        let mut got = Vec::new();
        let mut reader: &TcpStream = stream;
        reader.read_to_end(&mut got).expect("the connection lives");
        got
    });
    assert!(got == text, "{} octets came back of {len}", got.len());
    wire.until(move |_, app| (app.bytes.len() == len && app.ends() == 1).then_some(()));
    assert!(wire.with(move |_, app| app.bytes == text), "every octet, in order");
}

#[test]
fn s16_a_bad_path_changes_no_octet() {
    for (name, address, control) in [("s16", server(), "cubic"), ("s16v6", server_v6(), "bbr")] {
        let Some(wire) = Wire::start(name, Between::Relay, quick) else { return };
        // Where the kernel has it; otherwise its default.
        let _ = wire.lab.set_sysctl(Side::Client, "net.ipv4.tcp_congestion_control", control);
        let bad = Impairment {
            loss: Probability::percent(2).expect("a share"),
            duplicate: Probability::percent(2).expect("a share"),
            corrupt: Probability::percent(1).expect("a share"),
            reorder: Probability::percent(5).expect("a share"),
            reorder_hold: ms(1),
            delay: ms(1),
            ..Impairment::NONE
        };
        let stream =
            wire.client(|| patient(TcpStream::connect_timeout(&address, PATIENCE).expect("connects")));
        let id = wire.opened(1);
        wire.lab.impair(Direction::ToServer, bad).expect("a relay");
        wire.lab.impair(Direction::ToClient, bad).expect("a relay");
        let len = 1_500_000;
        wire.with(move |stack, app| pour(stack, app, id, pattern(len)));
        both_ways(&wire, &stream, len);
        let report = wire.with(|stack, _| stack.report());
        assert!(report.counters.retransmits > 0, "the path was bad");
        assert!(report.counters.dropped(bywash_core::stack::DropReason::BadChecksum) > 0, "{report:#?}");
    }
}

#[test]
fn s17_slow_start_begins_with_ten_segments_on_the_wire() {
    // On so short a path a probe for the tail would come before the ACKs.
    let change = |config: &mut StackConfig| config.tcp.tcp_early_retrans = 0;
    let Some(wire) = Wire::start("s17", Between::Link, change) else { return };
    let mut peer = Forger::new(&wire, 40_000, Offer::FULL);
    peer.open();
    let id = wire.opened(1);
    wire.with(move |stack, app| pour(stack, app, id, pattern(400_000)));
    let mut acked = 1;
    for flight in [10, 20, 40] {
        // Its ACK is not late enough for the timeout.
        let got = peer.listen(ms(60));
        assert_eq!(got.len(), flight);
        assert!(got.iter().all(|got| got.payload.len() == 1_448));
        acked += flight as u32 * 1_448;
        peer.send(&seg(ACK, 1, acked));
    }
    // Neither window is exceeded: the peer's says 128 * 10 octets less than a segment.
    peer.listen(ms(60));
    acked += 80 * 1_448;
    peer.send(&seg(ACK, 1, acked).window(100));
    let lens: usize = peer.listen(ms(60)).iter().map(|got| got.payload.len()).sum();
    assert!((1_448 * 7..=12_800).contains(&lens), "{lens}");
}

#[test]
fn s18_a_path_that_dies_ends_the_connection_after_the_retries() {
    let change = |config: &mut StackConfig| {
        quick(config);
        config.tcp.tcp_retries2 = 4;
    };
    let Some(wire) = Wire::start("s18", Between::Relay, change) else { return };
    let (_stream, id) = wire.connect();
    for direction in [Direction::ToServer, Direction::ToClient] {
        wire.lab.blackout(direction, PATIENCE).expect("a relay");
    }
    let before = wire.with(|stack, _| stack.report().counters.retransmits);
    wire.with(move |stack, _| stack.write(id, b"into the dark").expect("open"));
    assert_eq!(wire.closed(), CloseReason::TimedOut);
    let resent = wire.with(|stack, _| stack.report().counters.retransmits) - before;
    assert!((4..=5).contains(&resent), "four timeouts, and a probe for the tail at most: {resent}");
    wire.expect_idle();
}

#[test]
fn s26_what_the_application_sends_after_the_kernels_end_arrives() {
    let Some(wire) = Wire::start("s26", Between::Link, |_| {}) else { return };
    let (mut stream, id) = wire.connect();
    stream.write_all(b"that is all").expect("open");
    stream.shutdown(std::net::Shutdown::Write).expect("open");
    wire.until(|_, app| (app.ends() == 1).then_some(()));
    let text = pattern(2_000_000);
    let sent = text.clone();
    wire.with(move |stack, app| pour(stack, app, id, sent));
    let mut got = Vec::new();
    stream.read_to_end(&mut got).expect("all of it, and FIN");
    assert!(got == text);
    assert_eq!(wire.closed(), CloseReason::Finished);
    wire.expect_idle();
}

#[test]
fn s27_the_kernel_goes_on_for_longer_than_fin_wait_2_may_last() {
    let change = |config: &mut StackConfig| config.tcp.tcp_fin_timeout_ms = 200;
    let Some(wire) = Wire::start("s27", Between::Link, change) else { return };
    let (mut stream, id) = wire.connect();
    wire.with(move |stack, _| stack.shutdown(id));
    assert_eq!(stream.read(&mut [0]).expect("FIN"), 0);
    for i in 0..8 {
        thread::sleep(ms(100));
        stream.write_all(&[i]).expect("half closed, not gone");
    }
    wire.until(|_, app| (app.bytes == [0, 1, 2, 3, 4, 5, 6, 7]).then_some(()));
    assert_eq!(wire.with(|_, app| app.closed()), None);
}

#[test]
fn s31_what_the_kernel_sends_to_a_closed_connection_is_reset() {
    let Some(wire) = Wire::start("s31", Between::Link, |_| {}) else { return };
    let (mut stream, id) = wire.connect();
    wire.with(move |stack, _| stack.close(id));
    assert_eq!(stream.read(&mut [0]).expect("FIN"), 0);
    stream.write_all(b"too late").expect("into the buffer");
    assert_eq!(wire.closed(), CloseReason::Aborted);
    let told = loop {
        match stream.write_all(b"later still") {
            Ok(()) => thread::sleep(ms(5)),
            Err(error) => break error.kind(),
        }
    };
    assert!(matches!(told, ErrorKind::BrokenPipe | ErrorKind::ConnectionReset), "{told}");
    wire.expect_idle();
}
