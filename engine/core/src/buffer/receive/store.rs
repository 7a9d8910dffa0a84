//! The bytes of one connection: stored at their final place, read and dropped from the front.

use super::slot::{Class, Slot, SlotState};
use super::{ReceiveBufferId, ReceivePool, Refusal};
use crate::buffer::class::Handle;
use crate::buffer::reassembly::{self, RecentSpans, Span};

/// What storing or delivering a segment did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Inserted {
    /// Bytes of the segment that were not held before.
    pub new_bytes: u32,
    /// How far the end of the in-order bytes has moved: by this much `rcv_nxt` advances.
    pub in_order: u32,
    /// The segment's first bytes that were held already, as offsets from the end of the in-order bytes *before*
    /// the call: the D-SACK block of RFC 2883.
    pub duplicate: Option<Span>,
}

/// All offsets count from the end of the in-order bytes, which the caller knows as `rcv_nxt`. `held` is where
/// the connection keeps its buffer: filled in when the first byte is stored, emptied when the last one has gone.
impl ReceivePool {
    /// Stores the bytes that follow the in-order ones.
    #[inline]
    pub fn append_in_order(
        &mut self,
        held: &mut Option<ReceiveBufferId>,
        bytes: &[u8],
    ) -> Result<Inserted, Refusal> {
        self.insert(held, 0, bytes)
    }

    /// Stores the bytes at `offset`, each once: where some are held already, those stay. When that closes the gap to the in-order
    /// bytes, these grow over all that follows without a hole, and nothing is copied a second time.
    ///
    /// All or nothing: after a refusal nothing has changed.
    pub fn insert(
        &mut self,
        held: &mut Option<ReceiveBufferId>,
        offset: u32,
        bytes: &[u8],
    ) -> Result<Inserted, Refusal> {
        if bytes.is_empty() {
            return Ok(Inserted::default());
        }
        let window = self.window(held.as_ref());
        if u64::from(offset) + bytes.len() as u64 > u64::from(window) {
            return Err(self.refuse(Refusal::BufferMax));
        }
        let len = bytes.len() as u32;
        if self.needs_range(held.as_ref(), offset, len) {
            return Err(self.refuse(Refusal::RangesMax));
        }
        let handle = match self.fit(held, offset + len) {
            Ok(handle) => handle,
            Err(reason) => return Err(self.refuse(reason)),
        };
        let class = &mut self.classes[handle.class()];
        let inserted = store(class, handle.index(), offset, bytes);
        self.counters.copied_bytes += u64::from(inserted.new_bytes);
        Ok(inserted)
    }

    /// The application has read the next `len` in-order bytes straight from their frame. What the ranges hold of
    /// them is dropped, and the in-order bytes grow over what then follows without a hole.
    ///
    /// [`Refusal::Unread`] while in-order bytes are still stored: those come first.
    pub fn advance(&mut self, held: &mut Option<ReceiveBufferId>, len: u32) -> Result<Inserted, Refusal> {
        let Some(&ReceiveBufferId(handle)) = held.as_ref() else {
            return Ok(Inserted { new_bytes: len, in_order: len, duplicate: None });
        };
        let slot = self.slot(handle);
        let origin = slot.origin();
        if slot.buffered > 0 {
            return Err(self.refuse(Refusal::Unread));
        }
        let class = &mut self.classes[handle.class()];
        let (_, mut ranges) = class.parts(handle.index());
        let end = origin.saturating_add(len);
        let covered = ranges.cover(origin, end, |_, _| {});
        let until = ranges.absorb(end);
        let slot = &mut class.slots[handle.index()];
        (slot.start, slot.buffered) = (end, until - end);
        self.release_if_empty(held);
        let duplicate = covered.duplicate.map(|span| span.relative_to(origin));
        Ok(Inserted { new_bytes: covered.new_bytes, in_order: until - origin, duplicate })
    }

    /// The unread in-order bytes, contiguous. Empty while they are out with the application.
    #[inline]
    pub fn readable(&self, held: Option<&ReceiveBufferId>) -> &[u8] {
        held.map_or(&[], |&ReceiveBufferId(handle)| {
            let slot = self.slot(handle);
            slot.bytes.get(slot.readable()).unwrap_or_default()
        })
    }

    /// Number of unread in-order bytes, wherever the buffer is.
    #[inline]
    pub fn buffered(&self, held: Option<&ReceiveBufferId>) -> u32 {
        held.map_or(0, |&ReceiveBufferId(handle)| self.slot(handle).buffered)
    }

    /// Bytes beyond the in-order ones that a connection may still send: `receive_buffer_max` less what is unread.
    /// A window advertised from it never shrinks.
    #[inline]
    pub fn window(&self, held: Option<&ReceiveBufferId>) -> u32 {
        self.receive_buffer_max - self.buffered(held)
    }

    /// Drops the first `len` unread bytes, or all when there are fewer; returns how many.
    pub fn consume(&mut self, held: &mut Option<ReceiveBufferId>, len: u32) -> u32 {
        let Some(&ReceiveBufferId(handle)) = held.as_ref() else { return 0 };
        let slot = self.slot_mut(handle);
        let len = len.min(slot.buffered);
        slot.start += len;
        slot.buffered -= len;
        self.release_if_empty(held);
        len
    }

