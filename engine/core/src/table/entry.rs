//! What the table says about a tuple.

use crate::base::slab::Key;
use core::fmt;

/// Which kind of record a connection has at present, and with that in which slab its index lies.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    /// Half open, by the peer's SYN.
    SynReceived = 0,
    /// In one of the seven synchronized states.
    Synchronized = 1,
    /// Half open, by our SYN.
    SynSent = 2,
    /// Closed on both sides and waiting for stray segments.
    TimeWait = 3,
}

/// Where the record of a tuple is: its kind and its key in the slab of that kind.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Entry {
    kind: Kind,
    key: Key,
}

/// A slab index that does not fit an [`Entry`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IndexTooLarge {
    /// The index that was asked for; the largest that fits is [`Entry::INDEX_MAX`].
    pub index: u32,
}

impl fmt::Display for IndexTooLarge {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "slab index {} is above {}", self.index, Entry::INDEX_MAX)
    }
}

impl core::error::Error for IndexTooLarge {}

const KIND_SHIFT: u32 = 30;

impl Entry {
    /// The largest slab index: 30 bits.
    pub const INDEX_MAX: u32 = (1 << KIND_SHIFT) - 1;

    /// The entry for the record of `kind` under `key`.
    ///
    /// # Errors
    /// [`IndexTooLarge`] if the index needs more than 30 bits; slabs of up to 2³⁰ values give no such key.
    #[inline]
    pub const fn new(kind: Kind, key: Key) -> Result<Self, IndexTooLarge> {
        if key.index > Self::INDEX_MAX {
            return Err(IndexTooLarge { index: key.index });
        }
        Ok(Self { kind, key })
    }

    /// The kind of the record.
    #[inline]
    pub const fn kind(self) -> Kind {
        self.kind
    }

    /// Index of the record in the slab of its kind.
    #[inline]
    pub const fn index(self) -> u32 {
        self.key.index
    }

    /// Generation of the record.
    #[inline]
    pub const fn generation(self) -> u32 {
        self.key.generation
    }

    /// Key of the record in the slab of its kind.
    #[inline]
    pub const fn key(self) -> Key {
        self.key
    }

    /// Kind and index in one word.
    #[inline]
    pub(super) const fn place(self) -> u32 {
        (self.kind as u32) << KIND_SHIFT | self.key.index
    }

    /// The entry of a word made by [`place`](Self::place), and a generation.
    #[inline]
    pub(super) const fn from_parts(place: u32, generation: u32) -> Self {
        let kind = match place >> KIND_SHIFT {
            0 => Kind::SynReceived,
            1 => Kind::Synchronized,
            2 => Kind::SynSent,
            _ => Kind::TimeWait,
        };
        Self { kind, key: Key { index: place & Self::INDEX_MAX, generation } }
    }
}
