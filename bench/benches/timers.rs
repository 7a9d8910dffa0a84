//! The timing wheel with a million armed timers, touched in random order.
//!
//! Targets: 15 ns for what the owner's own deadline settles, 60 ns for a real unlink, 30 ns for an expiry in batches,
//! with all moves down the levels that led to it.

use std::hint::black_box;
use std::time::{Duration, Instant};

use bywash::os::huge_pages;
use bywash_core::base::random::Random;
use bywash_core::base::time::{Duration as Span, Instant as Moment};
use bywash_core::base::wheel::TimerWheel;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

const TIMERS: u32 = 1_000_000;
const START: Moment = Moment::from_secs(1_000_000);
/// Timers that one call of the wheel may take.
const BATCH: usize = 256;

/// Deadlines spread evenly over a range, and how far time goes on between two turns: about a hundred expire in each.
struct Kind {
    name: &'static str,
    from_ms: u64,
    until_ms: u64,
    step_us: u64,
}

const KINDS: [Kind; 4] = [
    Kind { name: "delayed ACK, 1 to 41 ms", from_ms: 1, until_ms: 41, step_us: 5 },
    Kind { name: "retransmission, 0.2 to 1.2 s", from_ms: 200, until_ms: 1_200, step_us: 100 },
    Kind { name: "idle, 10 to 130 s", from_ms: 10_000, until_ms: 130_000, step_us: 12_000 },
    Kind { name: "keep-alive, 2 h", from_ms: 7_200_000, until_ms: 7_260_000, step_us: 6_000 },
];

/// An empty one, on huge pages as in the server.
fn wheel() -> TimerWheel {
    let wheel = TimerWheel::new(TIMERS, START).expect("memory for a million timers");
    huge_pages::advise(wheel.address_ranges());
    wheel
}

/// A wheel with its deadlines, and two orders in which to touch them.
struct World {
    wheel: TimerWheel,
    deadlines: Vec<Moment>,
    one_order: Vec<u32>,
    other_order: Vec<u32>,
}

impl World {
    fn new(kind: &Kind) -> Self {
        let mut random = Random::from_seed(88_172_645);
        let mut order = || {
            let mut indices: Vec<u32> = (0..TIMERS).collect();
            for last in (1..indices.len()).rev() {
                indices.swap(last, random.below(last as u64 + 1) as usize);
            }
            indices
        };
        let (one_order, other_order) = (order(), order());
        let span = (kind.until_ms - kind.from_ms) * 1_000;
        let deadlines = (0..TIMERS)
            .map(|_| START + Span::from_millis(kind.from_ms) + Span::from_micros(random.below(span)))
            .collect();
        let mut world = Self { wheel: wheel(), deadlines, one_order, other_order };
        // The first time touches the memory.
        world.arm_all();
        world
    }

    /// Arms what is not armed.
    fn arm_all(&mut self) {
        for &index in &self.one_order {
            self.wheel.arm(index, self.deadlines[index as usize]);
        }
    }

    fn disarm_all(&mut self) {
        for &index in &self.other_order {
            self.wheel.disarm(index);
        }
    }

    /// Lets all expire, a turn at a time, and returns what that took.
    fn expire_all(&mut self, kind: &Kind) -> Duration {
        self.wheel = wheel();
        self.arm_all();
        let mut batch = [0; BATCH];
        let mut now = START + Span::from_millis(kind.from_ms);
        let begin = Instant::now();
        while !self.wheel.is_empty() {
            now += Span::from_micros(kind.step_us);
            loop {
                black_box(self.wheel.expire(now, &mut batch));
                if self.wheel.next_expiry().is_none_or(|next| next > now) {
                    break;
                }
            }
        }
        begin.elapsed()
    }
}

/// Criterion counts rounds; each touches all timers.
fn timed(rounds: u64, mut round: impl FnMut() -> Duration) -> Duration {
    (0..rounds).map(|_| round()).sum()
}

fn elapsed(work: impl FnOnce()) -> Duration {
    let begin = Instant::now();
    work();
    begin.elapsed()
}

fn touched(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("a million timers");
    group.throughput(Throughput::Elements(TIMERS.into()));
    for kind in &KINDS {
        let mut world = World::new(kind);
        group.bench_function(BenchmarkId::new("move later, the wheel compares", kind.name), |bencher| {
            bencher.iter_custom(|rounds| {
                timed(rounds, || {
                    elapsed(|| {
                        for &index in &world.other_order {
                            let later = world.deadlines[index as usize] + Span::from_millis(5);
                            world.wheel.arm(index, later);
                        }
                    })
                })
            });
        });
        group.bench_function(BenchmarkId::new("disarm", kind.name), |bencher| {
            bencher.iter_custom(|rounds| {
                timed(rounds, || {
                    let elapsed = elapsed(|| world.disarm_all());
                    world.arm_all();
                    elapsed
                })
            });
        });
        group.bench_function(BenchmarkId::new("arm", kind.name), |bencher| {
            bencher.iter_custom(|rounds| {
                timed(rounds, || {
                    world.disarm_all();
                    elapsed(|| world.arm_all())
                })
            });
        });
        group.bench_function(BenchmarkId::new("expire", kind.name), |bencher| {
            bencher.iter_custom(|rounds| timed(rounds, || world.expire_all(kind)));
        });
    }
    group.finish();
}

/// What an owner that keeps its deadline does: it moves it, or cancels, and has the wheel look only if that is earlier
/// than when the wheel will look anyway.
fn owner(criterion: &mut Criterion) {
    struct Owner {
        deadline: Moment,
        armed_at: Moment,
    }
    let mut world = World::new(&KINDS[2]);
    let mut owners: Vec<Owner> = (0..TIMERS)
        .map(|index| world.wheel.armed_at(index).expect("it is armed"))
        .map(|armed_at| Owner { deadline: armed_at, armed_at })
        .collect();
    let mut group = criterion.benchmark_group("a million timers");
    group.throughput(Throughput::Elements(TIMERS.into()));
    let mut change = |name: &str, deadline: fn(&Owner) -> Moment| {
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|rounds| {
                timed(rounds, || {
                    elapsed(|| {
                        for &index in &world.other_order {
                            let owner = &mut owners[index as usize];
                            owner.deadline = deadline(owner);
                            if owner.deadline < owner.armed_at {
                                world.wheel.arm(index, owner.deadline);
                            }
                        }
                    })
                })
            });
        });
    };
    change("move later, the owner compares", |owner| owner.armed_at + Span::from_millis(5));
    change("cancel, the owner compares", |_| Moment::FAR_FUTURE);
    group.finish();
}

/// A turn in which nothing is due.
fn quiet(criterion: &mut Criterion) {
    let mut world = World::new(&KINDS[2]);
    let mut batch = [0; BATCH];
    criterion.bench_function("a quiet turn", |bencher| {
        bencher.iter(|| {
            let taken = world.wheel.expire(black_box(START), &mut batch);
            (taken, world.wheel.next_expiry())
        });
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10).measurement_time(Duration::from_millis(500))
        .warm_up_time(Duration::from_millis(100));
    targets = quiet, owner, touched
}
criterion_main!(benches);
