//! What is kept for each connection beside the transport's own state, under the transport's key.

use alloc::vec::Vec;
use core::ops::Range;

use crate::base::prefetch::prefetch;
use crate::codec::Codec;
use crate::shard::application::Application;
use crate::shard::host::ConnectionId;

/// Whether messages can still be found in what a peer sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// They can.
    Sound,
    /// The codec gave the stream up: what follows is dropped.
    Broken,
}

/// One open connection.
pub(super) struct Session<A: Application> {
    pub(super) progress: <A::Codec as Codec>::Progress,
    pub(super) framing: Framing,
    pub(super) connection: A::Connection,
}

/// Sessions by the index of their connection's key. Room for all of them is reserved at the start; a page is
/// touched when its first session begins.
pub(super) struct Sessions<A: Application> {
    slots: Vec<Slot<A>>,
    len: usize,
}

struct Slot<A: Application> {
    /// The generation of the key that the session was begun under.
    generation: u32,
    session: Option<Session<A>>,
}

impl<A: Application> Sessions<A> {
    pub(super) fn new(connections_max: u32) -> Self {
        Self { slots: Vec::with_capacity(connections_max as usize), len: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Where the whole array lies, used or not.
    pub(super) fn address_range(&self) -> Range<usize> {
        let start = self.slots.as_ptr().addr();
        start..start + self.slots.capacity() * size_of::<Slot<A>>()
    }

    pub(super) fn insert(&mut self, id: ConnectionId, session: Session<A>) {
        let index = id.index as usize;
        while self.slots.len() <= index {
            self.slots.push(Slot { generation: 0, session: None });
        }
        let slot = &mut self.slots[index];
        slot.generation = id.generation;
        if slot.session.replace(session).is_none() {
            self.len += 1;
        }
    }

    /// Asks for the session's cache line.
    #[inline]
    pub(super) fn prefetch(&self, id: ConnectionId) {
        if let Some(slot) = self.slots.get(id.index as usize) {
            prefetch(slot);
        }
    }

    #[inline]
    pub(super) fn get_mut(&mut self, id: ConnectionId) -> Option<&mut Session<A>> {
        let slot = self.slots.get_mut(id.index as usize)?;
        if slot.generation == id.generation { slot.session.as_mut() } else { None }
    }

    pub(super) fn remove(&mut self, id: ConnectionId) -> Option<Session<A>> {
        let slot = self.slots.get_mut(id.index as usize)?;
        if slot.generation != id.generation {
            return None;
        }
        let session = slot.session.take();
        if session.is_some() {
            self.len -= 1;
        }
        session
    }
}
