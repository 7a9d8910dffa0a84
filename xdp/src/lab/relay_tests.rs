use std::fs;
use std::net::UdpSocket;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::lab::netlink::index_of;
use crate::lab::packet::{BATCH, Fanout, PacketReceiver};
use crate::lab::steering::lane_cpus;
use crate::lab::{
    CLIENT_IPV4, CpuMask, Direction, Impairment, Lab, Middle, SERVER_INTERFACE, SERVER_IPV4, ServerAddress,
    Side,
};

/// One test at a time: the lanes of all labs have the same names.
static TURN: Mutex<()> = Mutex::new(());

/// A lab with a middle, or `None` (and a line that says so) without root.
fn lab(name: &str) -> Option<Lab> {
    if !rustix::process::geteuid().is_root() {
        // Written past the capture of the test harness, so that it is seen.
        let _ = std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("skipped: needs root\n"));
        return None;
    }
    let name = format!("labtest-{name}-{}", std::process::id());
    let builder = Lab::builder(&name).server_address(ServerAddress::Kernel).middle(Middle::default());
    Some(builder.build().expect("lab"))
}

fn client_socket(lab: &Lab) -> UdpSocket {
    let socket = lab.run_in(Side::Client, || UdpSocket::bind((CLIENT_IPV4, 0))).expect("ns").expect("bind");
    socket.connect((SERVER_IPV4, 9)).expect("connect");
    socket
}

/// How many frames wait in a receiver.
fn count_frames(receiver: &mut PacketReceiver) -> usize {
    let mut buffers: Vec<Box<[u8]>> = (0..BATCH).map(|_| vec![0; 2048].into_boxed_slice()).collect();
    let mut received = Vec::new();
    let mut count = 0;
    while receiver.receive(&mut buffers, &mut received).is_ok() {
        count += received.len();
    }
    count
}

#[test]
fn frames_keep_the_queue_that_their_sender_chose() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(lab) = lab("queue") else { return };
    if lane_cpus(2).expect("affinity").is_none() {
        // Written past the capture of the test harness, so that it is seen.
        let _ = std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("skipped: needs two CPUs\n"));
        return;
    }
    let open = || {
        let index = index_of(SERVER_INTERFACE).expect("v0");
        PacketReceiver::open(index, Some(Fanout { group: 7 })).expect("receiver")
    };
    let mut receivers = lab.run_in(Side::Server, || [open(), open()]).expect("namespace");
    let cpus = thread::available_parallelism().map_or(1, |n| n.get().min(64));
    let everywhere = CpuMask::from_bits(u64::MAX >> (64 - cpus));
    let discard = lab.run_in(Side::Server, || UdpSocket::bind((SERVER_IPV4, 9))).expect("ns").expect("bind");
    for queue in [0, 1, 0] {
        lab.set_xps(1 - queue, CpuMask::NONE).expect("xps");
        lab.set_xps(queue, everywhere).expect("xps");
        let socket = client_socket(&lab);
        socket.send(b"resolves the neighbour").expect("send");
        thread::sleep(Duration::from_millis(100));
        for receiver in &mut receivers {
            count_frames(receiver);
        }
        for _ in 0..50 {
            socket.send(b"discard").expect("send");
        }
        thread::sleep(Duration::from_millis(100));
        let counts = receivers.each_mut().map(count_frames);
        let (chosen, other) = (counts[usize::from(queue)], counts[usize::from(1 - queue)]);
        assert!(chosen >= 50 && other <= 5, "queue {queue} was chosen, {counts:?} arrived");
    }
    drop(discard);
}

#[test]
fn a_relay_with_nothing_to_do_sleeps() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(lab) = lab("idle") else { return };
    let delay = Duration::from_millis(600);
    lab.impair(Direction::ToServer, Impairment { delay, ..Impairment::NONE }).expect("middle");
    client_socket(&lab).send(b"starts with an ARP request").expect("send");
    let start = lane_ticks();
    thread::sleep(delay / 2);
    assert!(lab.counters(Direction::ToServer).expect("middle").held > 0, "something is on its way");
    let used = lane_ticks() - start;
    // A tick is 10 ms: one spinning lane would have used 30.
    assert!(used < 10, "{used} ticks");
}

/// CPU time of all lanes of this process, in clock ticks.
fn lane_ticks() -> u64 {
    let tasks = fs::read_dir("/proc/self/task").expect("procfs");
    tasks
        .filter_map(|task| fs::read_to_string(task.ok()?.path().join("stat")).ok())
        .filter(|stat| stat.contains("(lab-relay-"))
        .filter_map(|stat| {
            // utime and stime are fields 14 and 15 of proc(5), the 12th and 13th after the name.
            let after_name = stat.rsplit(") ").next()?.to_owned();
            let mut fields = after_name.split(' ').skip(11).map(|n| n.parse::<u64>().unwrap_or(0));
            Some(fields.next()? + fields.next()?)
        })
        .sum()
}
