//! A hierarchical timing wheel over the indices of a slab: one timer per index.
//!
//! Time is cut into ticks of 2¹⁶ ns (65.5 µs). Three levels of 2048 slots hold the ticks of the next 2³¹ (39
//! hours): a tick lies on the level of the highest of its base-2048 digits that differs from the wheel's own
//! tick, in the slot of that digit; what is due lies in the lowest level's slot of the wheel's own digit. When the
//! wheel reaches a slot of an upper level, the slot's timers move down (cascade). Levels are wide so that few do: a
//! deadline within 0.13 s never does, one within four and a half minutes once.
//!
//! A timer never fires early (but those further ahead than the levels reach) and, if [`TimerWheel::expire`] is called
//! in time, at most one tick late. Arming and disarming cost O(1), and so does passing over any length of time in
//! which nothing is armed. The work of one call is bounded by the size of the caller's batch, however many timers
//! there are.

mod event;
mod lists;
mod occupied;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

use super::OutOfMemory;
use super::prefetch::prefetch;
use super::time::Instant;
use core::ops::Range;
use event::Event;
use lists::{CHUNK, Lists};
use occupied::Occupied;

/// Binary logarithm of a tick in nanoseconds.
const TICK_SHIFT: u32 = 16;
/// Binary logarithm of [`SLOTS`].
const SLOT_SHIFT: u32 = 11;
/// Slots of a level.
const SLOTS: usize = 1 << SLOT_SHIFT;
/// Levels of the wheel.
const LEVELS: usize = 3;
/// The furthest tick that is told from an earlier one: the low halves of two must not lie further apart.
const HORIZON: u64 = 1 << 31;
/// How many timers a call may cascade for each place of its batch. A timer cascades at most as often as there
/// are levels, so expiry keeps up with any steady rate.
const CASCADES_PER_PLACE: usize = 8;

const _: () = assert!(u32::BITS.div_ceil(SLOT_SHIFT) as usize == LEVELS, "the levels hold 32 bits of a tick");

/// Timers for the indices `0..maximum`, at most one for each.
///
/// The owner of an index keeps its real deadline and may let it move to later without a word to the wheel: on
/// expiry it compares, and arms again.
#[derive(Debug)]
pub struct TimerWheel {
    /// All ticks before this one are over; no timer is armed for one of them.
    now_tick: u64,
    /// Which slots of each level hold a timer. All lie ahead of the wheel's own digit of that level; on the
    /// lowest level also at it.
    occupied: [Occupied; LEVELS],
    lists: Lists,
    armed: usize,
    /// The list of a slot at whose beginning the wheel stands, while some of its timers have not moved down yet.
    cascading: Option<usize>,
    /// Nothing is due or cascades before this tick: what lets a turn without timers cost a comparison.
    quiet_until: u64,
}

impl TimerWheel {
    /// The length of a tick, which is the resolution, in nanoseconds.
    pub const TICK_NANOS: u64 = 1 << TICK_SHIFT;

    /// A wheel for the indices `0..maximum` that stands at `now`. Memory (13 bytes per index) is touched only
    /// for indices that are armed.
    ///
    /// # Errors
    /// [`OutOfMemory`] if the address space for `maximum` timers cannot be reserved.
    pub fn new(maximum: u32, now: Instant) -> Result<Self, OutOfMemory> {
        Ok(Self {
            now_tick: tick_begun(now),
            occupied: [Occupied::NONE; LEVELS],
            lists: Lists::new(maximum)?,
            armed: 0,
            cascading: None,
            quiet_until: u64::MAX,
        })
    }

    /// Makes sure that `index` expires at `deadline` or before: arms it, or moves it to an earlier tick; a
    /// timer that is armed for that tick or an earlier one is left alone. A deadline more than 39 hours ahead
    /// expires then.
    ///
    /// # Panics
    /// If `index` is not below the wheel's maximum.
    #[inline]
    pub fn arm(&mut self, index: u32, deadline: Instant) {
        // What is overdue belongs to the current tick.
        let ahead = tick_due(deadline).saturating_sub(self.now_tick).min(HORIZON) as u32;
        match self.lists.tick(index) {
            Some(armed) if self.ahead(armed) <= ahead => return,
            Some(_) => self.unlink(index),
            None => self.armed += 1,
        }
        self.place(index, ahead);
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
        self.lists.tick(index).map(|tick| tick_start(self.now_tick + self.ahead(tick) as u64))
    }

