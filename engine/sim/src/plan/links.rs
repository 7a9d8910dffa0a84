//! The links of a world.

use bywash_core::base::random::Random;
use bywash_core::base::time::{Duration, Instant};

use super::pick;
use crate::fault::loss::LossConfig;
use crate::fault::outage::{Period, Spike};
use crate::link::LinkConfig;

/// Octets that even the slowest link carries in good time.
pub(super) fn slowest(links: &[LinkConfig]) -> u64 {
    let rates = links.iter().map(|link| link.rate).filter(|rate| *rate > 0);
    rates.min().map_or(u64::MAX, |rate| rate / 8 * 4).max(16)
}

/// A link that does each harm or does not.
pub(super) fn draw(random: &mut Random, start: Instant, storm: Duration, _mtu: u16) -> LinkConfig {
    let delay = Duration::from_micros(pick(random, &[5, 200, 5_000, 80_000]));
    let jitter_max = delay.as_nanos() / pick(random, &[1, 10, 1000]);
    let mut link = LinkConfig {
        delay,
        jitter: Duration::from_nanos(random.below(1 + jitter_max)),
        rate: pick(random, &[0, 0, 1_000_000_000, 20_000_000, 1_000_000]),
        queue_max: pick(random, &[3, 20, 500]),
        mark_from: pick(random, &[0, 1, 10]),
        ..LinkConfig::default()
    };
    let mut some = |most: u64| if random.chance_in(1, 2) { random.below(most) } else { 0 };
    link.loss = LossConfig {
        to_bad: some(10_000),
        to_good: 20_000 + some(400_000),
        good: some(150_000),
        bad: 200_000 + some(800_001),
    };
    link.duplicate = some(100_000);
    link.reorder.chance = some(300_000);
    link.reorder.late_max = Duration::from_micros(some(500_000));
    link.corrupt = some(50_000);
    let mut period = |most_ms: u64| {
        let from = start + Duration::from_nanos(random.below(1 + storm.as_nanos()));
        Period { from, to: from + Duration::from_millis(random.below(most_ms)) }
    };
    link.outages = vec![period(1500), period(500)];
    link.spikes = vec![Spike { period: period(800), late: Duration::ZERO }];
    link.outages.truncate(random.below(3) as usize);
    link.spikes.truncate(random.below(2) as usize);
    for spike in &mut link.spikes {
        spike.late = Duration::from_micros(random.below(2_000_000));
    }
    link
}
