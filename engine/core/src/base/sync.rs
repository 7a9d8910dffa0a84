//! The atomics that the lock-free parts use: those of `core`, or `loom`'s when a model check is built.

#[cfg(not(loom))]
pub use core::{
    hint::spin_loop,
    sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering, fence},
};

#[cfg(loom)]
pub use loom::{
    hint::spin_loop,
    sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering, fence},
};

pub use alloc::sync::Arc;

/// Keeps a value on cache lines of its own, so that a writer of its neighbours does not disturb its readers.
///
/// 128 bytes: `x86_64` fetches lines in pairs, and some ARM cores have lines of that size.
#[repr(align(128))]
#[derive(Default, Debug)]
pub struct CacheAligned<T>(pub T);
