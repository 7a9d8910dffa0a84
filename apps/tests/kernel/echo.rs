//! The echo server under its three framings.

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::thread;

use crate::support::Server;
use bywash_apps::echo::Echo;
use bywash_apps::http::pattern;
use bywash_core::codec::{LengthPrefixed, Lines, Raw};
use sha2::{Digest, Sha256};

#[test]
fn raw_bytes_come_back_100_mb_of_them() {
    const COUNT: u64 = 100 << 20;
    let server = Server::start(Echo::<Raw>::default, Raw::default());
    let mut client = server.client();
    let mut sender = client.stream.try_clone().unwrap();
    let sending = thread::spawn(move || {
        let (mut hash, mut offset) = (Sha256::new(), 0);
        while offset < COUNT {
            let bytes = pattern::slice(offset, (COUNT - offset).min(12_345) as usize);
            sender.write_all(bytes).unwrap();
            hash.update(bytes);
            offset += bytes.len() as u64;
        }
        sender.shutdown(Shutdown::Write).unwrap();
        hash.finalize()
    });
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 100_000];
    loop {
        let len = client.stream.read(&mut buffer).unwrap();
        if len == 0 {
            break;
        }
        hash.update(&buffer[..len]);
    }
    assert_eq!(hash.finalize(), sending.join().unwrap());
    server.await_connections(0);
}

#[test]
fn s43_frames_come_back_with_their_type() {
    let server = Server::start(Echo::<LengthPrefixed>::default, LengthPrefixed::default());
    let mut client = server.client();
    let frame = |kind: u32, payload: &[u8]| {
        let len = u32::try_from(payload.len()).unwrap();
        [&len.to_be_bytes()[..], &kind.to_be_bytes(), payload].concat()
    };
    let big = vec![7; LengthPrefixed::MESSAGE_MAX as usize];
    let sent = [frame(1, b"one"), frame(2, b""), frame(u32::MAX, &big), frame(3, b"end")].concat();
    let mut sender = client.stream.try_clone().unwrap();
    let theirs = sent.clone();
    let sending = thread::spawn(move || theirs.chunks(100_001).for_each(|it| sender.write_all(it).unwrap()));
    let mut got = vec![0; sent.len()];
    client.stream.read_exact(&mut got).unwrap();
    sending.join().unwrap();
    assert!(got == sent);
    for byte in frame(9, b"slowly") {
        client.send([byte]);
    }
    let mut got = [0; 14];
    client.stream.read_exact(&mut got).unwrap();
    assert_eq!(got[..], frame(9, b"slowly"));
}

#[test]
fn s44_lines_come_back_with_their_ending() {
    let server = Server::start(Echo::<Lines>::default, Lines::default());
    let mut client = server.client();
    client.send("one\r\ntwo\n\nthree\r\r\nunended");
    client.stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(client.rest(), b"one\ntwo\n\nthree\r\r\nunended\n");
}

#[test]
fn s45_what_is_beyond_the_limit_ends_the_connection() {
    let lines = Server::start(Echo::<Lines>::default, Lines::default());
    let mut client = lines.client();
    client.send(vec![b'x'; Lines::LINE_MAX + 1]);
    assert_eq!(client.stream.read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    lines.await_connections(0);

    let frames = Server::start(Echo::<LengthPrefixed>::default, LengthPrefixed::default());
    let mut client = frames.client();
    client.send((LengthPrefixed::MESSAGE_MAX + 1).to_be_bytes());
    assert_eq!(client.stream.read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    frames.await_connections(0);
}
