//! The lab against the kernel: needs root, and says so without it.

mod life;
mod middle;
mod plain;

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use bywash_xdp::lab::{Lab, Side};
use rustix::net::sockopt::{Timeout, set_socket_timeout};

/// Whether the test can run at all.
#[derive(PartialEq, Eq)]
enum Privilege {
    Root,
    None,
}

fn privilege() -> Privilege {
    if rustix::process::geteuid().is_root() {
        Privilege::Root
    } else {
        // Written past the capture of the test harness, so that it is seen.
        let _ = std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("skipped: needs root\n"));
        Privilege::None
    }
}

/// A name that no other test and no other run uses.
fn unique(name: &str) -> String {
    format!("labtest-{name}-{}", std::process::id())
}

/// What is left of a lab in `/run/netns`.
fn leftovers(name: &str) -> Vec<String> {
    ["server", "client", "middle"]
        .iter()
        .map(|side| format!("{name}-{side}"))
        .filter(|namespace| Path::new("/run/netns").join(namespace).exists())
        .collect()
}

fn mounts_of(name: &str) -> usize {
    let table = fs::read_to_string("/proc/self/mountinfo").expect("procfs");
    table.lines().filter(|line| line.contains(&format!("/run/netns/{name}-"))).count()
}

/// The kernel's server end echoes one connection until its end; `client` runs on the other side with its address.
fn with_echo_server<T: Send>(lab: &Lab, address: SocketAddr, client: impl FnOnce() -> T + Send) -> T {
    let (ready, listening) = mpsc::channel();
    thread::scope(|scope| {
        let server = scope.spawn(move || {
            lab.run_in(Side::Server, || {
                let listener = TcpListener::bind(address).expect("bind");
                // So that a client that never comes is a failure and not a standstill.
                set_socket_timeout(&listener, Timeout::Recv, Some(Duration::from_secs(20))).expect("timeout");
                ready.send(()).expect("the test waits");
                let (mut stream, _) = listener.accept().expect("accept");
                let mut buffer = vec![0; 64 << 10];
                loop {
                    match stream.read(&mut buffer).expect("read") {
                        0 => return,
                        n => stream.write_all(&buffer[..n]).expect("write"),
                    }
                }
            })
            .expect("server namespace");
        });
        listening.recv().expect("server listens");
        let answer = lab.run_in(Side::Client, client).expect("client namespace");
        server.join().expect("server");
        answer
    })
}

/// Sends `len` bytes, reads them back, compares; answers how long it took.
fn echo_bytes(address: SocketAddr, len: usize) -> Duration {
    let start = Instant::now();
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(10)).expect("connect");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("timeout");
    let bytes: Vec<u8> = (0..len).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let mut writer = stream.try_clone().expect("clone");
    thread::scope(|scope| {
        scope.spawn(|| {
            writer.write_all(&bytes).expect("write");
            writer.shutdown(std::net::Shutdown::Write).expect("shutdown");
        });
        let mut back = Vec::with_capacity(len);
        stream.read_to_end(&mut back).expect("read");
        assert!(back == bytes, "{} of {len} bytes came back, or changed", back.len());
    });
    start.elapsed()
}
