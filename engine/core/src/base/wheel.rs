//! A hierarchical timing wheel over the indices of a slab: one timer per index.
//!
//! Time is cut into ticks of 2¹⁶ ns (65.5 µs). Four levels of 256 slots hold the ticks of the next 2³² (78
//! hours): a tick lies on the level of the highest of its base-256 digits that differs from the wheel's own
//! tick, in the slot of that digit; what is due lies in the lowest level's slot of the wheel's own digit. Ticks
//! beyond the levels wait in one more list. When the wheel reaches a slot of an upper level, the slot's timers
//! move down (cascade).
//!
//! A timer never fires early and, if [`TimerWheel::expire`] is called in time, at most one tick late. Arming
//! and disarming cost O(1), and so does passing over any length of time in which nothing is armed. The work of
//! one call is bounded by the size of the caller's batch, however many timers there are.

mod node;
#[cfg(test)]
mod tests;

use super::OutOfMemory;
use super::prefetch::prefetch;
use super::time::Instant;
use node::{CASCADING, FAR, Lists};

/// Binary logarithm of a tick in nanoseconds.
const TICK_SHIFT: u32 = 16;
/// Binary logarithm of [`SLOTS`].
const SLOT_SHIFT: u32 = 8;
/// Slots of a level.
const SLOTS: usize = 1 << SLOT_SHIFT;
/// Levels of the wheel.
const LEVELS: usize = 4;
/// Binary logarithm of the ticks that the levels distinguish; the rest is far.
const REVOLUTION_SHIFT: u32 = SLOT_SHIFT * LEVELS as u32;
/// How many timers a call may cascade for each place of its batch. A timer cascades at most as often as there
/// are levels, so expiry keeps up with any steady rate.
const CASCADES_PER_PLACE: usize = 2 * LEVELS;

/// Timers for the indices `0..maximum`, at most one for each.
///
/// The owner of an index keeps its real deadline and may let it move to later without a word to the wheel: on
/// expiry it compares, and arms again.
#[derive(Debug)]
pub struct TimerWheel {
    /// All ticks up to this one are over or due.
    now_tick: u64,
    /// Which slots of each level hold a timer. All lie behind the wheel's own digit of that level; on the
    /// lowest level also at it.
    occupied: [[u64; SLOTS / 64]; LEVELS],
    lists: Lists,
    armed: usize,
    /// Nothing is due or cascades before this tick: what lets a turn without timers cost a comparison.
    quiet_until: u64,
}

impl TimerWheel {
    /// The length of a tick, which is the resolution, in nanoseconds.
    pub const TICK_NANOS: u64 = 1 << TICK_SHIFT;

    /// A wheel for the indices `0..maximum` that stands at `now`. Memory (16 bytes per index) is touched only
    /// for indices that are armed.
    ///
    /// # Errors
    /// [`OutOfMemory`] if the address space for `maximum` timers cannot be reserved.
    pub fn new(maximum: u32, now: Instant) -> Result<Self, OutOfMemory> {
        let occupied = [[0; SLOTS / 64]; LEVELS];
        Ok(Self {
            now_tick: tick_begun(now),
            occupied,
            lists: Lists::new(maximum)?,
            armed: 0,
            quiet_until: u64::MAX,
        })
    }

    /// Makes sure that `index` expires at `deadline` or before: arms it, or moves it to an earlier tick; a
    /// timer that is armed for that tick or an earlier one is left alone.
    ///
    /// # Panics
    /// If `index` is not below the wheel's maximum.
    #[inline]
    pub fn arm(&mut self, index: u32, deadline: Instant) {
        let tick = tick_due(deadline);
        match self.lists.tick(index) {
            Some(armed) if armed <= tick => return,
            Some(_) => self.unlink(index),
            None => self.armed += 1,
        }
        self.place(index, tick);
    }

    /// Takes `index` out of the wheel; does nothing if it is not armed.
    ///
    /// # Panics
    /// If `index` is not below the wheel's maximum.
    #[inline]
    pub fn disarm(&mut self, index: u32) {
        if self.lists.tick(index).is_some() {
            self.unlink(index);
            self.armed -= 1;
        }
    }

