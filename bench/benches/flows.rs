//! Connections that come and go, one that carries much, and two shards beside one.

use std::time::{Duration, Instant};

use bywash_bench::bulk::{self, Bulk};
use bywash_bench::cycle::{self, Cycles};
use bywash_bench::ends::{Bywash, Smoltcp};
use bywash_bench::shards;
use bywash_bench::turns::{Contestant, each, take_turns};
use criterion::{Criterion, criterion_group, criterion_main};

/// Samples of each behind a ratio.
const TURNS: usize = 15;
/// Connections of one sample.
const CYCLES: u32 = 2048;
/// Payload of one sample, in bytes.
const BULK_LEN: u64 = 32 << 20;

fn cycle_of<'a, I: cycle::Implementation + 'a>(at_once: u32) -> Contestant<'a> {
    let mut cycles = Cycles::<I>::new(at_once);
    let generations = CYCLES / at_once;
    Contestant::new(format!("{}, {at_once} at once", I::NAME), move || {
        let begin = Instant::now();
        cycles.measured(generations);
        each(begin.elapsed(), generations * at_once)
    })
}

fn cycles(_: &mut Criterion) {
    for at_once in [1, 32] {
        let both = &mut [cycle_of::<Smoltcp>(at_once), cycle_of::<Bywash>(at_once)];
        take_turns("open, request, reply, close; both halves", "ns", TURNS, both);
    }
}

fn bulk_of<'a, I: bulk::Implementation + 'a>(buffer: u32) -> Contestant<'a> {
    let mut bulk = Bulk::<I>::new(buffer);
    let in_one_turn = bulk.in_one_turn();
    Contestant::new(format!("{}, buffers of {buffer}, {in_one_turn} in one turn", I::NAME), move || {
        let begin = Instant::now();
        let bytes = bulk.measured(BULK_LEN);
        bytes as f64 * 8.0 / begin.elapsed().as_nanos() as f64
    })
}

fn bulks(_: &mut Criterion) {
    take_turns(
        "one connection, MTU 1500, both halves",
        "Gbit/s",
        TURNS,
        &mut [
            bulk_of::<Smoltcp>(64 << 10),
            bulk_of::<Smoltcp>(256 << 10),
            bulk_of::<Smoltcp>(1 << 20),
            bulk_of::<Bywash>(64 << 10),
            bulk_of::<Bywash>(256 << 10),
            bulk_of::<Bywash>(768 << 10),
        ],
    );
}

fn two_shards(_: &mut Criterion) {
    match shards::scaling(TURNS, Duration::from_millis(200)) {
        Ok(scaling) => println!(
            "two shards: {:.2} M requests/s, one {:.2} M, ratio {:.3} (median of {TURNS} turns, steal {:.1} %)",
            scaling.together / 1e6,
            scaling.alone / 1e6,
            scaling.ratio,
            scaling.steal * 100.0
        ),
        Err(error) => println!("two shards: not measured: {error:#}"),
    }
}

criterion_group!(benches, cycles, bulks, two_shards);
criterion_main!(benches);
