//! From a choice to running shards: the lab if there is one, then the backend.

use bywash_core::shard::Application;

use super::choose::{self, AfXdp, Choice, Circumstances};
use super::kernel;
use super::{Clock, ShardInfo};
use super::{bypass, control};
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
        Choice::Xdp(place) => {
            let launch = bypass::prepare(config, place, hint, clock)?;
            control::serve(launch, config, make)
        }
    }
}

fn circumstances() -> Result<Circumstances, Error> {
    Ok(Circumstances { missing: privileges::missing_for_xdp()?, af_xdp: af_xdp() })
}

fn af_xdp() -> AfXdp {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
    match socket_with(AddressFamily::XDP, SocketType::RAW, SocketFlags::CLOEXEC, None) {
        Err(rustix::io::Errno::AFNOSUPPORT) => AfXdp::Absent,
        // Without the privilege the kernel says EPERM, but only where it knows the family.
        Ok(_) | Err(_) => AfXdp::Present,
    }
}
