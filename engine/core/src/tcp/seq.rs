//! Sequence numbers: 32 bits that wrap (RFC 9293 section 3.4).

use core::fmt;
use core::ops::{Add, AddAssign, Sub};

/// A position in the sequence space.
///
/// There is no `Ord`: which of two positions comes first is only defined within half the space, and every
/// comparison says so by its name.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct SequenceNumber(pub u32);

impl SequenceNumber {
    /// Whether `self` comes before `other`.
    #[inline]
    pub const fn is_before(self, other: Self) -> bool {
        (self.0.wrapping_sub(other.0) as i32) < 0
    }

    /// Whether `self` comes after `other`.
    #[inline]
    pub const fn is_after(self, other: Self) -> bool {
        other.is_before(self)
    }

    /// Octets from `start` to `self`, going forward (0 to 2^32 - 1).
    #[inline]
    pub const fn since(self, start: Self) -> u32 {
        self.0.wrapping_sub(start.0)
    }

    /// Whether `self` is one of the `len` positions from `start` on.
    #[inline]
    pub const fn is_within(self, start: Self, len: u32) -> bool {
        self.since(start) < len
    }

    /// The later of the two.
    #[inline]
    pub const fn latest(self, other: Self) -> Self {
        if self.is_before(other) { other } else { self }
    }

    /// The earlier of the two.
    #[inline]
    pub const fn earliest(self, other: Self) -> Self {
        if self.is_before(other) { self } else { other }
    }
}

impl Add<u32> for SequenceNumber {
    type Output = Self;
    #[inline]
    fn add(self, octets: u32) -> Self {
        Self(self.0.wrapping_add(octets))
    }
}

impl AddAssign<u32> for SequenceNumber {
    #[inline]
    fn add_assign(&mut self, octets: u32) {
        *self = *self + octets;
    }
}

impl Sub<u32> for SequenceNumber {
    type Output = Self;
    #[inline]
    fn sub(self, octets: u32) -> Self {
        Self(self.0.wrapping_sub(octets))
    }
}

impl fmt::Debug for SequenceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::SequenceNumber as S;

    #[test]
    fn order_holds_across_the_wrap() {
        let last = S(u32::MAX);
        assert!(last.is_before(last + 1) && (last + 1).is_after(last));
        assert_eq!((last + 10).since(last), 10);
        assert!(S(3).is_within(last, 5) && !S(4).is_within(last, 5));
        assert_eq!(last.latest(S(0)), S(0));
        assert_eq!(last.earliest(S(0)), last);
    }
}
