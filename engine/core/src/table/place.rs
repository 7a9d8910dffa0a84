//! Where an entry lies.

use super::tags::GROUP;

/// Where in its table an entry lies, from its insertion to its removal: the number of its slot, below 2³¹.
///
/// It is valid only for the table that gave it out, and after the removal it may belong to another tuple.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place(u32);

impl Place {
    #[inline]
    pub(super) fn new(group: usize, offset: usize) -> Self {
        Self((group * GROUP + offset) as u32)
    }

    /// The place as a number below 2³¹.
    #[inline]
    pub const fn to_u32(self) -> u32 {
        self.0
    }

    /// The place that [`to_u32`](Self::to_u32) made `number` from.
    #[inline]
    pub const fn from_u32(number: u32) -> Self {
        Self(number)
    }

    /// Number of the slot.
    #[inline]
    pub(super) const fn slot(self) -> usize {
        self.0 as usize
    }

    #[inline]
    pub(super) const fn group(self) -> usize {
        self.0 as usize / GROUP
    }

    #[inline]
    pub(super) const fn offset(self) -> usize {
        self.0 as usize % GROUP
    }
}

const _: () = assert!(size_of::<Place>() == 4);
