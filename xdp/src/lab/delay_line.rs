//! One lane's frames on their way: the dice are thrown at the entrance, the exit only waits.
//! Pure: the time is an argument, so that the tests need neither root nor patience.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

use super::counters::RelayCounters;
use super::impairment::{Impairment, Random};

/// Frames that one lane may hold at once.
const HELD_FRAMES_MAX: usize = 65_536;
/// Destination, source and type.
const ETHERNET_HEADER_LEN: usize = 14;
/// Room in front of a received frame for a VLAN tag that the kernel took off it.
pub(super) const VLAN_TAG_LEN: usize = 4;

/// A frame in a buffer that goes back to the lane's pool.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) buffer: Box<[u8]>,
    /// First byte of the frame in the buffer, at most [`VLAN_TAG_LEN`].
    pub(super) start: usize,
    /// One past the last byte.
    pub(super) end: usize,
}

impl Frame {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }
}

/// The frames of one lane between entrance and exit.
#[derive(Debug)]
pub(super) struct DelayLine {
    random: Random,
    held: BinaryHeap<Held>,
    /// When the newest frame that was not reordered leaves: none may leave before its elder.
    last_due: Option<Instant>,
    admitted: u64,
    spare: Vec<Box<[u8]>>,
    buffer_len: usize,
    pub(super) counters: RelayCounters,
}

/// What the line does with a frame at its entrance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weather {
    /// Frames travel under the impairment.
    Open(Impairment),
    /// No frame passes.
    Blackout,
}

impl DelayLine {
    /// An empty line whose buffers have `buffer_len` bytes.
    pub(super) fn new(seed: u64, buffer_len: usize) -> Self {
        Self {
            random: Random::new(seed),
            held: BinaryHeap::new(),
            last_due: None,
            admitted: 0,
            spare: Vec::new(),
            buffer_len,
            counters: RelayCounters::default(),
        }
    }

    /// A frame came in at `now`.
    pub(super) fn handle_frame(&mut self, mut frame: Frame, weather: Weather, now: Instant) {
        self.counters.received += 1;
        let impairment = match weather {
            Weather::Open(impairment) => impairment,
            Weather::Blackout => {
                self.counters.blacked_out += 1;
                return self.give_back(frame);
            }
        };
        if self.random.chance(impairment.loss) {
            self.counters.lost += 1;
            return self.give_back(frame);
        }
        if self.random.chance(impairment.corrupt) {
            self.corrupt(&mut frame);
        }
        let copy = self.random.chance(impairment.duplicate).then(|| self.copy_of(&frame));
        self.hold(frame, &impairment, now);
        if let Some(copy) = copy {
            self.counters.duplicated += 1;
            self.hold(copy, &impairment, now);
        }
    }

    /// The next frame that may leave at `now`. Give its buffer back with [`DelayLine::give_back`].
    pub(super) fn poll_frame(&mut self, now: Instant) -> Option<Frame> {
        if self.held.peek()?.due > now {
            return None;
        }
        self.counters.held = self.counters.held.wrapping_sub(1);
        self.held.pop().map(|held| held.frame)
    }

    /// When the next frame leaves.
    pub(super) fn poll_at(&self) -> Option<Instant> {
        self.held.peek().map(|held| held.due)
    }

    /// A buffer of the pool, or a new one.
    pub(super) fn take_buffer(&mut self) -> Box<[u8]> {
        self.spare.pop().unwrap_or_else(|| vec![0; self.buffer_len].into_boxed_slice())
    }

    /// Takes the buffer of a frame that has left.
    pub(super) fn give_back(&mut self, frame: Frame) {
        self.spare.push(frame.buffer);
    }

    fn hold(&mut self, frame: Frame, impairment: &Impairment, now: Instant) {
        if self.held.len() >= HELD_FRAMES_MAX {
            self.counters.overflowed += 1;
            return self.give_back(frame);
        }
        let jitter_ns = u64::try_from(impairment.jitter.as_nanos()).unwrap_or(u64::MAX);
        let jitter = Duration::from_nanos(self.random.below(jitter_ns.saturating_add(1)));
        let in_turn = now + impairment.delay + jitter;
        let in_turn = self.last_due.map_or(in_turn, |last| in_turn.max(last));
        self.last_due = Some(in_turn);
        let due = if self.random.chance(impairment.reorder) {
            self.counters.reordered += 1;
            in_turn + impairment.reorder_hold
        } else {
            in_turn
        };
        self.admitted += 1;
        self.counters.held = self.counters.held.wrapping_add(1);
        self.held.push(Held { due, order: self.admitted, frame });
    }

    fn corrupt(&mut self, frame: &mut Frame) {
        let bytes = &mut frame.buffer[frame.start..frame.end];
        let is_ip = matches!(bytes.get(12..14), Some([0x08, 0x00] | [0x86, 0xdd]));
        let Some(payload) = bytes.get_mut(ETHERNET_HEADER_LEN..).filter(|p| is_ip && !p.is_empty()) else {
            return;
        };
        let bit = self.random.below(payload.len() as u64 * 8);
        payload[(bit / 8) as usize] ^= 1 << (bit % 8);
        self.counters.corrupted += 1;
    }

    fn copy_of(&mut self, frame: &Frame) -> Frame {
        let mut buffer = self.take_buffer();
        buffer[frame.start..frame.end].copy_from_slice(frame.bytes());
        Frame { buffer, start: frame.start, end: frame.end }
    }
}

#[derive(Debug)]
struct Held {
    due: Instant,
    order: u64,
    frame: Frame,
}

impl Ord for Held {
    /// Greatest is the one that leaves first: `BinaryHeap` pops the greatest.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.due, other.order).cmp(&(self.due, self.order))
    }
}

impl PartialOrd for Held {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Held {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Held {}

#[cfg(test)]
#[path = "delay_line_tests.rs"]
mod tests;
