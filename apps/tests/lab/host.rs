//! What a host does beside TCP to its own port, and sharing an address with the kernel.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use bywash_xdp::lab::{Lab, SERVER_IPV4, ServerAddress, Side};

use crate::support::net::{KernelTcp, PATIENCE, ask_plaintext, client, connect, ping};
use crate::support::server::{ADDRESS, HTTP, Server};
use crate::support::{Bench, Weight, bench, bench_with};

const OTHER_PORT: u16 = 9090;
const OTHER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(SERVER_IPV4), OTHER_PORT);

#[test]
fn a_port_that_nobody_listens_on_refuses_at_once() {
    let Some(Bench { lab, .. }) = bench("refused", Weight::Light) else { return };
    let server = Server::start(&lab, HTTP, &[]);
    let before = KernelTcp::of(&lab, Side::Server);
    client(&lab, || {
        for port in [1, 8079, 8081, 65_535] {
            let start = Instant::now();
            let error =
                TcpStream::connect_timeout(&SocketAddr::new(ADDRESS.ip(), port), PATIENCE).expect_err("RST");
            assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{port}: {error}");
            assert!(start.elapsed() < Duration::from_millis(900), "{port}: only after a repeated SYN");
        }
        ask_plaintext(&mut connect(ADDRESS));
    });
    assert_eq!(KernelTcp::of(&lab, Side::Server), before, "the server's kernel took part");
    let report = server.stop();
    assert_eq!(report.total("stack: resets_sent"), 4, "{}", report.text);
}

#[test]
fn ping_is_answered_with_the_same_bytes() {
    let Some(Bench { lab, .. }) = bench("ping", Weight::Light) else { return };
    let server = Server::start(&lab, HTTP, &[]);
    let payloads = [0, 1, 56, 1_472].map(|len| (0..len).map(|at| (at * 7) as u8).collect::<Vec<u8>>());
    client(&lab, || {
        for (sequence, payload) in (0..).zip(&payloads) {
            let took = ping(SERVER_IPV4, 0x4279, sequence, payload);
            assert!(took.is_some(), "no reply with {} bytes", payload.len());
        }
    });
    let report = server.stop();
    assert_eq!(report.total("stack: echoes"), payloads.len() as u64, "{}", report.text);
}

/// The host's own service on another port, for one connection.
fn with_host_service<T>(lab: &Lab, work: impl FnOnce() -> T) -> T {
    let listener = lab.run_in(Side::Server, || TcpListener::bind(OTHER)).expect("namespace").expect("bind");
    thread::scope(|scope| {
        scope.spawn(move || {
            let (mut stream, _) = listener.accept().expect("accept");
            let mut bytes = Vec::new();
            stream.set_read_timeout(Some(PATIENCE)).expect("timeout");
            stream.read_to_end(&mut bytes).expect("read");
            stream.write_all(&bytes).expect("write");
        });
        work()
    })
}

/// The host's service answers on its own port.
fn host_answers() {
    let mut stream = connect(OTHER);
    stream.write_all(b"to the host").expect("write");
    stream.shutdown(std::net::Shutdown::Write).expect("shutdown");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("read");
    assert_eq!(answer, "to the host");
}

#[test]
fn on_a_shared_address_the_host_keeps_its_services_and_ping() {
    let shape = |lab: bywash_xdp::lab::LabBuilder| lab.server_address(ServerAddress::Kernel);
    let Some(Bench { lab, .. }) = bench_with("shared", Weight::Light, shape) else { return };
    let server = Server::start(&lab, HTTP, &["--address-kind", "shared"]);
    let before = KernelTcp::of(&lab, Side::Server);
    client(&lab, || {
        let mut streams: Vec<_> = (0..32).map(|_| connect(ADDRESS)).collect();
        for _ in 0..10 {
            streams.iter_mut().for_each(ask_plaintext);
        }
    });
    // RST and all: what is ours never came to the kernel's TCP.
    assert_eq!(KernelTcp::of(&lab, Side::Server), before, "the server's kernel took part");
    with_host_service(&lab, || client(&lab, host_answers));
    let kernel = KernelTcp::of(&lab, Side::Server);
    assert!(kernel.in_segs > before.in_segs && kernel.out_rsts == before.out_rsts, "{kernel:?}");
    client(&lab, || {
        assert!(ping(SERVER_IPV4, 0x4279, 1, b"host").is_some(), "ping");
        let refused =
            TcpStream::connect_timeout(&SocketAddr::new(ADDRESS.ip(), 1), PATIENCE).expect_err("RST");
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    });
    assert_eq!(
        KernelTcp::of(&lab, Side::Server).out_rsts,
        before.out_rsts + 1,
        "the host refuses its own ports"
    );
    let report = server.stop();
    assert_eq!(report.total("stack: echoes"), 0, "{}", report.text);
    assert_eq!(report.total("stack: passive_opens"), 32, "{}", report.text);
}
