//! The doubly linked lists of the wheel, threaded through one array of nodes.
//!
//! To follow a chain through a large array is to wait for memory at each link. So each list is eight chains
//! (lanes), by index, and is taken apart one link of each at a time: eight waits at once.

use super::{LEVELS, OutOfMemory, SLOTS};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ops::Range;
use zerocopy::FromZeros;

/// The list of what lies beyond the levels.
pub(super) const FAR: usize = LEVELS * SLOTS;
/// The list of what is on its way down.
pub(super) const CASCADING: usize = FAR + 1;
/// How many lists there are; the first ones are the slots, level by level.
const LISTS: usize = CASCADING + 1;
/// Chains of a list.
const LANES: usize = 8;

/// In [`Node::previous`]: the node is the first of its lane of the list whose number follows.
const FIRST: u32 = 1 << 31;

/// One index's links. All zero means not armed, so the array needs no initialisation.
#[derive(FromZeros, Debug)]
pub(super) struct Node {
    /// The next node's index plus one; zero at the end.
    next: u32,
    /// The previous node's index plus one, or [`FIRST`] and the list's number; zero if not armed. The lane
    /// follows from the index.
    previous: u32,
    tick: u64,
}

const _: () = assert!(size_of::<Node>() == 16);

/// The lists and the nodes in them.
#[derive(Debug)]
pub(super) struct Lists {
    /// The first node's index plus one of each lane of each list; zero if the lane is empty.
    heads: Box<[[u32; LANES]; LISTS]>,
    nodes: Vec<Node>,
}

/// What was taken out of a list at once: at most one index of each lane, with its tick.
pub(super) struct Round {
    timers: [(u32, u64); LANES],
    count: usize,
}

impl Round {
    #[inline]
    pub(super) fn timers(&self) -> impl Iterator<Item = (u32, u64)> {
        self.timers.iter().take(self.count).copied()
    }
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
        let heads = <[[u32; LANES]; LISTS]>::new_box_zeroed().map_err(|_| error)?;
        Ok(Self { heads, nodes })
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
        self.heads[list] == [0; LANES]
    }

    /// Puts an index that is in no list into one.
    #[inline]
    pub(super) fn push(&mut self, list: usize, index: u32, tick: u64) {
        let head = &mut self.heads[list][index as usize % LANES];
        let next = core::mem::replace(head, index + 1);
        self.nodes[index as usize] = Node { next, previous: FIRST | list as u32, tick };
        if next != 0 {
            self.nodes[next as usize - 1].previous = index + 1;
        }
    }

    /// Takes the first index of each lane of a list out, but at most so many.
    #[inline]
    pub(super) fn pop_round(&mut self, list: usize, at_most: usize) -> Round {
        let mut round = Round { timers: [(0, 0); LANES], count: 0 };
        for head in &mut self.heads[list] {
            let Some(index) = head.checked_sub(1) else { continue };
            if round.count == at_most {
                break;
            }
            let node = &mut self.nodes[index as usize];
            node.previous = 0;
            round.timers[round.count] = (index, node.tick);
            round.count += 1;
            *head = node.next;
            if let Some(next) = head.checked_sub(1) {
                // This write also fetches the node for the next round.
                self.nodes[next as usize].previous = FIRST | list as u32;
            }
        }
        round
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
        self.heads[list][index as usize % LANES] = next;
        (next == 0 && self.is_empty(list)).then_some(list)
    }

    /// Makes a whole list the one on its way down, which must be empty.
    pub(super) fn move_to_cascading(&mut self, list: usize) {
        debug_assert!(self.is_empty(CASCADING), "what is on its way down would be lost");
        let heads = core::mem::take(&mut self.heads[list]);
        self.heads[CASCADING] = heads;
        for index in heads.into_iter().filter_map(|head| head.checked_sub(1)) {
            self.nodes[index as usize].previous = FIRST | CASCADING as u32;
        }
    }

    pub(super) fn address_range(&self) -> Range<usize> {
        let start = self.nodes.as_ptr().addr();
        start..start + size_of_val(self.nodes.as_slice())
    }
}
