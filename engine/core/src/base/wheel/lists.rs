//! The lists of the wheel: stacks of indices, each in a chain of chunks of one cache line.
//!
//! Linked nodes would have to be followed one miss of the cache at a time. A chunk names fourteen indices at once, whose
//! nodes can be asked for together. An index that leaves is replaced by its list's last, so that only the topmost chunk
//! of a list is ever partly full, and the number of chunks is bounded.

use super::{LEVELS, OutOfMemory, SLOTS};
use crate::base::prefetch::prefetch;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ops::Range;
use zerocopy::FromZeros;

/// How many lists there are: the slots, level by level.
const LISTS: usize = LEVELS * SLOTS;
/// The word of a chunk that holds the number of the chunk below it in its list; zero in the lowest.
const BELOW: usize = 0;
/// The word of a chunk that holds its list's number.
const LIST: usize = 1;
/// The first word of a chunk that holds an index.
const FIRST: usize = 2;
/// Words of a chunk.
const WORDS: usize = 16;
/// Indices of a chunk.
pub(super) const CHUNK: usize = WORDS - FIRST;

/// One index's timer. All zero means not armed, so the array needs no initialisation.
#[derive(FromZeros, Debug)]
pub(super) struct Node {
    /// The low half of its tick.
    pub(super) tick: u32,
    /// Where a list names it; none: not armed.
    place: Place,
}

/// One cache line of a list. Number 0 is in no list.
#[derive(FromZeros, Debug)]
#[repr(align(64))]
struct Chunk([u32; WORDS]);

const _: () = assert!(size_of::<Node>() == 8 && size_of::<Chunk>() == 64);

/// A word of a chunk: the chunk's number times [`WORDS`], and the word's.
#[derive(FromZeros, Clone, Copy, Debug, PartialEq, Eq)]
struct Place(u32);

impl Place {
    const NONE: Self = Self(0);

    const fn new(chunk: u32, word: usize) -> Self {
        Self(chunk * WORDS as u32 + word as u32)
    }

    const fn chunk(self) -> usize {
        self.0 as usize / WORDS
    }

    const fn word(self) -> usize {
        self.0 as usize % WORDS
    }
}

/// The lists, and for each index where it is.
#[derive(Debug)]
pub(super) struct Lists {
    /// Each list's last place; none if it is empty.
    tops: Box<[Place; LISTS]>,
    nodes: Vec<Node>,
    chunks: Vec<Chunk>,
    /// The first of the chunks that were in use and are no more, linked by [`BELOW`]; zero at the end.
    free: u32,
    /// All chunks from this one on have never been in use.
    untouched: u32,
}

impl Lists {
    pub(super) fn new(maximum: u32) -> Result<Self, OutOfMemory> {
        let count = maximum as usize;
        let error = OutOfMemory::for_array::<Node>(count);
        // Chunk 0, and those of the worst case: each list's topmost holds a single index. Numbers must fit into a place.
        let chunks = 1 + (count + (CHUNK - 1) * LISTS.min(count)) / CHUNK;
        if chunks > u32::MAX as usize / WORDS {
            return Err(error);
        }
        Ok(Self {
            tops: <[Place; LISTS]>::new_box_zeroed().map_err(|_| error)?,
            nodes: Node::new_vec_zeroed(count).map_err(|_| error)?,
            chunks: Chunk::new_vec_zeroed(chunks).map_err(|_| OutOfMemory::for_array::<Chunk>(chunks))?,
            free: 0,
            untouched: 1,
        })
    }

    /// The low half of the tick for which an index is armed.
    #[inline]
    pub(super) fn tick(&self, index: u32) -> Option<u32> {
        let node = self.node(index);
        (node.place != Place::NONE).then_some(node.tick)
    }

    #[inline]
    pub(super) fn node(&self, index: u32) -> &Node {
        &self.nodes[index as usize]
    }

    #[inline]
    pub(super) fn is_empty(&self, list: usize) -> bool {
        self.tops[list] == Place::NONE
    }

