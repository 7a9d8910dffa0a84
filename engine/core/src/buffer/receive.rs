//! Receive buffers: contiguous memory for the bytes that an application has left unread or that came out of order.

mod config;
#[cfg(test)]
mod properties;
mod slot;
mod store;
#[cfg(test)]
mod tests;

pub use config::ReceiveConfig;
pub use store::Inserted;

use super::class::{CLASSES, ClassCounters, ConfigError, Handle, SizeClass};
use alloc::vec::Vec;
use bytes::BytesMut;
use config::usable;
use core::array;
use core::ops::{Deref, Range};
use slot::{Class, Slot, SlotState};

#[cfg(debug_assertions)]
use alloc::sync::Arc;
#[cfg(debug_assertions)]
use core::sync::atomic::{AtomicU32, Ordering};

/// Names the buffer that a connection holds, in four bytes; the connection keeps an `Option` of it.
///
/// Not `Clone`: the one holder is the connection. A holder that forgets it without
/// [`ReceivePool::release`] loses the buffer.
#[derive(Debug, PartialEq, Eq)]
pub struct ReceiveBufferId(Handle);

const _: () = assert!(size_of::<Option<ReceiveBufferId>>() == 4);

/// Why bytes were not stored. The caller does not acknowledge them; each is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Refusal {
    /// No buffer of a class that would do is free.
    Exhausted,
    /// The bytes lie beyond `receive_buffer_max`.
    BufferMax,
    /// The bytes would need a range of their own, and `reassembly_ranges_max` are in use.
    RangesMax,
    /// The application holds the buffer: see [`ReceivePool::take`].
    Taken,
    /// Bytes were said to be delivered from the frame while earlier ones are still unread.
    Unread,
}

impl Refusal {
    const COUNT: usize = Self::Unread as usize + 1;
}

/// What happened in a [`ReceivePool`] since it was made; `classes` and `taken` also say what is in use now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReceiveCounters {
    /// Use of each class, smallest first.
    pub classes: [ClassCounters; CLASSES],
    /// Buffers that are out with the application now.
    pub taken: u32,
    /// Bytes copied from frames.
    pub copied_bytes: u64,
    /// Bytes moved within a buffer or into a larger one.
    pub moved_bytes: u64,
    /// Moves into a larger buffer.
    pub growths: u64,
    /// Moves to the front of the same buffer.
    pub compactions: u64,
    refusals: [u64; Refusal::COUNT],
}

impl ReceiveCounters {
    /// How often bytes were not stored for this reason.
    pub fn refusals(&self, reason: Refusal) -> u64 {
        self.refusals[reason as usize]
    }
}

/// All receive buffers of one shard, and the operations on the bytes of a connection.
#[derive(Debug)]
pub struct ReceivePool {
    classes: [Class; CLASSES],
    receive_buffer_max: u32,
    /// Class in which a connection's largest holding always fits: no buffer needs to grow beyond it.
    class_max: usize,
    counters: ReceiveCounters,
    #[cfg(debug_assertions)]
    lost: Arc<AtomicU32>,
}

impl ReceivePool {
    /// Reserves all memory; pages of the buffers are touched only when they are first used.
    pub fn new(config: &ReceiveConfig) -> Result<Self, ConfigError> {
        config.check()?;
        let mut built = Vec::with_capacity(CLASSES);
        for &class in &config.classes {
            built.push(Class::new(class, config.reassembly_ranges_max)?);
        }
        let classes = built.try_into().map_err(|_| ConfigError::OutOfMemory)?;
        let roomy = |class: &SizeClass| class.count > 0 && usable(class.size) >= config.receive_buffer_max;
        Ok(Self {
            classes,
            receive_buffer_max: config.receive_buffer_max,
            class_max: config.classes.iter().position(roomy).unwrap_or(CLASSES - 1),
            counters: ReceiveCounters::default(),
            #[cfg(debug_assertions)]
            lost: Arc::default(),
        })
    }

    /// Counters and present use.
    pub fn counters(&self) -> ReceiveCounters {
        let classes = array::from_fn(|class| self.classes[class].free.counters(self.classes[class].refusals));
        ReceiveCounters { classes, ..self.counters }
    }

