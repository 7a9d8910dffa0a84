//! The Internet checksum beside a plain copy of the same bytes, in the first level's cache.
//!
//! The three take turns within each sample, and what counts is the ratio to the copy.

use std::hint::black_box;
use std::time::{Duration, Instant};

use bywash_core::wire::Sum;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

/// An IPv4 header, an ACK with timestamps, the usual request and its segment, one of odd length, and full segments.
const LENGTHS: [usize; 8] = [20, 32, 64, 96, 117, 200, 536, 1460];
/// Bytes of one sample, about.
const SAMPLE: usize = 2_000_000;
/// Turns behind each median.
const TURNS: usize = 41;

#[inline(never)]
fn sum(bytes: &[u8]) -> Sum {
    Sum::of(bytes)
}

#[inline(never)]
fn sum_and_copy(to: &mut [u8], from: &[u8]) -> Sum {
    Sum::copy(to, from)
}

#[inline(never)]
fn plain_copy(to: &mut [u8], from: &[u8]) {
    to.copy_from_slice(from);
}

/// Nanoseconds of one call.
fn timed(calls: usize, mut call: impl FnMut()) -> f64 {
    let begin = Instant::now();
    for _ in 0..calls {
        call();
    }
    begin.elapsed().as_nanos() as f64 / calls as f64
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn ratios(_: &mut Criterion) {
    println!("bytes: sum, sum and copy, plain copy in ns; ratios to the copy (medians of {TURNS} turns)");
    for len in LENGTHS {
        let (from, mut to) = (vec![0x5a; len], vec![0; len]);
        let calls = SAMPLE / len;
        let turns: Vec<[f64; 3]> = (0..TURNS)
            .map(|_| {
                [
                    timed(calls, || _ = black_box(sum(black_box(&from)))),
                    timed(calls, || _ = black_box(sum_and_copy(black_box(&mut to), black_box(&from)))),
                    timed(calls, || plain_copy(black_box(&mut to), black_box(&from))),
                ]
            })
            .collect();
        let of = |pick: fn(&[f64; 3]) -> f64| median(turns.iter().map(pick).collect());
        println!(
            "{len:5}: {:.2}, {:.2}, {:.2} ns; {:.2}, {:.2}",
            of(|t| t[0]),
            of(|t| t[1]),
            of(|t| t[2]),
            of(|t| t[0] / t[2]),
            of(|t| t[1] / t[2]),
        );
    }
}

fn absolute(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("checksum");
    for len in LENGTHS {
        let (from, mut to) = (vec![0x5a; len], vec![0; len]);
        group.throughput(Throughput::Bytes(len as u64));
        group.bench_function(BenchmarkId::new("sum", len), |bencher| {
            bencher.iter(|| sum(black_box(&from)));
        });
        group.bench_function(BenchmarkId::new("sum and copy", len), |bencher| {
            bencher.iter(|| sum_and_copy(black_box(&mut to), black_box(&from)));
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10).measurement_time(Duration::from_millis(500))
        .warm_up_time(Duration::from_millis(100));
    targets = ratios, absolute
}
criterion_main!(benches);
