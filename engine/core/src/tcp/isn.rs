//! Initial sequence numbers and timestamp offsets (RFC 6528, RFC 7323 section 5.4).

use super::seq::SequenceNumber;
use crate::base::time::Instant;
use crate::wire::Tuple;

/// The secrets of a stack, the same on all its shards. Whoever knows them can guess sequence numbers.
#[derive(Clone, Copy)]
pub struct Secrets {
    /// For what a connection's numbers begin with.
    pub flows: [u64; 2],
    /// For the choice of ports.
    pub ports: [u64; 2],
    /// For the connection tables.
    pub table: [u64; 2],
    /// For SYN cookies.
    pub cookies: [u64; 2],
    /// For what must not be guessed and is forgotten at once.
    pub dice: [u64; 2],
}

/// What the numbers of one connection begin with: both halves of one keyed hash of its tuple.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowSecret {
    isn: u32,
    /// What is added to the clock in its timestamps.
    pub ts_offset: u32,
}

impl FlowSecret {
    /// ISN = M + F(tuple, secret), M a clock of 4 µs (RFC 6528 section 3).
    #[inline]
    pub const fn isn(self, now: Instant) -> SequenceNumber {
        let clock = (now.as_nanos() / 4_000) as u32;
        SequenceNumber(clock.wrapping_add(self.isn))
    }
}

impl Secrets {
    /// Derives all keys from 32 random octets.
    pub fn from_seed(seed: [u8; 32]) -> Self {
        let word = |i: usize| {
            let mut octets = [0; 8];
            octets.copy_from_slice(&seed[i * 8..i * 8 + 8]);
            u64::from_le_bytes(octets)
        };
        let derive = |label: u64| {
            let words = [label as u32, (label >> 32) as u32];
            [[word(0), word(1)], [word(2), word(3)]].map(|key| siphash_2_4(key, &words))
        };
        Self { flows: derive(1), ports: derive(2), table: derive(3), cookies: derive(4), dice: derive(5) }
    }

    /// What the numbers of the connection `tuple` begin with.
    #[inline]
    pub fn flow(&self, tuple: &Tuple) -> FlowSecret {
        match tuple.words_v4() {
            Some(words) => self.flow_of(&words),
            None => self.flow_of(&tuple.words_v6()),
        }
    }

    /// The same of the words of a tuple.
    #[inline]
    pub fn flow_of<const N: usize>(&self, words: &[u32; N]) -> FlowSecret {
        let hash = siphash_2_4(self.flows, words);
        FlowSecret { isn: hash as u32, ts_offset: (hash >> 32) as u32 }
    }

    /// A number that nobody else can know, another one at each `now`.
    pub fn die(&self, now: Instant) -> u32 {
        let nanos = now.as_nanos();
        siphash_2_4(self.dice, &[nanos as u32, (nanos >> 32) as u32]) as u32
    }

    /// Where the search for a local port begins (RFC 6056 section 3.3.3): the tuple without that port.
    pub fn port_offset(&self, tuple: &Tuple) -> u32 {
        let hash = match tuple.words_v4() {
            Some(words) => siphash_2_4(self.ports, &words),
            None => siphash_2_4(self.ports, &tuple.words_v6()),
        };
        hash as u32
    }
}

impl core::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Secrets")
    }
}

/// SipHash-2-4 (Aumasson and Bernstein 2012) of `N` words, the low octet of each first. Their number is known to the
/// compiler: nothing but the rounds remains.
#[inline(never)]
pub(super) fn siphash_2_4<const N: usize>([k0, k1]: [u64; 2], words: &[u32; N]) -> u64 {
    let mut state = [
        k0 ^ 0x736f_6d65_7073_6575,
        k1 ^ 0x646f_7261_6e64_6f6d,
        k0 ^ 0x6c79_6765_6e65_7261,
        k1 ^ 0x7465_6462_7974_6573,
    ];
    let (pairs, odd) = words.as_chunks::<2>();
    for [low, high] in pairs {
        compress(&mut state, u64::from(*high) << 32 | u64::from(*low));
    }
    let odd = odd.first().map_or(0, |word| u64::from(*word));
    compress(&mut state, (N as u64 * 4) << 56 | odd);
    state[2] ^= 0xff;
    (0..4).for_each(|_| round(&mut state));
    state[0] ^ state[1] ^ state[2] ^ state[3]
}

#[inline(always)]
fn compress(state: &mut [u64; 4], block: u64) {
    state[3] ^= block;
    round(state);
    round(state);
    state[0] ^= block;
}

#[inline(always)]
fn round([v0, v1, v2, v3]: &mut [u64; 4]) {
    *v0 = v0.wrapping_add(*v1);
    *v2 = v2.wrapping_add(*v3);
    *v1 = v1.rotate_left(13) ^ *v0;
    *v3 = v3.rotate_left(16) ^ *v2;
    *v0 = v0.rotate_left(32);
    *v2 = v2.wrapping_add(*v1);
    *v0 = v0.wrapping_add(*v3);
    *v1 = v1.rotate_left(17) ^ *v2;
    *v3 = v3.rotate_left(21) ^ *v0;
    *v2 = v2.rotate_left(32);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::Duration;
    use crate::wire::Address;
    use core::hash::Hasher;
    use proptest::prelude::*;
    use siphasher::sip::SipHasher24;

    fn tuple(remote_port: u16) -> Tuple {
        let (local, remote) = (Address::v4([198, 18, 0, 1]), Address::v4([198, 18, 0, 2]));
        Tuple { local, remote, local_port: 80, remote_port }
    }

    #[test]
    fn s13_isn_follows_the_clock_and_differs_between_tuples() {
        let secrets = Secrets::from_seed([7; 32]);
        let now = Instant::from_nanos(1 << 40);
        let first = secrets.flow(&tuple(1000)).isn(now);
        let later = secrets.flow(&tuple(1000)).isn(now + Duration::from_millis(4));
        assert_eq!(later.since(first), 1000);
        assert_ne!(first, secrets.flow(&tuple(1001)).isn(now));
        assert_ne!(first, Secrets::from_seed([8; 32]).flow(&tuple(1000)).isn(now));
    }

    proptest! {
        #[test]
        fn the_hash_is_that_of_the_reference(key: [u64; 2], even: [u32; 2], odd: [u32; 3], long: [u32; 9]) {
            let reference = |words: &[u32]| {
                let mut hasher = SipHasher24::new_with_keys(key[0], key[1]);
                for word in words {
                    hasher.write(&word.to_le_bytes());
                }
                hasher.finish()
            };
            prop_assert_eq!(siphash_2_4(key, &even), reference(&even));
            prop_assert_eq!(siphash_2_4(key, &odd), reference(&odd));
            prop_assert_eq!(siphash_2_4(key, &long), reference(&long));
        }
    }
}
