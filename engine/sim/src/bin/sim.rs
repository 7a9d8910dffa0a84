//! Runs worlds by seed: one with its plan and, if asked for, every frame as a line; or many until the first that goes
//! wrong.

use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use bywash_sim::coverage::Coverage;
use bywash_sim::plan::Plan;
use bywash_sim::{Failure, Speech, run};
use clap::Parser;

/// The seeded simulator: hosts, hostile links, and checkers for every octet, buffer and timer.
#[derive(Parser)]
struct Arguments {
    /// Run one seed: print its plan and how it ended.
    #[arg(long, conflicts_with = "seeds", required_unless_present_any = ["seeds", "goodput"])]
    seed: Option<u64>,
    /// With --seed: every frame and event as a line.
    #[arg(long, requires = "seed")]
    trace: bool,
    /// Run the seeds A..B (B excluded) and stop at the first failure.
    #[arg(long, value_parser = parse_range)]
    seeds: Option<Range<u64>>,
    /// Print what a bulk transfer gets out of paths, by algorithm: the table of docs/goodput.md.
    #[arg(long, conflicts_with_all = ["seed", "seeds"])]
    goodput: bool,
    /// Go on after a failure, and fail at the end.
    #[arg(long)]
    keep_going: bool,
    /// Worlds at a time: 1 to 64.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=64))]
    jobs: u64,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    if arguments.goodput {
        print!("{}", bywash_sim::goodput::table()?);
        return Ok(());
    }
    match (arguments.seed, arguments.seeds.clone()) {
        (Some(seed), _) => run_one(seed, if arguments.trace { Speech::Verbose } else { Speech::Silent }),
        (None, Some(seeds)) => run_all(&seeds, &arguments),
        (None, None) => Ok(()),
    }
}

fn run_one(seed: u64, speech: Speech) -> anyhow::Result<()> {
    println!("{:#?}", Plan::of(seed));
    let outcome = run(seed, speech)?;
    println!("well after {:?}, hash {:016x}\n{}", outcome.elapsed, outcome.hash, outcome.coverage);
    Ok(())
}

/// What all jobs share.
struct Progress {
    next: AtomicU64,
    stop: AtomicBool,
    coverage: Mutex<Coverage>,
    failures: Mutex<Vec<Failure>>,
}

fn run_all(seeds: &Range<u64>, arguments: &Arguments) -> anyhow::Result<()> {
    let begun = Instant::now();
    let progress = Progress {
        next: AtomicU64::new(seeds.start),
        stop: AtomicBool::new(false),
        coverage: Mutex::default(),
        failures: Mutex::default(),
    };
    std::thread::scope(|scope| {
        for _ in 0..arguments.jobs {
            scope.spawn(|| work(&progress, seeds.end, arguments.keep_going));
        }
        tell(&progress, seeds);
    });
    let coverage = progress.coverage.into_inner().map_err(|_| anyhow!("a job panicked"))?;
    let failures = progress.failures.into_inner().map_err(|_| anyhow!("a job panicked"))?;
    println!("{coverage}");
    for fault in coverage.unseen() {
        println!("never happened: {fault}");
    }
    let elapsed = begun.elapsed().as_secs_f64();
    println!("{} seeds well in {elapsed:.1} s, {} not", coverage.worlds, failures.len());
    if failures.is_empty() { Ok(()) } else { Err(anyhow!("{} of the seeds failed", failures.len())) }
}

/// Runs worlds until there are none left or one has failed.
fn work(progress: &Progress, end: u64, keep_going: bool) {
    while !progress.stop.load(Ordering::Relaxed) {
        let seed = progress.next.fetch_add(1, Ordering::Relaxed);
        if seed >= end {
            return;
        }
        match run(seed, Speech::Silent) {
            Ok(outcome) => {
                if let Ok(mut coverage) = progress.coverage.lock() {
                    coverage.add(&outcome.coverage);
                }
            }
            Err(failure) => {
                println!("{failure}");
                if let Ok(mut failures) = progress.failures.lock() {
                    failures.push(failure);
                }
                progress.stop.fetch_or(!keep_going, Ordering::Relaxed);
            }
        }
    }
}

/// Says now and then how far it is.
fn tell(progress: &Progress, seeds: &Range<u64>) {
    let mut told = Instant::now();
    loop {
        std::thread::sleep(Duration::from_millis(20));
        let next = progress.next.load(Ordering::Relaxed);
        if next >= seeds.end || progress.stop.load(Ordering::Relaxed) {
            return;
        }
        if told.elapsed() >= Duration::from_secs(10) {
            told = Instant::now();
            println!("{} of {} seeds", next - seeds.start, seeds.end - seeds.start);
        }
    }
}

fn parse_range(text: &str) -> anyhow::Result<Range<u64>> {
    let (start, end) = text.split_once("..").ok_or_else(|| anyhow!("a range is A..B"))?;
    Ok(start.parse().context("A is a number")?..end.parse().context("B is a number")?)
}
