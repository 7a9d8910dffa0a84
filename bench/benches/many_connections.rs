//! 64-byte requests over very many connections in random order, beside our own figure for few.
//!
//! From 10,000 connections on, a request finds nothing of its connection in the nearest caches; at a million, nothing
//! in any. A million connections ask so seldom that most ACKs come late and alone, as they would over a wire: each
//! request is then two segments. With a shorter turn they ask often enough for the ACK to ride on the next request.

use std::time::Instant;

use bywash_bench::ends::Bywash;
use bywash_bench::round_trip::{Load, Pair, Replay};
use bywash_bench::turns::{Contestant, each, take_turns};
use criterion::{Criterion, criterion_group, criterion_main};

/// What a request costs over one connection: in a burst with others, and alone.
const ONE: [Load; 2] = [Load::new(1, 32), Load::new(1, 1)];
const MANY: [Load; 4] = [
    Load::new(32, 32),
    Load::new(10_000, 32),
    Load { round_ns: 1000, ..Load::new(1_000_000, 32) },
    Load::new(1_000_000, 32),
];
/// Requests of one sample: several for each of 10,000 connections, so that what another sample has left in the caches
/// does not count.
const REQUESTS: u32 = 65_536;
/// Samples of each.
const TURNS: usize = 9;
/// Requests before the first sample when there are many connections: timers come due from 200 ms on.
const WARM_UP_REQUESTS: u32 = 480_000;

fn warm_up_rounds(load: Load) -> u32 {
    if load.connections >= 10_000 { load.rounds(WARM_UP_REQUESTS) } else { 0 }
}

fn server<'a>(load: Load) -> Contestant<'a> {
    let rounds = load.rounds(REQUESTS);
    let mut replay = Replay::<Bywash>::new(load, rounds);
    replay.run(warm_up_rounds(load));
    Contestant::new(format!("server half, {load}"), move || {
        replay.record(rounds);
        let begin = Instant::now();
        replay.measured();
        each(begin.elapsed(), REQUESTS)
    })
}

fn both<'a>(load: Load) -> Contestant<'a> {
    let rounds = load.rounds(REQUESTS);
    let mut pair = Pair::<Bywash>::new(load);
    pair.run(warm_up_rounds(load));
    Contestant::new(format!("both halves, {load}"), move || {
        let begin = Instant::now();
        pair.measured(rounds);
        each(begin.elapsed(), REQUESTS)
    })
}

fn many(_: &mut Criterion) {
    let [first, second] = ONE;
    for load in MANY {
        // One at a time beside the few: a million connections are two gigabytes of memory.
        take_turns("random order", "ns", TURNS, &mut [server(first), server(second), server(load)]);
        take_turns("random order", "ns", TURNS, &mut [both(first), both(second), both(load)]);
    }
}

criterion_group!(benches, many);
criterion_main!(benches);
