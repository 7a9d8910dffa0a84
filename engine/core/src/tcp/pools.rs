//! State that a connection has only while it needs it, by kind: every kind has its bound.

use super::congestion::CongestionPool;
use super::recovery::RecoveryPool;
use crate::base::OutOfMemory;

/// The pools of a shard.
#[derive(Debug)]
pub struct Pools {
    /// Loss recovery's records.
    pub recoveries: RecoveryPool,
    /// Congestion control's.
    pub congestion: CongestionPool,
}

impl Pools {
    /// Pools of so many records each.
    ///
    /// # Errors
    /// [`OutOfMemory`] if the address space cannot be reserved.
    pub fn new(recoveries_max: u32, congestions_max: u32) -> Result<Self, OutOfMemory> {
        Ok(Self {
            recoveries: RecoveryPool::new(recoveries_max)?,
            congestion: CongestionPool::new(congestions_max)?,
        })
    }
}
