//! Starting with nothing, ending in order, ending badly, and starting again.

use std::io::Read;
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use bywash_xdp::lab::{Lab, Side};
use rustix::process::Signal;

use crate::support::net::{ask_plaintext, client, connect};
use crate::support::report::Report;
use crate::support::server::{ADDRESS, HTTP, Server};
use crate::support::tools::{has, run};
use crate::support::{Bench, Weight, bench, turn, unique};

const END_MAX: Duration = Duration::from_secs(15);

/// A server with no arguments but the name of its lab.
fn on_its_own(name: &str) -> Server {
    Server::spawn(Command::new(HTTP).args(["--lab-name", name]))
}

/// Runs the line that the server suggests, without a shell.
fn try_it(server: &Server) -> String {
    let line = server.said.lines().find_map(|line| line.strip_prefix("try: ")).expect("a line to try");
    let words: Vec<&str> = line.split(' ').collect();
    let said = run(Command::new(words[0]).args(&words[1..]).args(["--silent", "--max-time", "10"]), END_MAX);
    assert!(said.status.success(), "{line}: {said:?}");
    said.text()
}

fn namespaces(name: &str) -> Vec<String> {
    let sides = ["server", "client", "middle"].iter().map(|side| format!("{name}-{side}"));
    sides.filter(|namespace| Path::new("/run/netns").join(namespace).exists()).collect()
}

#[test]
fn with_no_arguments_it_makes_a_lab_serves_and_removes_it() {
    let Some(_turn) = turn(Weight::Light) else { return };
    if !has("curl") || !has("ip") {
        return;
    }
    let name = unique("alone");
    let server = on_its_own(&name);
    println!("{}", server.said);
    for wanted in ["backend xdp", "native", "2 shards", "198.18.0.1", &format!("{name}-client")] {
        assert!(server.said.contains(wanted), "{wanted:?} is missing in\n{}", server.said);
    }
    assert_eq!(namespaces(&name).len(), 2);
    assert!(try_it(&server).starts_with("<!doctype html>"));
    server.stop();
    assert_eq!(namespaces(&name), Vec::<String>::new());
}

#[test]
fn after_a_kill_the_next_start_works_at_once() {
    let Some(_turn) = turn(Weight::Light) else { return };
    if !has("curl") || !has("ip") {
        return;
    }
    let name = unique("killed");
    for _ in 0..3 {
        let server = on_its_own(&name);
        assert!(try_it(&server).starts_with("<!doctype html>"));
        server.signal(Signal::KILL);
        server.end(END_MAX);
        assert_eq!(namespaces(&name).len(), 2, "a killed process removes nothing");
    }
    let server = on_its_own(&name);
    assert!(try_it(&server).starts_with("<!doctype html>"));
    server.stop();
    assert_eq!(namespaces(&name), Vec::<String>::new());
}

#[test]
fn s38_after_a_kill_the_interface_can_be_served_again_at_once() {
    let Some(Bench { lab, .. }) = bench("again", Weight::Light) else { return };
    let server = Server::start(&lab, HTTP, &[]);
    let mut old = client(&lab, || connect(ADDRESS));
    ask_plaintext(&mut old);
    server.signal(Signal::KILL);
    server.end(END_MAX);
    let server = Server::start(&lab, HTTP, &[]);
    client(&lab, || ask_plaintext(&mut connect(ADDRESS)));
    // The new server knows nothing of the old connection and says so.
    std::io::Write::write_all(&mut old, b"GET / HTTP/1.1\r\n").expect("into the send buffer");
    assert!(old.read(&mut [0; 1]).is_err(), "RST");
    server.stop();
}

/// The last report of a server that ended by `signal` while these were open.
fn ends_by(lab: &Lab, signal: Signal) -> Report {
    let server = Server::start(lab, HTTP, &[]);
    let mut streams: Vec<TcpStream> = client(lab, || {
        let mut streams: Vec<_> = (0..40).map(|_| connect(ADDRESS)).collect();
        // Half of them have been used.
        streams.iter_mut().step_by(2).for_each(ask_plaintext);
        streams
    });
    server.signal(signal);
    for stream in &mut streams {
        assert_eq!(stream.read(&mut [0; 1]).expect("FIN and not RST"), 0);
    }
    drop(streams);
    let ended = server.end(END_MAX);
    assert_eq!(ended.status.code(), Some(0), "{ended:#?}");
    assert!(!ended.said.contains("cut off"), "{}", ended.said);
    Report::parse(&ended.said)
}

#[test]
fn s37_sigint_and_sigterm_close_every_connection_with_fin() {
    let Some(Bench { lab, .. }) = bench("signals", Weight::Light) else { return };
    for signal in [Signal::INT, Signal::TERM] {
        let report = ends_by(&lab, signal);
        assert_eq!(report.total("stack: resets_sent"), 0, "{}", report.text);
        assert_eq!(report.total("in use: connections"), 0, "{}", report.text);
    }
    // Nothing of the program is left: the namespace's link takes another one.
    Server::start(&lab, HTTP, &[]).stop();
}

#[test]
fn without_root_it_serves_on_the_kernels_tcp() {
    let program = crate::refusals::copied_for_everybody("unprivileged-http");
    let mut command = Command::new(&program.0);
    command.args(["--port", "18080"]);
    if rustix::process::geteuid().is_root() {
        command.uid(65_534).gid(65_534);
    }
    let server = Server::spawn(&mut command);
    assert!(server.said.contains("backend mio"), "{}", server.said);
    assert!(server.said.contains("AF_XDP needs root"), "{}", server.said);
    ask_plaintext(&mut connect(([127, 0, 0, 1], 18080).into()));
    server.stop();
}

#[test]
fn the_kernels_tcp_can_serve_in_a_lab_too() {
    let Some(_turn) = turn(Weight::Light) else { return };
    if !has("curl") || !has("ip") {
        return;
    }
    let name = unique("mio");
    let server =
        Server::spawn(Command::new(HTTP).args(["--backend", "mio", "--lab", "on", "--lab-name", &name]));
    assert!(try_it(&server).starts_with("<!doctype html>"));
    server.stop();
    assert_eq!(namespaces(&name), Vec::<String>::new());
}

/// Keeps the second namespace's name in use: a lab that is alive is never taken over.
#[test]
fn a_lab_that_is_alive_is_refused() {
    let Some(Bench { lab, .. }) = bench("alive", Weight::Light) else { return };
    let said = run(Command::new(HTTP).args(["--lab-name", lab.name()]), END_MAX);
    assert_eq!(said.status.code(), Some(10), "{said:?}");
    let wanted = format!("lab {} is in use by pid {}", lab.name(), std::process::id());
    assert!(said.err.contains(&wanted), "{said:?}");
    assert!(lab.run_in(Side::Server, || Path::new("/proc/self").exists()).expect("still there"));
}
