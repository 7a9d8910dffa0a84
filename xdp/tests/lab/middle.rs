//! The third namespace and its relay.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use bywash_xdp::lab::{
    CLIENT_IPV4, Direction, Impairment, Lab, Middle, Probability, RelayCounters, SERVER_IPV4, SERVER_IPV6,
    ServerAddress, Side,
};

use crate::{Privilege, echo_bytes, leftovers, privilege, unique, with_echo_server};

const ADDRESS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(SERVER_IPV4), 5000);

fn lab_with(name: &str, to_server: Impairment, to_client: Impairment) -> Lab {
    Lab::builder(&unique(name))
        .server_address(ServerAddress::Kernel)
        .middle(Middle { seed: 42, to_server, to_client })
        .build()
        .expect("lab")
}

fn percent(frames: u32) -> Probability {
    Probability::percent(frames).expect("at most 100")
}

/// The counters once every frame has arrived.
fn settled(lab: &Lab, direction: Direction) -> RelayCounters {
    let start = Instant::now();
    loop {
        let c = lab.counters(direction).expect("middle");
        let accounted = c.sent + c.lost + c.blacked_out + c.oversized + c.overflowed + c.send_failed + c.held;
        if c.held == 0 && c.received + c.duplicated == accounted {
            return c;
        }
        assert!(start.elapsed() < Duration::from_secs(5), "frames unaccounted for: {c:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn an_unimpaired_middle_is_a_wire() {
    if privilege() == Privilege::None {
        return;
    }
    let lab = lab_with("wire", Impairment::NONE, Impairment::NONE);
    for ip in [SERVER_IPV4.into(), SERVER_IPV6.into()] {
        let address = SocketAddr::new(ip, 5000);
        with_echo_server(&lab, address, || echo_bytes(address, 4 << 20));
    }
    for direction in [Direction::ToServer, Direction::ToClient] {
        let c = settled(&lab, direction);
        assert!(c.sent > 5000, "{c:?}");
        assert_eq!((c.lost, c.oversized, c.send_failed, c.partial_checksum), (0, 0, 0, 0), "{c:?}");
    }
    lab.remove().expect("remove");
}

#[test]
fn a_hundred_megabytes_pass_in_seconds() {
    if privilege() == Privilege::None {
        return;
    }
    let lab = lab_with("bulk", Impairment::NONE, Impairment::NONE);
    let took = with_echo_server(&lab, ADDRESS, || echo_bytes(ADDRESS, 100_000_000));
    let c = settled(&lab, Direction::ToServer);
    println!("100 MB there and back took {took:?}; to the server {c:?}");
    assert!(took < Duration::from_mins(1), "{took:?}");
}

#[test]
fn losses_happen_are_counted_and_survived() {
    if privilege() == Privilege::None {
        return;
    }
    let loss = Impairment { loss: percent(1), ..Impairment::NONE };
    let lab = lab_with("loss", loss, loss);
    with_echo_server(&lab, ADDRESS, || echo_bytes(ADDRESS, 4 << 20));
    for direction in [Direction::ToServer, Direction::ToClient] {
        let c = settled(&lab, direction);
        assert!(c.lost > 0, "{c:?}");
    }
}

#[test]
fn everything_at_once_is_survived() {
    if privilege() == Privilege::None {
        return;
    }
    let storm = Impairment {
        loss: percent(1),
        duplicate: percent(1),
        corrupt: percent(1),
        reorder: percent(2),
        reorder_hold: Duration::from_millis(3),
        delay: Duration::from_millis(2),
        jitter: Duration::from_millis(1),
    };
    let lab = lab_with("storm", storm, storm);
    with_echo_server(&lab, ADDRESS, || echo_bytes(ADDRESS, 2 << 20));
    for direction in [Direction::ToServer, Direction::ToClient] {
        let c = settled(&lab, direction);
        assert!(c.lost > 0 && c.duplicated > 0 && c.corrupted > 0 && c.reordered > 0, "{c:?}");
    }
}

#[test]
fn delay_is_added_and_can_be_changed_while_running() {
    if privilege() == Privilege::None {
        return;
    }
    let delay = Duration::from_millis(20);
    let late = Impairment { delay, ..Impairment::NONE };
    let lab = lab_with("delay", late, late);
    with_echo_server(&lab, ADDRESS, || {
        let mut stream = TcpStream::connect_timeout(&ADDRESS, Duration::from_secs(10)).expect("connect");
        stream.set_nodelay(true).expect("nodelay");
        let mut round_trip = || {
            let start = Instant::now();
            stream.write_all(b"ping").expect("write");
            stream.read_exact(&mut [0; 4]).expect("read");
            start.elapsed()
        };
        let slow = round_trip();
        assert!(slow >= delay * 2, "{slow:?}");
        for direction in [Direction::ToServer, Direction::ToClient] {
            lab.impair(direction, Impairment::NONE).expect("middle");
        }
        let fast = (0..10).map(|_| round_trip()).min().expect("ten");
        println!("round trip {slow:?} with {delay:?} each way, {fast:?} without");
        assert!(fast < delay, "{fast:?}");
    });
}

#[test]
fn a_blackout_ends() {
    if privilege() == Privilege::None {
        return;
    }
    let lab = lab_with("blackout", Impairment::NONE, Impairment::NONE);
    let blackout = Duration::from_millis(300);
    with_echo_server(&lab, ADDRESS, || {
        let mut stream = TcpStream::connect_timeout(&ADDRESS, Duration::from_secs(10)).expect("connect");
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("timeout");
        let start = Instant::now();
        lab.blackout(Direction::ToServer, blackout).expect("middle");
        stream.write_all(b"ping").expect("write");
        stream.read_exact(&mut [0; 4]).expect("read");
        assert!(start.elapsed() >= blackout, "{:?}", start.elapsed());
    });
    assert!(settled(&lab, Direction::ToServer).blacked_out > 0);
    assert_eq!(settled(&lab, Direction::ToClient).blacked_out, 0);
}

#[test]
fn duplicates_and_reordering_are_seen_by_the_receiver() {
    if privilege() == Privilege::None {
        return;
    }
    let lab = lab_with("order", Impairment::NONE, Impairment::NONE);
    let server =
        lab.run_in(Side::Server, || UdpSocket::bind((SERVER_IPV4, 6000))).expect("ns").expect("bind");
    server.set_read_timeout(Some(Duration::from_millis(500))).expect("timeout");
    let client = lab.run_in(Side::Client, || UdpSocket::bind((CLIENT_IPV4, 0))).expect("ns").expect("bind");
    client.connect((SERVER_IPV4, 6000)).expect("connect");
    // The first one waits for ARP; impair afterwards.
    client.send(&[255]).expect("send");
    assert_eq!(server.recv(&mut [0; 4]).expect("receive"), 1);

    let shuffled = Impairment { duplicate: percent(20), reorder: percent(20), ..Impairment::NONE };
    lab.impair(Direction::ToServer, shuffled).expect("middle");
    for number in 0..200_u8 {
        client.send(&[number]).expect("send");
    }
    let mut arrived = Vec::new();
    let mut byte = [0];
    while server.recv(&mut byte).is_ok() {
        arrived.push(byte[0]);
    }
    let mut sorted = arrived.clone();
    sorted.sort_unstable();
    assert!(sorted != arrived, "nothing was reordered");
    let before = sorted.len();
    sorted.dedup();
    assert_eq!(sorted, (0..200).collect::<Vec<u8>>());
    let duplicated = settled(&lab, Direction::ToServer).duplicated;
    let seen = (before - sorted.len()) as u64;
    // The client's kernel sends a few frames of its own, which may be duplicated too.
    assert!((1..=duplicated).contains(&seen), "{seen} seen, {duplicated} made");
}

#[test]
fn a_lab_with_a_middle_leaves_nothing_behind() {
    if privilege() == Privilege::None {
        return;
    }
    let name = unique("three");
    let lab = Lab::builder(&name).middle(Middle::default()).build().expect("lab");
    assert_eq!(leftovers(&name).len(), 3);
    lab.remove().expect("remove");
    assert_eq!(leftovers(&name), Vec::<String>::new());
}
