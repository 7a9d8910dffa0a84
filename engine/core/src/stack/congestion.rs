//! The records of congestion control when they run out.

use crate::tcp::congestion;

use super::Stack;

/// Connections that are looked at for a record to take back, each time that one was missing.
const LOOKED_AT_MAX: u32 = 64;

impl Stack {
    /// Connections with nothing in flight give their records back: what these say of the path is old, and is learned again.
    #[cold]
    pub(super) fn reclaim_congestion_records(&mut self) {
        self.counters.congestion_records_refused += self.pools.congestion.take_refused();
        let count = self.warm.len() as u32;
        for _ in 0..LOOKED_AT_MAX.min(count) {
            let index = self.congestion_hand % count;
            self.congestion_hand = (index + 1) % count;
            if self.connections.key_at(index).is_some() && self.connections.at(index).flight() == 0 {
                congestion::release(&mut self.warm[index as usize], &mut self.pools.congestion);
            }
        }
    }
}
