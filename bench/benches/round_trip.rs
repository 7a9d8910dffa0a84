//! The 64-byte round trip in memory: ours and smoltcp's.
//!
//! The same code runs in two speeds on some machines, in episodes. So the two stacks take turns within each sample, and
//! the ratio of each such pair is what counts; criterion's own times beside it are for the eye.

use std::time::{Duration, Instant};

use bywash_bench::round_trip::{Bywash, Implementation, Load, Pair, Recording, Replay, Segments, Smoltcp};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

const LOADS: [Load; 4] = [
    Load { connections: 1, batch: 1, segments: Segments::Each },
    Load { connections: 32, batch: 32, segments: Segments::Each },
    Load { connections: 1, batch: 32, segments: Segments::Each },
    Load { connections: 1000, batch: 32, segments: Segments::Each },
];
/// Requests of one sample.
const REQUESTS: u32 = 8192;
/// Pairs of samples behind each ratio.
const PAIRS: usize = 15;

fn rounds(load: Load) -> u32 {
    REQUESTS.div_ceil(load.batch)
}

/// Time of [`REQUESTS`] requests at both ends.
fn both<I: Implementation>(pair: &mut Pair<I>, load: Load) -> Duration {
    let begin = Instant::now();
    pair.measured(rounds(load));
    begin.elapsed()
}

/// The same at the server alone.
fn server<I: Implementation>(recording: &Recording) -> Duration {
    let mut replay = Replay::<I>::new(recording);
    let begin = Instant::now();
    replay.measured(recording.rounds());
    begin.elapsed()
}

/// Prints the medians and the median ratio of samples taken in turns.
fn take_turns(title: &str, mut ours: impl FnMut() -> Duration, mut theirs: impl FnMut() -> Duration) {
    let samples: Vec<(f64, f64)> = (0..PAIRS)
        .map(|_| (ours(), theirs()))
        .map(|(ours, theirs)| (per_request(ours), per_request(theirs)))
        .collect();
    let of = |pick: fn(&(f64, f64)) -> f64| median(samples.iter().map(pick).collect());
    println!(
        "{title}: bywash {:.0} ns, smoltcp {:.0} ns, ratio {:.3} (median of {PAIRS} pairs)",
        of(|s| s.0),
        of(|s| s.1),
        of(|s| s.0 / s.1),
    );
}

fn per_request(elapsed: Duration) -> f64 {
    elapsed.as_nanos() as f64 / f64::from(REQUESTS)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn ratios(_: &mut Criterion) {
    for load in LOADS {
        let (mut ours, mut theirs) = (Pair::<Bywash>::new(load), Pair::<Smoltcp>::new(load));
        take_turns(&format!("both halves, {load}"), || both(&mut ours, load), || both(&mut theirs, load));
        let recorded =
            (Recording::new::<Bywash>(load, rounds(load)), Recording::new::<Smoltcp>(load, rounds(load)));
        let title = format!("server half, {load}");
        take_turns(&title, || server::<Bywash>(&recorded.0), || server::<Smoltcp>(&recorded.1));
    }
}

fn absolute<I: Implementation>(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group(I::NAME);
    group.throughput(Throughput::Elements(REQUESTS.into()));
    for load in LOADS {
        let mut pair = Pair::<I>::new(load);
        group.bench_function(BenchmarkId::new("both halves", load), |bencher| {
            bencher.iter_custom(|samples| (0..samples).map(|_| both(&mut pair, load)).sum());
        });
        let recording = Recording::new::<I>(load, rounds(load));
        group.bench_function(BenchmarkId::new("server half", load), |bencher| {
            bencher.iter_custom(|samples| (0..samples).map(|_| server::<I>(&recording)).sum());
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10).measurement_time(Duration::from_secs(1))
        .warm_up_time(Duration::from_millis(200));
    targets = ratios, absolute::<Bywash>, absolute::<Smoltcp>
}
criterion_main!(benches);
