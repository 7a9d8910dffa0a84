//! The echo server's three framings over `AF_XDP`, and what a capture of them holds.

use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::Duration;

use pcap_file::pcapng::{Block, PcapNgReader};

use crate::support::load::echo_bulk;
use crate::support::net::{client, connect};
use crate::support::server::{ADDRESS, ECHO, PORT, Server};
use crate::support::{Bench, Scratch, Weight, bench};

/// Sends everything, from a thread, then half-closes; answers what came back until the end of the stream.
fn exchange(stream: &mut TcpStream, bytes: &[u8], piece: usize) -> Vec<u8> {
    let mut sender = stream.try_clone().expect("clone");
    thread::scope(|scope| {
        scope.spawn(move || {
            bytes.chunks(piece).for_each(|piece| sender.write_all(piece).expect("write"));
            sender.shutdown(Shutdown::Write).expect("shutdown");
        });
        let mut back = Vec::new();
        stream.read_to_end(&mut back).expect("read");
        back
    })
}

#[test]
fn raw_bytes_come_back_as_they_are() {
    let Some(Bench { lab, .. }) = bench("raw", Weight::Heavy) else { return };
    let mut server = Server::start(&lab, ECHO, &["--framing", "raw", "--tcp-time-wait-ms", "200"]);
    client(&lab, || {
        echo_bulk(ADDRESS, 32 << 20, |_| {});
        // A ping-pong of single bytes.
        let mut stream = connect(ADDRESS);
        for byte in 0..=255 {
            stream.write_all(&[byte]).expect("write");
            let mut back = [0];
            stream.read_exact(&mut back).expect("read");
            assert_eq!(back, [byte]);
        }
    });
    server.await_rest(Duration::from_secs(10));
    server.stop();
}

#[test]
fn frames_come_back_with_their_length_and_type() {
    let Some(Bench { lab, .. }) = bench("length", Weight::Light) else { return };
    let server = Server::start(&lab, ECHO, &["--framing", "length"]);
    let frame = |kind: u32, len: usize| {
        let payload: Vec<u8> = (0..len).map(|at| (at * 31) as u8).collect();
        [&(len as u32).to_be_bytes()[..], &kind.to_be_bytes(), &payload].concat()
    };
    let lengths = [0, 1, 1_451, 1_452, 1_453, 65_536, 131_072, 3];
    let sent: Vec<u8> = (1..).zip(lengths).flat_map(|(kind, len)| frame(kind, len)).collect();
    client(&lab, || {
        let back = exchange(&mut connect(ADDRESS), &sent, 10_007);
        assert!(back == sent, "{} of {} bytes, or changed", back.len(), sent.len());
        // Beyond the limit, the connection is reset.
        let mut stream = connect(ADDRESS);
        stream.write_all(&u32::MAX.to_be_bytes()).expect("write");
        let error = stream.read(&mut [0; 1]).expect_err("RST");
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    });
    server.stop();
}

#[test]
fn a_message_longer_than_the_receive_buffer_ends_its_connection() {
    let Some(Bench { lab, .. }) = bench("toolong", Weight::Light) else { return };
    let server = Server::start(&lab, ECHO, &["--framing", "length", "--tcp-rmem-max", "65536"]);
    client(&lab, || {
        let mut stream = connect(ADDRESS);
        stream.write_all(&100_000_u32.to_be_bytes()).expect("write");
        // Into the send buffer; some of it never leaves. On a busy machine the RST is here before the last of it.
        let written = stream.write_all(&vec![0; 100_004]);
        let read = written.and_then(|()| stream.read(&mut [0; 1]).map(|_| ()));
        let error = read.expect_err("RST, and no standstill");
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{error}");
    });
    let report = server.stop();
    assert_eq!(report.total("dropped: receive_memory"), 1, "{}", report.text);
}

