//! 64-byte round trips in memory, to be run under callgrind:
//! `valgrind --tool=callgrind --toggle-collect='*measured*' roundtrip --stack bywash --half server --batch 32`.

use bywash_bench::ends::{Bywash, Smoltcp};
use bywash_bench::round_trip::{Implementation, Load, Pair, Replay, Segments};
use clap::{Parser, ValueEnum};

/// 64-byte round trips in memory.
#[derive(Debug, Parser)]
struct Arguments {
    /// Whose TCP.
    #[arg(long, value_enum)]
    stack: StackName,
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
    /// Requests, rounded up to whole batches.
    #[arg(long, default_value_t = 4096)]
    requests: u32,
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

fn main() {
    let arguments = Arguments::parse();
    match arguments.stack {
        StackName::Bywash => run::<Bywash>(&arguments),
        StackName::Smoltcp => run::<Smoltcp>(&arguments),
    }
}

fn run<I: Implementation>(arguments: &Arguments) {
    let load = Load {
        segments: match arguments.segments {
            SegmentsName::Each => Segments::Each,
            SegmentsName::Merged => Segments::Merged,
        },
        ..Load::new(arguments.connections.unwrap_or(arguments.batch), arguments.batch)
    };
    let rounds = load.rounds(arguments.requests);
    let elapsed = match arguments.half {
        Half::Both => {
            let mut pair = Pair::<I>::new(load);
            let begin = std::time::Instant::now();
            pair.measured(rounds);
            let elapsed = begin.elapsed();
            pair.finish();
            elapsed
        }
        Half::Server => {
            let mut replay = Replay::<I>::new(load, rounds);
            replay.record(rounds);
            let begin = std::time::Instant::now();
            replay.measured();
            begin.elapsed()
        }
    };
    let requests = u64::from(rounds) * u64::from(load.batch);
    let each = elapsed.as_nanos() as f64 / requests as f64;
    println!("{}: {requests} requests, {load}, {each:.1} ns per request", I::NAME);
}
