//! Where the big arrays of a stack lie.

use core::iter::once;
use core::ops::Range;

use super::Stack;
use crate::tcp::connection::Warm;

impl Stack {
    /// The address ranges of all arrays that grow with a limit of the configuration, used or not: for advice about huge
    /// pages, best given right after [`Stack::new`], before the first use touches them. None of them moves.
    pub fn address_ranges(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        let warm = self.warm.as_ptr().addr();
        let warm = warm..warm + self.warm.capacity() * size_of::<Warm>();
        once(warm)
            .chain(self.tables.address_ranges())
            .chain([
                self.connections.address_range(),
                self.pools.recoveries.address_range(),
                self.pools.congestion.address_range(),
                self.tuned.address_range(),
                self.half_open.address_range(),
                self.syn_sent.address_range(),
                self.time_wait.address_range(),
            ])
            .chain(self.chunks.address_ranges())
            .chain(self.receive.address_ranges())
            .chain(self.wheel.address_ranges())
            .chain(self.half_open_wheel.address_ranges())
            .chain(self.syn_sent_wheel.address_ranges())
    }
}
