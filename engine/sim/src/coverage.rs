//! What many worlds have seen: each fault, each counter of the engine, each way to end. What stands at nought was never
//! tried.

use std::collections::BTreeMap;
use std::fmt;

use bywash_core::stack::{Counters, DropReason};

use crate::fault::{Fault, Tally};

/// Sums over worlds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Worlds.
    pub worlds: u64,
    /// What went wrong on purpose.
    pub tally: Tally,
    /// What happened in all stacks.
    pub counters: Counters,
    /// How connections ended, each end by itself.
    pub ends: BTreeMap<String, u64>,
}

impl Coverage {
    /// Adds other worlds.
    pub fn add(&mut self, other: &Self) {
        let Self { worlds, tally, counters, ends } = other;
        self.worlds += worlds;
        self.tally.add(tally);
        self.counters.add(counters);
        for (end, count) in ends {
            *self.ends.entry(end.clone()).or_default() += count;
        }
    }

    /// Faults that no world has met.
    pub fn unseen(&self) -> Vec<&'static str> {
        Fault::ALL.iter().filter(|fault| self.tally.of(**fault) == 0).map(|fault| fault.name()).collect()
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "faults:")?;
        table(f, Fault::ALL.iter().map(|fault| (fault.name(), self.tally.of(*fault))))?;
        writeln!(f, "counters:")?;
        table(f, self.counters.named())?;
        writeln!(f, "drops:")?;
        table(f, DropReason::ALL.iter().map(|reason| (reason.name(), self.counters.dropped(*reason))))?;
        writeln!(f, "ends of connections:")?;
        self.ends.iter().try_for_each(|(end, count)| writeln!(f, "  {count:>12}  {end}"))
    }
}

/// Two columns, as wide as a terminal.
fn table(f: &mut fmt::Formatter<'_>, rows: impl Iterator<Item = (&'static str, u64)>) -> fmt::Result {
    let rows: Vec<_> = rows.collect();
    for pair in rows.chunks(2) {
        for (name, count) in pair {
            write!(f, "  {name:<24} {count:>12}")?;
        }
        writeln!(f)?;
    }
    Ok(())
}
