//! From a choice to running shards: the lab if there is one, then the backend.

use bywash_core::shard::Application;

use super::choose::{self, AfXdp, Choice, Circumstances};
use super::control;
use super::kernel;
use super::{Clock, ShardInfo};
use crate::config::Config;
use crate::error::Error;
use crate::os::privileges;

/// Chooses a backend, sets it up and serves on it.
pub(super) fn start<A, F>(config: &Config, hint: Option<&'static str>, make: &F) -> Result<(), Error>
where
    A: Application,
    F: Fn(ShardInfo) -> (A, A::Codec) + Sync,
{
    let clock = Clock::start();
    match choose::choose(config, &circumstances()?)? {
        Choice::Mio(place, why) => {
            let launch = kernel::prepare(config, place, &why, hint, clock)?;
            control::serve(launch, config, make)
        }
        Choice::Xdp(_) => Err(Error::NoAfXdp),
    }
}

fn circumstances() -> Result<Circumstances, Error> {
    Ok(Circumstances { missing: privileges::missing_for_xdp()?, af_xdp: AfXdp::Present })
}
