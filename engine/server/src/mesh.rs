//! What shards hand to each other: frames of flows that moved to another queue, and facts about hosts.
//!
//! Every shard owns one bounded inbox, allocated once. A frame is copied into a free buffer of the owner's
//! inbox and the buffer goes back there when the owner has read it, so nothing is allocated and nobody
//! waits: a full inbox refuses, and the sender counts that. A sleeping owner is woken through its [`Bell`]; an awake one
//! costs the sender no system call.

mod inbox;
#[cfg(test)]
mod tests;

use std::io;
use std::sync::Arc;

use inbox::Inbox;

pub use crate::os::bell::Bell;

/// Bounds of the inboxes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MeshConfig {
    /// Frames that wait in one inbox, at most (from 1).
    pub frames_max: usize,
    /// The longest frame in bytes.
    pub frame_len_max: usize,
    /// Facts that wait in one inbox, at most (from 1).
    pub facts_max: usize,
}

impl Default for MeshConfig {
    fn default() -> Self {
        Self { frames_max: 512, frame_len_max: 4_096, facts_max: 1_024 }
    }
}

/// Why something could not be handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandOverError {
    /// The owner's inbox is full: it does not keep up.
    #[error("the shard's inbox is full")]
    Full,
    /// The frame is longer than an inbox's buffers.
    #[error("the frame is longer than a buffer of the mesh")]
    TooLong,
    /// There is no shard of that number.
    #[error("no such shard")]
    NoSuchShard,
}

/// The inboxes of all shards.
#[derive(Clone)]
pub struct Mesh<F> {
    inboxes: Arc<[Arc<Inbox<F>>]>,
}

impl<F: Copy + Send> Mesh<F> {
    /// Inboxes for `shards` shards.
    ///
    /// # Errors
    /// The kernel has no descriptor left for a bell.
    pub fn new(shards: usize, config: MeshConfig) -> io::Result<Self> {
        let inboxes =
            (0..shards).map(|_| Inbox::new(config).map(Arc::new)).collect::<io::Result<Vec<_>>>()?;
        Ok(Self { inboxes: inboxes.into() })
    }

    /// The end of the mesh that shard `index` holds; one for each shard.
    ///
    /// # Panics
    /// There is no shard `index`.
    pub fn link(&self, index: usize) -> Link<F> {
        let own = Arc::clone(&self.inboxes[index]);
        Link { mesh: self.clone(), index, own, sent: Sent::default() }
    }

    /// Tells every shard `fact`; for the control plane. Returns how many had no room for it.
    pub fn publish(&self, fact: F) -> u32 {
        self.publish_except(usize::MAX, fact)
    }

    /// What wakes shard `index`, if there is one.
    pub fn bell(&self, index: usize) -> Option<&Bell> {
        self.inboxes.get(index).map(|inbox| &inbox.bell)
    }

    /// Whether something waits for shard `index`.
    pub fn has_work(&self, index: usize) -> bool {
        self.inboxes.get(index).is_some_and(|inbox| inbox.has_work())
    }

    fn publish_except(&self, sender: usize, fact: F) -> u32 {
        let mut lost = 0;
        for (index, inbox) in self.inboxes.iter().enumerate() {
            if index == sender {
                continue;
            }
            match inbox.put_fact(fact) {
                Ok(()) => inbox.bell.ring_if_asleep(),
                Err(_) => lost += 1,
            }
        }
        lost
    }
}

/// What a link sent and could not send since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Frames handed to other shards.
    pub frames: u64,
    /// Frames that were refused.
    pub frames_refused: u64,
    /// Facts that a shard had no room for, counted once for each such shard.
    pub facts_refused: u64,
}

/// One shard's end of the mesh.
pub struct Link<F> {
    mesh: Mesh<F>,
    index: usize,
    own: Arc<Inbox<F>>,
    sent: Sent,
}

impl<F: Copy + Send> Link<F> {
    /// This shard's number.
    pub fn index(&self) -> usize {
        self.index
    }

    /// How many shards there are.
    pub fn shards(&self) -> usize {
        self.mesh.inboxes.len()
    }

    /// Copies `frame` into the inbox of shard `to` and wakes it if it sleeps.
    ///
    /// # Errors
    /// [`HandOverError`]; it is counted in [`Link::sent`].
    pub fn hand_over(&mut self, to: usize, frame: &[u8]) -> Result<(), HandOverError> {
        let result = match self.mesh.inboxes.get(to) {
            Some(inbox) => inbox.put_frame(frame).map(|()| inbox.bell.ring_if_asleep()),
            None => Err(HandOverError::NoSuchShard),
        };
        match result {
            Ok(()) => self.sent.frames += 1,
            Err(_) => self.sent.frames_refused += 1,
        }
        result
    }

    /// Shows the next frame that was handed to this shard to `read` and gives its result; `None` when there is none.
    #[inline]
    pub fn next<R>(&mut self, read: impl FnOnce(&[u8]) -> R) -> Option<R> {
        self.own.take_frame(read)
    }

    /// Tells every other shard `fact`.
    pub fn publish(&mut self, fact: F) {
        self.sent.facts_refused += u64::from(self.mesh.publish_except(self.index, fact));
    }

    /// The next fact that was told to this shard, if there is one.
    #[inline]
    pub fn next_fact(&mut self) -> Option<F> {
        self.own.take_fact()
    }

    /// The facts that wait now, oldest first; those that arrive meanwhile may be among them, up to one inbox full.
    pub fn facts(&mut self) -> impl Iterator<Item = F> + '_ {
        let bound = self.own.facts_max();
        std::iter::from_fn(|| self.own.take_fact()).take(bound)
    }

    /// Whether something waits for this shard.
    pub fn has_work(&self) -> bool {
        self.own.has_work()
    }

    /// What was sent since the start.
    pub fn sent(&self) -> Sent {
        self.sent
    }

    /// What wakes this shard.
    pub fn bell(&self) -> &Bell {
        &self.own.bell
    }
}
