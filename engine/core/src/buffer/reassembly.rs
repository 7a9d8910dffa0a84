//! Which parts of a receive buffer beyond the in-order prefix are filled.

#[cfg(test)]
mod tests;

use core::ops::Range;
use zerocopy::FromZeros;

/// Bytes `start..end`, as offsets from the end of the in-order bytes (`rcv_nxt`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Offset of the first byte.
    pub start: u32,
    /// Offset behind the last byte; above `start`.
    pub end: u32,
}

impl Span {
    /// A span of buffer positions as offsets from `origin`, which is not above it.
    pub(super) fn relative_to(self, origin: u32) -> Self {
        Self { start: self.start - origin, end: self.end - origin }
    }
}

/// One filled range, in positions of the buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromZeros)]
pub(super) struct Filled {
    pub(super) start: u32,
    pub(super) end: u32,
    /// The buffer's count of changes when a segment last fell into this range.
    stamp: u32,
}

impl Filled {
    pub(super) fn positions(&self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    /// The same range once the first `by` bytes of the buffer are gone.
    pub(super) fn moved_down(self, by: u32) -> Self {
        Self { start: self.start - by, end: self.end - by, ..self }
    }
}

/// What a segment does to the filled ranges, before anything is changed.
pub(super) struct Covered {
    /// The ranges that it overlaps or adjoins.
    touched: Range<usize>,
    /// Its bytes that no range holds.
    pub(super) new_bytes: u32,
    /// Its first bytes that a range already holds, in positions of the buffer.
    pub(super) duplicate: Option<Span>,
}

/// Filled ranges of one buffer: sorted, disjoint, none adjoining another. The slots are the buffer's share of
/// the pool's array, and their number the bound.
pub(super) struct Reassembly<'slot> {
    pub(super) slots: &'slot mut [Filled],
    pub(super) len: &'slot mut u16,
    pub(super) stamp: &'slot mut u32,
}

impl Reassembly<'_> {
    /// What bytes at `start..end` would do; calls `hole` with each part that is not filled, in order.
    pub(super) fn cover(&self, start: u32, end: u32, mut hole: impl FnMut(u32, u32)) -> Covered {
        let touched = touched(self.ranges(), start, end);
        let mut covered = Covered { touched: touched.clone(), new_bytes: 0, duplicate: None };
        let mut at = start;
        for range in &self.ranges()[touched] {
            if at < range.start {
                hole(at, range.start);
                covered.new_bytes += range.start - at;
                at = range.start;
            }
            let held_until = range.end.min(end);
            if at < held_until {
                covered.duplicate = covered.duplicate.or(Some(Span { start: at, end: held_until }));
                at = held_until;
            }
        }
        if at < end {
            hole(at, end);
            covered.new_bytes += end - at;
        }
        covered
    }

    /// Marks `start..end` as filled and as the latest change. `covered` is what `cover` said of the same bytes; nothing happens
    /// when it touches no range and all slots are in use, which `has_room` tells before.
    pub(super) fn join(&mut self, start: u32, end: u32, covered: &Covered) {
        *self.stamp = self.stamp.wrapping_add(1);
        let mut merged = Filled { start, end, stamp: *self.stamp };
        let len = usize::from(*self.len);
        let Range { start: first, end: last } = covered.touched;
        if first == last {
            if len < self.slots.len() {
                self.slots.copy_within(first..len, first + 1);
                self.slots[first] = merged;
                *self.len += 1;
            }
            return;
        }
        merged.start = merged.start.min(self.slots[first].start);
        merged.end = merged.end.max(self.slots[last - 1].end);
        self.slots[first] = merged;
        self.remove(first + 1..last);
    }

    /// The in-order bytes now end at `end`: forgets the ranges that they reach, and returns where the in-order
    /// bytes end together with those.
    pub(super) fn absorb(&mut self, end: u32) -> u32 {
        let reached = self.ranges().partition_point(|range| range.start <= end);
        let until = self.ranges()[..reached].last().map_or(end, |last| last.end.max(end));
        self.remove(0..reached);
        until
    }

    fn ranges(&self) -> &[Filled] {
        &self.slots[..usize::from(*self.len)]
    }

    fn remove(&mut self, range: Range<usize>) {
        let len = usize::from(*self.len);
        *self.len -= range.len() as u16;
        self.slots.copy_within(range.end..len, range.start);
    }
}

/// The ranges that `start..end` overlaps or adjoins: none means that it would need a slot of its own.
pub(super) fn touched(ranges: &[Filled], start: u32, end: u32) -> Range<usize> {
    let first = ranges.partition_point(|range| range.end < start);
    let last = first + ranges[first..].partition_point(|range| range.start <= end);
    first..last
}

/// Filled ranges beyond the in-order bytes, the most recently changed one first: the order that RFC 2018
/// section 4 asks of SACK blocks. Each step costs one pass over the ranges.
#[derive(Debug, Clone)]
pub struct RecentSpans<'pool> {
    ranges: &'pool [Filled],
    /// Position of the end of the in-order bytes.
    origin: u32,
    stamp: u32,
    /// Age of the range given last; younger ones were given before it.
    given: Option<u32>,
}

impl<'pool> RecentSpans<'pool> {
    pub(super) fn new(ranges: &'pool [Filled], origin: u32, stamp: u32) -> Self {
        Self { ranges, origin, stamp, given: None }
    }
}

impl Iterator for RecentSpans<'_> {
    type Item = Span;

    fn next(&mut self) -> Option<Span> {
        let Self { ranges, origin, stamp, given } = *self;
        let aged = ranges.iter().map(|range| (stamp.wrapping_sub(range.stamp), range));
        let older = aged.filter(|&(age, _)| given.is_none_or(|given| age > given));
        let (age, range) = older.min_by_key(|&(age, _)| age)?;
        self.given = Some(age);
        Some(Span { start: range.start, end: range.end }.relative_to(origin))
    }
}
