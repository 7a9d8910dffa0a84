//! What befalls whole hosts.

use bywash_core::base::random::Random;
use bywash_core::base::time::{Duration, Instant};

use super::HostPlan;

/// Something that befalls a host.
#[derive(Clone, Copy, Debug)]
pub struct Upheaval {
    /// When.
    pub at: Instant,
    /// To which host.
    pub host: usize,
    /// What.
    pub what: What,
}

/// What befalls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// One of its shards gets no turn for a while.
    Stall {
        /// Which.
        shard: usize,
        /// How long.
        lasts: Duration,
    },
    /// It loses all that it knew, and comes back with new secrets.
    Reboot {
        /// How long it is off: longer than any frame of its earlier life is under way.
        off: Duration,
    },
}

/// No frame is under way for longer than this: held back twice, in a spike, on the slowest link.
const LIFETIME_MAX: Duration = Duration::from_secs(4);

pub(super) fn draw(
    random: &mut Random,
    hosts: &[HostPlan],
    start: Instant,
    storm: Duration,
) -> Vec<Upheaval> {
    let mut upheavals = Vec::new();
    for (host, plan) in hosts.iter().enumerate().filter(|(_, plan)| plan.shards() > 0) {
        let at = |random: &mut Random| start + Duration::from_nanos(random.below(1 + storm.as_nanos()));
        for _ in 0..random.below(4) {
            let shard = random.below(plan.shards() as u64) as usize;
            let bits = 4 + random.below(16);
            let lasts = Duration::from_micros(random.below(1 << bits));
            upheavals.push(Upheaval { at: at(random), host, what: What::Stall { shard, lasts } });
        }
        if random.chance_in(1, 12) {
            let off = LIFETIME_MAX + Duration::from_millis(random.below(3_000));
            upheavals.push(Upheaval { at: at(random), host, what: What::Reboot { off } });
        }
    }
    upheavals
}