    /// Puts an index that is in no list into one.
    #[inline]
    pub(super) fn push(&mut self, list: usize, index: u32, tick: u32) {
        let top = self.tops[list];
        let place = if top == Place::NONE || top.word() == WORDS - 1 {
            Place::new(self.add_chunk(list, top), FIRST)
        } else {
            Place(top.0 + 1)
        };
        self.tops[list] = place;
        self.chunks[place.chunk()].0[place.word()] = index;
        self.nodes[index as usize] = Node { tick, place };
    }

    /// Takes the last indices of a list out, at most as many as there is room for and as one chunk holds; returns how
    /// many. Their nodes still say where they were: [`forget`](Self::forget) them, or [`push`](Self::push) them again.
    #[inline]
    pub(super) fn take(&mut self, list: usize, room: &mut [u32]) -> usize {
        let top = self.tops[list];
        if top == Place::NONE {
            return 0;
        }
        let words = &self.chunks[top.chunk()].0;
        let count = room.len().min(top.word() + 1 - FIRST);
        let from = top.word() + 1 - count;
        for (to, index) in room.iter_mut().zip(&words[from..=top.word()]) {
            *to = *index;
        }
        let below = words[BELOW];
        if from > FIRST {
            self.tops[list] = Place(top.0 - count as u32);
        } else {
            self.tops[list] = self.drop_chunk(top);
            self.prefetch_chunk(below);
        }
        count
    }

    /// Marks an index that was taken as not armed.
    #[inline]
    pub(super) fn forget(&mut self, index: u32) {
        self.nodes[index as usize].place = Place::NONE;
    }

    /// Takes an index out of the list in which it is; returns the list's number if that has emptied it.
    #[inline]
    pub(super) fn unlink(&mut self, index: u32) -> Option<usize> {
        let place = core::mem::replace(&mut self.nodes[index as usize].place, Place::NONE);
        let list = self.chunks[place.chunk()].0[LIST] as usize;
        let top = self.tops[list];
        if top != place {
            let last = self.chunks[top.chunk()].0[top.word()];
            self.chunks[place.chunk()].0[place.word()] = last;
            self.nodes[last as usize].place = place;
        }
        let top = if top.word() == FIRST { self.drop_chunk(top) } else { Place(top.0 - 1) };
        self.tops[list] = top;
        (top == Place::NONE).then_some(list)
    }

    pub(super) fn address_ranges(&self) -> [Range<usize>; 2] {
        let nodes = self.nodes.as_ptr().addr();
        let chunks = self.chunks.as_ptr().addr();
        [
            nodes..nodes + size_of_val(self.nodes.as_slice()),
            chunks..chunks + size_of_val(self.chunks.as_slice()),
        ]
    }

    /// A chunk on top of a list; returns its number.
    #[inline]
    fn add_chunk(&mut self, list: usize, top: Place) -> u32 {
        let number = match self.free {
            0 => {
                self.untouched += 1;
                self.untouched - 1
            }
            free => free,
        };
        let words = &mut self.chunks[number as usize].0;
        if number == self.free {
            self.free = words[BELOW];
        }
        words[BELOW] = top.chunk() as u32;
        words[LIST] = list as u32;
        number
    }

    /// Gives back the topmost chunk of a list; returns the list's last place now.
    #[inline]
    fn drop_chunk(&mut self, top: Place) -> Place {
        let below = core::mem::replace(&mut self.chunks[top.chunk()].0[BELOW], self.free);
        self.free = top.chunk() as u32;
        if below == 0 { Place::NONE } else { Place::new(below, WORDS - 1) }
    }

    /// Asks for what taking this full chunk, and the one below it, will touch.
    #[inline]
    fn prefetch_chunk(&self, number: u32) {
        if number == 0 {
            return;
        }
        let words = &self.chunks[number as usize].0;
        prefetch(&self.chunks[words[BELOW] as usize]);
        for index in &words[FIRST..] {
            prefetch(self.node(*index));
        }
    }
}
