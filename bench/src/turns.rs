//! Ratios from samples that are taken in turns.
//!
//! The same code runs in two speeds on some machines, in episodes that nothing visible explains. So those that are
//! compared take turns, and the median of the ratios within each turn is what counts.

use std::fmt::Write as _;
use std::time::Duration;

use crate::machine::{Snapshot, median};

/// One of those that are compared.
pub struct Contestant<'a> {
    name: String,
    sample: Box<dyn FnMut() -> f64 + 'a>,
}

impl<'a> Contestant<'a> {
    /// Each call of `sample` measures once, in the unit that all have in common.
    pub fn new(name: impl Into<String>, sample: impl FnMut() -> f64 + 'a) -> Self {
        Self { name: name.into(), sample: Box::new(sample) }
    }
}

/// Lets each contestant measure once in each of `turns` turns (at least 1), and prints for each its median in `unit` and the
/// median of its ratios to the first one.
pub fn take_turns(title: &str, unit: &str, turns: usize, contestants: &mut [Contestant<'_>]) {
    let before = Snapshot::take();
    let samples: Vec<Vec<f64>> = (0..turns)
        .map(|_| contestants.iter_mut().map(|contestant| (contestant.sample)()).collect())
        .collect();
    let steal = before.and_then(|before| before.elapsed()).map_or(0.0, |interval| interval.steal_share());
    println!("{title} (median of {turns} turns, steal {:.1} %)", steal * 100.0);
    for (index, contestant) in contestants.iter().enumerate() {
        let value = median(samples.iter().map(|turn| turn[index]).collect());
        let ratio = median(samples.iter().map(|turn| turn[index] / turn[0]).collect());
        let mut line = format!("  {:<66} {value:>10.1} {unit}", contestant.name);
        if index > 0 {
            // Writing to a string cannot fail.
            let _ = write!(line, "   ratio {ratio:.3}");
        }
        println!("{line}");
    }
}

/// Nanoseconds for each of `count` pieces of work.
pub fn each(elapsed: Duration, count: u32) -> f64 {
    elapsed.as_nanos() as f64 / f64::from(count)
}
