//! Where frames go: to which hosts, over which link, and to which queue there.

use bywash_core::base::random::Random;

use crate::fault::{Fault, Tally};
use crate::link::Link;

/// A switch with a link from each host to each.
pub(super) struct Switch {
    hosts: usize,
    links: Vec<Link>,
    /// Chance in a thousand that a frame lands on any queue.
    stray: u64,
    /// What the spreading of flows over queues depends on.
    salt: u64,
}

impl Switch {
    pub(super) fn new(hosts: usize, links: Vec<Link>, stray: u64, salt: u64) -> Self {
        Self { hosts, links, stray, salt }
    }

    /// Flows may land on other queues from now on.
    pub(super) fn rehash(&mut self, salt: u64) {
        self.salt = salt;
    }

    pub(super) fn link(&mut self, from: usize, to: usize) -> &mut Link {
        &mut self.links[from * self.hosts + to]
    }

    /// Who gets a frame: the owner of its destination, or all for a group.
    pub(super) fn receivers(&self, from: usize, frame: &[u8]) -> Vec<usize> {
        let last = frame.get(5).map_or(0, |octet| usize::from(*octet));
        let is_group = frame.first().is_some_and(|octet| octet & 1 == 1);
        (0..self.hosts).filter(|host| *host != from && (is_group || host + 1 == last)).collect()
    }

    /// The queue of one of `queues` on which a frame lands.
    pub(super) fn queue(&self, frame: &[u8], queues: usize, random: &mut Random, tally: &mut Tally) -> usize {
        if queues == 1 {
            return 0;
        }
        if random.chance_in(self.stray, 1000) {
            tally.count(Fault::Stray);
            return random.below(queues as u64) as usize;
        }
        let tuple = match frame.get(12..14) {
            Some([0x08, 0x00]) => frame.get(26..38),
            Some([0x86, 0xdd]) => frame.get(22..58),
            Some(_) | None => None,
        };
        let mut hash = self.salt;
        for octet in tuple.unwrap_or_default() {
            hash = (hash ^ u64::from(*octet)).wrapping_mul(0x0100_0000_01b3);
        }
        (hash >> 32) as usize % queues
    }
}
