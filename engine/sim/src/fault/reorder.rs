//! Frames that are held back, so that others overtake them.

use bywash_core::base::random::Random;
use bywash_core::base::time::Duration;

/// How often and how long.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReorderConfig {
    /// Chance in a million, for each frame.
    pub chance: u64,
    /// Longest time by which a frame is late.
    pub late_max: Duration,
}

impl ReorderConfig {
    /// How late the next frame is; `None`: it keeps its place.
    pub fn draw(self, random: &mut Random) -> Option<Duration> {
        random.chance_in(self.chance, 1_000_000).then(|| self.late(random))
    }

    /// How late a copy is that comes by another way.
    pub fn late(self, random: &mut Random) -> Duration {
        Duration::from_nanos(random.below(self.late_max.as_nanos() + 1))
    }
}