    /// Moves to `now` and takes due indices out of the wheel into `batch`; returns how many. Earlier ticks come
    /// first; within a tick the order is not specified. A `now` before that of an earlier call moves nothing.
    ///
    /// One call takes at most as many as the batch holds and cascades at most eight times as many. If that was
    /// not enough, [`next_expiry`](Self::next_expiry) is not after `now`: call again, at once or soon.
    #[inline]
    pub fn expire(&mut self, now: Instant, batch: &mut [u32]) -> usize {
        let target = tick_begun(now);
        if target < self.quiet_until {
            // No slot is passed over, so each timer's highest differing digit stays the same.
            self.now_tick = self.now_tick.max(target);
            return 0;
        }
        self.expire_until(target, batch)
    }

    /// A moment before which nothing expires, or `None` if nothing is armed. Right after [`expire`](Self::expire) it is
    /// exact for a timer of the lowest level; for a later one it is when its slot cascades, so a caller that sleeps
    /// until then may find nothing due, at most twice per timer. Timers disarmed meanwhile still count.
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

    /// Where the arrays of timers lie: for advice about huge pages.
    pub fn address_ranges(&self) -> [Range<usize>; 2] {
        self.lists.address_ranges()
    }

    /// [`expire`](Self::expire) where something is due or cascades.
    #[inline(never)]
    fn expire_until(&mut self, target: u64, batch: &mut [u32]) -> usize {
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
                    self.now_tick = self.now_tick.max(target);
                    break;
                }
            }
        }
        self.armed -= taken;
        self.quiet_until = self.next_event().map_or(u64::MAX, Event::tick);
        taken
    }

    /// Takes indices that are due, as many as there is room for; returns how many.
    #[inline]
    fn take_due(&mut self, batch: &mut [u32]) -> usize {
        let slot = self.now_tick as usize % SLOTS;
        let mut taken = 0;
        while taken < batch.len() && !self.lists.is_empty(slot) {
            let count = self.lists.take(slot, &mut batch[taken..]);
            for index in &batch[taken..taken + count] {
                self.lists.forget(*index);
            }
            taken += count;
        }
        if taken > 0 && self.lists.is_empty(slot) {
            self.occupied[0].remove(slot);
        }
        taken
    }

    /// What comes next. A lower level's slots all begin before those of a higher one.
    #[inline]
    fn next_event(&self) -> Option<Event> {
        if self.cascading.is_some() {
            return Some(Event::Cascade { tick: self.now_tick });
        }
        self.occupied
            .iter()
            .enumerate()
            .find_map(|(level, occupied)| Event::slot(level, occupied, self.now_tick))
    }

    /// Moves to an event and cascades its timers, as far as `cascades` allows; the rest stays for the next call,
    /// and until then the wheel stands at the event.
    fn reach(&mut self, event: Event, cascades: &mut usize) {
        self.now_tick = event.tick();
        match event {
            // Its timers are due as they are.
            Event::Slot { level: 0, .. } => return,
            Event::Slot { level, slot, .. } => {
                self.occupied[level].remove(slot);
                self.cascading = Some(level * SLOTS + slot);
            }
            Event::Cascade { .. } => {}
        }
        let (Some(list), mut indices) = (self.cascading, [0; CHUNK]) else { return };
        while *cascades > 0 {
            let count = self.lists.take(list, &mut indices[..CHUNK.min(*cascades)]);
            for &index in &indices[..count] {
                self.place(index, self.ahead(self.lists.node(index).tick));
            }
            *cascades -= count;
            if self.lists.is_empty(list) {
                self.cascading = None;
                return;
            }
        }
    }

    /// Names an index that is in no list in the one of the tick so far ahead, at most [`HORIZON`].
    #[inline]
    fn place(&mut self, index: u32, ahead: u32) {
        let tick = self.now_tick + ahead as u64;
        let differing = (tick ^ self.now_tick) as u32;
        let level = (differing >> SLOT_SHIFT != 0) as usize + (differing >> (2 * SLOT_SHIFT) != 0) as usize;
        let shift = SLOT_SHIFT * level as u32;
        let slot = (tick as u32 >> shift) as usize % SLOTS;
        self.quiet_until = self.quiet_until.min(tick >> shift << shift);
        self.occupied[level].insert(slot);
        self.lists.push(level * SLOTS + slot, index, tick as u32);
    }

    /// Takes an index out of the list in which it is.
    #[inline]
    fn unlink(&mut self, index: u32) {
        let Some(emptied) = self.lists.unlink(index) else { return };
        self.occupied[emptied / SLOTS].remove(emptied % SLOTS);
        self.cascading = self.cascading.filter(|list| *list != emptied);
    }

    /// How far ahead of the wheel an armed tick is, from its low half: at most [`HORIZON`].
    #[inline]
    const fn ahead(&self, low: u32) -> u32 {
        low.wrapping_sub(self.now_tick as u32)
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
