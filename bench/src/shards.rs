//! Two shards on two cores, each with a load of its own, beside one that has the machine for itself.

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use crate::ends::Bywash;
use crate::machine::{Snapshot, median, pin};
use crate::round_trip::{Load, Pair};

/// What each shard does: 32 connections, each with a request in each turn, client's half and server's half.
const LOAD: Load = Load::new(32, 32);
/// Rounds between two looks at the clock.
const ROUNDS: u32 = 16;
/// The cores in use.
const CORES: [usize; 2] = [0, 1];

/// How two shards did.
#[derive(Clone, Copy, Debug)]
pub struct Scaling {
    /// Median requests per second of a shard that runs alone.
    pub alone: f64,
    /// Median requests per second of both together.
    pub together: f64,
    /// Median of the ratios within each turn.
    pub ratio: f64,
    /// What the hypervisor took meanwhile, as a share of all cores' time.
    pub steal: f64,
}

/// Measures in `turns` turns (at least 1): each shard alone, then both together, `phase` each.
///
/// # Errors
/// On a machine with one core.
pub fn scaling(turns: usize, phase: Duration) -> Result<Scaling> {
    let before = Snapshot::take()?;
    let barrier = &Barrier::new(CORES.len());
    let rates = thread::scope(|scope| {
        let shards = CORES.map(|core| scope.spawn(move || shard(core, barrier, turns, phase)));
        let rates = shards.map(|shard| shard.join().expect("a shard's thread ends in order"));
        rates.into_iter().collect::<Result<Vec<_>>>()
    })?;
    let (first, second) = (&rates[0], &rates[1]);
    let turns: Vec<(f64, f64)> = first
        .iter()
        .zip(second)
        .map(|(first, second)| (f64::midpoint(first.alone, second.alone), first.together + second.together))
        .collect();
    let of = |pick: fn(&(f64, f64)) -> f64| median(turns.iter().map(pick).collect());
    let steal = before.elapsed()?.steal_share();
    Ok(Scaling {
        alone: of(|turn| turn.0),
        together: of(|turn| turn.1),
        ratio: of(|turn| turn.1 / turn.0),
        steal,
    })
}

/// Requests per second of one shard in one turn.
struct Rates {
    alone: f64,
    together: f64,
}

/// One shard's thread: it waits while another one runs alone.
fn shard(core: usize, barrier: &Barrier, turns: usize, phase: Duration) -> Result<Vec<Rates>> {
    let pinned = pin(core).context("two shards need two cores");
    let mut pair = Pair::<Bywash>::new(LOAD);
    let rates = (0..turns)
        .map(|_| {
            let mut alone = 0.0;
            for running in CORES {
                barrier.wait();
                if running == core {
                    alone = rate(&mut pair, phase);
                }
            }
            barrier.wait();
            Rates { alone, together: rate(&mut pair, phase) }
        })
        .collect();
    // Not earlier: the other one would wait for ever.
    pinned.map(|()| rates)
}

fn rate(pair: &mut Pair<Bywash>, phase: Duration) -> f64 {
    let begin = Instant::now();
    let mut rounds = 0;
    while begin.elapsed() < phase {
        pair.measured(ROUNDS);
        rounds += ROUNDS;
    }
    f64::from(rounds) * f64::from(LOAD.batch) / begin.elapsed().as_secs_f64()
}
