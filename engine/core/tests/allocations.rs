//! After a warm-up the engine allocates nothing, whatever happens on its connections.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

#[expect(dead_code, unused_imports, reason = "one harness serves two test programs")]
#[path = "scenario/harness/mod.rs"]
mod harness;

use bywash_core::shard::{ConnectionId, Events, Origin, Transport};
use bywash_core::stack::Stack;
use harness::*;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call goes to the system's allocator with the arguments as they came; the counter is a plain
// thread-local number that needs neither allocation nor destruction.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller keeps the contract of `GlobalAlloc::alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: `pointer` came from `alloc` above, thus from `System`, with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Answers each request with as many octets; closes when the peer does.
struct Echo {
    received: usize,
}

impl Events<Stack> for Echo {
    fn opened(&mut self, _host: &mut Stack, _id: ConnectionId, _origin: Origin) {}

    fn received(&mut self, host: &mut Stack, id: ConnectionId, bytes: &[u8]) -> usize {
        let written = host.write(id, bytes).unwrap_or(0);
        self.received += written;
        written
    }

    fn end_of_stream(&mut self, host: &mut Stack, id: ConnectionId, _unread: &[u8]) {
        host.close(id);
    }

    fn writable(&mut self, _host: &mut Stack, _id: ConnectionId) {}

    fn timer(&mut self, _host: &mut Stack, _id: ConnectionId) {}

    fn closed(&mut self, _host: &mut Stack, _id: ConnectionId, _reason: CloseReason) {}
}

/// Gives the frames and takes one turn; says how often memory was asked for in it.
fn turn(world: &mut World, echo: &mut Echo, frames: &[Vec<u8>]) -> u64 {
    for frame in frames {
        world.engine.port_mut().give(frame);
    }
    world.engine.port_mut().stock(128);
    let before = ALLOCATIONS.get();
    world.engine.turn(world.now, echo);
    let asked = ALLOCATIONS.get() - before;
    world.collect();
    asked
}

/// One connection opened through `turn`.
fn open(world: &mut World, echo: &mut Echo, port: u16) -> (Peer, u64) {
    let mut peer = Peer::new(world, port, Offer::FULL);
    // One clock for all its connections.
    peer.offer.clock = Some(world.now.as_millis() as u32);
    let syn = peer.repr(world, &seg(SYN, 0, 0), peer.syn_options(world));
    let frame = peer.frame(&syn, &[]);
    let mut asked = turn(world, echo, &[frame]);
    peer.expect(world, SYN_ACK, 0, 1, 0);
    let ack = peer.forge(world, &seg(ACK, 1, 1));
    asked += turn(world, echo, &[ack]);
    (peer, asked)
}

#[test]
fn ten_thousand_requests_allocate_nothing() {
    let mut world = World::new();
    let mut echo = Echo { received: 0 };
    let (mut peer, _) = open(&mut world, &mut echo, 40_000);
    let request = pattern(64);
    let mut asked = 0;
    for i in 0..11_000_u32 {
        if i == 1_000 {
            asked = 0;
        }
        let at = 1 + i * 64;
        let frame = peer.forge(&world, &seg(PSH, at, at).data(&request));
        asked += turn(&mut world, &mut echo, &[frame]);
        assert_eq!(peer.expect(&mut world, PSH, at, at + 64, 64).payload, request);
        world.now += bywash_core::base::time::Duration::from_micros(50);
    }
    assert_eq!(echo.received, 11_000 * 64);
    assert_eq!(asked, 0, "allocations in 10,000 turns");
}

#[test]
fn out_of_order_data_and_losses_allocate_nothing() {
    let mut world = World::new();
    let mut echo = Echo { received: 0 };
    let (mut peer, _) = open(&mut world, &mut echo, 40_000);
    let text = pattern(1_448);
    let mut asked = 0;
    let mut acked = 1;
    for i in 0..500_u32 {
        if i == 50 {
            asked = 0;
        }
        let at = 1 + i * 2_896;
        // The second half comes first; its echo is lost every fifth time.
        let late = peer.forge(&world, &seg(ACK, at + 1_448, acked).data(&text));
        let early = peer.forge(&world, &seg(ACK, at, acked).data(&text));
        asked += turn(&mut world, &mut echo, &[late]);
        asked += turn(&mut world, &mut echo, &[early]);
        if i % 5 == 0 {
            peer.drain(&mut world);
            world.now += bywash_core::base::time::Duration::from_millis(700);
            asked += turn(&mut world, &mut echo, &[]);
        }
        for _ in 0..4 {
            for got in peer.drain(&mut world) {
                if got.seq <= acked {
                    acked = acked.max(got.seq + got.payload.len() as u32);
                }
            }
            let ack = peer.forge(&world, &seg(ACK, at + 2_896, acked));
            asked += turn(&mut world, &mut echo, &[ack]);
        }
    }
    assert!(world.report().counters.retransmits > 50);
    assert_eq!(asked, 0);
}

#[test]
fn opening_and_closing_allocates_nothing() {
    let mut config = config();
    config.tcp.tcp_time_wait_ms = 10;
    let mut world = World::with(config, 1500);
    let mut echo = Echo { received: 0 };
    let mut asked = 0;
    for i in 0..2_000_u32 {
        if i == 1_200 {
            asked = 0;
        }
        let (mut peer, opening) = open(&mut world, &mut echo, 20_000 + (i % 700) as u16);
        asked += opening;
        let request = peer.forge(&world, &seg(PSH, 1, 1).data(b"request"));
        let fin = peer.forge(&world, &seg(FIN, 8, 1));
        asked += turn(&mut world, &mut echo, &[request, fin]);
        peer.expect(&mut world, FIN_PSH, 1, 9, 7);
        let ack = peer.forge(&world, &seg(ACK, 9, 9));
        asked += turn(&mut world, &mut echo, &[ack]);
        world.now += bywash_core::base::time::Duration::from_millis(1);
    }
    world.expect_idle();
    assert_eq!(asked, 0);
}

#[test]
fn reopening_from_time_wait_allocates_nothing() {
    let mut world = World::new();
    let mut echo = Echo { received: 0 };
    let mut asked = 0;
    // One that stays in front of the queue; the other tuple is opened again and again.
    for i in 0..4_000_u32 {
        if i == 100 {
            asked = 0;
        }
        let (mut peer, opening) = open(&mut world, &mut echo, if i == 0 { 40_000 } else { 40_001 });
        asked += opening;
        let mut open = Vec::with_capacity(1);
        world.engine.open_connections(&mut open);
        world.stack().close(open[0]);
        asked += turn(&mut world, &mut echo, &[]);
        peer.expect(&mut world, FIN, 1, 1, 0);
        let fin = peer.forge(&world, &seg(FIN, 1, 2));
        asked += turn(&mut world, &mut echo, &[fin]);
        peer.expect(&mut world, ACK, 2, 2, 0);
        world.now += bywash_core::base::time::Duration::from_millis(5);
    }
    assert_eq!(world.report().time_wait, 2);
    assert_eq!(asked, 0);
}