    /// Whether [`expire`](Self::expire) may have work at `now`; if not, the wheel stands at `now` all the same.
    #[inline(always)]
    pub fn is_due(&mut self, now: Instant) -> bool {
        let target = tick_begun(now);
        if target < self.quiet_until {
            // No slot is passed over, so each timer's highest differing digit stays the same.
            self.now_tick = self.now_tick.max(target);
            return false;
        }
        true
    }

    /// When `index` will expire (the beginning of its tick), or `None` if it is not armed. An owner that keeps
    /// this beside its deadline need not call [`arm`](Self::arm) for any later deadline.
    ///
    /// # Panics
    /// If `index` is not below the wheel's maximum.
    #[inline]
    pub fn armed_at(&self, index: u32) -> Option<Instant> {
        self.lists.tick(index).map(tick_start)
    }

    /// Moves to `now` and takes due indices out of the wheel into `batch`; returns how many. Earlier ticks come
    /// first; within a tick the order is not specified. A `now` before that of an earlier call moves nothing.
    ///
    /// One call takes at most as many as the batch holds and cascades at most eight times as many. If that was
    /// not enough, [`next_expiry`](Self::next_expiry) is not after `now`: call again, at once or soon.
    pub fn expire(&mut self, now: Instant, batch: &mut [u32]) -> usize {
        let target = tick_begun(now);
        if target < self.quiet_until {
            // No slot is passed over, so each timer's highest differing digit stays the same.
            self.now_tick = self.now_tick.max(target);
            return 0;
        }
        let mut cascades = batch.len() * CASCADES_PER_PLACE;
        let mut taken = 0;
        loop {
            taken += self.take_due(&mut batch[taken..]);
            if taken == batch.len() {
                break;
            }
            match self.next_event() {
                Some(event) if event.tick() <= target && cascades > 0 => self.reach(event, &mut cascades),
                Some(event) if event.tick() <= target => break,
                Some(_) | None => {
                    // No slot is passed over, so each timer's highest differing digit stays the same.
                    self.now_tick = self.now_tick.max(target);
                    break;
                }
            }
        }
        self.armed -= taken;
        self.quiet_until = self.next_event().map_or(u64::MAX, Event::tick);
        taken
    }

    /// A moment before which nothing expires, or `None` if nothing is armed. Right after [`expire`](Self::expire) it is
    /// exact for a timer of the lowest level; for a later one it is when its slot cascades, so a caller that sleeps
    /// until then may find nothing due, at most four times per timer. Timers disarmed meanwhile still count.
    #[inline]
    pub fn next_expiry(&self) -> Option<Instant> {
        (self.armed > 0).then(|| tick_start(self.quiet_until))
    }

    /// How many timers are armed.
    #[inline]
    pub fn len(&self) -> usize {
        self.armed
    }

