//! A whole server over `AF_XDP`, in labs of the test's own: what it serves, what it refuses and how it says so.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::num::NonZeroU16;
use std::process::{Child, ChildStdout, Output, Stdio};
use std::time::{Duration, Instant};

use bywash::core::codec::Raw;
use bywash::core::shard::{Application, Context, Host, Origin};
use bywash::os::privileges::{self, After};
use bywash::{Arguments, Error, NoExtra, Server};
use bywash_xdp::lab::{Lab, LabBuilder, SERVER_INTERFACE, ServerAddress, Side};
use rustix::process::{Pid, Signal, kill_process};

/// The command line of the server process, one word a line.
const WORDS: &str = "BYWASH_TEST_WORDS";
/// Whether it gives up its privileges first.
const HUMBLE: &str = "BYWASH_TEST_HUMBLE";
const ADDRESS: &str = "198.18.0.1/24";

struct Echo;

impl Application for Echo {
    type Codec = Raw;
    type Connection = ();

    fn on_open<H: Host>(&mut self, _: &mut Context<'_, H, Raw>, _: Origin) {}

    fn on_message<H: Host>(&mut self, cx: &mut Context<'_, H, Raw>, (): &mut (), message: &[u8]) {
        cx.write(message).unwrap();
    }
}

/// Not a test: the server process of the others.
#[test]
fn child() {
    let Ok(words) = std::env::var(WORDS) else { return };
    if std::env::var(HUMBLE).is_ok() {
        privileges::drop_unneeded(After::Serve).unwrap();
    }
    let words = std::iter::once("echo").chain(words.lines()).map(Into::into);
    let result = Arguments::<NoExtra>::parse_from("echo", "test", words)
        .and_then(|arguments| Server::new(arguments.config).run(|_| (Echo, Raw::default())));
    let code = result.as_ref().map_or_else(Error::exit_code, |()| 0);
    bywash::finish(result);
    std::process::exit(i32::from(code));
}

/// A lab, or `None` without root.
fn lab(name: &str, shape: impl FnOnce(LabBuilder) -> LabBuilder) -> Option<Lab> {
    if !rustix::process::geteuid().is_root() {
        // Written past the capture of the test harness, so that it is seen.
        let _ = std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("skipped: needs root\n"));
        return None;
    }
    Some(shape(Lab::builder(&format!("{name}-{}", std::process::id()))).build().unwrap())
}

