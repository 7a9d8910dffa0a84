//! One shard's bounded inbox.

use std::io;

use crossbeam_queue::ArrayQueue;

use super::{HandOverError, MeshConfig};
use crate::os::bell::Bell;
use crate::parcels::{Parcels, Refusal};

pub(super) struct Inbox<F> {
    frames: Parcels<()>,
    facts: ArrayQueue<F>,
    pub(super) bell: Bell,
}

impl<F> Inbox<F> {
    pub(super) fn new(config: MeshConfig) -> io::Result<Self> {
        Ok(Self {
            frames: Parcels::new(config.frames_max, config.frame_len_max),
            facts: ArrayQueue::new(config.facts_max.max(1)),
            bell: Bell::new()?,
        })
    }

    pub(super) fn put_frame(&self, frame: &[u8]) -> Result<(), HandOverError> {
        self.frames.put(frame, ()).map_err(|refusal| match refusal {
            Refusal::Full => HandOverError::Full,
            Refusal::TooLong => HandOverError::TooLong,
        })
    }

    #[inline]
    pub(super) fn take_frame<R>(&self, read: impl FnOnce(&[u8]) -> R) -> Option<R> {
        self.frames.take(|frame, ()| read(frame))
    }

    pub(super) fn put_fact(&self, fact: F) -> Result<(), HandOverError> {
        self.facts.push(fact).map_err(|_| HandOverError::Full)
    }

    #[inline]
    pub(super) fn take_fact(&self) -> Option<F> {
        // Two loads; an attempt to take from an empty queue costs a fence.
        if self.facts.is_empty() { None } else { self.facts.pop() }
    }

    pub(super) fn facts_max(&self) -> usize {
        self.facts.capacity()
    }

    pub(super) fn has_work(&self) -> bool {
        !self.frames.is_empty() || !self.facts.is_empty()
    }
}
