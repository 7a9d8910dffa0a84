//! A whole server on the kernel's TCP, as a process of its own: start-up lines, signals, drain, exit codes.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use bywash::config::{BackendChoice, Cores};
use bywash::core::codec::Raw;
use bywash::core::shard::{Application, Context, Host, Origin};
use bywash::{Config, Error, Server};
use rustix::process::{Pid, Signal, kill_process};

const PORT: &str = "BYWASH_TEST_PORT";

struct Echo;

impl Application for Echo {
    type Codec = Raw;
    type Connection = ();

    fn on_open<H: Host>(&mut self, _: &mut Context<'_, H, Raw>, _: Origin) {}

    fn on_message<H: Host>(&mut self, cx: &mut Context<'_, H, Raw>, (): &mut (), message: &[u8]) {
        assert_ne!(message, b"panic", "as the peer wishes");
        cx.write(message).unwrap();
    }

    // Holds the connection open when the server drains, so that the limit can be seen.
    fn on_drain<H: Host>(&mut self, _: &mut Context<'_, H, Raw>, (): &mut ()) {}
}

/// Not a test: the server process of the others.
#[test]
fn child() {
    let Ok(port) = std::env::var(PORT) else { return };
    let config = Config {
        backend: BackendChoice::Mio,
        port: port.parse().unwrap(),
        shards: 2,
        cores: Cores::None,
        drain_timeout_ms: 500,
        connections_max: 100,
        ..Config::default()
    };
    let result = Server::new(config).hint("nc {host} {port}").run(|_| (Echo, Raw::default()));
    let code = result.as_ref().map_or_else(Error::exit_code, |()| 0);
    bywash::finish(result);
    std::process::exit(i32::from(code));
}

struct Running {
    child: Child,
    lines: BufReader<ChildStdout>,
    port: u16,
}

impl Running {
    fn start() -> Self {
        let port = free_port();
        let mut child = spawn(port);
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let up = read_until(&mut lines, "try: ");
        assert!(up.contains("backend mio (the kernel's TCP) on 127.0.0.1:"), "{up}");
        assert!(up.contains("2 shards, not pinned"), "{up}");
        assert!(up.ends_with(&format!("try: nc 127.0.0.1 {port}\n")), "{up}");
        Self { child, lines, port }
    }

    fn connect(&self) -> TcpStream {
        TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).unwrap()
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// The rest of the output, and the exit code.
    fn end(mut self) -> (String, Option<i32>) {
        let mut rest = String::new();
        self.lines.read_to_string(&mut rest).unwrap();
        let code = self.child.wait().unwrap().code();
        (rest, code)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Already gone in every test that passes.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(port: u16) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture", "--test-threads=1"])
        .env(PORT, port.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

fn read_until(lines: &mut impl BufRead, wanted: &str) -> String {
    let mut all = String::new();
    loop {
        let mut line = String::new();
        assert!(lines.read_line(&mut line).unwrap() > 0, "ended before {wanted:?}:\n{all}");
        all.push_str(&line);
        if line.contains(wanted) {
            return all;
        }
    }
}

fn round_trip(stream: &mut TcpStream) {
    stream.write_all(b"hello").unwrap();
    let mut reply = [0; 5];
    stream.read_exact(&mut reply).unwrap();
    assert_eq!(&reply, b"hello");
}

#[test]
fn serves_reports_and_ends_in_order() {
    let mut running = Running::start();
    for _ in 0..20 {
        let mut stream = running.connect();
        round_trip(&mut stream);
        stream.shutdown(Shutdown::Write).unwrap();
        assert_eq!(stream.read(&mut [0; 1]).unwrap(), 0);
    }
    running.signal(Signal::USR1);
    let report = read_until(&mut running.lines, "bytes: sent");
    let accepted = report.lines().find(|line| line.starts_with("connections: accepted")).unwrap();
    assert!(accepted.ends_with(" 20"), "{report}");
    running.signal(Signal::TERM);
    let (rest, code) = running.end();
    assert!(rest.contains("ending: "), "{rest}");
    assert!(rest.contains("bytes: received"), "{rest}");
    assert_eq!(code, Some(0), "{rest}");
}

#[test]
fn what_does_not_close_is_cut_off_at_the_limit() {
    let running = Running::start();
    let mut stream = running.connect();
    round_trip(&mut stream);
    let begin = Instant::now();
    running.signal(Signal::INT);
    let (rest, code) = running.end();
    assert!(begin.elapsed() >= Duration::from_millis(500), "did not wait: {rest}");
    assert!(begin.elapsed() < Duration::from_secs(10), "waited too long");
    assert!(rest.contains("1 connections were cut off at the drain limit"), "{rest}");
    assert_eq!(code, Some(0), "{rest}");
    assert!(stream.read(&mut [0; 1]).is_err(), "the peer must see a reset");
}

#[test]
fn a_second_signal_ends_at_once() {
    let mut running = Running::start();
    let mut stream = running.connect();
    round_trip(&mut stream);
    running.signal(Signal::TERM);
    read_until(&mut running.lines, "ending: ");
    let begin = Instant::now();
    running.signal(Signal::INT);
    let (_, code) = running.end();
    assert!(begin.elapsed() < Duration::from_millis(400));
    assert_eq!(code, Some(130));
}

#[test]
fn a_panicking_shard_ends_the_server() {
    let running = Running::start();
    let mut stream = running.connect();
    stream.write_all(b"panic").unwrap();
    let (rest, code) = running.end();
    assert_eq!(code, Some(11), "{rest}");
}

#[test]
fn a_taken_port_is_named() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let output = spawn(address.port()).wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    let wanted = format!("error: {address} is taken: another program listens there; choose another --port");
    assert!(text.contains(&wanted), "{text}");
    assert_eq!(output.status.code(), Some(9));
}
