//! The Internet checksum (RFC 1071), gathered over pieces and updated in place (RFC 1624).

mod lane;
#[cfg(test)]
mod tests;
mod wide;

use lane::{LONG, Lane, tail_word};

/// A ones' complement sum in the making.
///
/// Kept as an unfolded 64-bit sum of words in the machine's own byte order; every addition carries around the end,
/// which leaves the residue modulo 65535 intact whatever the order of additions. Two sums of equal residue may differ
/// inside, so there is no `Eq`: compare [`Sum::finish`].
#[derive(Clone, Copy, Debug, Default)]
#[repr(transparent)]
pub struct Sum(u64);

/// Whether a number of bytes is even or odd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parity {
    /// Whole 16-bit words so far.
    Even,
    /// The next byte is the low half of a word.
    Odd,
}

impl Parity {
    /// The parity of `len` bytes.
    #[inline]
    pub const fn of(len: usize) -> Self {
        if len.is_multiple_of(2) { Self::Even } else { Self::Odd }
    }
}

impl Sum {
    /// The sum of nothing.
    pub const ZERO: Self = Self(0);

    /// The sum of `bytes`; an odd last byte is padded with a zero after it (RFC 1071).
    #[inline]
    pub fn of(bytes: &[u8]) -> Self {
        if bytes.len() < LONG { Lane::default().finish_with(bytes, bytes) } else { Lane::of_long(bytes) }
    }

    /// The sum of an array: of a header, say. The length is known to the compiler, so no condition remains.
    #[inline(always)]
    pub fn of_array<const N: usize>(bytes: &[u8; N]) -> Self {
        let (words, tail) = bytes.as_chunks::<8>();
        let mut lane = Lane::default();
        lane.add_words(words);
        lane.add(tail_word(tail));
        lane.finish()
    }

    /// Copies `source` to `destination` and sums what it copied; of unequal lengths the shorter counts.
    #[inline]
    pub fn copy(destination: &mut [u8], source: &[u8]) -> Self {
        let len = destination.len().min(source.len());
        let (destination, source) = (&mut destination[..len], &source[..len]);
        if len < LONG {
            Lane::default().finish_with_copy(destination, source)
        } else {
            Lane::copy_long(destination, source)
        }
    }

    /// This sum followed by `next`, where `self` covers an even or odd number of bytes.
    #[inline]
    pub const fn append(self, next: Self, so_far: Parity) -> Self {
        match so_far {
            Parity::Even => self.add(next),
            // One byte further on, each byte lies in the other half of its word: times 256, modulo 65535.
            Parity::Odd => self.add(Self(next.0.rotate_left(8))),
        }
    }

    /// Both sums, each over whole words.
    #[inline]
    pub const fn add(self, other: Self) -> Self {
        let (sum, carry) = self.0.overflowing_add(other.0);
        // After a carry the sum is at most 2^64 - 2, so this cannot wrap.
        Self(sum + carry as u64)
    }

    /// Adds the 16-bit word `word` (a number, not bytes in memory).
    #[inline]
    pub const fn add_word(self, word: u16) -> Self {
        self.add(Self(word.to_be() as u64))
    }

    /// Adds the two 16-bit words of `word` (a number, not bytes in memory).
    #[inline]
    pub const fn add_u32(self, word: u32) -> Self {
        self.add(Self(word.to_be() as u64))
    }

    /// Takes out a 16-bit word that was added before.
    #[inline]
    pub const fn remove_word(self, word: u16) -> Self {
        self.add_word(!word)
    }

    /// Takes out a 32-bit word that was added before.
    #[inline]
    pub const fn remove_u32(self, word: u32) -> Self {
        self.add_u32(!word)
    }

    /// TCP's and UDP's pseudo-header over IPv4 (RFC 9293 section 3.1); `len` in bytes.
    #[inline]
    pub const fn pseudo_v4(source: [u8; 4], destination: [u8; 4], protocol: u8, len: u16) -> Self {
        // Four numbers below 2^32: no carry is possible.
        Self(
            u32::from_ne_bytes(source) as u64
                + u32::from_ne_bytes(destination) as u64
                + (protocol as u16).to_be() as u64
                + len.to_be() as u64,
        )
    }

