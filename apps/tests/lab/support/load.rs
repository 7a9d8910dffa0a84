//! Bulk transfers whose bytes are compared by hash.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use bywash_apps::http::pattern;
use sha2::{Digest, Sha256};
use socket2::SockRef;

use super::net::connect;

/// 100 MB.
pub(crate) const BULK: u64 = 100 << 20;

/// SHA-256 of the first `len` bytes of the pattern that `/bytes/` sends.
pub(crate) fn pattern_hash(len: u64) -> [u8; 32] {
    let (mut hash, mut offset) = (Sha256::new(), 0);
    while offset < len {
        let piece = pattern::slice(offset, usize::try_from(len - offset).unwrap_or(usize::MAX));
        hash.update(piece);
        offset += piece.len() as u64;
    }
    hash.finalize().into()
}

/// Writes the first `len` bytes of the pattern.
pub(crate) fn write_pattern(mut to: impl Write, len: u64, mut pause: impl FnMut(u64)) {
    let mut offset = 0;
    while offset < len {
        let piece = pattern::slice(offset, usize::try_from(len - offset).unwrap_or(usize::MAX));
        to.write_all(piece).expect("write");
        offset += piece.len() as u64;
        pause(offset);
    }
}

/// Sends `len` bytes to a raw echo server and compares what comes back; `pause` is called with the count sent so far.
pub(crate) fn echo_bulk(address: SocketAddr, len: u64, pause: impl FnMut(u64) + Send) {
    echo_bulk_over(connect(address), len, pause);
}

/// The same, with this congestion control of the kernel's (`TCP_CONGESTION`).
pub(crate) fn echo_bulk_with(address: SocketAddr, len: u64, control: &str) {
    let stream = connect(address);
    SockRef::from(&stream).set_tcp_congestion(control.as_bytes()).expect(control);
    echo_bulk_over(stream, len, |_| {});
}

fn echo_bulk_over(mut stream: TcpStream, len: u64, pause: impl FnMut(u64) + Send) {
    stream.set_read_timeout(Some(Duration::from_mins(1))).expect("timeout");
    stream.set_write_timeout(Some(Duration::from_mins(1))).expect("timeout");
    let sender = stream.try_clone().expect("clone");
    thread::scope(|scope| {
        scope.spawn(move || {
            write_pattern(&sender, len, pause);
            sender.shutdown(Shutdown::Write).expect("shutdown");
        });
        let (mut count, mut hash) = (0, Sha256::new());
        let mut buffer = vec![0; 1 << 16];
        loop {
            match stream.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => {
                    count += read as u64;
                    hash.update(&buffer[..read]);
                }
                Err(error) => panic!("{error} after {count} of {len} bytes"),
            }
        }
        assert_eq!(count, len);
        assert_eq!(<[u8; 32]>::from(hash.finalize()), pattern_hash(len));
    });
}