fn spawn(lab: &Lab, words: &[&str]) -> Child {
    lab.command(Side::Server, std::env::current_exe().unwrap())
        .unwrap()
        .args(["--exact", "child", "--nocapture", "--test-threads=1"])
        .env(WORDS, words.join("\n"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// A server on the lab's server end.
struct Running {
    child: Child,
    lines: BufReader<ChildStdout>,
    up: String,
}

impl Running {
    fn start(lab: &Lab, words: &[&str]) -> Self {
        Self::start_as(lab, &[&["--interface", SERVER_INTERFACE, "--lab", "off"], words].concat())
    }

    /// Exactly these words.
    fn start_as(lab: &Lab, words: &[&str]) -> Self {
        let mut child = spawn(lab, words);
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let mut up = String::new();
        while !up.contains("try: ") {
            assert!(lines.read_line(&mut up).unwrap() > 0, "ended early:\n{up}{}", rest(&mut child));
        }
        Self { child, lines, up }
    }

    fn end(mut self, signal: Signal) -> String {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
        let mut text = String::new();
        self.lines.read_to_string(&mut text).unwrap();
        let status = self.child.wait().unwrap();
        assert!(signal == Signal::KILL || status.success(), "{status}: {text}");
        text
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Already gone in every test that passes.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn rest(child: &mut Child) -> String {
    let mut text = String::new();
    child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
    text
}

/// The error line and exit code of a server that refuses.
fn refused(lab: &Lab, words: &[&str]) -> (String, Option<i32>) {
    refused_on(lab, SERVER_INTERFACE, words)
}

fn refused_on(lab: &Lab, interface: &str, words: &[&str]) -> (String, Option<i32>) {
    refused_as(lab, &[&["--backend", "xdp", "--interface", interface, "--lab", "off"], words].concat())
}

fn refused_as(lab: &Lab, words: &[&str]) -> (String, Option<i32>) {
    let Output { status, stderr, stdout } = spawn(lab, words).wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&stderr).into_owned();
    let line = text.lines().find(|line| line.starts_with("error: ")).unwrap_or_else(|| {
        panic!("no error line: {text}{}", String::from_utf8_lossy(&stdout));
    });
    (line.to_owned(), status.code())
}

fn echo_from(lab: &Lab, port: u16) {
    lab.run_in(Side::Client, || {
        let address = SocketAddr::new("198.18.0.1".parse().unwrap(), port);
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(5)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let sent: Vec<u8> = (0..100_000u32).map(|n| n as u8).collect();
        let mut received = vec![0; sent.len()];
        for (out, back) in sent.chunks(10_000).zip(received.chunks_mut(10_000)) {
            stream.write_all(out).unwrap();
            stream.read_exact(back).unwrap();
        }
        assert_eq!(sent, received);
    })
    .unwrap();
}

#[test]
fn an_owned_address_is_served_in_every_mode() {
    let Some(lab) = lab("bywash-srv-own", |lab| lab) else { return };
    for (mode, shown) in [("auto", "native mode"), ("native", "native mode"), ("generic", "generic mode")] {
        let running = Running::start(&lab, &["--address", ADDRESS, "--mode", mode]);
        assert!(running.up.contains(&format!("backend xdp on v0: {shown}, copy")), "{}", running.up);
        assert!(running.up.contains("why not better: no zero-copy: the driver says"), "{}", running.up);
        for _ in 0..8 {
            echo_from(&lab, 8080);
        }
        let report = running.end(Signal::TERM);
        assert!(report.contains("stack: passive_opens"), "{report}");
        // What is 0 is not shown: everything in use is back.
        assert!(!report.contains("in use: connections"), "{report}");
    }
    lab.remove().unwrap();
}

#[test]
fn a_shared_address_leaves_the_host_its_services() {
    let Some(lab) = lab("bywash-srv-share", |lab| lab.server_address(ServerAddress::Kernel)) else { return };
    let service = lab.run_in(Side::Server, || TcpListener::bind("198.18.0.1:7").unwrap()).unwrap();
    let host = std::thread::spawn(move || {
        let (mut stream, _) = service.accept().unwrap();
        std::io::copy(&mut stream.try_clone().unwrap(), &mut stream).unwrap();
    });
    let running = Running::start(&lab, &["--address-kind", "shared"]);
    assert!(running.up.contains("198.18.0.1/24"), "{}", running.up);
    assert!(running.up.contains("(shared with the host)"), "{}", running.up);
    echo_from(&lab, 8080);
    echo_from(&lab, 7);
    host.join().unwrap();
    let report = running.end(Signal::INT);
    assert!(report.contains("program: taken: TCP, shared address"), "{report}");
    assert!(report.contains("program: passed: the host's part of a shared address"), "{report}");
    lab.remove().unwrap();
}

#[test]
fn s38_the_next_start_works_at_once_after_a_kill() {
    let Some(lab) = lab("bywash-srv-kill", |lab| lab) else { return };
    for _ in 0..3 {
        let running = Running::start(&lab, &["--address", ADDRESS]);
        echo_from(&lab, 8080);
        running.end(Signal::KILL);
    }
    lab.remove().unwrap();
}

#[test]
fn no_thread_keeps_a_privilege() {
    let Some(lab) = lab("bywash-srv-caps", |lab| lab.server_address(ServerAddress::Kernel)) else { return };
    let file = std::env::temp_dir().join(format!("bywash-srv-caps-{}.pcapng", std::process::id()));
    let running = Running::start(&lab, &["--address-kind", "shared", "--capture", file.to_str().unwrap()]);
    echo_from(&lab, 8080);
    let mut names = Vec::new();
    for task in std::fs::read_dir(format!("/proc/{}/task", running.child.id())).unwrap() {
        let status = std::fs::read_to_string(task.unwrap().path().join("status")).unwrap();
        let line =
            |key: &str| status.lines().find_map(|line| line.strip_prefix(key)).unwrap().trim().to_owned();
        let name = line("Name:");
        // The test harness around the server has a thread of its own, from before.
        if name.starts_with("bypass-") {
            continue;
        }
        assert_eq!(line("CapPrm:"), "0000000000000000", "{name}");
        assert_eq!(line("NoNewPrivs:"), "1", "{name}");
        names.push(name);
    }
    for wanted in ["shard 0", "shard 1", "signals", "capture", "kernel tables", "child"] {
        assert!(names.iter().any(|name| name == wanted), "no {wanted} in {names:?}");
    }
    let report = running.end(Signal::TERM);
    assert!(report.contains("capture: frames written") && !report.contains("frames lost"), "{report}");
    assert!(std::fs::metadata(&file).unwrap().len() > 100_000, "the echo's bytes are in the file twice");
    std::fs::remove_file(file).unwrap();
    lab.remove().unwrap();
}

#[test]
fn s37_a_drain_closes_connections_in_order() {
    let Some(lab) = lab("bywash-srv-drain", |lab| lab) else { return };
    let running = Running::start(&lab, &["--address", ADDRESS, "--drain-timeout-ms", "20000"]);
    let mut stream = lab.run_in(Side::Client, || TcpStream::connect("198.18.0.1:8080").unwrap()).unwrap();
    stream.write_all(b"hello").unwrap();
    stream.read_exact(&mut [0; 5]).unwrap();
    let client = std::thread::spawn(move || {
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        assert_eq!(stream.read(&mut [0; 1]).unwrap(), 0, "FIN, not RST");
    });
    let begin = Instant::now();
    let text = running.end(Signal::INT);
    assert!(begin.elapsed() < Duration::from_secs(10), "waited for the limit: {text}");
    assert!(!text.contains("cut off"), "{text}");
    client.join().unwrap();
    lab.remove().unwrap();
}

#[test]
fn a_server_makes_its_own_lab_and_removes_it() {
    let Some(stage) = lab("bywash-srv-stage", |lab| lab) else { return };
    let name = format!("bywash-srv-made-{}", std::process::id());
    let words = ["--lab", "on", "--lab-name", &name];
    let namespace = format!("/run/netns/{name}-server");
    for signal in [Signal::KILL, Signal::TERM] {
        // Started again with the same name, although a killed run left its lab behind.
        let running = Running::start_as(&stage, &words);
        assert!(
            running.up.contains(&format!("ip netns exec {name}-client nc 198.18.0.1 8080")),
            "{}",
            running.up
        );
        assert!(std::fs::exists(&namespace).unwrap());
        let (line, exit) = refused_as(&stage, &words);
        assert!(line.contains(&format!("lab {name} is in use by pid ")), "{line}");
        assert_eq!(exit, Some(10));
        running.end(signal);
    }
    assert!(!std::fs::exists(&namespace).unwrap(), "the lab is still there");
    stage.remove().unwrap();
}

#[test]
fn refusals_say_what_is_wrong_and_how_to_mend_it() {
    let Some(lab) = lab("bywash-srv-refuse", |lab| lab) else { return };
    let cases: [(&[&str], &str, i32); 6] = [
        (&["--address", ADDRESS, "--queues", "3"], "queue 2 of v0 does not exist; its queues are 0 to 1", 6),
        (
            &["--address", ADDRESS, "--queues", "[0,7]"],
            "queue 7 of v0 does not exist; its queues are 0 to 1",
            6,
        ),
        (
            &["--address", ADDRESS, "--queues", "1"],
            "1 queue(s) served but v0 spreads frames to 2; fix: ethtool -L v0",
            6,
        ),
        (
            &["--address-kind", "shared", "--address", ADDRESS],
            "198.18.0.1 is not one of the kernel's addresses on v0",
            8,
        ),
        (&["--address-kind", "shared", "--address", "fd00:198:18::1/64"], "fd00:198:18::1 is not one of", 8),
        (&[], "`interface` needs `address`: ", 2),
    ];
    for (words, wanted, code) in cases {
        let (line, exit) = refused(&lab, words);
        assert!(line.contains(wanted), "{line}");
        assert_eq!(exit, Some(code), "{line}");
    }
    let (line, exit) = refused_on(&lab, "nope", &["--address", ADDRESS]);
    assert!(line.contains("no interface nope; this network namespace has: "), "{line}");
    assert!(line.contains(SERVER_INTERFACE), "{line}");
    assert_eq!(exit, Some(5));
    let running = Running::start(&lab, &["--address", ADDRESS]);
    let (line, exit) = refused(&lab, &["--address", ADDRESS]);
    assert!(line.contains("v0 already has an XDP program"), "{line}");
    assert_eq!(exit, Some(6));
    running.end(Signal::TERM);
    lab.remove().unwrap();
}

#[test]
fn a_queue_that_another_socket_has_is_refused() {
    use bywash_xdp::nic::Interface;
    use bywash_xdp::socket::{Socket, SocketConfig};
    let Some(lab) = lab("bywash-srv-busy", |lab| lab) else { return };
    let socket = lab.run_in(Side::Server, || {
        let interface = Interface::by_name(SERVER_INTERFACE).unwrap();
        Socket::open(&SocketConfig::new(interface.index(), 1)).unwrap()
    });
    let (line, exit) = refused(&lab, &["--address", ADDRESS]);
    assert!(line.contains("queue 1 of v0 is taken by another AF_XDP socket"), "{line}");
    assert_eq!(exit, Some(6));
    drop(socket);
    lab.remove().unwrap();
}

#[test]
fn an_address_that_the_kernel_has_cannot_be_owned() {
    let Some(lab) = lab("bywash-srv-taken", |lab| lab.server_address(ServerAddress::Kernel)) else { return };
    let (line, exit) = refused(&lab, &["--address", ADDRESS]);
    assert!(line.contains("198.18.0.1/24 is one of the kernel's own addresses on v0"), "{line}");
    assert!(line.contains("ip addr del 198.18.0.1/24 dev v0"), "{line}");
    assert_eq!(exit, Some(8));
    lab.remove().unwrap();
}

#[test]
fn an_mtu_that_does_not_fit_is_refused() {
    let Some(lab) = lab("bywash-srv-mtu", |lab| lab.mtu(9_000).queues(NonZeroU16::MIN)) else { return };
    let (line, exit) = refused(&lab, &["--address", ADDRESS]);
    assert!(
        line.contains("MTU 9000 of v0 is too large") && line.contains("fix: ip link set v0 mtu"),
        "{line}"
    );
    assert_eq!(exit, Some(7));
    lab.remove().unwrap();
}

#[test]
fn without_privileges_the_missing_ones_are_named() {
    let words = "--backend\nxdp\n--lab\non";
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture", "--test-threads=1"])
        .env(WORDS, words)
        .env(HUMBLE, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("error: backend xdp needs root or CAP_NET_ADMIN, CAP_NET_RAW, CAP_BPF"), "{text}");
    assert_eq!(output.status.code(), Some(3));
}
