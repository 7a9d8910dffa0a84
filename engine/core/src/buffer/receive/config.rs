//! Sizes and limits of the receive side, and what they must fulfil.

use crate::buffer::class::{self, CLASSES, ConfigError, SizeClass};

/// Bound of `reassembly_ranges_max`.
const RANGES_MAX: u16 = 1024;

/// Sizes and limits of the receive side of one shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiveConfig {
    /// The size classes, smallest first.
    pub classes: [SizeClass; CLASSES],
    /// Most bytes that all classes together may reserve.
    pub receive_memory_max: u64,
    /// Most bytes that one connection may hold, holes between out-of-order segments included: at most seven eighths of
    /// the largest class that has buffers, so that moving bytes to the front of a full buffer stays cheap.
    pub receive_buffer_max: u32,
    /// Most separate out-of-order ranges of one connection, 1 to 1024.
    pub reassembly_ranges_max: u16,
}

impl ReceiveConfig {
    /// The default sizes with counts that share out `receive_memory_max` bytes: an eighth each to the two small
    /// classes, a quarter and a half to the large ones.
    pub fn with_memory(receive_memory_max: u64) -> Self {
        let class = |size: u32, share: u64| {
            let count = (receive_memory_max / share / u64::from(size)).min(u64::from(class::COUNT_MAX));
            SizeClass { size, count: count as u32 }
        };
        let classes = [class(2 << 10, 8), class(16 << 10, 8), class(128 << 10, 4), class(1 << 20, 2)];
        let receive_buffer_max = buffer_max_allowed(&classes);
        Self { classes, receive_memory_max, receive_buffer_max, reassembly_ranges_max: 64 }
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        class::check(&self.classes, self.receive_memory_max)?;
        let allowed = buffer_max_allowed(&self.classes);
        if !(1..=allowed).contains(&self.receive_buffer_max) {
            return Err(ConfigError::ReceiveBufferMax { allowed });
        }
        if !(1..=RANGES_MAX).contains(&self.reassembly_ranges_max) {
            return Err(ConfigError::ReassemblyRangesMax);
        }
        Ok(())
    }
}

impl Default for ReceiveConfig {
    /// 128 MiB, 896 KiB for one connection, 64 ranges.
    fn default() -> Self {
        Self::with_memory(128 << 20)
    }
}

/// Seven eighths: a buffer that holds no more needs moving only after an eighth of it was consumed.
pub(super) fn usable(size: u32) -> u32 {
    size - size / 8
}

fn buffer_max_allowed(classes: &[SizeClass; CLASSES]) -> u32 {
    let served = classes.iter().filter(|class| class.count > 0);
    usable(served.map(|class| class.size).max().unwrap_or(0))
}