    /// The filled ranges beyond the in-order bytes, most recently changed first.
    pub fn ranges(&self, held: Option<&ReceiveBufferId>) -> RecentSpans<'_> {
        let Some(&ReceiveBufferId(handle)) = held else {
            return RecentSpans::new(&[], 0, 0);
        };
        let slot = self.slot(handle);
        RecentSpans::new(self.classes[handle.class()].filled(handle.index()), slot.origin(), slot.stamp)
    }

    /// Whether bytes at `offset` would need a range of their own and there is none left.
    fn needs_range(&self, held: Option<&ReceiveBufferId>, offset: u32, len: u32) -> bool {
        let Some(&ReceiveBufferId(handle)) = held.filter(|_| offset > 0) else {
            return false;
        };
        let class = &self.classes[handle.class()];
        let filled = class.filled(handle.index());
        let start = class.slots[handle.index()].origin() + offset;
        filled.len() == class.ranges_max && reassembly::touched(filled, start, start + len).is_empty()
    }

    fn release_if_empty(&mut self, held: &mut Option<ReceiveBufferId>) {
        let empty = held.as_ref().is_some_and(|&ReceiveBufferId(handle)| {
            let slot = self.slot(handle);
            slot.buffered == 0 && slot.ranges == 0
        });
        if empty {
            self.release(held);
        }
    }

    /// Makes sure of a buffer with room for `beyond` bytes behind the in-order ones.
    ///
    /// The bytes are moved to the front only if they are no more than were consumed, else into a larger buffer. In the largest,
    /// or when there is no larger one, they may be eight times what was consumed: more never need to
    /// move in class `class_max`, where `receive_buffer_max` leaves an eighth free. So each byte is moved a bounded number of times.
    fn fit(&mut self, held: &mut Option<ReceiveBufferId>, beyond: u32) -> Result<Handle, Refusal> {
        let Some(&ReceiveBufferId(handle)) = held.as_ref() else {
            let handle = self.allocate(beyond).ok_or(Refusal::Exhausted)?;
            *held = Some(ReceiveBufferId(handle));
            return Ok(handle);
        };
        let slot = self.slot(handle);
        if slot.state != SlotState::Held {
            return Err(Refusal::Taken);
        }
        let size = self.classes[handle.class()].size;
        let (start, needed) = (slot.start, slot.buffered + beyond);
        if start + needed <= size {
            return Ok(handle);
        }
        if start < size / 2 || needed > size {
            let grown = self.allocate_above(handle.class(), needed);
            if let Some(larger) = grown {
                self.relocate(handle, larger);
                *held = Some(ReceiveBufferId(larger));
                return Ok(larger);
            }
        }
        if needed > size || start < size / 8 {
            return Err(Refusal::Exhausted);
        }
        self.compact(handle);
        Ok(handle)
    }

    fn allocate_above(&mut self, class: usize, needed: u32) -> Option<Handle> {
        if class >= self.class_max {
            return None;
        }
        let above = self.classes[class + 1].size;
        self.allocate(needed.max(above))
    }

    /// Moves what `from` holds into the larger buffer `to`.
    fn relocate(&mut self, from: Handle, to: Handle) {
        let bytes = core::mem::take(&mut self.slot_mut(from).bytes);
        let Ok([source, target]) = self.classes.get_disjoint_mut([from.class(), to.class()]) else {
            unreachable!("a buffer grows into another class");
        };
        let &mut Slot { start, buffered, stamp, ranges, .. } = &mut source.slots[from.index()];
        let filled = source.filled(from.index());
        let slot = &mut target.slots[to.index()];
        (slot.buffered, slot.stamp, slot.ranges) = (buffered, stamp, ranges);
        slot.bytes[..buffered as usize].copy_from_slice(&bytes[start as usize..][..buffered as usize]);
        let mut moved = buffered;
        let first = to.index() * target.ranges_max;
        for (range, place) in filled.iter().zip(&mut target.filled[first..]) {
            *place = range.moved_down(start);
            slot.bytes[place.positions()].copy_from_slice(&bytes[range.positions()]);
            moved += range.end - range.start;
        }
        self.slot_mut(from).bytes = bytes;
        self.free(from);
        self.counters.growths += 1;
        self.counters.moved_bytes += u64::from(moved);
    }

    /// Moves what `handle` holds to the front of its buffer.
    fn compact(&mut self, handle: Handle) {
        let class = &mut self.classes[handle.class()];
        let slot = &mut class.slots[handle.index()];
        let start = slot.start;
        let readable = slot.readable();
        slot.bytes.copy_within(readable, 0);
        slot.start = 0;
        let mut moved = slot.buffered;
        let (bytes, ranges) = class.parts(handle.index());
        for range in &mut ranges.slots[..usize::from(*ranges.len)] {
            let target = range.moved_down(start);
            bytes.copy_within(range.positions(), target.start as usize);
            moved += range.end - range.start;
            *range = target;
        }
        self.counters.compactions += 1;
        self.counters.moved_bytes += u64::from(moved);
    }
}

/// Copies the parts of `bytes` that are not held yet; the buffer has room for them.
fn store(class: &mut Class, index: usize, offset: u32, bytes: &[u8]) -> Inserted {
    let origin = class.slots[index].origin();
    let (start, end) = (origin + offset, origin + offset + bytes.len() as u32);
    let (buffer, mut ranges) = class.parts(index);
    if offset == 0 && *ranges.len == 0 {
        buffer[start as usize..end as usize].copy_from_slice(bytes);
        class.slots[index].buffered += end - start;
        return Inserted { new_bytes: end - start, in_order: end - start, duplicate: None };
    }
    let covered = ranges.cover(start, end, |from, until| {
        let source = &bytes[(from - start) as usize..(until - start) as usize];
        buffer[from as usize..until as usize].copy_from_slice(source);
    });
    let mut in_order = 0;
    if offset == 0 {
        in_order = ranges.absorb(end) - origin;
    } else {
        ranges.join(start, end, &covered);
    }
    class.slots[index].buffered += in_order;
    let duplicate = covered.duplicate.map(|span| span.relative_to(origin));
    Inserted { new_bytes: covered.new_bytes, in_order, duplicate }
}
