//! Opening, by the kernel's clients, by us, and by a peer that forges its segments.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Instant;

use bywash_core::base::time::Duration;
use bywash_core::shard::{CloseReason, Host, Origin};
use bywash_core::stack::DropReason;
use bywash_xdp::lab::{CLIENT_IPV4, Direction, Impairment};

use crate::harness::{ACK, Event, Got, Offer, PSH, RST, SYN, SYN_ACK, pattern, seg};
use crate::support::{Between, Forger, PATIENCE, Wire, ms, patient, server, server_v6};

/// The gaps between segments are the due ones, and late by as much as a busy machine makes them.
#[track_caller]
fn expect_gaps(got: &[Got], due_ms: &[u64]) {
    let gaps: Vec<u64> = got.windows(2).map(|pair| pair[1].at.since(pair[0].at).as_millis()).collect();
    assert_eq!(gaps.len(), due_ms.len(), "{gaps:?}");
    let fits = |(gap, due): (&u64, &u64)| (due.saturating_sub(30)..due + 60).contains(gap);
    assert!(gaps.iter().zip(due_ms).all(fits), "{gaps:?} instead of {due_ms:?}");
}

#[test]
fn s01_a_closed_port_refuses_the_kernel_over_both_families() {
    let Some(wire) = Wire::quiet("s01", Between::Link, |_| {}) else { return };
    for address in [server(), server_v6()] {
        let refused =
            wire.client(|| TcpStream::connect_timeout(&address, PATIENCE)).expect_err("nobody listens");
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused, "{refused}");
    }
    assert_eq!(wire.with(|stack, _| stack.report().counters.resets_sent), 2);
}

#[test]
fn s02_the_kernel_connects_and_the_application_sees_one_connection() {
    let Some(wire) = Wire::start("s02", Between::Link, |_| {}) else { return };
    for address in [server(), server_v6()] {
        let mut stream = wire.client(|| patient(TcpStream::connect(address).expect("connects")));
        let local = stream.local_addr().expect("bound");
        let id = wire.until(move |stack, app| {
            let id = (app.opened() > 0).then(|| app.last())?;
            (stack.info(id)?.remote == local).then_some(id)
        });
        wire.with(move |stack, _| stack.write(id, b"welcome").expect("open"));
        let mut got = [0; 7];
        stream.read_exact(&mut got).expect("seven octets");
        assert_eq!(&got, b"welcome");
    }
    let opened = wire.with(|_, app| {
        app.events.iter().filter(|event| matches!(event, Event::Opened(_, Origin::Accepted))).count()
    });
    assert_eq!(opened, 2);
}

#[test]
fn s03_the_kernel_refuses_our_connect() {
    let Some(wire) = Wire::quiet("s03", Between::Link, |_| {}) else { return };
    let start = Instant::now();
    wire.with(|stack, _| stack.connect((CLIENT_IPV4, 9).into(), None).expect("begins"));
    assert_eq!(wire.closed(), CloseReason::ConnectionRefused);
    assert!(start.elapsed() < ms(900), "before a second SYN would have been due");
    wire.expect_idle();
}

#[test]
fn s04_a_silent_host_is_asked_with_doubling_intervals() {
    let scaled = |config: &mut bywash_core::stack::StackConfig| {
        config.tcp.tcp_rto_initial_us = 100_000;
        config.tcp.tcp_syn_retries = 3;
        config.port_range = (41_000, 41_000);
    };
    let Some(wire) = Wire::quiet("s04", Between::Link, scaled) else { return };
    let mut silent = Forger::new(&wire, 7, Offer::FULL);
    silent.peer.tuple.remote_port = 41_000;
    let address = silent.peer.tuple.local;
    let remote = std::net::SocketAddr::new(address.into(), 7);
    wire.with(move |stack, _| stack.connect(remote, None).expect("begins"));
    let syns = silent.listen(ms(1_700));
    assert!(syns.iter().all(|got| got.flags == SYN));
    expect_gaps(&syns, &[100, 200, 400]);
    assert_eq!(wire.closed(), CloseReason::TimedOut);
    wire.expect_idle();
    // The application's own limit comes first.
    let start = Instant::now();
    wire.with(move |stack, app| {
        app.events.clear();
        stack.connect(remote, Some(Duration::from_millis(150))).expect("begins")
    });
    assert_eq!(silent.listen(ms(600)).len(), 2);
    assert_eq!(wire.closed(), CloseReason::TimedOut);
    assert!(start.elapsed() < ms(1_500));
}

#[test]
fn s05_a_next_hop_that_is_not_there_is_unreachable() {
    let Some(wire) = Wire::quiet("s05", Between::Link, |_| {}) else { return };
    let remotes = ["198.18.0.77:80", "[fd00:198:18::77]:80"];
    for remote in remotes {
        wire.with(move |stack, _| stack.connect(remote.parse().expect("an address"), None).expect("begins"));
    }
    wire.until(|_, app| {
        let unreachable = |event: &&Event| matches!(event, Event::Closed(_, CloseReason::HostUnreachable));
        (app.events.iter().filter(unreachable).count() == 2).then_some(())
    });
    wire.expect_idle();
}

