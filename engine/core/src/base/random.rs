//! Seeded random numbers: xoshiro256** (Blackman and Vigna, 2018), the seed spread by splitmix64.
//!
//! Fast and repeatable, and **not** for secrets: who sees some outputs can compute the rest. What an attacker
//! must not guess (ISN, cookies, table hashes) is keyed by a secret that is handed in at construction.

/// A repeatable source of random numbers; equal seeds give equal sequences.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Random {
    state: [u64; 4],
}

impl Random {
    /// A source whose whole state is derived from one number; any value serves.
    pub fn from_seed(seed: u64) -> Self {
        let mut counter = seed;
        Self { state: core::array::from_fn(|_| split_mix(&mut counter)) }
    }

    /// A source with the given state. All zeros, where the generator would stand still, is replaced by seed 0.
    pub fn from_state(state: [u64; 4]) -> Self {
        if state == [0; 4] { Self::from_seed(0) } else { Self { state } }
    }

    /// 64 uniform bits.
    #[inline]
    pub fn next_u64(&mut self) -> u64 {
        let [s0, s1, s2, s3] = self.state;
        let output = s1.wrapping_mul(5).rotate_left(7).wrapping_mul(9);
        let (t2, t3) = (s2 ^ s0, s3 ^ s1);
        self.state = [s0 ^ t3, s1 ^ t2, t2 ^ (s1 << 17), t3.rotate_left(45)];
        output
    }

    /// 32 uniform bits (the upper half, which is the better one).
    #[inline]
    pub fn next_u32(&mut self) -> u32 {
        (self.next_u64() >> 32) as u32
    }

    /// A uniform number in `0..n`, without bias; 0 if `n` is 0.
    ///
    /// Lemire's method: the upper half of a product is the result, and the few lower halves that would
    /// favour some results are drawn again.
    #[inline]
    pub fn below(&mut self, n: u64) -> u64 {
        let mut product = u128::from(self.next_u64()) * u128::from(n);
        if (product as u64) < n {
            let unfair = n.wrapping_neg() % n;
            while (product as u64) < unfair {
                product = u128::from(self.next_u64()) * u128::from(n);
            }
        }
        (product >> 64) as u64
    }

    /// True in `n` of `of` cases: never if `n` is 0, always if `n >= of` (and `of` is not 0).
    #[inline]
    pub fn chance_in(&mut self, n: u64, of: u64) -> bool {
        self.below(of) < n
    }

    /// Fills `bytes` with uniform bytes.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let random = self.next_u64().to_le_bytes();
            chunk.copy_from_slice(&random[..chunk.len()]);
        }
    }
}

/// One step of splitmix64.
fn split_mix(counter: &mut u64) -> u64 {
    *counter = counter.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *counter;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::{Random, split_mix};

    #[test]
    fn published_outputs() {
        let mut random = Random::from_state([1, 2, 3, 4]);
        let outputs = [(); 5].map(|()| random.next_u64());
        assert_eq!(outputs, [11_520, 0, 1_509_978_240, 1_215_971_899_390_074_240, 1_216_172_134_540_287_360]);
        let mut counter = 1_234_567;
        assert_eq!(split_mix(&mut counter), 6_457_827_717_110_365_317);
    }

    #[test]
    fn equal_seeds_equal_sequences() {
        let (mut one, mut two) = (Random::from_seed(7), Random::from_seed(7));
        let mut other = Random::from_seed(8);
        let sequence = [(); 8].map(|()| one.next_u64());
        assert_eq!(sequence, [(); 8].map(|()| two.next_u64()));
        assert_ne!(sequence, [(); 8].map(|()| other.next_u64()));
        assert_eq!(Random::from_state([0; 4]), Random::from_seed(0));
    }

    #[test]
    fn below_is_uniform_and_in_range() {
        let mut random = Random::from_seed(1);
        let mut counts = [0_u32; 7];
        for _ in 0..70_000 {
            counts[random.below(7) as usize] += 1;
        }
        // Standard deviation is about 93: 600 is out of reach for a fair source.
        assert!(counts.iter().all(|count| count.abs_diff(10_000) < 600), "{counts:?}");
        assert_eq!(random.below(0), 0);
        assert_eq!(random.below(1), 0);
        let high = (1 << 63) + 1;
        assert!((0..100).all(|_| random.below(high) < high));
    }

    #[test]
    fn chances_hold() {
        let mut random = Random::from_seed(2);
        assert!((0..1_000).all(|_| !random.chance_in(0, 10)));
        assert!((0..1_000).all(|_| random.chance_in(10, 10)));
        let hits: u32 = (0..10_000).map(|_| u32::from(random.chance_in(1, 10))).sum();
        assert!(hits.abs_diff(1_000) < 200, "{hits}");
    }

    #[test]
    fn fill_reaches_every_byte() {
        for length in 0..20 {
            let mut random = Random::from_seed(3);
            let mut bytes = [0_u8; 20];
            let mut touched = [false; 20];
            for _ in 0..20 {
                random.fill(&mut bytes[..length]);
                for (byte, touched) in bytes.iter().zip(&mut touched) {
                    *touched |= *byte != 0;
                }
            }
            assert!(touched[..length].iter().all(|touched| *touched));
            assert!(touched[length..].iter().all(|touched| !touched));
        }
    }
}
