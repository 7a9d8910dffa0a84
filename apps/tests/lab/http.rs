//! HTTP over `AF_XDP`: `curl`, `wrk` and `h2load` as the clients.

use std::fs::File;
use std::process::Command;
use std::time::{Duration, Instant};

use bywash_xdp::lab::{Direction, Impairment, Lab, Middle, Probability, Side};

use crate::support::load::{BULK, pattern_hash, write_pattern};
use crate::support::net::KernelTcp;
use crate::support::server::{HTTP, Server};
use crate::support::tools::{Said, has, hash_of, run};
use crate::support::{Bench, Scratch, Weight, bench, bench_with};

const URL: &str = "http://198.18.0.1:8080";
const BULK_MAX: Duration = Duration::from_mins(3);

fn curl(lab: &Lab) -> Command {
    let mut command = lab.command(Side::Client, "curl").expect("the client's namespace");
    command.args(["--silent", "--show-error", "--max-time", "170"]);
    command
}

#[track_caller]
fn ask(lab: &Lab, arguments: &[&str]) -> Said {
    let said = run(curl(lab).args(arguments), Duration::from_secs(20));
    assert!(said.status.success(), "{arguments:?}: {said:?}");
    said
}

#[test]
fn curl_gets_the_page_a_404_a_head_and_its_post_back() {
    let Some(Bench { lab, .. }) = bench("curl", Weight::Light) else { return };
    if !has("curl") {
        return;
    }
    let server = Server::start(&lab, HTTP, &[]);
    let page = ask(&lab, &["--include", &format!("{URL}/")]).text();
    assert!(page.starts_with("HTTP/1.1 200 ") && page.contains("<!doctype html>"), "{page}");
    let missing = ask(&lab, &["--include", &format!("{URL}/nothing")]).text();
    assert!(missing.starts_with("HTTP/1.1 404 "), "{missing}");
    let head = ask(&lab, &["--head", &format!("{URL}/plaintext")]).text();
    assert!(head.starts_with("HTTP/1.1 200 ") && head.contains("Content-Length: 13"), "{head}");
    assert!(head.ends_with("\r\n\r\n"), "{head}");
    let echo = ask(&lab, &["--data-binary", "back and forth", &format!("{URL}/echo")]);
    assert_eq!(echo.out, b"back and forth");
    // Several requests on one connection.
    let many = format!("{URL}/plaintext?[1-50]");
    assert_eq!(ask(&lab, &[&many]).text(), "Hello, World!".repeat(50));
    let report = server.stop();
    assert_eq!(report.total("stack: passive_opens"), 5, "{}", report.text);
}

#[test]
fn curl_gets_the_page_over_ipv6() {
    let Some(Bench { lab, .. }) = bench("curl6", Weight::Light) else { return };
    if !has("curl") {
        return;
    }
    let server = Server::start(&lab, HTTP, &["--address", "fd00:198:18::1/64"]);
    for address in ["[fd00:198:18::1]", "198.18.0.1"] {
        let said = ask(&lab, &["--globoff", &format!("http://{address}:8080/plaintext")]);
        assert_eq!(said.text(), "Hello, World!", "{address}");
    }
    assert_eq!(server.stop().total("stack: passive_opens"), 2);
}

/// 100 MB from the server, and 100 MB there and back.
fn bulk_both_ways(lab: &Lab) {
    let expected = (BULK, pattern_hash(BULK));
    let start = Instant::now();
    let got = hash_of(curl(lab).arg(format!("{URL}/bytes/{BULK}")), BULK_MAX);
    assert_eq!(got, expected, "/bytes/{BULK}");
    let down = start.elapsed();

    let file = Scratch::new("upload");
    write_pattern(File::create(&file.0).expect("a file"), BULK, |_| {});
    let start = Instant::now();
    let echo = format!("{URL}/echo");
    let got =
        hash_of(curl(lab).args(["--request", "POST", "--upload-file"]).arg(&file.0).arg(&echo), BULK_MAX);
    assert_eq!(got, expected, "/echo");
    println!("100 MB from /bytes/ took {down:?}, 100 MB to /echo and back {:?}", start.elapsed());
}