#[test]
fn s06_a_peer_that_never_answers_is_forgotten() {
    let scaled = |config: &mut bywash_core::stack::StackConfig| {
        config.tcp.tcp_rto_initial_us = 100_000;
        config.tcp.tcp_synack_retries = 3;
    };
    let Some(wire) = Wire::start("s06", Between::Link, scaled) else { return };
    let mut peer = Forger::new(&wire, 40_000, Offer::FULL);
    peer.syn();
    let got = peer.listen(ms(1_700));
    assert!(got.iter().all(|got| got.flags == SYN_ACK));
    expect_gaps(&got, &[100, 200, 400]);
    assert_eq!(wire.with(|stack, _| stack.report().counters.half_open_expired), 1);
    wire.expect_idle();
    peer.send(&seg(ACK, 1, 1));
    assert_eq!(peer.next().flags, RST);
}

#[test]
fn s07_the_third_segment_carries_data_on_the_wire() {
    let Some(wire) = Wire::start("s07", Between::Link, |_| {}) else { return };
    let mut peer = Forger::new(&wire, 40_000, Offer::FULL);
    peer.syn();
    peer.expect(SYN_ACK, 0, 1, 0);
    peer.send(&seg(PSH, 1, 1).data(b"at once"));
    wire.opened(1);
    peer.expect(ACK, 1, 8, 0);
    assert_eq!(wire.with(|_, app| app.bytes.clone()), b"at once");
}

#[test]
fn s08_the_kernels_clients_are_served_when_the_application_wakes() {
    let Some(wire) = Wire::start("s08", Between::Link, |config| config.tcp.receive_buffer = 20_000) else {
        return;
    };
    wire.with(|stack, _| stack.pause_accepting());
    let text = pattern(300_000);
    let mut streams: Vec<TcpStream> = (0..4)
        .map(|_| wire.client(|| TcpStream::connect_timeout(&server(), PATIENCE).expect("connects")))
        .collect();
    for (i, stream) in streams.iter_mut().enumerate().skip(1) {
        stream.write_all(&[i as u8; 100]).expect("into the buffers");
    }
    // One of them has more to say than the buffers hold, and has to wait.
    let mut long = streams.remove(0);
    long.set_nonblocking(true).expect("a socket");
    let mut sent = 0;
    let mut stuck_since = Instant::now();
    while stuck_since.elapsed() < ms(300) {
        match long.write(&text[sent % 250_000..][..4_000]) {
            Ok(len) => (sent, stuck_since) = (sent + len, Instant::now()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(ms(5)),
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(wire.with(|_, app| app.opened()), 0);
    drop(streams);
    wire.with(|stack, _| stack.resume_accepting());
    wire.opened(4);
    wire.until(move |_, app| (app.bytes.len() == sent + 300 && app.ends() == 3).then_some(()));
}

#[test]
fn s09_a_full_accept_queue_lets_the_kernel_wait_or_resets_it() {
    for is_abort in [false, true] {
        let name = if is_abort { "s09a" } else { "s09" };
        let change = |config: &mut bywash_core::stack::StackConfig| {
            config.tcp.somaxconn = 2;
            config.tcp.tcp_abort_on_overflow = is_abort;
            config.tcp.tcp_rto_initial_us = 200_000;
        };
        let Some(wire) = Wire::start(name, Between::Relay, change) else { return };
        // Far enough away that all four SYNs are here before the first third segment.
        let far = Impairment { delay: ms(60), ..Impairment::NONE };
        wire.lab.impair(Direction::ToClient, far).expect("a relay");
        wire.with(|stack, _| stack.pause_accepting());
        let streams: Vec<TcpStream> = thread::scope(|scope| {
            let open = || {
                wire.client(|| patient(TcpStream::connect_timeout(&server(), PATIENCE).expect("connects")))
            };
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(open)).collect();
            threads.into_iter().map(|thread| thread.join().expect("connected")).collect()
        });
        wire.until(|stack, _| (stack.counters().dropped(DropReason::AcceptQueueFull) >= 2).then_some(()));
        assert_eq!(wire.with(|_, app| app.opened()), 0);
        if is_abort {
            let reset = streams.iter().filter(|stream| {
                let mut stream: &TcpStream = stream;
                stream.set_read_timeout(Some(ms(500))).expect("timeout");
                matches!(stream.read(&mut [0]), Err(error) if error.kind() == ErrorKind::ConnectionReset)
            });
            assert_eq!(reset.count(), 2);
            continue;
        }
        wire.with(|stack, _| stack.resume_accepting());
        // The two that were ignored get SYN+ACK again, or send data, and are in.
        for mut stream in &streams {
            stream.write_all(b"still here").expect("open");
        }
        wire.opened(4);
        wire.until(|_, app| (app.bytes.len() == 40).then_some(()));
    }
}

#[test]
fn s13_initial_numbers_follow_the_clock() {
    let Some(wire) = Wire::start("s13", Between::Link, |_| {}) else { return };
    let mut peer = Forger::new(&wire, 40_000, Offer::FULL);
    let mut ask = |port: u16| {
        peer.turn_to(port);
        peer.syn();
        let got = peer.expect(SYN_ACK, 0, 1, 0);
        peer.send(&seg(RST, 1, 0));
        (got.at, peer.peer.irs)
    };
    let (first_at, first) = ask(40_000);
    thread::sleep(ms(200));
    let (second_at, second) = ask(40_000);
    let ticks = second.wrapping_sub(first);
    let due = (second_at.since(first_at).as_micros() / 4) as u32;
    assert!(ticks.abs_diff(due) < 10_000, "{ticks} in the time of {due}");
    let (_, other) = ask(40_001);
    assert!(other.wrapping_sub(second) > 1_000_000 && second.wrapping_sub(other) > 1_000_000);
}
