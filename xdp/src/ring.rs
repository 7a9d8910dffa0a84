//! The ring algorithm behind all four `AF_XDP` rings: one producer, one consumer, a power-of-two array,
//! and two indices that run freely and wrap at 2³² (`Documentation/networking/af_xdp.rst`, "Rings").
//!
//! The same code runs over memory shared with the kernel, over plain memory ([`pair`]) and, under
//! `--cfg loom`, over the model checker's memory. Each role keeps its own index and a cached copy of the
//! other's, so the shared cache line is read only when the cached copy says full or empty.
#![allow(unsafe_code)]

mod memory;
mod sync;
#[cfg(all(test, not(loom)))]
mod tests;

#[cfg(all(test, loom))]
mod loom_tests;

pub(crate) use memory::RingMemory;
use sync::Ordering;

use crate::abi::XDP_RING_NEED_WAKEUP;

/// The ring has no free entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// Whether the other side asks to be woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wakeup {
    /// It sleeps: a system call must wake it.
    Asked,
    /// It will look by itself.
    NotAsked,
}

/// A ring in plain memory with `size` entries (a power of two), its indices starting at `start`.
///
/// # Panics
///
/// If `size` is not a power of two.
pub fn pair<D: Copy + Default>(size: u32, start: u32) -> (Producer<D>, Consumer<D>) {
    let (one, other) = RingMemory::plain(size, start);
    (Producer::new(one), Consumer::new(other))
}

/// The writing role: ours on the fill and tx rings. Entries are staged, then published together.
#[derive(Debug)]
pub struct Producer<D> {
    memory: RingMemory<D>,
    head: u32,
    published: u32,
    consumer_cached: u32,
}

impl<D: Copy> Producer<D> {
    /// Takes the writing role; `RingMemory` hands each role out once.
    pub(crate) fn new(memory: RingMemory<D>) -> Self {
        // Relaxed: set-up, before the other side runs.
        let head = memory.producer().load(Ordering::Relaxed);
        let consumer_cached = memory.consumer().load(Ordering::Relaxed);
        Self { memory, head, published: head, consumer_cached }
    }

    /// Number of entries in the ring.
    pub fn capacity(&self) -> u32 {
        self.memory.size()
    }

    /// Free entries. The shared index is read only if fewer than `wanted` are known to be free.
    pub fn free(&mut self, wanted: u32) -> u32 {
        let free = self.known_free();
        if free >= wanted {
            return free;
        }
        // Acquire pairs with the consumer's release store: its reads of the entries come before our overwriting.
        self.consumer_cached = self.memory.consumer().load(Ordering::Acquire);
        self.known_free()
    }

    /// Writes an entry that the consumer sees after the next [`publish`](Self::publish).
    ///
    /// # Errors
    ///
    /// [`Full`] when no entry is free.
    pub fn stage(&mut self, descriptor: D) -> Result<(), Full> {
        if self.free(1) == 0 {
            return Err(Full);
        }
        // SAFETY: `free` saw that the consumer has passed this entry, and `head` is not published yet, so
        // only this role touches the entry.
        unsafe { self.memory.write(self.head, descriptor) };
        self.head = self.head.wrapping_add(1);
        Ok(())
    }

    /// Hands all staged entries to the consumer; returns how many.
    pub fn publish(&mut self) -> u32 {
        let count = self.staged();
        if count > 0 {
            // Release pairs with the consumer's acquire load: entries are written before they are seen.
            self.memory.producer().store(self.head, Ordering::Release);
            self.published = self.head;
        }
        count
    }

    /// Entries staged and not yet published.
    pub fn staged(&self) -> u32 {
        self.head.wrapping_sub(self.published)
    }

    /// Published entries that the consumer has not taken yet.
    pub fn unconsumed(&self) -> u32 {
        self.published.wrapping_sub(self.memory.consumer().load(Ordering::Acquire))
    }

    /// Index of the next entry to stage; runs freely and wraps.
    pub fn head(&self) -> u32 {
        self.head
    }

    /// Whether the kernel asks for a wake-up (`XDP_RING_NEED_WAKEUP`).
    pub fn wakeup(&self) -> Wakeup {
        // The flag must not be read before the published index is visible: the kernel sets the flag and then looks.
        sync::fence(Ordering::SeqCst);
        match self.memory.flags().load(Ordering::Relaxed) & XDP_RING_NEED_WAKEUP {
            0 => Wakeup::NotAsked,
            _ => Wakeup::Asked,
        }
    }

    fn known_free(&self) -> u32 {
        // A consumer index beyond ours would be a broken peer: treat it as a full ring.
        self.memory.size().saturating_sub(self.head.wrapping_sub(self.consumer_cached))
    }
}

/// The reading role: ours on the rx and completion rings. Entries are read, then released together.
#[derive(Debug)]
pub struct Consumer<D> {
    memory: RingMemory<D>,
    tail: u32,
    released: u32,
    producer_cached: u32,
}

impl<D: Copy> Consumer<D> {
    /// Takes the reading role; `RingMemory` hands each role out once.
    pub(crate) fn new(memory: RingMemory<D>) -> Self {
        // Relaxed: set-up, before the other side runs. What was published before is found by the first `available`.
        let tail = memory.consumer().load(Ordering::Relaxed);
        Self { memory, tail, released: tail, producer_cached: tail }
    }

    /// Number of entries in the ring.
    pub fn capacity(&self) -> u32 {
        self.memory.size()
    }

    /// Entries that can be taken. The shared index is read only if fewer than `wanted` are known.
    pub fn available(&mut self, wanted: u32) -> u32 {
        let known = self.producer_cached.wrapping_sub(self.tail);
        if known >= wanted {
            return known;
        }
        // Acquire pairs with the producer's release store: the entries below the index are written.
        self.producer_cached = self.memory.producer().load(Ordering::Acquire);
        // More than the ring holds would be a broken peer: take what the ring can hold.
        self.producer_cached.wrapping_sub(self.tail).min(self.memory.size())
    }

    /// Takes the next entry, or `None` when there is none.
    pub fn take(&mut self) -> Option<D> {
        if self.available(1) == 0 {
            return None;
        }
        // SAFETY: `available` saw that the producer published this entry, and `tail` is not released yet, so
        // the producer does not write it.
        let descriptor = unsafe { self.memory.read(self.tail) };
        self.tail = self.tail.wrapping_add(1);
        Some(descriptor)
    }

    /// Gives all taken entries back to the producer; returns how many.
    pub fn release(&mut self) -> u32 {
        let count = self.tail.wrapping_sub(self.released);
        if count > 0 {
            // Release pairs with the producer's acquire load: our reads come before its overwriting.
            self.memory.consumer().store(self.tail, Ordering::Release);
            self.released = self.tail;
        }
        count
    }

    /// Published entries not yet taken.
    pub fn unread(&self) -> u32 {
        self.memory.producer().load(Ordering::Acquire).wrapping_sub(self.tail)
    }

    /// Index of the next entry to take; runs freely and wraps.
    pub fn tail(&self) -> u32 {
        self.tail
    }

    /// Plays the kernel's part: asks the producer to wake this side, or no longer.
    pub fn set_wakeup(&self, wakeup: Wakeup) {
        let flags = match wakeup {
            Wakeup::Asked => XDP_RING_NEED_WAKEUP,
            Wakeup::NotAsked => 0,
        };
        self.memory.flags().store(flags, Ordering::SeqCst);
    }
}
