//! What cannot be done is said in one sentence, with its exit code.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::thread;
use std::time::Duration;

use bywash_xdp::lab::{Lab, LabBuilder, SERVER_INTERFACE, ServerAddress, Side};
use bywash_xdp::nic::Interface;
use bywash_xdp::socket::{Socket, SocketConfig};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};

use crate::support::load::echo_bulk;
use crate::support::net::{ask_plaintext, client, connect};
use crate::support::server::{ADDRESS, ECHO, HTTP, Server, bare_command, command};
use crate::support::tools::{Said, has, run};
use crate::support::{Bench, Scratch, Weight, bench, bench_with};

/// A copy of the program that an unprivileged user can reach, wherever the build directory is.
pub(crate) fn copied_for_everybody(name: &str) -> Scratch {
    let copy = Scratch::new(name);
    std::fs::copy(HTTP, &copy.0).expect("copy");
    std::fs::set_permissions(&copy.0, std::fs::Permissions::from_mode(0o755)).expect("permissions");
    copy
}

/// Runs a command that must be refused with `code`, in one sentence that has all of `words`; answers the sentence.
#[track_caller]
fn refused(command: &mut Command, code: i32, words: &[&str]) -> String {
    let Said { status, out, err } = run(command, Duration::from_secs(20));
    let out = String::from_utf8_lossy(&out);
    println!("exit code {:?}: {}", status.code(), err.trim_end());
    assert_eq!(status.code(), Some(code), "{command:?}: {err}{out}");
    let sentence = err.strip_prefix("error: ").unwrap_or_else(|| panic!("no error: {err}"));
    assert_eq!(sentence.trim_end().lines().count(), 1, "{err}");
    for word in words {
        assert!(sentence.contains(word), "{word:?} is missing: {err}");
    }
    assert!(!out.contains("try: "), "{out}");
    sentence.to_owned()
}

#[test]
fn xdp_without_privileges() {
    let program = copied_for_everybody("unprivileged-xdp");
    let mut command = Command::new(&program.0);
    command.args(["--backend", "xdp", "--interface", "lo", "--address", "198.18.0.1/24"]);
    if rustix::process::geteuid().is_root() {
        command.uid(65_534).gid(65_534);
    }
    refused(&mut command, 3, &["CAP_NET_ADMIN", "--backend mio"]);
}

#[test]
fn no_such_interface() {
    let Some(Bench { lab, .. }) = bench("nointerface", Weight::Light) else { return };
    let mut command = lab.command(Side::Server, HTTP).expect("the server's namespace");
    command.args(["--backend", "xdp", "--interface", "nope0", "--address", "198.18.0.1/24"]);
    refused(&mut command, 5, &["nope0", "v0"]);
}

#[test]
fn a_queue_that_is_taken() {
    let Some(Bench { lab, .. }) = bench("taken", Weight::Light) else { return };
    let server = Server::start(&lab, HTTP, &[]);
    refused(&mut command(&lab, HTTP, &["--address", "198.18.0.9/24"]), 6, &["v0"]);
    // The first one goes on.
    client(&lab, || ask_plaintext(&mut connect(ADDRESS)));
    server.stop();
}

#[test]
fn a_queue_that_another_socket_has() {
    let Some(Bench { lab, .. }) = bench("busy", Weight::Light) else { return };
    let socket = lab.run_in(Side::Server, || {
        let index = Interface::by_name(SERVER_INTERFACE).expect("the lab's link").index();
        Socket::open(&SocketConfig::new(index, 1)).expect("nobody else has it yet")
    });
    let socket = socket.expect("the server's namespace");
    refused(&mut command(&lab, HTTP, &[]), 6, &["queue 1", "is taken by another AF_XDP socket"]);
    drop(socket);
    Server::start(&lab, HTTP, &[]).stop();
}

#[test]
fn a_kernel_without_af_xdp() {
    const AF_XDP: u64 = 44;
    const EAFNOSUPPORT: u32 = 97;
    let Some(Bench { lab, .. }) = bench("noafxdp", Weight::Light) else { return };
    // Such a kernel refuses the family: a filter does the same, for this thread and what it starts.
    let family =
        SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, AF_XDP).expect("a condition");
    let rule = SeccompRule::new(vec![family]).expect("a rule");
    let filter = SeccompFilter::new(
        [(libc::SYS_socket, vec![rule])].into(),
        SeccompAction::Allow,
        SeccompAction::Errno(EAFNOSUPPORT),
        std::env::consts::ARCH.try_into().expect("a known machine"),
    );
    let filter: BpfProgram = filter.and_then(TryInto::try_into).expect("a filter");
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut command = command(&lab, HTTP, &[]);
            seccompiler::apply_filter(&filter).expect("as root");
            refused(&mut command, 4, &["AF_XDP", "CONFIG_XDP_SOCKETS", "--backend mio"]);
        });
    });
}

