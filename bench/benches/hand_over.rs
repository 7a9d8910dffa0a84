//! A frame that arrived at the wrong queue, on its way to the shard that owns its flow: through the real mesh, from
//! thread to thread. Target: 400 ns for each frame, all in.

use std::hint::black_box;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bywash::mesh::{HandOverError, Link, Mesh, MeshConfig};
use bywash::os::cores;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

/// A 64-byte request with timestamps.
const FRAME: [u8; 130] = [0x5a; 130];
/// Frames that a turn hands over, or reads, at once.
const BURST: u64 = 32;

fn mesh() -> (Link<u32>, Link<u32>) {
    let mesh = Mesh::new(2, MeshConfig::default()).expect("two eventfds");
    (mesh.link(0), mesh.link(1))
}

/// Stays on the `number`th core that this process may use, if there are so many.
fn pin(number: usize) {
    // Asked once: a pinned thread, and what it starts, may use one core only.
    static CORES: LazyLock<Vec<u32>> = LazyLock::new(|| cores::allowed().unwrap_or_default());
    if let Some(&core) = CORES.get(number) {
        // Where it fails the thread runs anywhere: the figures are worse, not wrong.
        let _ = cores::pin(core);
    }
}

/// Reads one frame as the engine does: it looks at every byte.
fn read(link: &mut Link<u32>) -> bool {
    link.next(|frame| black_box(frame.iter().fold(0_u32, |sum, byte| sum + u32::from(*byte)))).is_some()
}

/// Hands one frame over, and waits while the inbox is full.
fn hand_over(link: &mut Link<u32>, to: usize) {
    while let Err(error) = link.hand_over(to, black_box(&FRAME)) {
        assert_eq!(error, HandOverError::Full);
        std::hint::spin_loop();
    }
}

/// Each side by itself, on one core: what it computes, without what the other core's cache lines cost.
fn alone(criterion: &mut Criterion) {
    let (mut from, mut to) = mesh();
    let mut group = criterion.benchmark_group("hand over, one core");
    group.throughput(Throughput::Elements(BURST));
    group.bench_function("hand over and read 32 frames", |bencher| {
        bencher.iter(|| {
            (0..BURST).for_each(|_| hand_over(&mut from, 1));
            (0..BURST).for_each(|_| assert!(read(&mut to)));
        });
    });
    group.finish();
    criterion.bench_function("a turn that nothing was handed to", |bencher| {
        bencher.iter(|| (black_box(&mut to).next(<[u8]>::len), black_box(&mut to).next_fact()));
    });
}

/// What the rest of a turn takes, about.
fn rest_of_a_turn(from: Instant) {
    while from.elapsed() < Duration::from_micros(2) {
        std::hint::spin_loop();
    }
}

/// Time that one side spent on `frames` frames, the rest of its turns not counted.
fn hand_over_in_turns(link: &mut Link<u32>, frames: u64) -> Duration {
    let mut spent = Duration::ZERO;
    let mut left = frames;
    while left > 0 {
        let burst = left.min(BURST);
        let begin = Instant::now();
        (0..burst).for_each(|_| hand_over(link, 1));
        let end = Instant::now();
        spent += end - begin;
        left -= burst;
        rest_of_a_turn(end);
    }
    spent
}

fn read_in_turns(link: &mut Link<u32>, frames: u64) -> Duration {
    let mut spent = Duration::ZERO;
    let mut left = frames;
    while left > 0 {
        let begin = Instant::now();
        let before = left;
        while left > 0 && read(link) {
            left -= 1;
        }
        let end = Instant::now();
        if left < before {
            spent += end - begin;
        }
        rest_of_a_turn(end);
    }
    spent
}

/// From one core to the other.
fn across(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("hand over, two cores");
    group.throughput(Throughput::Elements(1));
    let mut turns = |name: &str, pick: fn(Duration, Duration) -> Duration| {
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|frames| {
                let (mut from, mut to) = mesh();
                thread::scope(|scope| {
                    let handing = scope.spawn(move || {
                        pin(1);
                        hand_over_in_turns(&mut from, frames)
                    });
                    pin(0);
                    let reading = read_in_turns(&mut to, frames);
                    pick(handing.join().expect("it does not panic"), reading)
                })
            });
        });
    };
    turns("in turns, who hands over", |handing, _| handing);
    turns("in turns, who reads", |_, reading| reading);
    turns("in turns, both", |handing, reading| handing + reading);
    group.bench_function("there and back again", |bencher| {
        bencher.iter_custom(|rounds| {
            let (mut here, mut there) = mesh();
            let ended = AtomicBool::new(false);
            thread::scope(|scope| {
                let ended = &ended;
                scope.spawn(move || {
                    pin(1);
                    while !ended.load(Ordering::Relaxed) {
                        if read(&mut there) {
                            hand_over(&mut there, 0);
                        }
                    }
                });
                pin(0);
                let begin = Instant::now();
                for _ in 0..rounds {
                    hand_over(&mut here, 1);
                    while !read(&mut here) {
                        std::hint::spin_loop();
                    }
                }
                let elapsed = begin.elapsed();
                ended.store(true, Ordering::Relaxed);
                elapsed
            })
        });
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10).measurement_time(Duration::from_secs(1))
        .warm_up_time(Duration::from_millis(200));
    targets = alone, across
}
criterion_main!(benches);
