//! Which cores there are, and staying on one.

use std::collections::BTreeSet;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::config::Cores;
use crate::error::Error;

/// The cores that this process may use, lowest first.
///
/// # Errors
/// [`Error::Os`].
pub fn allowed() -> Result<Vec<u32>, Error> {
    let set = sched_getaffinity(None).map_err(Error::os("cannot ask which cores may be used"))?;
    Ok((0..CpuSet::MAX_CPU).filter(|core| set.is_set(*core)).map(|core| core as u32).collect())
}

/// Pins the calling thread to `core`.
///
/// # Errors
/// [`Error::NoSuchCore`].
pub fn pin(core: u32) -> Result<(), Error> {
    let mut set = CpuSet::new();
    let index = core as usize;
    if index < CpuSet::MAX_CPU {
        set.set(index);
    }
    sched_setaffinity(None, &set).map_err(|_| no_such(core, &allowed().unwrap_or_default()))
}

/// The core of each of `shards` shards; `None` for one that is not pinned.
///
/// # Errors
/// [`Error::NoSuchCore`] for a listed core that is not among `allowed`.
pub fn assign(choice: &Cores, shards: usize, allowed: &[u32]) -> Result<Vec<Option<u32>>, Error> {
    match choice {
        Cores::None => Ok(vec![None; shards]),
        // With fewer cores than shards the scheduler places them better than a fixed assignment.
        Cores::Auto if shards > allowed.len() => Ok(vec![None; shards]),
        Cores::Auto => Ok(allowed.iter().copied().map(Some).take(shards).collect()),
        Cores::List(list) => {
            if let Some(core) = list.iter().find(|core| !allowed.contains(core)) {
                return Err(no_such(*core, allowed));
            }
            Ok(list.iter().copied().map(Some).cycle().take(shards).collect())
        }
    }
}

/// How long an idle shard polls before it sleeps, in microseconds: `wanted`, or 20 where a core is left for others.
pub fn spin_us(wanted: Option<u32>, cores: &[Option<u32>], allowed: &[u32]) -> u32 {
    const SPIN_US: u32 = 20;
    wanted.unwrap_or_else(|| {
        let taken: BTreeSet<u32> = cores.iter().copied().flatten().collect();
        let all_taken = cores.len() >= allowed.len() && (taken.is_empty() || taken.len() >= allowed.len());
        if all_taken { 0 } else { SPIN_US }
    })
}

fn no_such(core: u32, allowed: &[u32]) -> Error {
    let names: Vec<String> = allowed.iter().map(ToString::to_string).collect();
    Error::NoSuchCore { core, allowed: names.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_get_a_core_each_while_there_are_enough() {
        assert_eq!(assign(&Cores::Auto, 2, &[0, 3, 5]).unwrap(), [Some(0), Some(3)]);
        assert_eq!(assign(&Cores::Auto, 4, &[0, 3, 5]).unwrap(), [None; 4]);
        assert_eq!(assign(&Cores::None, 2, &[0, 1]).unwrap(), [None; 2]);
        assert_eq!(assign(&Cores::List(vec![3, 5]), 3, &[0, 3, 5]).unwrap(), [Some(3), Some(5), Some(3)]);
    }

    #[test]
    fn a_core_that_does_not_exist_is_named() {
        let error = assign(&Cores::List(vec![0, 9]), 2, &[0, 1]).unwrap_err();
        assert_eq!(error.to_string(), "core 9 cannot be used; this process may use 0, 1");
        assert!(pin(u32::MAX).is_err());
    }

    #[test]
    fn nobody_spins_where_shards_fill_all_cores() {
        assert_eq!(spin_us(None, &[Some(0), Some(1)], &[0, 1]), 0);
        assert_eq!(spin_us(None, &[Some(0)], &[0, 1]), 20);
        assert_eq!(spin_us(None, &[None, None, None], &[0, 1]), 0);
        assert_eq!(spin_us(Some(7), &[Some(0), Some(1)], &[0, 1]), 7);
    }

    #[test]
    fn a_thread_can_be_pinned_to_an_allowed_core() {
        std::thread::spawn(|| {
            let core = *allowed().unwrap().last().unwrap();
            pin(core).unwrap();
            assert_eq!(allowed().unwrap(), [core]);
        })
        .join()
        .unwrap();
    }
}