    /// The pseudo-header over IPv6 (RFC 8200 section 8.1); `len` in bytes.
    #[inline]
    pub const fn pseudo_v6(source: [u8; 16], destination: [u8; 16], protocol: u8, len: u32) -> Self {
        Self::of_octets(source).add(Self::of_octets(destination)).add_word(protocol as u16).add_u32(len)
    }

    /// The checksum: complemented, as a number. Its big-endian bytes go into the header.
    #[inline]
    pub const fn finish(self) -> u16 {
        u16::from_be(!self.fold())
    }

    /// The sum folded to 16 bits but not complemented, as a number: what a device that completes the checksum expects
    /// to find in the field.
    #[inline]
    pub const fn partial(self) -> u16 {
        u16::from_be(self.fold())
    }

    /// Whether this sum, over data with its checksum in place, says that the data are intact.
    #[inline]
    pub const fn is_valid(self) -> bool {
        // Folded to 0xffff: a multiple of 65535, and not zero. Multiplied by the inverse of an odd number, its multiples
        // and no others come out at the bottom.
        const INVERSE: u64 = 0xfffe_fffe_fffe_ffff;
        self.0 != 0 && self.0.wrapping_mul(INVERSE) <= u64::MAX / 0xffff
    }

    /// The sum of eight bytes.
    #[inline(always)]
    pub(super) const fn of_word(bytes: [u8; 8]) -> Self {
        Self(u64::from_ne_bytes(bytes))
    }

    #[inline]
    const fn of_octets(octets: [u8; 16]) -> Self {
        let words = u128::from_ne_bytes(octets);
        Self(words as u64).add(Self((words >> 64) as u64))
    }

    /// With a few words more.
    #[inline(always)]
    pub(crate) const fn add_words(self, words: Words) -> Self {
        self.add(Self(words.0))
    }

    /// Folded to 16 bits, in the machine's byte order: as it lies in memory.
    #[inline(always)]
    pub(crate) const fn fold(self) -> u16 {
        // Adding the halves crosswise leaves hi + lo + carry in the upper half.
        let wide = self.0.wrapping_add(self.0.rotate_right(32));
        let word = (wide >> 32) as u32;
        (word.wrapping_add(word.rotate_right(16)) >> 16) as u16
    }
}

/// The sum of fewer than 2^32 words of a header that is being written, in the machine's byte order: no carry to look after.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Words(u64);

impl Words {
    /// No words.
    pub(crate) const NONE: Self = Self(0);

    /// One word of 16 bits, a number.
    #[inline(always)]
    pub(crate) const fn of_u16(word: u16) -> Self {
        Self(word.to_be() as u64)
    }

    /// Two words of 16 bits as one number.
    #[inline(always)]
    pub(crate) const fn of_u32(word: u32) -> Self {
        Self(word.to_be() as u64)
    }

    /// Four octets as they lie in memory.
    #[inline(always)]
    pub(crate) const fn of_octets(octets: [u8; 4]) -> Self {
        Self(u32::from_ne_bytes(octets) as u64)
    }

    /// Both sums.
    #[inline(always)]
    pub(crate) const fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

/// The checksum after a 16-bit word that it covers changed from `old` to `new` (RFC 1624, equation 3).
#[inline]
pub const fn update_word(checksum: u16, old: u16, new: u16) -> u16 {
    Sum::ZERO.add_word(!checksum).remove_word(old).add_word(new).finish()
}

/// The checksum after a 32-bit word that it covers changed from `old` to `new` (RFC 1624, equation 3).
#[inline]
pub const fn update_u32(checksum: u16, old: u32, new: u32) -> u16 {
    Sum::ZERO.add_word(!checksum).remove_u32(old).add_u32(new).finish()
}
