//! What the middle may do to frames, and how often.

use std::time::Duration;

/// Which way a frame travels through the middle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the client's end to the server's.
    ToServer,
    /// From the server's end to the client's.
    ToClient,
}

/// A share of the frames, 0 to 100,000 of each 100,000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Probability(u32);

impl Probability {
    /// No frame.
    pub const NEVER: Self = Self(0);
    /// Every frame.
    pub const ALWAYS: Self = Self(PER);

    /// This many frames of 100,000; `None` above 100,000.
    pub const fn per_100k(frames: u32) -> Option<Self> {
        if frames <= PER { Some(Self(frames)) } else { None }
    }

    /// This many frames of 100; `None` above 100.
    pub const fn percent(frames: u32) -> Option<Self> {
        if frames <= 100 { Some(Self(frames * (PER / 100))) } else { None }
    }

    /// Frames of 100,000.
    pub const fn get(self) -> u32 {
        self.0
    }
}

const PER: u32 = 100_000;

/// What happens to the frames of one direction. The default harms nothing.
///
/// Frames of one flow keep their order, also under jitter, unless `reorder` picks them. Frames that come in much faster
/// than the jitter is long therefore bunch up behind the slowest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Impairment {
    /// Frames that vanish.
    pub loss: Probability,
    /// Frames that arrive twice, the copy right behind the original (each may then be reordered by itself).
    pub duplicate: Probability,
    /// IPv4 and IPv6 frames of which one bit behind the Ethernet header is flipped. Other frames are spared: ARP has
    /// no checksum, and the link that this stands for would have caught the error by its frame check sequence.
    pub corrupt: Probability,
    /// Frames that are held back for [`Impairment::reorder_hold`] longer than the others, which overtake them.
    pub reorder: Probability,
    /// How much longer a reordered frame waits.
    pub reorder_hold: Duration,
    /// How long every frame waits.
    pub delay: Duration,
    /// Up to how much is added to the delay, evenly spread.
    pub jitter: Duration,
}

impl Impairment {
    /// The line as it is: nothing lost, nothing late.
    pub const NONE: Self = Self {
        loss: Probability::NEVER,
        duplicate: Probability::NEVER,
        corrupt: Probability::NEVER,
        reorder: Probability::NEVER,
        reorder_hold: Duration::from_millis(2),
        delay: Duration::ZERO,
        jitter: Duration::ZERO,
    };
}

impl Default for Impairment {
    fn default() -> Self {
        Self::NONE
    }
}

/// Seeded random numbers (`SplitMix64`, Steele, Lea and Flood 2014).
#[derive(Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Whether this frame is one of the share.
    pub(super) fn chance(&mut self, probability: Probability) -> bool {
        self.below(u64::from(PER)) < u64::from(probability.0)
    }

    /// A number from 0 to `bound - 1`; 0 for a bound of 0.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_stay_in_range() {
        assert_eq!(Probability::percent(1), Probability::per_100k(1_000));
        assert_eq!(Probability::percent(101), None);
        assert_eq!(Probability::per_100k(100_001), None);
    }

    #[test]
    fn chance_keeps_its_share() {
        let mut random = Random::new(1);
        let percent = Probability::percent(1).expect("in range");
        let hits = (0..1_000_000).filter(|_| random.chance(percent)).count();
        assert!((9_500..10_500).contains(&hits), "{hits}");
        assert!((0..1000).all(|_| random.chance(Probability::ALWAYS)));
        assert!(!(0..1000).any(|_| random.chance(Probability::NEVER)));
    }

    #[test]
    fn numbers_follow_the_published_sequence() {
        // First outputs for seed 1234567, as published with the reference implementation.
        let mut random = Random::new(1_234_567);
        assert_eq!(random.next(), 6_457_827_717_110_365_317);
        assert_eq!(random.next(), 3_203_168_211_198_807_973);
    }
}
