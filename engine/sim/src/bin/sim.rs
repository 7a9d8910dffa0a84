//! Runs worlds by seed: one with every frame as a line, or many until the first that goes wrong.

use std::ops::Range;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use bywash_sim::{Speech, run};
use clap::Parser;

/// The seeded simulator: hosts, hostile links, and checkers for every octet, buffer and timer.
#[derive(Parser)]
struct Arguments {
    /// Run one seed and print what happens.
    #[arg(long, conflicts_with = "seeds", required_unless_present = "seeds")]
    seed: Option<u64>,
    /// Run the seeds A..B (B excluded) and stop at the first failure.
    #[arg(long, value_parser = parse_range)]
    seeds: Option<Range<u64>>,
    /// Go on after a failure, and fail at the end.
    #[arg(long)]
    keep_going: bool,
}

fn main() -> anyhow::Result<()> {
    let Arguments { seed, seeds, keep_going } = Arguments::parse();
    match (seed, seeds) {
        (Some(seed), _) => println!("{:?}", run(seed, Speech::Verbose)?),
        (None, Some(seeds)) => run_all(seeds, keep_going)?,
        (None, None) => {}
    }
    Ok(())
}

fn run_all(seeds: Range<u64>, keep_going: bool) -> anyhow::Result<()> {
    let (begun, count) = (Instant::now(), seeds.end.saturating_sub(seeds.start));
    let mut told = begun;
    let (mut frames, mut connections, mut retransmits, mut failed) = (0, 0, 0, 0);
    for seed in seeds.clone() {
        let outcome = match run(seed, Speech::Silent) {
            Ok(outcome) => outcome,
            Err(failure) if keep_going => {
                failed += 1;
                println!("{failure}");
                continue;
            }
            Err(failure) => return Err(failure.into()),
        };
        frames += outcome.frames;
        connections += outcome.connections;
        retransmits += outcome.retransmits;
        if told.elapsed() >= Duration::from_secs(5) {
            told = Instant::now();
            println!("{} of {count} seeds, {frames} frames", seed - seeds.start + 1);
        }
    }
    println!(
        "{count} seeds in {:.1} s: {connections} connections, {frames} frames, {retransmits} sent again; {failed} failed",
        begun.elapsed().as_secs_f64()
    );
    if failed == 0 { Ok(()) } else { Err(anyhow!("{failed} of {count} seeds failed")) }
}

fn parse_range(text: &str) -> anyhow::Result<Range<u64>> {
    let (start, end) = text.split_once("..").ok_or_else(|| anyhow!("a range is A..B"))?;
    Ok(start.parse().context("A is a number")?..end.parse().context("B is a number")?)
}