#[test]
fn a_queue_that_does_not_exist() {
    let Some(Bench { lab, .. }) = bench("range", Weight::Light) else { return };
    refused(&mut command(&lab, HTTP, &["--queues", "[0,1,7]"]), 6, &["queue 7", "v0", "0 to 1"]);
    refused(&mut command(&lab, HTTP, &["--queues", "3"]), 6, &["v0"]);
}

#[test]
fn a_queue_that_nobody_would_serve() {
    let Some(Bench { lab, .. }) = bench("unserved", Weight::Light) else { return };
    let sentence = refused(&mut command(&lab, HTTP, &["--queues", "1"]), 6, &["v0", "ethtool -L v0"]);
    if !has("ethtool") {
        return;
    }
    follow(&lab, &sentence);
    let server = Server::start(&lab, HTTP, &["--queues", "1"]);
    client(&lab, || (0..20).for_each(|_| ask_plaintext(&mut connect(ADDRESS))));
    server.stop();
}

/// Does what the sentence advises: the command behind `fix: `.
#[track_caller]
fn follow(lab: &Lab, sentence: &str) {
    let fix = sentence.trim_end().split_once("fix: ").expect("a fix").1;
    let mut words = fix.split(' ');
    let mut command = lab.command(Side::Server, words.next().expect("a program")).expect("the namespace");
    let said = run(command.args(words), Duration::from_secs(10));
    assert!(said.status.success(), "{fix}: {said:?}");
}

#[test]
fn an_mtu_too_large_for_the_mode() {
    let shape = |lab: LabBuilder| lab.mtu(9_000);
    let Some(Bench { lab, .. }) = bench_with("mtu", Weight::Light, shape) else { return };
    for mode in ["native", "generic"] {
        let sentence = refused(&mut command(&lab, HTTP, &["--mode", mode]), 7, &["9000", "v0", "mtu"]);
        if mode == "native" || !has("ip") {
            continue;
        }
        follow(&lab, &sentence);
        let server = Server::start(&lab, HTTP, &["--mode", mode]);
        client(&lab, || ask_plaintext(&mut connect(ADDRESS)));
        server.stop();
    }
}

#[test]
fn an_mtu_just_below_the_limit_is_served_in_both_modes() {
    let Some(Bench { lab, .. }) = bench_with("mtu2", Weight::Heavy, |lab| lab.mtu(3_818)) else { return };
    for mode in ["native", "generic"] {
        let server = Server::start(&lab, ECHO, &["--mode", mode]);
        assert!(server.said.contains(&format!("{mode} mode")), "{}", server.said);
        client(&lab, || echo_bulk(ADDRESS, 8 << 20, |_| {}));
        server.stop();
    }
}

#[test]
fn an_unknown_key_in_a_file() {
    let file = Scratch::new("unknown.toml");
    std::fs::write(&file.0, "# a comment\nport = 8080\nqueus = 2\n").expect("a file");
    let place = format!("{}:3: ", file.0.display());
    refused(Command::new(HTTP).arg("--config").arg(&file.0), 2, &[&place, "`queus`", "`queues`"]);
}

#[test]
fn an_address_that_the_kernel_has() {
    let shape = |lab: LabBuilder| lab.server_address(ServerAddress::Kernel);
    let Some(Bench { lab, .. }) = bench_with("used", Weight::Light, shape) else { return };
    let words = ["198.18.0.1", "v0", "--address-kind shared", "ip addr del"];
    refused(&mut command(&lab, HTTP, &[]), 8, &words);
}

#[test]
fn an_address_to_share_that_the_kernel_does_not_have() {
    let Some(Bench { lab, .. }) = bench("notshared", Weight::Light) else { return };
    let words = ["198.18.0.1", "v0", "--address-kind owned"];
    refused(&mut command(&lab, HTTP, &["--address-kind", "shared"]), 8, &words);
}

#[test]
fn an_interface_without_an_address() {
    let Some(Bench { lab, .. }) = bench("noaddress", Weight::Light) else { return };
    refused(&mut bare_command(&lab, HTTP), 2, &["`address`"]);
}