#[test]
fn a_hundred_megabytes_arrive_unchanged_and_come_back_unchanged() {
    let Some(Bench { lab, .. }) = bench("bulk", Weight::Heavy) else { return };
    if !has("curl") {
        return;
    }
    let mut server = Server::start(&lab, HTTP, &["--tcp-time-wait-ms", "200"]);
    let before = KernelTcp::of(&lab, Side::Server);
    bulk_both_ways(&lab);
    server.await_rest(Duration::from_secs(10));
    assert_eq!(KernelTcp::of(&lab, Side::Server), before, "the server's kernel took part");
    server.stop();
}

#[test]
fn a_hundred_megabytes_survive_one_percent_loss_each_way() {
    let loss = Impairment { loss: Probability::percent(1).expect("at most 100"), ..Impairment::NONE };
    let middle = Middle { seed: 7, to_server: loss, to_client: loss };
    let Some(Bench { lab, .. }) = bench_with("loss", Weight::Heavy, |lab| lab.middle(middle)) else { return };
    if !has("curl") {
        return;
    }
    let mut server = Server::start(&lab, HTTP, &["--tcp-time-wait-ms", "200"]);
    bulk_both_ways(&lab);
    for direction in [Direction::ToServer, Direction::ToClient] {
        let counters = lab.counters(direction).expect("a middle");
        assert!(counters.lost > 100, "{direction:?}: {counters:?}");
    }
    // The client's last segments may have been lost as well: its retransmissions take their time.
    let report = server.await_rest(Duration::from_secs(30));
    assert!(report.total("stack: retransmits") > 100, "{}", report.text);
    server.stop();
}

/// `wrk` for five seconds; no socket error, every answer 200.
fn wrk(name: &str, connections: u32) {
    let Some(Bench { lab, .. }) = bench(name, Weight::Heavy) else { return };
    if !has("wrk") {
        return;
    }
    let mut server = Server::start(&lab, HTTP, &["--tcp-time-wait-ms", "200"]);
    let before = KernelTcp::of(&lab, Side::Server);
    let mut command = lab.command(Side::Client, "wrk").expect("the client's namespace");
    command.args(["-t1", &format!("-c{connections}"), "-d5", &format!("{URL}/plaintext")]);
    let said = run(&mut command, Duration::from_secs(30));
    let text = said.text();
    println!("{text}");
    assert!(said.status.success(), "{said:?}");
    // wrk prints these lines only when there is something to tell.
    assert!(!text.contains("Socket errors"), "{text}");
    assert!(!text.contains("Non-2xx"), "{text}");
    let requests = text.lines().find_map(|line| line.trim().split_once(" requests in ")).expect("a count");
    assert!(requests.0.parse::<u64>().expect("a number") > 5_000, "{text}");
    server.await_rest(Duration::from_secs(10));
    assert_eq!(KernelTcp::of(&lab, Side::Server), before, "the server's kernel took part");
    let report = server.stop();
    // Its first connection only tells wrk that somebody is there; one more would replace a broken one.
    let opens = report.total("stack: passive_opens");
    assert_eq!(opens, u64::from(connections) + 1, "{}", report.text);
}

#[test]
fn wrk_with_64_connections_sees_no_error() {
    wrk("wrk64", 64);
}

#[test]
fn wrk_with_256_connections_sees_no_error() {
    wrk("wrk256", 256);
}

#[test]
fn h2load_sees_only_200() {
    const REQUESTS: u32 = 100_000;
    let Some(Bench { lab, .. }) = bench("h2load", Weight::Heavy) else { return };
    if !has("h2load") {
        return;
    }
    let server = Server::start(&lab, HTTP, &[]);
    let mut command = lab.command(Side::Client, "h2load").expect("the client's namespace");
    command.args(["--h1", "-t1", "-c64", "-n", &REQUESTS.to_string(), &format!("{URL}/plaintext")]);
    let said = run(&mut command, Duration::from_mins(1));
    let text = said.text();
    println!("{text}");
    assert!(said.status.success(), "{said:?}");
    let wanted = format!("{REQUESTS} succeeded, 0 failed, 0 errored, 0 timeout");
    assert!(text.contains(&wanted), "{text}");
    assert!(text.contains(&format!("status codes: {REQUESTS} 2xx, 0 3xx, 0 4xx, 0 5xx")), "{text}");
    server.stop();
}