    /// Whether no timer is armed.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.armed == 0
    }

    /// Asks for the cache line that arming or disarming `index` will touch first.
    ///
    /// # Panics
    /// If `index` is not below the wheel's maximum.
    #[inline]
    pub fn prefetch(&self, index: u32) {
        prefetch(self.lists.node(index));
    }

    /// Where the array of timers lies: for advice about huge pages.
    pub fn address_range(&self) -> core::ops::Range<usize> {
        self.lists.address_range()
    }

    /// Takes indices that are due, as many as there is room for; returns how many.
    #[inline]
    fn take_due(&mut self, batch: &mut [u32]) -> usize {
        let slot = self.now_tick as usize % SLOTS;
        let mut taken = 0;
        while taken < batch.len() && !self.lists.is_empty(slot) {
            let round = self.lists.pop_round(slot, batch.len() - taken);
            for (index, _) in round.timers() {
                batch[taken] = index;
                taken += 1;
            }
        }
        if self.lists.is_empty(slot) {
            self.occupied[0][slot / 64] &= !(1 << (slot % 64));
        }
        taken
    }

    /// What comes next. A lower level's slots all begin before those of a higher one.
    #[inline]
    fn next_event(&self) -> Option<Event> {
        if !self.lists.is_empty(CASCADING) {
            return Some(Event::Cascade { tick: self.now_tick });
        }
        for (level, words) in self.occupied.iter().enumerate() {
            if let Some(slot) = first_set(words) {
                let shift = SLOT_SHIFT * level as u32;
                let passed = self.now_tick >> (shift + SLOT_SHIFT) << (shift + SLOT_SHIFT);
                return Some(Event::Slot { level, slot, tick: passed | (slot as u64) << shift });
            }
        }
        let revolution = self.now_tick >> REVOLUTION_SHIFT;
        (!self.lists.is_empty(FAR))
            .then_some(Event::Revolution { tick: (revolution + 1) << REVOLUTION_SHIFT })
    }

    /// Moves to an event and cascades its timers, as far as `cascades` allows; the rest stays for the next call,
    /// and until then the wheel stands at the event.
    fn reach(&mut self, event: Event, cascades: &mut usize) {
        self.now_tick = event.tick();
        match event {
            // Its timers are due as they are.
            Event::Slot { level: 0, .. } => return,
            Event::Slot { level, slot, .. } => {
                self.occupied[level][slot / 64] &= !(1 << (slot % 64));
                self.lists.move_to_cascading(level * SLOTS + slot);
            }
            Event::Revolution { .. } => self.lists.move_to_cascading(FAR),
            Event::Cascade { .. } => {}
        }
        while *cascades > 0 && !self.lists.is_empty(CASCADING) {
            let round = self.lists.pop_round(CASCADING, *cascades);
            for (index, tick) in round.timers() {
                self.place(index, tick);
                *cascades -= 1;
            }
        }
    }

    /// Links an index that is in no list into the one where its tick belongs.
    #[inline]
    fn place(&mut self, index: u32, tick: u64) {
        // What is overdue belongs to the current tick.
        let due = tick.max(self.now_tick);
        // The lowest bit stands for no difference at all: the lowest level.
        let level = (((due ^ self.now_tick) | 1).ilog2() / SLOT_SHIFT) as usize;
        let list = match self.occupied.get_mut(level) {
            Some(words) => {
                let shift = SLOT_SHIFT * level as u32;
                self.quiet_until = self.quiet_until.min(due >> shift << shift);
                let slot = (due >> shift) as usize % SLOTS;
                words[slot / 64] |= 1 << (slot % 64);
                level * SLOTS + slot
            }
            None => {
                self.quiet_until = self.quiet_until.min(due >> REVOLUTION_SHIFT << REVOLUTION_SHIFT);
                FAR
            }
        };
        self.lists.push(list, index, tick);
    }

    /// Unlinks an index that is in a list.
    #[inline]
    fn unlink(&mut self, index: u32) {
        if let Some(emptied) = self.lists.unlink(index)
            && let Some(words) = self.occupied.get_mut(emptied / SLOTS)
        {
            let slot = emptied % SLOTS;
            words[slot / 64] &= !(1 << (slot % 64));
        }
    }
}

/// Something that lies ahead of the wheel.
#[derive(Clone, Copy)]
enum Event {
    /// The beginning, at `tick`, of a slot that holds timers.
    Slot { level: usize, slot: usize, tick: u64 },
    /// The tick at which the far list is looked through.
    Revolution { tick: u64 },
    /// The rest of a slot or of the far list, at whose tick the wheel stands.
    Cascade { tick: u64 },
}

impl Event {
    const fn tick(self) -> u64 {
        match self {
            Self::Slot { tick, .. } | Self::Revolution { tick } | Self::Cascade { tick } => tick,
        }
    }
}

/// The tick that is under way at `now`.
const fn tick_begun(now: Instant) -> u64 {
    now.as_nanos() >> TICK_SHIFT
}

/// The first tick at whose beginning `deadline` has passed.
const fn tick_due(deadline: Instant) -> u64 {
    deadline.as_nanos().div_ceil(TimerWheel::TICK_NANOS)
}

/// When a tick begins; the last tick begins in the far future.
const fn tick_start(tick: u64) -> Instant {
    Instant::from_nanos(tick.saturating_mul(TimerWheel::TICK_NANOS))
}

/// The lowest set bit of a level's map.
#[inline]
fn first_set(words: &[u64; SLOTS / 64]) -> Option<usize> {
    let word = words.iter().position(|word| *word != 0)?;
    Some(word * 64 + words[word].trailing_zeros() as usize)
}
