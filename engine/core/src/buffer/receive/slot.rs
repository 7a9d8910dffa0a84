//! The buffers of one size class and what is known about each.

use crate::buffer::class::{ConfigError, FreeList, SizeClass};
use crate::buffer::reassembly::{Filled, Reassembly};
use alloc::vec::Vec;
use bytes::BytesMut;
use core::ops::Range;
use zerocopy::FromZeros;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SlotState {
    /// Free, or held by a connection with the bytes in place.
    Held,
    /// The bytes are out with the application.
    Taken,
    /// The bytes are out and the connection has given the buffer up: free once they come back.
    Released,
}

/// One buffer and what it holds: `start` consumed bytes, `buffered` in-order bytes, then ranges and holes.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) bytes: BytesMut,
    pub(super) start: u32,
    pub(super) buffered: u32,
    pub(super) stamp: u32,
    /// Link of the free list.
    next: u32,
    pub(super) ranges: u16,
    pub(super) state: SlotState,
}

impl Slot {
    pub(super) fn readable(&self) -> Range<usize> {
        self.start as usize..self.origin() as usize
    }

    /// Position of the end of the in-order bytes.
    pub(super) fn origin(&self) -> u32 {
        self.start + self.buffered
    }
}

#[derive(Debug)]
pub(super) struct Class {
    pub(super) size: u32,
    pub(super) slots: Vec<Slot>,
    pub(super) filled: Vec<Filled>,
    pub(super) ranges_max: usize,
    pub(super) free: FreeList,
    pub(super) refusals: u64,
    pub(super) addresses: Range<usize>,
}

impl Class {
    pub(super) fn new(class: SizeClass, ranges_max: u16) -> Result<Self, ConfigError> {
        let SizeClass { size, count } = class;
        let total = size as usize * count as usize;
        // One array of which each slot owns its piece.
        let mut memory = BytesMut::zeroed(total);
        let start = memory.as_ptr().addr();
        let mut slots = Vec::new();
        slots.try_reserve_exact(count as usize).map_err(|_| ConfigError::OutOfMemory)?;
        slots.extend((0..count).map(|_| Slot {
            bytes: memory.split_to(size as usize),
            start: 0,
            buffered: 0,
            stamp: 0,
            next: 0,
            ranges: 0,
            state: SlotState::Held,
        }));
        let filled = Filled::new_vec_zeroed(count as usize * usize::from(ranges_max));
        Ok(Self {
            size,
            slots,
            filled: filled.map_err(|_| ConfigError::OutOfMemory)?,
            ranges_max: usize::from(ranges_max),
            free: FreeList::new(count),
            refusals: 0,
            addresses: start..start + total,
        })
    }

    pub(super) fn take(&mut self) -> Option<u32> {
        self.free.take(|index| self.slots[index].next)
    }

    pub(super) fn give(&mut self, index: usize) {
        let slot = &mut self.slots[index];
        (slot.start, slot.buffered, slot.ranges) = (0, 0, 0);
        slot.next = self.free.give(index);
    }

    pub(super) fn filled(&self, index: usize) -> &[Filled] {
        &self.filled[index * self.ranges_max..][..usize::from(self.slots[index].ranges)]
    }

    /// The bytes of a buffer and its filled ranges, both to change.
    pub(super) fn parts(&mut self, index: usize) -> (&mut [u8], Reassembly<'_>) {
        let Slot { bytes, ranges, stamp, .. } = &mut self.slots[index];
        let slots = &mut self.filled[index * self.ranges_max..][..self.ranges_max];
        (bytes, Reassembly { slots, len: ranges, stamp })
    }
}
