//! Where an entry lies.

use super::tags::GROUP;
use core::fmt;

/// Where in its table an entry lies, from its insertion to its removal: the number of its slot, below 2³¹.
///
/// It is valid only for the table that gave it out, and after the removal it may belong to another tuple.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place(u32);

impl Place {
    #[inline]
    pub(crate) fn new(group: usize, offset: usize) -> Self {
        Self((group * GROUP + offset) as u32)
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

/// A place in one of two tables, that of IPv4 tuples or that of IPv6 tuples, in four bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct FamilyPlace(u32);

/// Which table a [`FamilyPlace`] is of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum InFamily {
    /// The table of IPv4 tuples.
    V4(Place),
    /// The table of IPv6 tuples.
    V6(Place),
}

impl FamilyPlace {
    /// Set for IPv6; places are below.
    const V6: u32 = 1 << 31;

    /// Packs a place.
    #[inline]
    pub const fn new(place: InFamily) -> Self {
        match place {
            InFamily::V4(place) => Self(place.0),
            InFamily::V6(place) => Self(place.0 | Self::V6),
        }
    }

    /// What was packed.
    #[inline]
    pub const fn get(self) -> InFamily {
        if self.0 & Self::V6 == 0 {
            InFamily::V4(Place(self.0))
        } else {
            InFamily::V6(Place(self.0 & !Self::V6))
        }
    }
}

impl fmt::Debug for FamilyPlace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(formatter)
    }
}

const _: () = assert!(size_of::<Place>() == 4 && size_of::<FamilyPlace>() == 4);
