//! The atomics under a ring: the machine's, or the model checker's under `--cfg loom`.

#[cfg(loom)]
pub(super) use loom::{
    cell::UnsafeCell,
    sync::Arc,
    sync::atomic::{AtomicU32, Ordering, fence},
};
#[cfg(not(loom))]
pub(super) use std::{
    cell::UnsafeCell,
    sync::Arc,
    sync::atomic::{AtomicU32, Ordering, fence},
};
