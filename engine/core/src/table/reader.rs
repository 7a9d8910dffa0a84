//! The side of the table that any thread may read.

use super::ConnectionTable;
use super::entry::Entry;
use super::slot::{DISTANCE_MAX, Match};
use super::tags::Tag;
use crate::base::sync::{Arc, Ordering, fence, spin_loop};

/// How often one look-up may meet a slot in the midst of a change, or find nothing while entries moved.
const RETRIES_MAX: u32 = if cfg!(loom) { 2 } else { 64 };

/// Reads a table whose writer is another thread. Clones are cheap and share the table.
#[derive(Clone, Debug)]
pub struct TableReader<const WORDS: usize> {
    table: Arc<ConnectionTable<WORDS>>,
}

/// What a reader found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lookup {
    /// The tuple had this entry at some moment of the look-up.
    Found(Entry),
    /// The tuple had no entry at some moment of the look-up.
    Absent,
    /// The writer changed the table faster than it could be read, or was stopped in the midst of a change. To be
    /// treated as a miss after which nothing irrevocable (an RST) is done.
    Uncertain,
}

impl Lookup {
    /// The entry, if one was found.
    #[inline]
    pub const fn found(self) -> Option<Entry> {
        match self {
            Self::Found(entry) => Some(entry),
            Self::Absent | Self::Uncertain => None,
        }
    }
}

impl<const WORDS: usize> TableReader<WORDS> {
    pub(super) fn new(table: Arc<ConnectionTable<WORDS>>) -> Self {
        Self { table }
    }

    /// The entry of a tuple, at any time and without waiting. The hash is that of the writer.
    #[inline]
    pub fn find(&self, hash: u32, tuple: &[u32; WORDS]) -> Lookup {
        let (home, tag) = self.table.home(hash);
        let mut retries = 0;
        while retries < RETRIES_MAX {
            // Acquire pairs with the release store of the move count: the copies it counts are seen below.
            let moves = self.table.moves.0.load(Ordering::Acquire);
            if let Some(entry) = self.sweep(home, tag, tuple, &mut retries) {
                return Lookup::Found(entry);
            }
            // Acquire pairs with the release stores of tags and the release fence of a slot's change: if a tag or
            // a word read by the sweep was set after a move, the load below sees that move counted.
            fence(Ordering::Acquire);
            if retries < RETRIES_MAX && self.table.moves.0.load(Ordering::Relaxed) == moves {
                return Lookup::Absent;
            }
            retries += 1;
        }
        Lookup::Uncertain
    }

    /// Asks for the cache lines on which a look-up of `hash` begins.
    #[inline]
    pub fn prefetch(&self, hash: u32) {
        self.table.prefetch(hash);
    }

    /// Probes once from `home` to the first empty slot.
    #[inline]
    fn sweep(&self, home: usize, wanted: Tag, tuple: &[u32; WORDS], retries: &mut u32) -> Option<Entry> {
        for distance in 0..=DISTANCE_MAX {
            let tag = self.table.tags.get(home + distance);
            if tag == wanted
                && let Some(entry) = self.read_settled(home + distance, tuple, retries)
            {
                return Some(entry);
            }
            if tag == Tag::EMPTY {
                return None;
            }
        }
        None
    }

    /// Reads a slot, again if it changes meanwhile; `None` if it holds another tuple or the retries are used up.
    #[inline]
    fn read_settled(&self, position: usize, tuple: &[u32; WORDS], retries: &mut u32) -> Option<Entry> {
        loop {
            match self.table.slot(position).read(tuple) {
                Match::Same(entry) => return Some(entry),
                Match::Other => return None,
                Match::Changing => *retries += 1,
            }
            if *retries >= RETRIES_MAX {
                return None;
            }
            spin_loop();
        }
    }
}
