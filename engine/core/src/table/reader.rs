//! The side of the table that any thread may read.

use super::entry::Entry;
use super::slot::{Match, PROBES_MAX};
use super::{ConnectionTable, Home};
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
        let home = self.table.home(hash);
        let mut retries = 0;
        while retries < RETRIES_MAX {
            // Acquire pairs with the release store of the move count: the copies it counts are seen below.
            let moves = self.table.moves.0.load(Ordering::Acquire);
            if let Some(entry) = self.sweep(home, tuple, &mut retries) {
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

    /// Probes once from `home` to the first group that is not full.
    #[inline]
    fn sweep(&self, home: Home, tuple: &[u32; WORDS], retries: &mut u32) -> Option<Entry> {
        for group in home.group..home.group + PROBES_MAX {
            let tags = self.table.tags.load(group);
            for offset in tags.candidates(home.tag) {
                let found = self.read_settled(group, offset, tuple, retries);
                if found.is_some() {
                    return found;
                }
            }
            if !tags.is_full() {
                return None;
            }
        }
        None
    }

    /// Reads a slot, again if it changes meanwhile; `None` if it holds another tuple or the retries are used up.
    #[inline]
    fn read_settled(
        &self,
        group: usize,
        offset: usize,
        tuple: &[u32; WORDS],
        retries: &mut u32,
    ) -> Option<Entry> {
        loop {
            match self.table.slot(group, offset).read(tuple) {
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
