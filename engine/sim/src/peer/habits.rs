//! How a scripted peer behaves.

use bywash_core::base::random::Random;

use crate::plan::pick;

/// What a peer does, and how often: chances are in a thousand, for each segment that arrives or leaves.
#[derive(Clone, Copy, Debug)]
pub struct Habits {
    /// Whether it takes SACK.
    pub sack: Sack,
    /// Whether it takes timestamps.
    pub timestamps: Stamps,
    /// Its window scale.
    pub scale: Option<u8>,
    /// The MSS that it tells, or none.
    pub mss: Option<u16>,
    /// Octets that it takes beyond those in order.
    pub buffer: u32,
    /// Segments in order that it lets come before it acknowledges.
    pub ack_every: u32,
    /// It drops all that is out of order.
    pub renege: u64,
    /// It takes back a part of its window.
    pub shrink: u64,
    /// It shows no window for a while.
    pub zero: u64,
    /// It acknowledges a part of a segment.
    pub split: u64,
    /// It repeats an ACK.
    pub repeat: u64,
    /// It sends again from an octet that was acknowledged.
    pub overlap: u64,
    /// It sends a segment that belongs nowhere.
    pub forge: u64,
}

/// Whether SACK is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sack {
    /// It is.
    Taken,
    /// It is not.
    Refused,
}

/// Whether timestamps are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stamps {
    /// They are.
    Taken,
    /// They are not.
    Refused,
}

impl Habits {
    pub(super) fn draw(random: &mut Random) -> Self {
        let mut some = |most: u64| if random.chance_in(2, 3) { random.below(most) } else { 0 };
        let mut habits = Self {
            sack: Sack::Taken,
            timestamps: Stamps::Taken,
            scale: None,
            mss: None,
            buffer: 0,
            ack_every: 1,
            renege: some(200),
            shrink: some(100),
            zero: some(20),
            split: some(300),
            repeat: some(200),
            overlap: some(500),
            forge: some(100),
        };
        habits.sack = if random.chance_in(3, 4) { Sack::Taken } else { Sack::Refused };
        habits.timestamps = if random.chance_in(1, 2) { Stamps::Taken } else { Stamps::Refused };
        habits.scale = pick(random, &[None, Some(0), Some(2), Some(7), Some(14)]);
        habits.mss = pick(random, &[None, Some(0), Some(48), Some(536), Some(1460), Some(65_535)]);
        habits.buffer = pick(random, &[500, 3_000, 60_000, 1 << 20]);
        habits.ack_every = pick(random, &[1, 2, 2, 5, 30]);
        habits
    }

    /// The same peer with nothing but good manners.
    pub(super) fn calm(self) -> Self {
        Self { renege: 0, shrink: 0, zero: 0, split: 0, repeat: 0, overlap: 0, forge: 0, ..self }
    }
}
