//! The name of a value in a slab.

use core::fmt;

/// Names one value for the whole of its life and nothing afterwards: a place in a slab, and how often it has
/// changed hands. It is valid only for the slab that gave it out.
///
/// After 2³¹ uses of one place its generations come round; a key kept that long could name a later value.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Place in the slab, from 0.
    pub index: u32,
    /// Generation of the place; odd in every key that a slab gives out.
    pub generation: u32,
}

impl Key {
    /// The key as one number, for places that carry 64 bits (`user_data` of a queue, a trace).
    pub const fn to_u64(self) -> u64 {
        (self.generation as u64) << 32 | self.index as u64
    }

    /// The key that [`to_u64`](Self::to_u64) made `bits` from. Any other number gives a key that is looked up
    /// in vain, or that of another value.
    pub const fn from_u64(bits: u64) -> Self {
        Self { index: bits as u32, generation: (bits >> 32) as u32 }
    }

    /// Whether this key names the value that carries `generation` now.
    #[inline(always)]
    pub(super) const fn opens(self, generation: u32) -> bool {
        // Odd: what is not live opens to no key.
        self.generation | 1 == generation
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}", self.index, self.generation)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, formatter)
    }
}

const _: () = assert!(size_of::<Key>() == 8);
