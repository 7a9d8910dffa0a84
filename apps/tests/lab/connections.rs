//! Many connections, and that nothing of them stays.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use crate::support::net::{ask_plaintext, client, connect, may_open, resident_kib};
use crate::support::report::Report;
use crate::support::server::{ADDRESS, HTTP, Server};
use crate::support::{Bench, Weight, bench};

const TIME_WAIT: Duration = Duration::from_millis(500);
const SETTINGS: &[&str] = &["--tcp-time-wait-ms", "500"];
/// Until everything is back: TIME_WAIT, a delayed acknowledgment, and a busy machine.
const REST_MAX: Duration = Duration::from_secs(20);

/// The rows of a report that tell where the frames are.
fn frames(report: &Report) -> [u64; 2] {
    [report.group("receive frames"), report.group("transmit frames")]
}

#[test]
fn ten_thousand_connections_one_after_another_leave_nothing_behind() {
    const COUNT: u64 = 10_000;
    let Some(Bench { lab, .. }) = bench("cycle", Weight::Heavy) else { return };
    let mut server = Server::start(&lab, HTTP, SETTINGS);
    let before = server.await_rest(REST_MAX);
    let start = Instant::now();
    client(&lab, || {
        for index in 0..COUNT {
            let mut stream = connect(ADDRESS);
            if index % 2 == 0 {
                ask_plaintext(&mut stream);
            } else {
                // Here the server closes first and keeps TIME_WAIT.
                let request = b"GET /plaintext HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
                stream.write_all(request).expect("request");
                let mut answer = String::new();
                stream.read_to_string(&mut answer).expect("answer");
                assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("Hello, World!"), "{answer}");
            }
        }
    });
    println!("{COUNT} connections took {:?}", start.elapsed());
    std::thread::sleep(TIME_WAIT);
    let after = server.await_rest(REST_MAX);
    assert_eq!(after.total("stack: passive_opens"), COUNT, "{}", after.text);
    assert_eq!(after.total("stack: closed"), COUNT, "{}", after.text);
    assert_eq!(after.group("in use"), 0, "{}", after.text);
    assert_eq!(frames(&after), frames(&before), "{}", after.text);
    server.stop();
}

#[test]
fn five_thousand_connections_at_once_are_served_and_leave_nothing_behind() {
    const COUNT: usize = 5_000;
    if !may_open(COUNT as u64 + 200) {
        return;
    }
    let Some(Bench { lab, .. }) = bench("many", Weight::Heavy) else { return };
    let mut server = Server::start(&lab, HTTP, SETTINGS);
    let before = server.await_rest(REST_MAX);
    let empty = resident_kib(server.id());
    let mut streams = client(&lab, || {
        let mut streams: Vec<_> = (0..COUNT).map(|_| connect(ADDRESS)).collect();
        streams.iter_mut().for_each(ask_plaintext);
        streams
    });
    let open = server.report();
    assert_eq!(open.total("in use: connections"), COUNT as u64, "{}", open.text);
    // The instrument itself: with connections open it must not say that all is well.
    assert!(!open.at_rest(), "{}", open.text);
    let idle = resident_kib(server.id());
    println!("the server's resident memory: {idle} KiB with {COUNT} idle connections, {empty} KiB with none");
    // All of them still work, in another order.
    streams.reverse();
    streams.iter_mut().for_each(ask_plaintext);
    drop(streams);
    std::thread::sleep(TIME_WAIT);
    let after = server.await_rest(REST_MAX);
    assert_eq!(after.total("stack: closed"), COUNT as u64, "{}", after.text);
    assert_eq!(frames(&after), frames(&before), "{}", after.text);
    server.stop();
}
