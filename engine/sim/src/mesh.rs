//! Between the shards of one host: bounded rings of frames, and facts for all.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use bywash_core::stack::{HostFact, Peers, RingFull};

#[derive(Debug)]
struct Inbox {
    frames: VecDeque<Vec<u8>>,
    facts: VecDeque<HostFact>,
    woken: Woken,
}

/// Whether something was put into a shard's inbox since it was last asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woken {
    /// Something was.
    Yes,
    /// Nothing was.
    No,
}

/// One shard's end of its host's mesh.
#[derive(Clone, Debug)]
pub struct SimPeers {
    inboxes: Rc<RefCell<Vec<Inbox>>>,
    me: usize,
    frames_max: usize,
}

impl SimPeers {
    /// The ends of a mesh of `shards`, whose rings hold `frames_max` frames each.
    pub fn mesh(shards: usize, frames_max: usize) -> Vec<Self> {
        let inbox = || Inbox { frames: VecDeque::new(), facts: VecDeque::new(), woken: Woken::No };
        let inboxes = Rc::new(RefCell::new((0..shards).map(|_| inbox()).collect::<Vec<_>>()));
        (0..shards).map(|me| Self { inboxes: Rc::clone(&inboxes), me, frames_max }).collect()
    }

    /// Whether this shard's inbox got something since the last call.
    pub fn take_woken(&self) -> Woken {
        std::mem::replace(&mut self.inboxes.borrow_mut()[self.me].woken, Woken::No)
    }

    /// Frames that wait in this shard's inbox.
    pub fn waiting(&self) -> usize {
        self.inboxes.borrow()[self.me].frames.len()
    }
}

impl Peers for SimPeers {
    fn hand_over(&mut self, to: usize, frame: &[u8]) -> Result<(), RingFull> {
        let mut inboxes = self.inboxes.borrow_mut();
        let inbox = inboxes.get_mut(to).ok_or(RingFull)?;
        if inbox.frames.len() >= self.frames_max {
            return Err(RingFull);
        }
        inbox.frames.push_back(frame.to_vec());
        inbox.woken = Woken::Yes;
        Ok(())
    }

    fn next_frame(&mut self, show: impl FnOnce(&[u8])) -> bool {
        let frame = self.inboxes.borrow_mut()[self.me].frames.pop_front();
        match frame {
            Some(frame) => {
                show(&frame);
                true
            }
            None => false,
        }
    }

    fn publish(&mut self, fact: HostFact) {
        for (shard, inbox) in self.inboxes.borrow_mut().iter_mut().enumerate() {
            if shard != self.me {
                inbox.facts.push_back(fact);
                inbox.woken = Woken::Yes;
            }
        }
    }

    fn next_fact(&mut self) -> Option<HostFact> {
        self.inboxes.borrow_mut()[self.me].facts.pop_front()
    }
}
