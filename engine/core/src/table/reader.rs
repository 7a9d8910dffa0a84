//! The side of the table that any thread may read.

use super::ConnectionTable;
use super::entry::Entry;
use super::place::Place;
use super::slot::Match;
use super::tags::{GROUP, Tag};
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

    /// Whether some tuple that has an entry satisfies `is_it`. Visits the whole table, so it is for the control plane; an
    /// entry that comes or goes meanwhile may be missed.
    pub fn any(&self, mut is_it: impl FnMut(&[u32; WORDS]) -> bool) -> bool {
        let in_use = (0..self.table.tags.groups()).flat_map(|group| {
            let word = self.table.tags.load(group);
            let is_used = move |offset: &usize| word.tag(*offset) != Tag::EMPTY;
            (0..GROUP).filter(is_used).map(move |offset| Place::new(group, offset))
        });
        for place in in_use {
            for _ in 0..=RETRIES_MAX {
                let tuple = self.table.slots.tuple(place);
                match self.table.slots.read(place, &tuple) {
                    Match::Same(_) if is_it(&tuple) => return true,
                    Match::Same(_) => break,
                    // It was emptied or is being filled: a tuple that is there to stay can be read a little later.
                    Match::Other if self.table.slots.entry(place).is_none() => break,
                    Match::Other | Match::Changing => spin_loop(),
                }
            }
        }
        false
    }

    /// Asks for the words with which a look-up of `hash` begins.
    #[inline]
    pub fn prefetch(&self, hash: u32) {
        self.table.prefetch(hash);
    }
}
