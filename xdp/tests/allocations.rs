//! After set-up the receive and transmit paths allocate nothing. Needs root.

#[allow(dead_code, reason = "each test file uses a part")]
mod support;

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    net::UdpSocket,
    time::{Duration, Instant},
};

use bywash_xdp::{
    nic::Interface,
    program::{Mode, Program},
    socket::{Receiver, Socket, SocketConfig, Transmitter, TxChecksum},
};
use support::{CLIENT, Pair, STACK, is_root};

const DATAGRAMS: u64 = 3000;

/// Counts the allocations of each thread.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: every call goes on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promise about the layout is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the pointer came from `alloc` and so from `System`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[test]
fn receive_reserve_reflect_and_flush_allocate_nothing() {
    let before = ALLOCATIONS.get();
    drop(Box::new(1));
    assert_eq!(ALLOCATIONS.get(), before + 1, "the instrument counts");
    if !is_root() {
        return;
    }
    let pair = Pair::new(1);
    let (program, socket) = pair.stack.run(|| {
        let mut program = Program::load().unwrap();
        program.attach("v0", Mode::Native).unwrap();
        program.own(STACK.parse().unwrap()).unwrap();
        let socket = Socket::open(&SocketConfig::new(Interface::by_name("v0").unwrap().index(), 0)).unwrap();
        program.add_socket(0, &socket).unwrap();
        (program, socket)
    });
    let udp = pair.client.run(|| UdpSocket::bind((CLIENT, 7000)).unwrap());
    udp.connect((STACK, 7000)).unwrap();
    let (mut receiver, mut transmitter) = socket.split();
    let deadline = Instant::now() + Duration::from_secs(30);
    let before = ALLOCATIONS.get();
    for batch in 1..=DATAGRAMS / 50 {
        for _ in 0..50 {
            udp.send(&[7; 100]).unwrap();
        }
        while receiver.counters().packets < batch * 50 && Instant::now() < deadline {
            turn(&mut receiver, &mut transmitter);
        }
    }
    let allocated = ALLOCATIONS.get() - before;
    assert_eq!(allocated, 0);
    assert_eq!(receiver.counters().packets, DATAGRAMS, "{}", program.counters().unwrap());
    assert_eq!(transmitter.counters().packets, DATAGRAMS * 2);
    assert_eq!(transmitter.counters().reflected, DATAGRAMS);
}

/// Answers each packet with a copy and with itself.
fn turn(receiver: &mut Receiver, transmitter: &mut Transmitter) {
    transmitter.reclaim();
    let mut burst = receiver.receive(64);
    for index in 0..burst.len() {
        let length = burst.bytes(index).len();
        let mut frame = transmitter.reserve().expect("frames for both answers");
        frame[..length].copy_from_slice(burst.bytes(index));
        frame.commit(length, TxChecksum::Complete);
        transmitter
            .reflect(&mut burst, index, length, TxChecksum::Complete)
            .expect("frames for both answers");
    }
    drop(burst);
    while transmitter.flush().remaining > 0 {}
}
