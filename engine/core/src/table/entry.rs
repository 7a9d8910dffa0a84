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

/// Bits of an index in [`Entry::to_bits`]; two for the kind and one that is always set lie above it.
const INDEX_BITS: u32 = 29;
const KIND_SHIFT: u32 = u32::BITS + INDEX_BITS;
const PRESENT: u64 = 1 << 63;

impl Entry {
    /// The largest slab index: 29 bits.
    pub const INDEX_MAX: u32 = (1 << INDEX_BITS) - 1;

    /// The entry for the record of `kind` under `key`.
    ///
    /// # Errors
    /// [`IndexTooLarge`] if the index needs more than 29 bits; slabs of up to 2²⁹ values give no such key.
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

    /// The entry as a number that is never 0.
    #[inline]
    pub(super) const fn to_bits(self) -> u64 {
        PRESENT
            | (self.kind as u64) << KIND_SHIFT
            | (self.key.index as u64) << u32::BITS
            | self.key.generation as u64
    }

    /// The entry of a number made by [`to_bits`](Self::to_bits); `None` for 0.
    #[inline]
    pub(super) const fn from_bits(bits: u64) -> Option<Self> {
        if bits & PRESENT == 0 {
            return None;
        }
        let kind = match bits >> KIND_SHIFT & 3 {
            0 => Kind::SynReceived,
            1 => Kind::Synchronized,
            2 => Kind::SynSent,
            _ => Kind::TimeWait,
        };
        let index = (bits >> u32::BITS) as u32 & Self::INDEX_MAX;
        Some(Self { kind, key: Key { index, generation: bits as u32 } })
    }
}
