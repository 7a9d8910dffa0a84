//! Each stage of a request by itself: times for the eye. Instruction counts of the same stages are what is kept.

use std::time::Duration;

use bywash_bench::stages::{NAMES, stage};
use criterion::{Criterion, criterion_group, criterion_main};

/// Units of one iteration.
const UNITS: u32 = 1024;

fn stages(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("stage, 1024 units");
    for (name, _) in NAMES {
        let Some(mut stage) = stage(name) else { panic!("no stage is called {name}") };
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|iterations| (0..iterations).map(|_| stage.run(UNITS)).sum());
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10).measurement_time(Duration::from_millis(400))
        .warm_up_time(Duration::from_millis(100));
    targets = stages
}
criterion_main!(benches);
