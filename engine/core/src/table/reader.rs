//! The side of the table that any thread may read.

use super::ConnectionTable;
use super::entry::Entry;
use super::slot::Match;
use crate::base::sync::{Arc, spin_loop};

/// How often one look-up may meet a slot in the midst of a change.
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
    /// The writer changed the entry faster than it could be read. To be treated as a miss after which nothing
    /// irrevocable (an RST) is done.
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
        let mut retries = 0;
        let found = self.table.search(hash, |place| {
            loop {
                match self.table.slots.read(place, tuple) {
                    Match::Same(entry) => return Some(Lookup::Found(entry)),
                    Match::Other => return None,
                    Match::Changing if retries == RETRIES_MAX => return Some(Lookup::Uncertain),
                    Match::Changing => retries += 1,
                }
                spin_loop();
            }
        });
        // Whatever was there all the time lies where it lay, and was found.
        found.unwrap_or(Lookup::Absent)
    }

    /// Asks for the words with which a look-up of `hash` begins.
    #[inline]
    pub fn prefetch(&self, hash: u32) {
        self.table.prefetch(hash);
    }
}
