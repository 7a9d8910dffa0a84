//! One shard's bounded inbox: buffers circle between "free" and "waiting".

use std::io;

use crossbeam_queue::ArrayQueue;

use super::{HandOverError, MeshConfig};
use crate::os::bell::Bell;

/// A buffer of the mesh and how much of it is a frame.
struct Parcel {
    bytes: Box<[u8]>,
    len: usize,
}

pub(super) struct Inbox<F> {
    waiting: ArrayQueue<Parcel>,
    free: ArrayQueue<Parcel>,
    facts: ArrayQueue<F>,
    pub(super) bell: Bell,
}

impl<F> Inbox<F> {
    pub(super) fn new(config: MeshConfig) -> io::Result<Self> {
        let frames_max = config.frames_max.max(1);
        let inbox = Self {
            waiting: ArrayQueue::new(frames_max),
            free: ArrayQueue::new(frames_max),
            facts: ArrayQueue::new(config.facts_max.max(1)),
            bell: Bell::new()?,
        };
        for _ in 0..frames_max {
            let parcel = Parcel { bytes: vec![0; config.frame_len_max].into_boxed_slice(), len: 0 };
            inbox.give_back(parcel);
        }
        Ok(inbox)
    }

    pub(super) fn put_frame(&self, frame: &[u8]) -> Result<(), HandOverError> {
        let mut parcel = self.free.pop().ok_or(HandOverError::Full)?;
        let Some(room) = parcel.bytes.get_mut(..frame.len()) else {
            self.give_back(parcel);
            return Err(HandOverError::TooLong);
        };
        room.copy_from_slice(frame);
        parcel.len = frame.len();
        // As many places as buffers: there is one for every buffer.
        self.waiting.push(parcel).map_err(|_| HandOverError::Full)
    }

    pub(super) fn take_frame<R>(&self, read: impl FnOnce(&[u8]) -> R) -> Option<R> {
        let parcel = self.waiting.pop()?;
        let result = read(parcel.bytes.get(..parcel.len).unwrap_or_default());
        self.give_back(parcel);
        Some(result)
    }

    pub(super) fn put_fact(&self, fact: F) -> Result<(), HandOverError> {
        self.facts.push(fact).map_err(|_| HandOverError::Full)
    }

    pub(super) fn take_fact(&self) -> Option<F> {
        self.facts.pop()
    }

    pub(super) fn facts_max(&self) -> usize {
        self.facts.capacity()
    }

    pub(super) fn has_work(&self) -> bool {
        !self.waiting.is_empty() || !self.facts.is_empty()
    }

    fn give_back(&self, parcel: Parcel) {
        let kept = self.free.push(parcel);
        debug_assert!(kept.is_ok(), "more buffers than were made");
    }
}
