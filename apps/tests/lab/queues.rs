//! Two queues, two shards, and flows that move between them.

use std::io::Read;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use bywash_xdp::lab::{CpuMask, Direction, Lab, Middle, Side};
use sha2::{Digest, Sha256};

use crate::support::load::{BULK, echo_bulk, pattern_hash};
use crate::support::net::{KernelTcp, ask_plaintext, client, connect};
use crate::support::server::{ADDRESS, ECHO, HTTP, Server};
use crate::support::{Bench, Weight, bench, bench_with};

const EVERY_CPU: CpuMask = CpuMask::from_bits(u64::MAX);

/// From now on everything that the client sends leaves by `queue`.
fn send_by(lab: &Lab, queue: u16) {
    // One after the other: at no time has a CPU no queue at all.
    lab.set_xps(queue, all_cpus()).expect("XPS");
    lab.set_xps(1 - queue, CpuMask::NONE).expect("XPS");
}

fn all_cpus() -> CpuMask {
    let cpus = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    if cpus >= 64 { EVERY_CPU } else { CpuMask::from_bits((1 << cpus) - 1) }
}

#[test]
fn connections_land_on_both_shards_and_both_serve() {
    let Some(Bench { lab, .. }) = bench("both", Weight::Light) else { return };
    let mut server = Server::start(&lab, HTTP, &[]);
    assert!(server.said.contains("2 shards"), "{}", server.said);
    client(&lab, || {
        let mut streams: Vec<_> = (0..64).map(|_| connect(ADDRESS)).collect();
        for _ in 0..10 {
            streams.iter_mut().for_each(ask_plaintext);
        }
    });
    let report = server.report();
    let opens = report.per_shard("stack: passive_opens");
    let sent = report.per_shard("stack: frames_sent");
    println!("connections by shard {opens:?}, frames sent {sent:?}");
    assert_eq!(opens.iter().sum::<u64>(), 64, "{}", report.text);
    // By a fair hash, fewer than 8 of 64 on one side happens once in 10^10 runs.
    assert!(opens.len() == 2 && opens.iter().all(|&count| count >= 8), "{}", report.text);
    assert!(opens.iter().zip(&sent).all(|(opens, sent)| *sent >= opens * 10), "{}", report.text);
    server.stop();
}

#[test]
fn a_download_whose_queue_is_switched_again_and_again_is_complete() {
    let Some(Bench { lab, .. }) = bench("xpsdown", Weight::Heavy) else { return };
    send_by(&lab, 0);
    let server = Server::start(&lab, HTTP, &[]);
    let before = KernelTcp::of(&lab, Side::Server);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for turn in 1.. {
                if done.load(Ordering::Relaxed) {
                    return;
                }
                thread::sleep(Duration::from_millis(50));
                send_by(&lab, turn % 2);
            }
        });
        let hash = client(&lab, || download(BULK));
        done.store(true, Ordering::Relaxed);
        assert_eq!(hash, pattern_hash(BULK));
    });
    assert_eq!(KernelTcp::of(&lab, Side::Server), before, "the server's kernel took part");
    let report = server.stop();
    assert_eq!(report.per_shard("stack: passive_opens"), [1, 0], "{}", report.text);
    assert!(report.total("stack: handed_over") > 0, "{}", report.text);
}

fn download(len: u64) -> [u8; 32] {
    let mut stream = connect(ADDRESS);
    let request = format!("GET /bytes/{len} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    std::io::Write::write_all(&mut stream, request.as_bytes()).expect("request");
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).expect("head");
        head.extend(byte);
    }
    let (mut hash, mut buffer) = (Sha256::new(), vec![0; 1 << 16]);
    loop {
        match stream.read(&mut buffer).expect("body") {
            0 => return hash.finalize().into(),
            read => hash.update(&buffer[..read]),
        }
    }
}

#[test]
fn an_upload_whose_queue_is_switched_is_complete() {
    let Some(Bench { lab, .. }) = bench("xpsup", Weight::Heavy) else { return };
    send_by(&lab, 0);
    let server = Server::start(&lab, ECHO, &[]);
    let mut switched = 0;
    client(&lab, || {
        // The kernel keeps a flow on its queue while data is in flight: a pause lets it move.
        echo_bulk(ADDRESS, 20 << 20, |sent| {
            if sent >= (switched + 1) << 21 {
                switched += 1;
                thread::sleep(Duration::from_millis(60));
                send_by(&lab, (switched % 2) as u16);
            }
        });
    });
    let report = server.stop();
    assert_eq!(report.per_shard("stack: passive_opens"), [1, 0], "{}", report.text);
    assert!(report.total("stack: handed_over") > 0, "{}", report.text);
    assert_eq!(report.total("stack: handed_over"), report.total("stack: taken_over"), "{}", report.text);
}

#[test]
fn flows_that_the_kernel_rehashes_after_a_blackout_are_complete() {
    const FLOWS: usize = 16;
    let shape = |lab: bywash_xdp::lab::LabBuilder| lab.middle(Middle { seed: 3, ..Middle::default() });
    let Some(Bench { lab, .. }) = bench_with("rehash", Weight::Heavy, shape) else { return };
    let server = Server::start(&lab, ECHO, &[]);
    let before = KernelTcp::of(&lab, Side::Server);
    // The kernel chooses another hash, and with it maybe another queue, at each retransmission timeout.
    let blackout = Duration::from_millis(1_200);
    client(&lab, || {
        thread::scope(|scope| {
            for _ in 0..FLOWS {
                // Paced, so that every flow is in the middle of its transfer when the blackout begins.
                scope.spawn(|| echo_bulk(ADDRESS, 4 << 20, |_| thread::sleep(Duration::from_millis(4))));
            }
            thread::sleep(Duration::from_millis(400));
            for direction in [Direction::ToServer, Direction::ToClient] {
                lab.blackout(direction, blackout).expect("a middle");
            }
        });
    });
    assert!(lab.counters(Direction::ToServer).expect("a middle").blacked_out > 0);
    assert_eq!(KernelTcp::of(&lab, Side::Server), before, "the server's kernel took part");
    let report = server.stop();
    println!("{} frames handed over after a blackout of {FLOWS} flows", report.total("stack: handed_over"));
    assert!(report.total("stack: handed_over") > 0, "{}", report.text);
    assert_eq!(report.total("stack: passive_opens"), FLOWS as u64, "{}", report.text);
}