    /// Address range of each class's memory, for advice about huge pages.
    pub fn address_ranges(&self) -> [Range<usize>; CLASSES] {
        array::from_fn(|class| self.classes[class].addresses.clone())
    }

    /// Hands the unread in-order bytes of `held` out as an owned value, so that the pool is not borrowed while the application
    /// reads them. No byte is copied. `None` when there are none or they are already out.
    ///
    /// Until [`put`](Self::put), bytes that arrive for the same connection are refused. A debug build panics in a
    /// later `take` when a taken buffer was dropped instead.
    pub fn take(&mut self, held: Option<&ReceiveBufferId>) -> Option<ReceiveBuffer> {
        self.report_losses();
        let &ReceiveBufferId(handle) = held?;
        let slot = self.slot_mut(handle);
        if slot.buffered == 0 || slot.state != SlotState::Held {
            return None;
        }
        slot.state = SlotState::Taken;
        let bytes = core::mem::take(&mut slot.bytes);
        let readable = slot.readable();
        self.counters.taken += 1;
        Some(ReceiveBuffer {
            handle,
            bytes,
            readable,
            #[cfg(debug_assertions)]
            lost: Arc::clone(&self.lost),
        })
    }

    /// Takes back what [`take`](Self::take) gave. What the application read is then dropped with
    /// [`consume`](Self::consume). If the connection has released the buffer meanwhile, it becomes free here.
    pub fn put(&mut self, mut buffer: ReceiveBuffer) {
        self.counters.taken -= 1;
        let bytes = core::mem::take(&mut buffer.bytes);
        let slot = self.slot_mut(buffer.handle);
        let state = core::mem::replace(&mut slot.state, SlotState::Held);
        slot.bytes = bytes;
        match state {
            SlotState::Released => self.free(buffer.handle),
            SlotState::Taken | SlotState::Held => {}
        }
    }

    /// Gives the connection's buffer back with everything in it, at the latest when the connection ends.
    pub fn release(&mut self, held: &mut Option<ReceiveBufferId>) {
        let Some(ReceiveBufferId(handle)) = held.take() else { return };
        match self.slot(handle).state {
            SlotState::Held => self.free(handle),
            SlotState::Taken | SlotState::Released => self.slot_mut(handle).state = SlotState::Released,
        }
    }

    fn refuse(&mut self, reason: Refusal) -> Refusal {
        self.counters.refusals[reason as usize] += 1;
        reason
    }

    /// Takes a buffer of at least `size` bytes, the smallest that is free.
    fn allocate(&mut self, size: u32) -> Option<Handle> {
        let fitting = self.classes.iter().position(|class| class.size >= size)?;
        for class in fitting..CLASSES {
            if let Some(index) = self.classes[class].take() {
                return Some(Handle::new(class, index));
            }
        }
        self.classes[fitting].refusals += 1;
        None
    }

    fn free(&mut self, handle: Handle) {
        self.classes[handle.class()].give(handle.index());
    }

    fn slot(&self, handle: Handle) -> &Slot {
        &self.classes[handle.class()].slots[handle.index()]
    }

    fn slot_mut(&mut self, handle: Handle) -> &mut Slot {
        &mut self.classes[handle.class()].slots[handle.index()]
    }

    fn report_losses(&self) {
        #[cfg(debug_assertions)]
        {
            let lost = self.lost.load(Ordering::Relaxed);
            assert!(lost == 0, "{lost} receive buffers were dropped instead of put back");
        }
    }
}

/// The unread in-order bytes of a connection, out of the pool while the application reads them.
#[derive(Debug)]
#[must_use = "a buffer that is not put back is lost to the pool"]
pub struct ReceiveBuffer {
    handle: Handle,
    bytes: BytesMut,
    readable: Range<usize>,
    #[cfg(debug_assertions)]
    lost: Arc<AtomicU32>,
}

impl Deref for ReceiveBuffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes.get(self.readable.clone()).unwrap_or_default()
    }
}

#[cfg(debug_assertions)]
impl Drop for ReceiveBuffer {
    fn drop(&mut self) {
        // `put` leaves no bytes behind.
        if !self.bytes.is_empty() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}