#[test]
fn lines_come_back_line_by_line() {
    let Some(Bench { lab, .. }) = bench("line", Weight::Light) else { return };
    let server = Server::start(&lab, ECHO, &["--framing", "line"]);
    client(&lab, || {
        let back = exchange(&mut connect(ADDRESS), b"one\r\ntwo\n\nthree\r\r\nunended", 5);
        assert_eq!(String::from_utf8_lossy(&back), "one\ntwo\n\nthree\r\r\nunended\n");
        let long: Vec<u8> =
            (0..2_000).flat_map(|n| format!("line {n} {}\n", "x".repeat(n % 300)).into_bytes()).collect();
        assert!(exchange(&mut connect(ADDRESS), &long, 7_001) == long);
    });
    server.stop();
}

/// A TCP segment of a capture.
#[derive(Debug, PartialEq, Eq)]
struct Segment {
    source: u16,
    destination: u16,
    flags: u8,
    payload: Vec<u8>,
}

const FIN: u8 = 1;
const SYN: u8 = 2;
const ACK: u8 = 16;

/// The IPv4 TCP segments of a pcapng file; every checksum must be complete and right.
fn segments(file: &Scratch) -> Vec<Segment> {
    let file = File::open(&file.0).expect("the capture");
    let mut reader = PcapNgReader::new(BufReader::new(file)).expect("a section header");
    let mut segments = Vec::new();
    while let Some(block) = reader.next_block() {
        let Block::EnhancedPacket(packet) = block.expect("a block") else { continue };
        assert_eq!(packet.original_len as usize, packet.data.len(), "cut short");
        segments.extend(segment(&packet.data));
    }
    segments
}

fn segment(frame: &[u8]) -> Option<Segment> {
    let ip = frame.strip_prefix(&frame[..12])?.strip_prefix(&[8, 0])?;
    if ip[9] != 6 {
        return None;
    }
    let total = usize::from(u16::from_be_bytes([ip[2], ip[3]]));
    let tcp = &ip[usize::from(ip[0] & 0xf) * 4..total];
    let mut pseudo = ip[12..20].to_vec();
    pseudo.extend([0, 6]);
    pseudo.extend((tcp.len() as u16).to_be_bytes());
    pseudo.extend(tcp);
    let words =
        pseudo.chunks(2).map(|pair| u64::from(pair[0]) << 8 | pair.get(1).map_or(0, |&low| u64::from(low)));
    assert_eq!(words.sum::<u64>() % 0xffff, 0, "a wrong checksum: {tcp:02x?}");
    Some(Segment {
        source: u16::from_be_bytes([tcp[0], tcp[1]]),
        destination: u16::from_be_bytes([tcp[2], tcp[3]]),
        flags: tcp[13],
        payload: tcp[usize::from(tcp[12] >> 4) * 4..].to_vec(),
    })
}

#[test]
fn a_capture_holds_the_handshake_the_bytes_and_the_end() {
    let Some(Bench { lab, .. }) = bench("capture", Weight::Light) else { return };
    let file = Scratch::new("capture.pcapng");
    let path = file.0.to_str().expect("a plain path");
    let server = Server::start(&lab, ECHO, &["--capture", path]);
    let port = client(&lab, || {
        let mut stream = connect(ADDRESS);
        assert_eq!(exchange(&mut stream, b"captured", 8), b"captured");
        stream.local_addr().expect("an address").port()
    });
    let report = server.stop();
    assert_eq!(report.total("capture: frames lost: the writer did not keep up"), 0, "{}", report.text);
    let segments = segments(&file);
    let flow = |segment: &&Segment| [segment.source, segment.destination].contains(&port);
    let flow: Vec<&Segment> = segments.iter().filter(flow).collect();
    let shape = |index: usize| (flow[index].source, flow[index].flags);
    assert!(flow.len() >= 7, "{flow:?}");
    assert_eq!([shape(0), shape(1), shape(2)], [(port, SYN), (PORT, SYN | ACK), (port, ACK)], "{flow:?}");
    for source in [port, PORT] {
        let sent = || flow.iter().filter(|segment| segment.source == source);
        let bytes: Vec<u8> = sent().flat_map(|segment| segment.payload.clone()).collect();
        assert_eq!(bytes, b"captured", "{flow:?}");
        assert_eq!(sent().filter(|segment| segment.flags & FIN != 0).count(), 1, "{flow:?}");
    }
}
