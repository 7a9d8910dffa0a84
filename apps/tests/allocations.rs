//! No request allocates once the buffers are warm: the HTTP server over mio, on one thread with its client.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{self, Duration};

use bywash::backends::mio::{MioConfig, MioTransport};
use bywash_apps::http::{Http, HttpCodec, pattern};
use bywash_core::base::time::Instant;
use bywash_core::shard::Shard;

struct World {
    shard: Shard<MioTransport, Http>,
    client: TcpStream,
    started: time::Instant,
    answer: Vec<u8>,
}

impl World {
    fn new() -> Self {
        let listen = vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0))];
        let config = MioConfig { listen, connections_max: 16, ..MioConfig::default() };
        let transport = MioTransport::new(&config, Instant::ZERO).unwrap();
        let client = TcpStream::connect(transport.local_addresses().next().unwrap()).unwrap();
        client.set_nodelay(true).unwrap();
        client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let shard = Shard::new(transport, Http::default(), HttpCodec::default(), 16);
        Self { shard, client, started: time::Instant::now(), answer: vec![0; 64 * 1024] }
    }

    /// Sends `pieces`, each with turns of its own, and reads answers until they end in `end`.
    fn round(&mut self, pieces: &[&[u8]], end: &[u8]) {
        for piece in pieces {
            self.client.write_all(piece).unwrap();
            self.turn();
        }
        let mut len = 0;
        while !self.answer[..len].ends_with(end) {
            len += self.client.read(&mut self.answer[len..]).unwrap();
        }
        assert!(self.answer.starts_with(b"HTTP/1.1 200 OK\r\n"));
    }

    fn turn(&mut self) {
        let now = Instant::ZERO + self.started.elapsed().into();
        self.shard.transport_mut().wait(now, None).unwrap();
        while self.shard.turn(now).again {}
    }
}

struct Case {
    name: &'static str,
    pieces: &'static [&'static [u8]],
    end: &'static [u8],
}

#[test]
fn a_request_allocates_nothing() {
    let case = |name, pieces, end| Case { name, pieces, end };
    let cases = [
        case("plaintext", &[b"GET /plaintext HTTP/1.1\r\nHost: a\r\n\r\n"], b"Hello, World!"),
        case(
            "pipelined",
            &[b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /plaintext HTTP/1.1\r\nHost: a\r\n\r\n"],
            b"Hello, World!",
        ),
        case("in parts", &[b"GET /pla", b"intext HTTP/1.1\r\nHo", b"st: a\r\n\r\n"], b"Hello, World!"),
        case("bytes", &[b"GET /bytes/20000 HTTP/1.1\r\nHost: a\r\n\r\n"], pattern::slice(19_000, 1000)),
        case(
            "echo",
            &[b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n", b"ab", b"cd"],
            b"abcd",
        ),
        case(
            "chunked echo",
            &[
                b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4",
                b"\r\nabcd\r\n0\r\n\r\n",
            ],
            b"4\r\nabcd\r\n0\r\n\r\n",
        ),
    ];
    let mut world = World::new();
    world.turn();
    // In a mixed order, until every buffer of the pool has had the largest answer in it.
    for round in 0..200 {
        let Case { pieces, end, .. } = &cases[(round * round / 7) % cases.len()];
        world.round(pieces, end);
    }
    for Case { name, pieces, end } in &cases {
        let counted = allocation_counter::measure(|| {
            for _ in 0..200 {
                world.round(pieces, end);
            }
        });
        assert_eq!(counted.count_total, 0, "{name}: {counted:?}");
    }
}
