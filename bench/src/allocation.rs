//! An allocator that counts: how many bytes are held, and how often memory was asked for.
#![allow(unsafe_code, reason = "the allocator's contract is an unsafe trait")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering};

/// The system's allocator with counters. Make one of these the `#[global_allocator]`.
#[derive(Debug)]
pub struct CountingAllocator {
    allocated: AtomicU64,
    freed: AtomicU64,
    calls: AtomicU64,
}

impl CountingAllocator {
    /// With all counters at zero.
    pub const fn new() -> Self {
        Self { allocated: AtomicU64::new(0), freed: AtomicU64::new(0), calls: AtomicU64::new(0) }
    }

    /// Bytes held now.
    pub fn held(&self) -> u64 {
        let freed = self.freed.load(Ordering::Relaxed);
        self.allocated.load(Ordering::Relaxed).saturating_sub(freed)
    }

    /// How often memory was asked for so far, growing included.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    fn count(&self, allocated: usize) {
        self.allocated.fetch_add(allocated as u64, Ordering::Relaxed);
        self.calls.fetch_add(1, Ordering::Relaxed);
    }
}

impl Default for CountingAllocator {
    fn default() -> Self {
        Self::new()
    }
}

// SAFETY: every call is handed to `System` unchanged, which keeps the contract; the counters touch no memory of it.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.count(layout.size());
        // SAFETY: the caller's promise about `layout` is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        self.count(layout.size());
        // SAFETY: the caller's promise about `layout` is passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        self.freed.fetch_add(layout.size() as u64, Ordering::Relaxed);
        // SAFETY: `pointer` came from `System` with this `layout`, as the caller promises of this allocator.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        self.count(new_size);
        self.freed.fetch_add(layout.size() as u64, Ordering::Relaxed);
        // SAFETY: `pointer` came from `System` with this `layout`, as the caller promises of this allocator.
        unsafe { System.realloc(pointer, layout, new_size) }
    }
}
