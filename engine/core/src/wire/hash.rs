//! Hashes of a four-tuple: the one that NICs spread flows with, and the keyed one of our own tables.

use super::Tuple;

/// Bytes of an RSS key.
pub const RSS_KEY_LEN: usize = 40;
/// Bytes that the hash is taken over for IPv6, the longest case: two addresses and two ports.
const RSS_INPUT_LEN_MAX: usize = 36;

/// The key of Microsoft's RSS specification, which many drivers take as their default.
pub const RSS_DEFAULT_KEY: [u8; RSS_KEY_LEN] = [
    0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0, 0xd0,
    0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42,
    0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa,
];

/// The Toeplitz hash of receive-side scaling (Microsoft, "RSS Hashing Types"), by a table of 4.5 kB: two look-ups a byte.
#[derive(Clone)]
pub struct Toeplitz {
    /// For each half byte of the input, upper half first, the contribution of each of its values.
    table: [[u32; 16]; RSS_INPUT_LEN_MAX * 2],
}

impl Toeplitz {
    /// The tables for `key`.
    pub const fn new(key: &[u8; RSS_KEY_LEN]) -> Self {
        let mut table = [[0; 16]; RSS_INPUT_LEN_MAX * 2];
        let mut position = 0;
        while position < table.len() {
            let mut value = 0;
            while value < 16 {
                table[position][value] = contribution(key, position * 4, value as u32);
                value += 1;
            }
            position += 1;
        }
        Self { table }
    }

    /// The hash that a NIC computes for a frame of this connection as it is received: remote is the source.
    pub fn of_received(&self, tuple: &Tuple) -> u32 {
        let ports = (tuple.remote_port as u32) << 16 | tuple.local_port as u32;
        if let (Some(source), Some(destination)) = (tuple.remote.as_v4(), tuple.local.as_v4()) {
            self.hash([&source, &destination, &ports.to_be_bytes()])
        } else {
            self.hash([&tuple.remote.octets(), &tuple.local.octets(), &ports.to_be_bytes()])
        }
    }

    /// The hash over the pieces in order.
    fn hash(&self, pieces: [&[u8]; 3]) -> u32 {
        let input = pieces.into_iter().flatten();
        let (rows, _) = self.table.as_chunks::<2>();
        rows.iter().zip(input).fold(0, |hash, ([upper, lower], byte)| {
            hash ^ upper[(byte >> 4) as usize] ^ lower[(byte & 15) as usize]
        })
    }
}

/// The exclusive or of the 32-bit windows of the key that begin at `first_bit` plus the position of each set bit of `value`.
const fn contribution(key: &[u8; RSS_KEY_LEN], first_bit: usize, value: u32) -> u32 {
    let mut hash = 0;
    let mut bit = 0;
    while bit < 4 {
        if value & (8 >> bit) != 0 {
            hash ^= window(key, first_bit + bit);
        }
        bit += 1;
    }
    hash
}

/// The 32 bits of the key from bit `start` on.
const fn window(key: &[u8; RSS_KEY_LEN], start: usize) -> u32 {
    let mut bits = 0;
    let mut index = 0;
    while index < 5 {
        // The last window of IPv6 ends in the key's last byte; nothing behind it counts.
        let byte = start / 8 + index;
        let next = if byte < RSS_KEY_LEN { key[byte] } else { 0 };
        bits = bits << 8 | next as u64;
        index += 1;
    }
    (bits >> (8 - start % 8)) as u32
}

/// The keyed hash of the connection tables: folded 128-bit multiplications over the tuple's words.
///
/// Fast rather than cryptographic: with a secret key nobody outside can aim at a bucket, but outputs must not be shown.
#[derive(Clone)]
pub struct TupleHasher {
    key: [u64; 2],
}

impl TupleHasher {
    /// An odd constant without structure: the fraction of the golden ratio.
    const MIX: u64 = 0x9e37_79b9_7f4a_7c15;

    /// Hashes with this secret key.
    #[inline]
    pub const fn new(key: [u64; 2]) -> Self {
        Self { key }
    }

    /// The hash of an IPv4 tuple's words ([`Tuple::words_v4`]). All 64 bits are usable.
    #[inline]
    pub const fn v4(&self, words: [u32; 3]) -> u64 {
        let [local, remote, ports] = words;
        let mixed = folded_multiply(pair(local, remote) ^ self.key[0], ports as u64 ^ self.key[1]);
        self.finish(mixed)
    }

    /// The hash of an IPv6 tuple's words ([`Tuple::words_v6`]). All 64 bits are usable.
    #[inline]
    pub const fn v6(&self, words: [u32; 9]) -> u64 {
        let [l0, l1, l2, l3, r0, r1, r2, r3, ports] = words;
        let [first, second] = self.key;
        let local = folded_multiply(pair(l0, l1) ^ first, pair(l2, l3) ^ second);
        let remote = folded_multiply(pair(r0, r1) ^ second ^ Self::MIX, pair(r2, r3) ^ first.rotate_left(32));
        let mixed = folded_multiply(local ^ remote ^ first, ports as u64 ^ second);
        self.finish(mixed)
    }

    /// The hash of a tuple: [`TupleHasher::v4`] if both its addresses are IPv4, else [`TupleHasher::v6`].
    #[inline]
    pub const fn hash(&self, tuple: &Tuple) -> u64 {
        match tuple.words_v4() {
            Some(words) => self.v4(words),
            None => self.v6(tuple.words_v6()),
        }
    }

    #[inline]
    const fn finish(&self, mixed: u64) -> u64 {
        folded_multiply(mixed ^ self.key[1], Self::MIX)
    }
}

impl core::fmt::Debug for TupleHasher {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("TupleHasher(secret key)")
    }
}

#[inline(always)]
const fn pair(upper: u32, lower: u32) -> u64 {
    (upper as u64) << 32 | lower as u64
}

/// The product's halves, one upon the other.
#[inline(always)]
const fn folded_multiply(a: u64, b: u64) -> u64 {
    let product = a as u128 * b as u128;
    product as u64 ^ (product >> 64) as u64
}

#[cfg(test)]
mod tests;
