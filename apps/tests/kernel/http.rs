//! Scenario s46: the HTTP server.

use std::fmt::Write;
use std::io::{ErrorKind, Write as _};
use std::net::Shutdown;
use std::thread;
use std::time::{Duration, SystemTime};

use crate::support::{Client, Server};
use bywash_apps::http::{Http, HttpCodec, HttpTimes, pattern};
use bywash_core::base;
use sha2::{Digest, Sha256};

fn server() -> Server {
    Server::start(Http::default, HttpCodec::default())
}

fn patient_server(idle_ms: u64, linger_ms: u64) -> Server {
    let times = HttpTimes {
        idle_max: base::time::Duration::from_millis(idle_ms),
        linger_max: base::time::Duration::from_millis(linger_ms),
    };
    Server::start(move || Http::new(SystemTime::now as fn() -> _, times), HttpCodec::default())
}

#[test]
fn s46_each_route_answers_on_one_connection() {
    let server = server();
    let mut client = server.client();
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");

    let index = client.ask(&get("/"));
    assert_eq!(index.status, 200);
    assert!(index.body.starts_with(b"<!doctype html>"));
    for path in ["/plaintext", "/plaintext?query", "http://a:8080/plaintext", "HTTP://a/plaintext?x=/"] {
        let response = client.ask(&get(path));
        assert_eq!((response.status, response.body.as_slice()), (200, b"Hello, World!".as_slice()), "{path}");
        assert_eq!(response.field("Content-Type"), Some("text/plain"));
        let date = httpdate::parse_http_date(response.field("Date").unwrap()).unwrap();
        let age = SystemTime::now().duration_since(date).unwrap();
        assert!(age < Duration::from_secs(30), "{age:?}");
    }
    for count in [0, 1, 251, 16 * 1024, 16 * 1024 + 1, 1_000_000] {
        let response = client.ask(&get(&format!("/bytes/{count}")));
        assert_eq!(response.status, 200);
        assert_eq!(response.body.len(), count);
        assert!(response.body.iter().enumerate().all(|(at, byte)| at % 251 == usize::from(*byte)));
    }
    let echo = client.ask("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
    assert_eq!((echo.status, echo.body.as_slice()), (200, b"hello".as_slice()));
    assert_eq!(echo.field("Content-Length"), Some("5"));
    let chunked = "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n\
        5;ext=\"x\"\r\nhello\r\n06\r\n world\r\n0\r\nX-Sum: 1\r\n\r\n";
    let echo = client.ask(chunked);
    assert_eq!((echo.status, echo.body.as_slice()), (200, b"hello world".as_slice()));
    assert_eq!(echo.field("Transfer-Encoding"), Some("chunked"));
    for empty in ["", "Content-Length: 0\r\n", "Content-Length: 0, 0\r\n"] {
        let echo = client.ask(&format!("POST /echo HTTP/1.1\r\nHost: a\r\n{empty}\r\n"));
        assert_eq!((echo.status, echo.field("Content-Length")), (200, Some("0")));
    }
}

#[test]
fn s46_head_is_get_without_the_body() {
    let server = server();
    let mut client = server.client();
    for path in ["/", "/plaintext", "/bytes/1099511627776", "/nothing"] {
        let head = client.ask(&format!("HEAD {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
        if path == "/bytes/1099511627776" {
            assert_eq!(head.field("Content-Length"), Some("1099511627776"));
            continue;
        }
        let get = client.ask(&format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert_eq!(head.status, get.status);
        assert_eq!(head.field("Content-Length"), get.field("Content-Length"));
        assert!(!get.body.is_empty());
    }
}

#[test]
fn s46_requests_in_good_form_that_are_refused_keep_the_connection() {
    let server = server();
    let mut client = server.client();
    for (request, status, allow) in [
        ("GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n", 404, None),
        ("GET /bytes/x HTTP/1.1\r\nHost: a\r\n\r\n", 404, None),
        ("GET /bytes/1099511627777 HTTP/1.1\r\nHost: a\r\n\r\n", 404, None),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", 405, Some("GET, HEAD")),
        ("DELETE /plaintext HTTP/1.1\r\nHost: a\r\n\r\n", 405, Some("GET, HEAD")),
        ("GET /echo HTTP/1.1\r\nHost: a\r\n\r\n", 405, Some("POST")),
        ("BREW / HTTP/1.1\r\nHost: a\r\n\r\n", 501, None),
        ("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 404, None),
        ("\r\n\r\nGET / HTTP/1.1\r\nHost:\r\n\r\n", 200, None),
    ] {
        let response = client.ask(request);
        assert_eq!(response.status, status, "{request:?}");
        assert_eq!(response.field("Allow"), allow, "{request:?}");
        assert_eq!(response.field("Connection"), None, "{request:?}");
    }
}

#[test]
fn s46_what_could_be_a_smuggled_request_gets_400_and_close() {
    let server = server();
    let chunked = "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n";
    for (request, status) in [
        // Framing said twice, or in a way that two parsers may read differently.
        (format!("{chunked}Content-Length: 4\r\n\r\n0\r\n\r\n"), 400),
        (format!("{chunked}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 400),
        (format!("{chunked}Transfer-Encoding: gzip\r\n\r\n0\r\n\r\n"), 400),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n".into(), 400),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n".into(), 400),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\r\n".into(), 400),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n".into(), 501),
        ("POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".into(), 400),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd".into(), 400),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3, 4\r\n\r\nabcd".into(), 400),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\nabc".into(), 400),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 0x3\r\n\r\nabc".into(), 400),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n".into(), 400),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n".into(), 400),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551616\r\n\r\n".into(), 400),
        // The grammar of fields.
        ("GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n folded\r\n\r\n".into(), 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nX : 1\r\n\r\n".into(), 400),
        ("GET / HTTP/1.1\r\nHost: a\r\n X: 1\r\n\r\n".into(), 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n".into(), 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n".into(), 400),
        ("GET / HTTP/1.1\r\nHost: a\r\n: no name\r\n\r\n".into(), 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n".into(), 400),
        // Host.
        ("GET / HTTP/1.1\r\n\r\n".into(), 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n".into(), 400),
        ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n".into(), 400),
        ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n".into(), 400),
        ("GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n".into(), 400),
        // The request line.
        ("GET nothing HTTP/1.1\r\nHost: a\r\n\r\n".into(), 400),
        ("GET https://a/ HTTP/1.1\r\nHost: a\r\n\r\n".into(), 400),
        ("GET / HTTP/1.1 extra\r\nHost: a\r\n\r\n".into(), 400),
        ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n".into(), 400),
        ("GET /\r\nHost: a\r\n\r\n".into(), 400),
        ("\x16\x03\x01\x02\0\x01".into(), 400),
        ("GET / HTTX/1.1\r\nHost: a\r\n\r\n".into(), 400),
        ("GET / HTTP/2.0\r\nHost: a\r\n\r\n".into(), 505),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".into(), 505),
        // Chunks.
        (format!("{chunked}\r\nx\r\n"), 400),
        (format!("{chunked}\r\n-1\r\n"), 400),
        (format!("{chunked}\r\n\r\n"), 400),
        (format!("{chunked}\r\n5 5\r\nhello\r\n"), 400),
        (format!("{chunked}\r\n0x5\r\nhello\r\n"), 400),
        (format!("{chunked}\r\n5\nhello\r\n"), 400),
        (format!("{chunked}\r\n5;a\rb\r\nhello\r\n"), 400),
        (format!("{chunked}\r\n00000000000000005\r\nhello\r\n"), 400),
        (format!("{chunked}\r\n5;{}\r\nhello\r\n", "x".repeat(2000)), 400),
        (format!("{chunked}\r\nffffffffffffffff\r\n"), 413),
        // Limits.
        (format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(20_000)), 414),
        (format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(20_000)), 431),
        (format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: 1\r\n".repeat(200)), 431),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1099511627777\r\n\r\n".into(), 413),
    ] {
        let mut client = server.client();
        client.send(&request);
        // Whatever follows must not be taken for a request.
        client.send("GET /plaintext HTTP/1.1\r\nHost: a\r\n\r\n");
        let response = client.response();
        assert_eq!(response.status, status, "{request:?}");
        assert_eq!(response.field("Connection"), Some("close"), "{request:?}");
        assert_eq!(client.rest(), b"", "{request:?}");
    }
    server.await_connections(0);
}

#[test]
fn s46_a_body_that_breaks_in_the_middle_ends_the_connection() {
    let server = server();
    let chunked = "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";
    for broken in ["5\r\nhelloX\r\n", "zz\r\n", "0\r\nbad trailer\r\n\r\n", "0\r\n folded: 1\r\n\r\n"] {
        let mut client = server.client();
        client.send(chunked);
        assert_eq!(client.head().status, 200);
        client.send(broken);
        // The response had begun: only its missing end can tell.
        let mut got = Vec::new();
        let end = std::io::Read::read_to_end(&mut client.stream, &mut got);
        assert!(end.is_ok_and(|_| !got.ends_with(b"0\r\n\r\n")) || got.is_empty(), "{broken:?}: {got:?}");
    }
    let mut client = server.client();
    client.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n");
    client.stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(client.response().status, 400, "ended within a request");
    server.await_connections(0);
}

#[test]
fn s46_an_error_is_not_lost_to_what_the_peer_still_sends() {
    let server = server();
    for _ in 0..20 {
        let mut client = server.client();
        client.send("GET / HTTP/9.9\r\nHost: a\r\n\r\n");
        for _ in 0..64 {
            client.send([b'x'; 16 * 1024]);
        }
        assert_eq!(client.response().status, 505);
        assert_eq!(client.rest(), b"");
    }
    server.await_connections(0);
}

/// Requests of all kinds, and what their answers are.
fn conversation() -> (String, Vec<(u16, Vec<u8>)>) {
    let (mut requests, mut expected) = (String::new(), Vec::new());
    for round in 0..3 {
        requests += "GET /plaintext HTTP/1.1\r\nHost: a\r\n\r\n";
        expected.push((200, b"Hello, World!".to_vec()));
        write!(requests, "POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 7\r\n\r\nround {round}").unwrap();
        expected.push((200, format!("round {round}").into_bytes()));
        requests += "GET /none HTTP/1.1\r\nHost: a\r\nX-Empty:\r\n\r\n\r\n";
        expected.push((404, b"nothing here\n".to_vec()));
        requests += "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
            3\r\nabc\r\n1;x=\r\nd\r\n000\r\nA: b\r\n\r\n";
        expected.push((200, b"abcd".to_vec()));
        requests += "GET /bytes/5 HTTP/1.1\r\nHost: a\r\n\r\n";
        expected.push((200, vec![0, 1, 2, 3, 4]));
        requests += "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n??";
        expected.push((200, Vec::new()));
    }
    (requests, expected)
}

fn check_conversation(client: &mut Client, expected: &[(u16, Vec<u8>)]) {
    for (status, body) in expected {
        let response = client.response();
        assert_eq!(response.status, *status);
        assert!(body.is_empty() || response.body == *body, "{response:?} is not {body:?}");
    }
}

#[test]
fn s46_pipelined_requests_are_answered_in_order_however_they_are_cut() {
    let server = server();
    let (requests, expected) = conversation();
    for cut in 0..requests.len() {
        let mut client = server.client();
        client.send(&requests[..cut]);
        thread::yield_now();
        client.send(&requests[cut..]);
        check_conversation(&mut client, &expected);
    }
    let mut client = server.client();
    for byte in requests.as_bytes() {
        client.send([*byte]);
    }
    check_conversation(&mut client, &expected);
}

#[test]
fn s46_a_thousand_requests_in_one_write_come_back_in_order() {
    let server = server();
    let mut client = server.client();
    let mut requests = String::new();
    for at in 0..1000 {
        write!(requests, "GET /bytes/{at} HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    }
    client.send(&requests);
    for at in 0..1000 {
        assert_eq!(client.response().body.len(), at);
    }
}

#[test]
fn s46_http_1_0_closes_unless_asked_to_keep_alive() {
    let server = server();
    let mut client = server.client();
    let kept = client.ask("GET /plaintext HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n");
    assert_eq!((kept.status, kept.field("Connection")), (200, Some("keep-alive")));
    let closed = client.ask("GET /plaintext HTTP/1.0\r\n\r\n");
    assert_eq!((closed.status, closed.field("Connection")), (200, Some("close")));
    assert_eq!(client.rest(), b"");

    let mut client = server.client();
    let closed = client.ask("GET /plaintext HTTP/1.1\r\nHost: a\r\nConnection: x, CLOSE\r\n\r\n");
    assert_eq!((closed.status, closed.field("Connection")), (200, Some("close")));
    assert_eq!(client.rest(), b"");
}

#[test]
fn s46_expect_100_continue_is_answered_before_the_body_comes() {
    let server = server();
    let mut client = server.client();
    client.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-Continue\r\n\r\n");
    assert_eq!(client.head().status, 100);
    client.send("hello");
    assert_eq!(client.response().body, b"hello");
    // Refused at once, so that the body need not be sent at all.
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    let refused = client.response();
    assert_eq!((refused.status, refused.field("Connection")), (405, Some("close")));
    assert_eq!(client.rest(), b"");
}

#[test]
fn s46_a_long_body_that_nobody_wants_ends_the_connection() {
    let server = server();
    let mut client = server.client();
    let refused = client.ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n");
    assert_eq!((refused.status, refused.field("Connection")), (405, Some("close")));
}

#[test]
fn a_peer_that_ends_its_stream_still_gets_its_answers() {
    let server = server();
    let mut client = server.client();
    client.send("GET /bytes/5000000 HTTP/1.1\r\nHost: a\r\n\r\nGET /plaintext HTTP/1.1\r\nHost: a\r\n\r\n");
    client.stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(client.response().body.len(), 5_000_000);
    assert_eq!(client.response().body, b"Hello, World!");
    assert_eq!(client.rest(), b"");
    server.await_connections(0);
}

#[test]
fn s46_100_mb_of_bytes_arrive_as_they_should() {
    const COUNT: u64 = 100 << 20;
    let server = server();
    let mut client = server.client();
    client.send(format!("GET /bytes/{COUNT} HTTP/1.1\r\nHost: a\r\n\r\n"));
    let head = client.head();
    let mut hash = Sha256::new();
    client.body(&head, |piece| hash.update(piece));
    assert_eq!(hash.finalize(), pattern_hash_of(COUNT));
}

fn pattern_hash_of(len: u64) -> sha2::digest::Output<Sha256> {
    let mut hash = Sha256::new();
    let mut offset = 0;
    while offset < len {
        let bytes = pattern::slice(offset, (len - offset).min(pattern::SLICE_MAX as u64) as usize);
        hash.update(bytes);
        offset += bytes.len() as u64;
    }
    hash.finalize()
}

#[test]
fn s46_100_mb_come_back_from_echo_in_both_framings() {
    const COUNT: u64 = 100 << 20;
    let server = server();
    for chunked in [false, true] {
        let mut client = server.client();
        let mut sender = client.stream.try_clone().unwrap();
        let sending = thread::spawn(move || {
            let framing = if chunked {
                "Transfer-Encoding: chunked".into()
            } else {
                format!("Content-Length: {COUNT}")
            };
            write!(sender, "POST /echo HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n").unwrap();
            let mut offset = 0;
            while offset < COUNT {
                let len = (COUNT - offset).min(1 + offset % 16_000) as usize;
                if chunked {
                    write!(sender, "{len:x}\r\n").unwrap();
                }
                sender.write_all(pattern::slice(offset, len)).unwrap();
                if chunked {
                    sender.write_all(b"\r\n").unwrap();
                }
                offset += len as u64;
            }
            if chunked {
                sender.write_all(b"0\r\n\r\n").unwrap();
            }
        });
        let head = client.head();
        let mut hash = Sha256::new();
        let mut count = 0;
        client.body(&head, |piece| {
            hash.update(piece);
            count += piece.len() as u64;
        });
        sending.join().unwrap();
        assert_eq!(count, COUNT);
        assert_eq!(hash.finalize(), pattern_hash_of(COUNT));
    }
}

#[test]
fn an_echo_whose_peer_does_not_read_stops_reading_too() {
    let server = server();
    let mut client = server.client();
    client.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n");
    client.stream.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
    let mut sent = 0u64;
    let stopped = loop {
        match client.stream.write(&[b'x'; 16_384]) {
            Ok(len) => sent += len as u64,
            Err(error) => break error,
        }
        assert!(sent < 100_000_000, "the server took {sent} bytes that it cannot get rid of");
    };
    assert_eq!(stopped.kind(), ErrorKind::WouldBlock);
    drop(client);
    server.await_connections(0);
}

#[test]
fn a_peer_that_leaves_in_the_middle_of_a_download_leaves_nothing_behind() {
    let server = server();
    let mut client = server.client();
    client.send("GET /bytes/1099511627776 HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.head().status, 200);
    server.await_connections(1);
    drop(client);
    server.await_connections(0);
}

#[test]
fn a_thousand_connections_are_served_side_by_side() {
    let server = server();
    let mut clients: Vec<_> = (0..1000).map(|_| server.client()).collect();
    server.await_connections(1000);
    for round in 0..3 {
        for client in &mut clients {
            client.send(format!("GET /bytes/{} HTTP/1.1\r\nHost: a\r\n\r\n", 10 + round));
        }
        for client in &mut clients {
            assert_eq!(client.response().body.len(), 10 + round);
        }
    }
    drop(clients);
    server.await_connections(0);
}

#[test]
fn s46_an_idle_peer_is_let_go_and_one_that_will_not_end_is_too() {
    let server = patient_server(50, 50);
    let mut idle = server.client();
    assert_eq!(idle.rest(), b"");
    let mut half = server.client();
    half.send("GET / HTTP/1.1\r\nHost:");
    assert_eq!(half.rest(), b"");
    let mut lingering = server.client();
    lingering.send("bad request\r\n\r\n");
    assert_eq!(lingering.response().status, 400);
    // It keeps its end open; the server does not wait for ever.
    server.await_connections(0);
}

#[test]
fn s37_a_drain_finishes_what_is_under_way() {
    let server = server();
    let mut idle = server.client();
    assert_eq!(idle.ask("GET /plaintext HTTP/1.1\r\nHost: a\r\n\r\n").status, 200);
    let mut busy = server.client();
    busy.send("GET /bytes/20000000 HTTP/1.1\r\nHost: a\r\n\r\n");
    let head = busy.head();
    server.drain();
    assert_eq!(idle.rest(), b"");
    let mut count = 0;
    busy.body(&head, |piece| count += piece.len());
    assert_eq!(count, 20_000_000);
    assert_eq!(busy.rest(), b"");
    drop((idle, busy));
    server.await_connections(0);
}
