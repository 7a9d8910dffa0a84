//! Floods, crossing SYNs, ports and listeners, with the kernel or a forger at the other end.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Instant;

use bywash_core::shard::{CloseReason, ConnectError, Host, Origin};
use bywash_core::stack::{ListenError, ListenOptions, ListenerId, LocalAddress, Reuse, StackConfig};
use bywash_core::wire::Cidr;
use bywash_xdp::lab::{CLIENT_IPV4, Direction, Impairment};
use socket2::{Domain, Socket, Type};

use crate::harness::{ACK, Event, LOCAL, LOCAL_V6, Offer, PORT, RST, SYN_ACK, address, pattern, seg};
use crate::support::{Between, Forger, PATIENCE, Wire, ms, patient, server};

/// Sends text to the application, which sends it back.
fn echo(wire: &Wire, stream: &mut TcpStream, len: usize) {
    wire.with(|_, app| {
        app.on_receive = Box::new(|stack, id, bytes| stack.write(id, bytes).unwrap_or(0));
        app.on_end = Box::new(Host::close);
    });
    let text = pattern(len);
    let mut got = vec![0; len];
    for (out, back) in text.chunks(5_000).zip(got.chunks_mut(5_000)) {
        stream.write_all(out).expect("open");
        stream.read_exact(back).expect("open");
    }
    assert!(got == text);
}

fn connect(wire: &Wire) -> TcpStream {
    wire.client(|| patient(TcpStream::connect_timeout(&server(), PATIENCE).expect("connects")))
}

#[test]
fn s10_cookies_let_the_kernel_in_when_the_backlog_is_full() {
    let change = |config: &mut StackConfig| config.tcp.tcp_max_syn_backlog = 1;
    let Some(wire) = Wire::start("s10", Between::Link, change) else { return };
    let mut peer = Forger::new(&wire, 40_000, Offer::FULL);
    peer.syn();
    peer.expect(SYN_ACK, 0, 1, 0);
    // The only place is taken, and stays so.
    let start = Instant::now();
    let mut stream = connect(&wire);
    assert!(start.elapsed() < ms(900), "with the first SYN");
    assert_eq!(wire.with(|stack, _| stack.report().half_open), 1);
    echo(&wire, &mut stream, 100_000);
    // What was never sent is no cookie.
    peer.turn_to(40_001);
    peer.send(&seg(ACK, 1, 77));
    let got = peer.next();
    assert_eq!((got.flags, got.seq), (RST, 77));
}

#[test]
fn s11_a_flood_from_forged_sources_keeps_nobody_out() {
    let change = |config: &mut StackConfig| config.tcp.tcp_max_syn_backlog = 64;
    let Some(wire) = Wire::start("s11", Between::Link, change) else { return };
    thread::scope(|scope| {
        let flood = scope.spawn(|| {
            let mut flooder = Forger::new(&wire, 1, Offer::FULL);
            let start = Instant::now();
            let mut sent = 0_u32;
            while start.elapsed() < ms(2_500) {
                for _ in 0..64 {
                    flooder.turn_to(1 + (sent % 65_000) as u16);
                    flooder.peer.tuple.local = address(&format!("198.18.0.{}", 10 + sent % 240));
                    flooder.syn();
                    sent += 1;
                }
                flooder.forget();
                // Some tens of thousands in a second: more than that the rings drop, and nobody sees them.
                thread::sleep(ms(1));
            }
            sent
        });
        let mut served = 0;
        while !flood.is_finished() {
            let start = Instant::now();
            let mut stream = connect(&wire);
            // At worst with its third SYN.
            assert!(start.elapsed() < ms(3_500), "{:?}", start.elapsed());
            echo(&wire, &mut stream, 1_000);
            served += 1;
            assert!(wire.with(|stack, _| stack.report().half_open) <= 64);
        }
        let sent = flood.join().expect("floods");
        let cookies = wire.with(|stack, _| stack.report().counters.syncookies_sent);
        println!("{sent} forged SYNs, {cookies} cookies, {served} connections");
        assert!(served >= 3 && cookies > 1_000, "{sent} forged, {cookies} cookies, {served} served");
    });
}

#[test]
fn s12_we_and_the_kernel_open_at_once() {
    let change = |config: &mut StackConfig| config.port_range = (45_000, 45_000);
    let Some(wire) = Wire::quiet("s12", Between::Relay, change) else { return };
    let far = Impairment { delay: ms(150), ..Impairment::NONE };
    // ARP first: it would be late as well.
    wire.client(|| TcpStream::connect_timeout(&server(), PATIENCE)).expect_err("nobody listens");
    for direction in [Direction::ToServer, Direction::ToClient] {
        wire.lab.impair(direction, far).expect("a relay");
    }
    let kernel: SocketAddr = (CLIENT_IPV4, 45_001).into();
    let own: SocketAddr = SocketAddr::new(LOCAL.parse().expect("an address"), 45_000);
    let mut stream = thread::scope(|scope| {
        let connecting = scope.spawn(|| {
            wire.client(|| {
                let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
                socket.bind(&kernel.into()).expect("free");
                socket.connect_timeout(&own.into(), PATIENCE).expect("connects");
                patient(socket.into())
            })
        });
        // Before its SYN can be here.
        wire.with(move |stack, _| stack.connect(kernel, None).expect("begins"));
        connecting.join().expect("connected")
    });
    let id = wire.opened(1);
    assert_eq!(wire.with(|_, app| app.events.clone()), [Event::Opened(id, Origin::Connected)]);
    wire.with(move |stack, _| stack.write(id, b"crossed").expect("open"));
    let mut got = [0; 7];
    stream.read_exact(&mut got).expect("one connection");
    assert_eq!(wire.with(|stack, _| stack.report().connections), 1);
}

