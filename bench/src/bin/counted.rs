//! Workloads in memory, to be run under callgrind:
//! `valgrind --tool=callgrind --toggle-collect='*::measured' counted round-trip --half server --batch 32`.
//!
//! Prints how many units of work were measured, first of all.

use std::time::{Duration, Instant};

use bywash_bench::bulk::{self, Bulk};
use bywash_bench::cycle::{self, Cycles};
use bywash_bench::ends::{Bywash, Smoltcp};
use bywash_bench::round_trip::{self, Load, Pair, Replay, Segments};
use bywash_bench::stages::stage;
use clap::{Args, Parser, Subcommand, ValueEnum};

/// Workloads in memory.
#[derive(Debug, Parser)]
struct Arguments {
    /// Whose TCP.
    #[arg(long, value_enum, default_value_t = StackName::Bywash)]
    stack: StackName,
    /// Units of work, rounded up to what can be done at once.
    #[arg(long, default_value_t = 4096)]
    count: u32,
    #[command(subcommand)]
    workload: Workload,
}

#[derive(Clone, Debug, Subcommand)]
enum Workload {
    /// 64-byte requests and replies; a unit is one of them.
    RoundTrip(RoundTrip),
    /// Open, one 64-byte request and reply, close; a unit is a connection.
    Cycle {
        /// Connections in one generation.
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1024))]
        at_once: u32,
    },
    /// One connection that carries what it can; a unit is 1448 bytes.
    Bulk {
        /// Send and receive buffer in bytes.
        #[arg(long, default_value_t = 65_536)]
        buffer: u32,
    },
    /// One stage of our engine.
    Stage {
        /// Its name.
        name: String,
    },
}

#[derive(Clone, Debug, Args)]
struct RoundTrip {
    /// Requests in one turn of the server.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1024))]
    batch: u32,
    /// Connections that take turns [default: one for each request of a batch].
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    connections: Option<u32>,
    /// How the requests that one connection has in a batch travel.
    #[arg(long, value_enum, default_value_t = SegmentsName::Each)]
    segments: SegmentsName,
    /// What is measured.
    #[arg(long, value_enum, default_value_t = Half::Both)]
    half: Half,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum StackName {
    Bywash,
    Smoltcp,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum SegmentsName {
    Each,
    Merged,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Half {
    Both,
    Server,
}

/// What was measured.
struct Measured {
    units: u64,
    elapsed: Duration,
}

impl Measured {
    fn of(units: u32, work: impl FnOnce()) -> Self {
        let begin = Instant::now();
        work();
        Self { units: units.into(), elapsed: begin.elapsed() }
    }
}

fn main() {
    let Arguments { stack, count, workload } = Arguments::parse();
    let measured = match stack {
        StackName::Bywash => run::<Bywash>(&workload, count),
        StackName::Smoltcp => run::<Smoltcp>(&workload, count),
    };
    let each = measured.elapsed.as_nanos() as f64 / measured.units as f64;
    println!("{} units, {each:.1} ns each: {stack:?} {workload:?}", measured.units);
}

fn run<I: round_trip::Implementation + cycle::Implementation + bulk::Implementation>(
    workload: &Workload,
    count: u32,
) -> Measured {
    match workload {
        Workload::RoundTrip(round_trip) => requests::<I>(round_trip, count),
        Workload::Cycle { at_once } => {
            let generations = count.div_ceil(*at_once);
            let mut cycles = Cycles::<I>::new(*at_once);
            Measured::of(generations * at_once, || cycles.measured(generations))
        }
        Workload::Bulk { buffer } => {
            let mut bulk = Bulk::<I>::new(*buffer);
            let begin = Instant::now();
            let bytes = bulk.measured(u64::from(count) * 1448);
            Measured { units: bytes / 1448, elapsed: begin.elapsed() }
        }
        Workload::Stage { name } => {
            let mut stage = stage(name).unwrap_or_else(|| panic!("no stage is called {name}"));
            Measured { units: count.into(), elapsed: stage.run(count) }
        }
    }
}

fn requests<I: round_trip::Implementation>(asked: &RoundTrip, count: u32) -> Measured {
    let load = Load {
        segments: match asked.segments {
            SegmentsName::Each => Segments::Each,
            SegmentsName::Merged => Segments::Merged,
        },
        ..Load::new(asked.connections.unwrap_or(asked.batch), asked.batch)
    };
    let rounds = load.rounds(count);
    match asked.half {
        Half::Both => {
            let mut pair = Pair::<I>::new(load);
            let measured = Measured::of(rounds * load.batch, || pair.measured(rounds));
            pair.finish();
            measured
        }
        Half::Server => {
            let mut replay = Replay::<I>::new(load, rounds);
            replay.record(rounds);
            Measured::of(rounds * load.batch, || replay.measured())
        }
    }
}
