//! What lies ahead of the wheel.

use super::occupied::Occupied;
use super::{LEVELS, SLOT_SHIFT, SLOTS};

/// Something that lies ahead of the wheel.
#[derive(Clone, Copy)]
pub(super) enum Event {
    /// The beginning, at `tick`, of a slot that holds timers.
    Slot { level: usize, slot: usize, tick: u64 },
    /// The rest of a slot at whose beginning, `tick`, the wheel stands.
    Cascade { tick: u64 },
}

impl Event {
    /// The first slot of a level that holds timers, if there is one.
    #[inline]
    pub(super) fn slot(level: usize, occupied: &Occupied, now_tick: u64) -> Option<Self> {
        /// The largest digit of each level in the low half of a tick: the highest level has fewer slots, and goes around.
        const DIGIT_MAX: [u32; LEVELS] = [SLOTS as u32 - 1, SLOTS as u32 - 1, u32::MAX >> (2 * SLOT_SHIFT)];
        let shift = SLOT_SHIFT * level as u32;
        let own = (now_tick as u32 >> shift) as usize % SLOTS;
        let slot = occupied.first_from(own)?;
        let ahead = (slot as u32).wrapping_sub(own as u32) & DIGIT_MAX[level];
        let tick = ((now_tick >> shift) + ahead as u64) << shift;
        Some(Self::Slot { level, slot, tick })
    }

    #[inline]
    pub(super) const fn tick(self) -> u64 {
        match self {
            Self::Slot { tick, .. } | Self::Cascade { tick } => tick,
        }
    }
}