#[test]
fn s36_our_ports_in_time_wait_are_used_again_after_a_second() {
    let change = |config: &mut StackConfig| config.port_range = (46_000, 46_001);
    let Some(wire) = Wire::quiet("s36", Between::Link, change) else { return };
    let listener = wire.client(|| TcpListener::bind((CLIENT_IPV4, 80)).expect("free"));
    let remote: SocketAddr = (CLIENT_IPV4, 80).into();
    let round = |count: usize| {
        wire.with(move |stack, _| stack.connect(remote, None).expect("a port is free"));
        let (mut stream, _) = listener.accept().expect("accepts");
        let id = wire.opened(count);
        wire.with(move |stack, _| stack.close(id));
        assert_eq!(stream.read(&mut [0]).expect("FIN"), 0);
        drop(stream);
    };
    round(1);
    round(2);
    wire.until(|stack, _| (stack.report().time_wait == 2).then_some(()));
    let refused = wire.with(move |stack, _| stack.connect(remote, None));
    assert_eq!(refused, Err(ConnectError::PortsExhausted));
    thread::sleep(ms(1_100));
    round(3);
    round(4);
}

fn on(address: Option<&str>, reuse_addr: Reuse, reuse_port: Reuse) -> ListenOptions {
    let address: Option<IpAddr> = address.map(|text| text.parse().expect("an address"));
    ListenOptions { address, port: PORT, backlog: 64, reuse_addr, reuse_port }
}

#[test]
fn s39_time_wait_holds_the_port_unless_it_may_be_reused() {
    let Some(wire) = Wire::quiet("s39", Between::Link, |_| {}) else { return };
    let listen = |reuse| wire.with(move |stack, _| stack.listen(on(None, reuse, Reuse::Off)));
    let first = listen(Reuse::Off).expect("free");
    let (mut stream, id) = wire.connect();
    wire.with(move |stack, _| stack.close(id));
    assert_eq!(stream.read(&mut [0]).expect("FIN"), 0);
    drop(stream);
    assert_eq!(wire.closed(), CloseReason::Finished);
    wire.with(move |stack, _| stack.close_listener(first));
    assert_eq!(listen(Reuse::Off), Err(ListenError::AddrInUse { port: PORT }));
    listen(Reuse::On).expect("reused");
    let mut stream = connect(&wire);
    echo(&wire, &mut stream, 1_000);
}

#[test]
fn s40_the_kernels_connections_are_spread_over_listeners_that_share_a_port() {
    let Some(wire) = Wire::quiet("s40", Between::Link, |_| {}) else { return };
    let listen = |addr, port| wire.with(move |stack, _| stack.listen(on(None, addr, port)));
    let alone = listen(Reuse::On, Reuse::Off).expect("free");
    assert_eq!(listen(Reuse::On, Reuse::Off), Err(ListenError::AddrInUse { port: PORT }));
    assert_eq!(listen(Reuse::On, Reuse::On), Err(ListenError::AddrInUse { port: PORT }));
    wire.with(move |stack, _| stack.close_listener(alone));
    let group: Vec<ListenerId> = (0..2).map(|_| listen(Reuse::Off, Reuse::On).expect("shared")).collect();
    let mut streams = Vec::new();
    let mut counts = [0; 2];
    for _ in 0..24 {
        let (stream, id) = wire.connect();
        let listener = wire.with(move |stack, _| stack.listener_of(id)).expect("open");
        counts[group.iter().position(|member| *member == listener).expect("one of the two")] += 1;
        streams.push(stream);
    }
    assert!(counts.iter().all(|count| *count >= 3), "{counts:?}");
}

#[test]
fn s41_the_most_precise_listener_takes_the_kernels_connection() {
    let others = ["198.18.0.3", "198.18.0.4"];
    let change = |config: &mut StackConfig| {
        for text in others {
            let cidr = Cidr::new(address(text), 24).expect("a prefix");
            config.addresses.push(LocalAddress { cidr, ..config.addresses[0] });
        }
    };
    let Some(wire) = Wire::quiet("s41", Between::Link, change) else { return };
    let listen = |address| {
        wire.with(move |stack, _| stack.listen(on(address, Reuse::On, Reuse::Off))).expect("beside")
    };
    let (any, first, second) = (listen(None), listen(Some(LOCAL)), listen(Some(others[0])));
    let expected = [(LOCAL, first), (others[0], second), (others[1], any), (LOCAL_V6, any)];
    let mut streams = Vec::new();
    for (count, (to, listener)) in expected.into_iter().enumerate() {
        let to = SocketAddr::new(to.parse().expect("an address"), PORT);
        streams.push(wire.client(|| TcpStream::connect_timeout(&to, PATIENCE).expect("connects")));
        let id = wire.opened(count + 1);
        assert_eq!(wire.with(move |stack, _| stack.listener_of(id)), Some(listener), "{to}");
    }
}
