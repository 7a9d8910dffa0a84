//! The mesh as the engine sees it.

use bywash_core::stack::{HostFact, Peers, RingFull};

use crate::mesh::Link;

/// One shard's way to the others.
pub(super) struct ShardPeers {
    link: Link<HostFact>,
}

impl ShardPeers {
    pub(super) fn new(link: Link<HostFact>) -> Self {
        Self { link }
    }
}

impl Peers for ShardPeers {
    fn hand_over(&mut self, to: usize, frame: &[u8]) -> Result<(), RingFull> {
        // Too long for the mesh, or no such shard, is the same to the engine: the frame is dropped and counted.
        self.link.hand_over(to, frame).map_err(|_| RingFull)
    }

    #[inline]
    fn next_frame(&mut self, show: impl FnOnce(&[u8])) -> bool {
        self.link.next(show).is_some()
    }

    fn publish(&mut self, fact: HostFact) {
        self.link.publish(fact);
    }

    #[inline]
    fn next_fact(&mut self) -> Option<HostFact> {
        self.link.next_fact()
    }
}
