//! Bulk both ways against the kernel's TCP on a path that loses, delays, reorders, duplicates and corrupts. The echo server
//! makes the kernel sender and receiver at once; `/bytes/` makes it a receiver alone. Bytes are compared by hash.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bywash_xdp::lab::{Direction, Impairment, Lab, Middle, Probability, SERVER_IPV4, SERVER_IPV6};

use crate::support::load::echo_bulk_with;
use crate::support::net::client;
use crate::support::report::Report;
use crate::support::server::{ADDRESS, ECHO, PORT, Server};
use crate::support::{Bench, Weight, bench, bench_with};

const ADDRESSES: [SocketAddr; 2] = [
    SocketAddr::new(std::net::IpAddr::V4(SERVER_IPV4), PORT),
    SocketAddr::new(std::net::IpAddr::V6(SERVER_IPV6), PORT),
];
/// The kernel's congestion controls; the first is its default here, the second most hosts' default.
const CONTROLS: [&str; 2] = ["bbr", "cubic"];
const SETTINGS: &[&str] =
    &["--framing", "raw", "--address", "fd00:198:18::1/64", "--tcp-time-wait-ms", "200"];
/// Until everything is back: the kernel's last FIN may be lost several times.
const REST_MAX: Duration = Duration::from_mins(1);

fn per_100k(frames: u32) -> Probability {
    Probability::per_100k(frames).expect("at most 100,000")
}

/// Sends `len` bytes there and back over each family with each congestion control, and says how long each took.
fn both_ways(lab: &Lab, len: u64) {
    for address in ADDRESSES {
        for control in CONTROLS {
            let start = Instant::now();
            client(lab, || echo_bulk_with(address, len, control));
            println!("{len} bytes there and back, {address}, kernel with {control}: {:?}", start.elapsed());
        }
    }
}

/// The same on an impaired path; answers what the server counted once all was over.
fn on_a_path(name: &str, impairment: Impairment, len: u64) -> Option<(Lab, Report)> {
    let middle = Middle { seed: 16, to_server: impairment, to_client: impairment };
    let Bench { lab, .. } = bench_with(name, Weight::Heavy, |lab| lab.middle(middle))?;
    let mut server = Server::start(&lab, ECHO, SETTINGS);
    both_ways(&lab, len);
    let report = server.await_rest(REST_MAX);
    assert_eq!(report.total("stack: passive_opens"), 4, "{}", report.text);
    server.stop();
    Some((lab, report))
}

#[test]
fn s16_bulk_both_ways_survives_loss_and_delay() {
    let path = Impairment {
        loss: per_100k(1_000),
        delay: Duration::from_millis(5),
        jitter: Duration::from_millis(1),
        ..Impairment::NONE
    };
    let Some((lab, report)) = on_a_path("s16loss", path, 6 << 20) else { return };
    for direction in [Direction::ToServer, Direction::ToClient] {
        let counters = lab.counters(direction).expect("a middle");
        assert!(counters.lost > 20, "{direction:?}: {counters:?}");
    }
    assert!(report.total("stack: retransmits") > 20, "{}", report.text);
}

#[test]
fn s16_bulk_both_ways_survives_reordering_duplication_and_corruption() {
    let path = Impairment {
        reorder: per_100k(3_000),
        duplicate: per_100k(1_000),
        corrupt: per_100k(200),
        ..Impairment::NONE
    };
    let Some((lab, report)) = on_a_path("s16mess", path, 6 << 20) else { return };
    let counters = lab.counters(Direction::ToServer).expect("a middle");
    assert!(counters.reordered > 20 && counters.duplicated > 20 && counters.corrupted > 5, "{counters:?}");
    // What was damaged was seen to be: by a checksum, or because the damage left no header that makes sense.
    let damaged = report.total("dropped: bad_checksum") + report.total("dropped: malformed");
    assert!(damaged > 0, "{}", report.text);
}

/// Takes minutes: part of `.ci/long`.
#[test]
#[ignore = "4.5 GB and minutes; run by .ci/long"]
fn the_sequence_numbers_wrap_within_one_connection() {
    const LEN: u64 = 4_500_000_000;
    let Some(Bench { lab, .. }) = bench("wrap", Weight::Heavy) else { return };
    let mut server = Server::start(&lab, ECHO, SETTINGS);
    let start = Instant::now();
    client(&lab, || echo_bulk_with(ADDRESS, LEN, CONTROLS[1]));
    println!("{LEN} bytes there and back took {:?}", start.elapsed());
    server.await_rest(REST_MAX);
    server.stop();
}

/// Takes minutes: part of `.ci/long`.
#[test]
#[ignore = "minutes; run by .ci/long"]
fn a_hundred_megabytes_survive_every_kind_of_path() {
    let paths = [
        ("loss5", Impairment { loss: per_100k(5_000), ..Impairment::NONE }),
        (
            "far",
            Impairment {
                loss: per_100k(100),
                delay: Duration::from_millis(40),
                jitter: Duration::from_millis(5),
                ..Impairment::NONE
            },
        ),
        (
            "mess",
            Impairment {
                loss: per_100k(1_000),
                duplicate: per_100k(2_000),
                reorder: per_100k(25_000),
                corrupt: per_100k(500),
                delay: Duration::from_millis(2),
                ..Impairment::NONE
            },
        ),
    ];
    for (name, path) in paths {
        println!("{name}: {path:?}");
        if on_a_path(name, path, 100 << 20).is_none() {
            return;
        }
    }
}
