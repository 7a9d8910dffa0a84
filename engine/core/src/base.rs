//! What every other module stands on: time, random numbers, slabs, timers, and the atomics facade.
//!
//! Nothing here knows of packets, and nothing here reads a clock or an entropy source.

pub mod prefetch;
pub mod random;
pub mod slab;
pub mod sync;
pub mod time;
pub mod wheel;
pub mod wide;

use core::fmt;

/// The memory for one of the big arrays, which are all taken at start, could not be had.
///
/// To blame: the configured maximum, or the machine. Remedy: a smaller `*_max`, or more memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OutOfMemory {
    /// Size of the array that was asked for, in bytes; saturates at `usize::MAX`.
    pub bytes: usize,
}

impl OutOfMemory {
    /// The error for an array of `count` values of type `T`.
    pub(crate) fn for_array<T>(count: usize) -> Self {
        Self { bytes: count.saturating_mul(size_of::<T>()) }
    }
}

impl fmt::Display for OutOfMemory {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "no memory for an array of {} bytes: lower the configured maximum", self.bytes)
    }
}

impl core::error::Error for OutOfMemory {}
