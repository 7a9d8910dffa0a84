//! Plain sockets in the client's namespace, and what the kernels count.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use bywash_xdp::lab::{Lab, Side};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, Protocol, Socket, Type};

/// How long a client waits for a byte.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Opens a connection from the calling thread's namespace.
#[track_caller]
pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&address, PATIENCE).expect("connect");
    stream.set_nodelay(true).expect("nodelay");
    stream.set_read_timeout(Some(PATIENCE)).expect("timeout");
    stream.set_write_timeout(Some(PATIENCE)).expect("timeout");
    stream
}

/// Runs `work` in the client's namespace.
pub(crate) fn client<T: Send>(lab: &Lab, work: impl FnOnce() -> T + Send) -> T {
    lab.run_in(Side::Client, work).expect("the client's namespace")
}

/// Asks for `/plaintext` and reads the whole answer, whose length is always the same on one connection kind.
#[track_caller]
pub(crate) fn ask_plaintext(stream: &mut TcpStream) {
    stream.write_all(b"GET /plaintext HTTP/1.1\r\nHost: a\r\n\r\n").expect("request");
    let (mut answer, mut buffer) = (Vec::new(), [0; 1024]);
    while !answer.ends_with(b"Hello, World!") {
        let len = stream.read(&mut buffer).expect("answer");
        assert!(len > 0, "the connection ended after {:?}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&buffer[..len]);
    }
    assert!(answer.starts_with(b"HTTP/1.1 200 "), "{:?}", String::from_utf8_lossy(&answer));
}

/// What a namespace's kernel TCP counted (RFC 4022's names, from `/proc/net/snmp`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KernelTcp {
    pub(crate) in_segs: u64,
    pub(crate) out_rsts: u64,
}

impl KernelTcp {
    pub(crate) fn of(lab: &Lab, side: Side) -> Self {
        // The thread's own file: `/proc/net` is that of the process's first thread.
        let table = lab.run_in(side, || fs::read_to_string("/proc/thread-self/net/snmp"));
        let table = table.expect("the namespace").expect("procfs");
        let mut lines = table.lines().filter_map(|line| line.strip_prefix("Tcp: "));
        let (names, values) = (lines.next().expect("names"), lines.next().expect("values"));
        let find = |wanted: &str| {
            let at = names.split(' ').position(|name| name == wanted).expect(wanted);
            values.split(' ').nth(at).and_then(|value| value.parse().ok()).expect("a number")
        };
        Self { in_segs: find("InSegs"), out_rsts: find("OutRsts") }
    }
}

/// Resident memory of a process in KiB.
pub(crate) fn resident_kib(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("procfs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// Lets this process open `count` descriptors; `false`, and told, when the hard limit is below.
pub(crate) fn may_open(count: u64) -> bool {
    let limit = getrlimit(Resource::Nofile);
    if limit.maximum.is_some_and(|maximum| maximum < count) {
        // Written past the capture of the test harness, so that it is seen.
        let _ = std::io::Write::write_fmt(
            &mut std::io::stderr(),
            format_args!("skipped: needs {count} descriptors\n"),
        );
        return false;
    }
    if limit.current.is_some_and(|current| current < count) {
        let raised = Rlimit { current: Some(count), maximum: limit.maximum };
        setrlimit(Resource::Nofile, raised).expect("below the hard limit");
    }
    true
}

/// Sends an ICMP echo request from the calling thread's namespace and waits for its reply; answers how long it took.
pub(crate) fn ping(to: Ipv4Addr, identifier: u16, sequence: u16, payload: &[u8]) -> Option<Duration> {
    let mut socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::ICMPV4)).expect("a raw socket");
    socket.set_read_timeout(Some(Duration::from_millis(200))).expect("timeout");
    let mut request = vec![8, 0, 0, 0];
    request.extend(identifier.to_be_bytes());
    request.extend(sequence.to_be_bytes());
    request.extend(payload);
    let sum = checksum(&request);
    request[2..4].copy_from_slice(&sum.to_be_bytes());
    let start = Instant::now();
    socket.send_to(&request, &SocketAddr::from((to, 0)).into()).expect("send");
    let mut buffer = [0; 2048];
    while start.elapsed() < Duration::from_secs(3) {
        let Ok(len) = socket.read(&mut buffer) else { continue };
        // With the IPv4 header; a reply is the request but for type and checksum.
        let header_len = usize::from(buffer[0] & 0xf) * 4;
        let message = &buffer[header_len..len];
        if message[0] == 0 && message[4..] == request[4..] && checksum(message) == 0 {
            return Some(start.elapsed());
        }
    }
    None
}

/// RFC 1071.
fn checksum(bytes: &[u8]) -> u16 {
    let words =
        bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |&low| u32::from(low)));
    let sum: u32 = words.sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    !((folded & 0xffff) + (folded >> 16)) as u16
}
