//! The doubly linked lists of the wheel, threaded through one array of nodes.

use super::{LEVELS, OutOfMemory, SLOTS};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ops::Range;
use zerocopy::FromZeros;

/// The list of what lies beyond the levels.
pub(super) const FAR: usize = LEVELS * SLOTS;
/// The list of what is due.
pub(super) const DUE: usize = FAR + 1;
/// How many lists there are; the first ones are the slots, level by level.
const LISTS: usize = DUE + 1;

/// In [`Node::previous`]: the node is the first of the list whose number follows.
const FIRST: u32 = 1 << 31;

/// One index's links. All zero means not armed, so the array needs no initialisation.
#[derive(FromZeros, Debug)]
pub(super) struct Node {
    /// The next node's index plus one; zero at the end.
    next: u32,
    /// The previous node's index plus one, or [`FIRST`] and the list's number; zero if not armed.
    previous: u32,
    tick: u64,
}

const _: () = assert!(size_of::<Node>() == 16);

/// The lists and the nodes in them.
#[derive(Debug)]
pub(super) struct Lists {
    /// The first node's index plus one of each list; zero if the list is empty.
    heads: Box<[u32; LISTS]>,
    nodes: Vec<Node>,
}

/// The part not yet visited of a list taken out of [`Lists`].
pub(super) struct Detached {
    next: u32,
}

impl Lists {
    pub(super) fn new(maximum: u32) -> Result<Self, OutOfMemory> {
        let count = maximum as usize;
        let error = OutOfMemory::for_array::<Node>(count);
        // Links are indices plus one, below FIRST.
        if maximum >= FIRST {
            return Err(error);
        }
        let nodes = Node::new_vec_zeroed(count).map_err(|_| error)?;
        Ok(Self { heads: Box::new([0; LISTS]), nodes })
    }

    /// The tick for which an index is armed.
    #[inline]
    pub(super) fn tick(&self, index: u32) -> Option<u64> {
        let node = self.node(index);
        (node.previous != 0).then_some(node.tick)
    }

    #[inline]
    pub(super) fn node(&self, index: u32) -> &Node {
        &self.nodes[index as usize]
    }

    #[inline]
    pub(super) fn is_empty(&self, list: usize) -> bool {
        self.heads[list] == 0
    }

    /// Puts an index that is in no list at the front of one.
    #[inline]
    pub(super) fn push(&mut self, list: usize, index: u32, tick: u64) {
        let next = core::mem::replace(&mut self.heads[list], index + 1);
        self.nodes[index as usize] = Node { next, previous: FIRST | list as u32, tick };
        if next != 0 {
            self.nodes[next as usize - 1].previous = index + 1;
        }
    }

    /// Takes the first index of a list out.
    #[inline]
    pub(super) fn pop(&mut self, list: usize) -> Option<u32> {
        let index = self.heads[list].checked_sub(1)?;
        let node = &mut self.nodes[index as usize];
        node.previous = 0;
        let next = node.next;
        self.heads[list] = next;
        if next != 0 {
            self.nodes[next as usize - 1].previous = FIRST | list as u32;
        }
        Some(index)
    }

    /// Takes an index out of the list in which it is; returns the list's number if that has emptied it.
    #[inline]
    pub(super) fn unlink(&mut self, index: u32) -> Option<usize> {
        let node = &mut self.nodes[index as usize];
        let Node { next, previous, .. } = *node;
        node.previous = 0;
        if next != 0 {
            self.nodes[next as usize - 1].previous = previous;
        }
        if previous & FIRST == 0 {
            self.nodes[previous as usize - 1].next = next;
            return None;
        }
        let list = (previous & !FIRST) as usize;
        self.heads[list] = next;
        (next == 0).then_some(list)
    }

    /// Makes a whole list the due list, which must be empty.
    pub(super) fn move_to_due(&mut self, list: usize) {
        debug_assert!(self.is_empty(DUE), "the due list would be lost");
        let first = core::mem::take(&mut self.heads[list]);
        self.heads[DUE] = first;
        if let Some(index) = first.checked_sub(1) {
            self.nodes[index as usize].previous = FIRST | DUE as u32;
        }
    }

    /// Empties a list, to be walked with [`next_detached`](Self::next_detached) to its end.
    pub(super) fn detach(&mut self, list: usize) -> Detached {
        Detached { next: core::mem::take(&mut self.heads[list]) }
    }

    /// The next index and its tick of a detached list; the index is then in no list.
    #[inline]
    pub(super) fn next_detached(&self, rest: &mut Detached) -> Option<(u32, u64)> {
        let index = rest.next.checked_sub(1)?;
        let node = &self.nodes[index as usize];
        rest.next = node.next;
        Some((index, node.tick))
    }

    pub(super) fn address_range(&self) -> Range<usize> {
        let start = self.nodes.as_ptr().addr();
        start..start + size_of_val(self.nodes.as_slice())
    }
}
