//! The 64-byte round trip in memory: ours and smoltcp's, in turns; criterion's own times beside it are for the eye.

use std::time::{Duration, Instant};

use bywash_bench::ends::{Bywash, Smoltcp};
use bywash_bench::round_trip::{Implementation, Load, Pair, Replay};
use bywash_bench::turns::{Contestant, each, take_turns};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

const LOADS: [Load; 3] = [Load::new(1, 1), Load::new(1, 32), Load::new(32, 32)];
/// Requests of one sample.
const REQUESTS: u32 = 8192;
/// Samples of each behind a ratio.
const TURNS: usize = 15;

/// Time of a request at both ends.
fn both<'a, I: Implementation + 'a>(load: Load, requests: u32) -> Contestant<'a> {
    let mut pair = Pair::<I>::new(load);
    let rounds = load.rounds(requests);
    Contestant::new(format!("{}, both halves, {load}", I::NAME), move || {
        let begin = Instant::now();
        pair.measured(rounds);
        each(begin.elapsed(), rounds * load.batch)
    })
}

/// The same at the server alone.
fn server<'a, I: Implementation + 'a>(load: Load, requests: u32) -> Contestant<'a> {
    let rounds = load.rounds(requests);
    let mut replay = Replay::<I>::new(load, rounds);
    Contestant::new(format!("{}, server half, {load}", I::NAME), move || {
        replay.record(rounds);
        let begin = Instant::now();
        replay.measured();
        each(begin.elapsed(), rounds * load.batch)
    })
}

fn ratios(_: &mut Criterion) {
    for load in LOADS {
        let halves = &mut [server::<Smoltcp>(load, REQUESTS), server::<Bywash>(load, REQUESTS)];
        take_turns("64-byte requests", "ns", TURNS, halves);
        let whole = &mut [both::<Smoltcp>(load, REQUESTS), both::<Bywash>(load, REQUESTS)];
        take_turns("64-byte requests", "ns", TURNS, whole);
    }
    // smoltcp goes through all its sockets for each frame.
    for (connections, requests, turns) in [(1000, 2048, 9), (10_000, 256, 5)] {
        let load = Load::new(connections, 32);
        let whole = &mut [both::<Smoltcp>(load, requests), both::<Bywash>(load, REQUESTS)];
        take_turns("64-byte requests", "ns", turns, whole);
    }
}

fn absolute<I: Implementation>(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group(I::NAME);
    group.throughput(Throughput::Elements(REQUESTS.into()));
    for load in LOADS {
        let rounds = load.rounds(REQUESTS);
        let mut pair = Pair::<I>::new(load);
        group.bench_function(BenchmarkId::new("both halves", load), |bencher| {
            bencher.iter(|| pair.measured(rounds));
        });
        let mut replay = Replay::<I>::new(load, rounds);
        group.bench_function(BenchmarkId::new("server half", load), |bencher| {
            bencher.iter_custom(|samples| {
                let sample = |_| {
                    replay.record(rounds);
                    let begin = Instant::now();
                    replay.measured();
                    begin.elapsed()
                };
                (0..samples).map(sample).sum()
            });
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10).measurement_time(Duration::from_millis(500))
        .warm_up_time(Duration::from_millis(200));
    targets = ratios, absolute::<Bywash>, absolute::<Smoltcp>
}
criterion_main!(benches);
