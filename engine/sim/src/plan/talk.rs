//! Who says what to whom.

use bywash_core::base::random::Random;
use bywash_core::base::time::{Duration, Instant};

use super::HostPlan;
use crate::script::{Family, Script};

/// When the storm is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    pub(super) start: Instant,
    pub(super) storm: Duration,
}

/// One connection; a scripted peer is never the one that opens it.
pub(super) fn draw(
    random: &mut Random,
    number: u64,
    hosts: &[HostPlan],
    mtu: u16,
    Times { start, storm }: Times,
    size: u64,
) -> Script {
    let count = hosts.len() as u64;
    let engines = hosts.iter().filter(|host| host.shards() > 0).count() as u64;
    let client = random.below(engines) as usize;
    let server = (client + 1 + random.below(count - 1) as usize) % hosts.len();
    // Below 1280 octets there is no IPv6 (RFC 8200 section 5).
    let family = if mtu >= 1280 && random.chance_in(1, 2) { Family::V6 } else { Family::V4 };
    let start_at = start + Duration::from_nanos(random.below(1 + storm.as_nanos() * 3 / 2));
    let parts = match &hosts[server] {
        HostPlan::Engine(_) => Script::draw(random, size),
        HostPlan::Peer(_) => Script::draw_for_peer(random, size),
    };
    Script { start_at, client, server, family, parts, seed: random.next_u64() ^ number }
}
