//! What tshark's analysis finds in a capture of the server's frames: on a clean path, nothing of ours may be wrong or odd.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use bywash_xdp::lab::{Impairment, Lab, Middle, Probability, Side};

use crate::support::load::echo_bulk_with;
use crate::support::net::{ask_plaintext, client, connect};
use crate::support::server::{ADDRESS, ECHO, HTTP, Server};
use crate::support::tools::{has, run};
use crate::support::{Bench, Scratch, Weight, bench, bench_with};

/// What a sound sender's segments may be called: the receiver's buffer was full and is not any more, a connection was closed,
/// and the like.
const HARMLESS: &[&str] = &[
    "TCP window update",
    "Connection finish (FIN)",
    "Connection establish request (SYN)",
    "Connection establish acknowledge (SYN+ACK)",
    "TCP window specified by the receiver is now completely full",
    "TCP Zero Window segment",
    "This frame undergoes the connection closing",
    "ACK to a TCP keep-alive segment",
];

/// The same on a path that loses: what was lost is sent again.
const AFTER_LOSS: &[&str] = &[
    "This frame is a (suspected) retransmission",
    "This frame is a (suspected) fast retransmission",
    "This frame is a (suspected) out-of-order segment",
    "Duplicate ACK",
];

/// Runs `load` against a server that captures, and answers what tshark says of the server's own frames, each with its count.
fn findings(bench: &Bench, program: &str, more: &[&str], load: impl FnOnce(&Lab)) -> Findings {
    let file = Scratch::new(&format!("{}.pcapng", bench.lab.name()));
    let path = file.0.to_str().expect("a plain path");
    let server = Server::start(&bench.lab, program, &[&["--capture", path], more].concat());
    load(&bench.lab);
    let report = server.stop();
    assert_eq!(report.total("capture: frames lost: the writer did not keep up"), 0, "{}", report.text);
    let mut command = Command::new("tshark");
    command.args(["-r", path, "-Y", "_ws.expert && ip.src == 198.18.0.1"]);
    command.args(["-T", "fields", "-e", "_ws.expert.message", "-d", "tcp.port==8080,data"]);
    command.args(["-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE"]);
    let said = run(&mut command, Duration::from_mins(5));
    assert!(said.status.success(), "{said:?}");
    let mut found = Findings::new();
    for message in said.text().lines().flat_map(|line| line.split(',')) {
        *found.entry(message.to_owned()).or_insert(0) += 1;
    }
    println!("{found:#?}");
    found
}

type Findings = BTreeMap<String, usize>;

#[track_caller]
fn assert_only(known: &[&str], found: &Findings) {
    assert!(!found.is_empty(), "tshark saw no handshake of ours: the filter is wrong");
    let odd = |message: &&String| !known.iter().any(|known| message.contains(known));
    let odd: Vec<_> = found.keys().filter(odd).collect();
    assert!(odd.is_empty(), "{odd:#?}");
}

/// Bulk both ways, at a pace that the capture keeps up with.
fn bulk(name: &str, loss: Probability) -> Option<Findings> {
    let path = Impairment { loss, delay: Duration::from_millis(3), ..Impairment::NONE };
    let middle = Middle { seed: 5, to_server: path, to_client: path };
    let bench = bench_with(name, Weight::Heavy, |lab| lab.middle(middle))?;
    let load = |lab: &Lab| {
        client(lab, || ["cubic", "bbr"].iter().for_each(|control| echo_bulk_with(ADDRESS, 4 << 20, control)));
    };
    has("tshark").then(|| findings(&bench, ECHO, &["--framing", "raw"], load))
}

#[test]
#[ignore = "needs tshark; run by .ci/long"]
fn tshark_finds_nothing_odd_in_bulk_both_ways() {
    let Some(found) = bulk("expbulk", Probability::NEVER) else { return };
    assert_only(HARMLESS, &found);
}

#[test]
#[ignore = "needs tshark; run by .ci/long"]
fn tshark_finds_nothing_but_what_loss_needs() {
    let Some(found) = bulk("exploss", Probability::percent(1).expect("at most 100")) else { return };
    // Above all no spurious retransmission: nothing is sent again that was acknowledged.
    assert_only(&[HARMLESS, AFTER_LOSS].concat(), &found);
}

#[test]
#[ignore = "needs tshark; run by .ci/long"]
fn tshark_finds_nothing_odd_in_http() {
    let Some(bench) = bench("exphttp", Weight::Heavy) else { return };
    if !has("tshark") || !has("wrk") {
        return;
    }
    let load = |lab: &Lab| {
        client(lab, || {
            for _ in 0..100 {
                let mut stream = connect(ADDRESS);
                (0..20).for_each(|_| ask_plaintext(&mut stream));
            }
        });
        let mut command = lab.command(Side::Client, "wrk").expect("the client's namespace");
        command.args(["-t1", "-c16", "-d1", "http://198.18.0.1:8080/plaintext"]);
        let said = run(&mut command, Duration::from_secs(20));
        assert!(said.status.success(), "{said:?}");
    };
    assert_only(HARMLESS, &findings(&bench, HTTP, &[], load));
}
