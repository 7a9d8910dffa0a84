//! Initial sequence numbers and timestamp offsets (RFC 6528, RFC 7323 section 5.4).

use core::hash::Hasher;

use siphasher::sip::SipHasher24;

use super::seq::SequenceNumber;
use crate::base::time::Instant;
use crate::wire::Tuple;

/// The secrets of a stack, the same on all its shards. Whoever knows them can guess sequence numbers.
#[derive(Clone, Copy)]
pub struct Secrets {
    /// For initial sequence numbers.
    pub isn: [u64; 2],
    /// For timestamp offsets.
    pub timestamps: [u64; 2],
    /// For the connection tables.
    pub table: [u64; 2],
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
            let mut first = SipHasher24::new_with_keys(word(0), word(1));
            let mut second = SipHasher24::new_with_keys(word(2), word(3));
            first.write_u64(label);
            second.write_u64(label);
            [first.finish(), second.finish()]
        };
        Self { isn: derive(1), timestamps: derive(2), table: derive(3) }
    }

    /// ISN = M + F(tuple, secret), M a clock of 4 µs (RFC 6528 section 3).
    pub fn isn(&self, tuple: &Tuple, now: Instant) -> SequenceNumber {
        let clock = (now.as_nanos() / 4_000) as u32;
        SequenceNumber(clock.wrapping_add(keyed(self.isn, tuple) as u32))
    }

    /// What is added to the clock in the timestamps of the connection `tuple`.
    pub fn timestamp_offset(&self, tuple: &Tuple) -> u32 {
        keyed(self.timestamps, tuple) as u32
    }
}

impl core::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Secrets")
    }
}

fn keyed(key: [u64; 2], tuple: &Tuple) -> u64 {
    let mut hasher = SipHasher24::new_with_keys(key[0], key[1]);
    match tuple.words_v4() {
        Some(words) => words.iter().for_each(|word| hasher.write_u32(*word)),
        None => tuple.words_v6().iter().for_each(|word| hasher.write_u32(*word)),
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::Duration;
    use crate::wire::Address;

    fn tuple(remote_port: u16) -> Tuple {
        let (local, remote) = (Address::v4([198, 18, 0, 1]), Address::v4([198, 18, 0, 2]));
        Tuple { local, remote, local_port: 80, remote_port }
    }

    #[test]
    fn s13_isn_follows_the_clock_and_differs_between_tuples() {
        let secrets = Secrets::from_seed([7; 32]);
        let now = Instant::from_nanos(1 << 40);
        let first = secrets.isn(&tuple(1000), now);
        let later = secrets.isn(&tuple(1000), now + Duration::from_millis(4));
        assert_eq!(later.since(first), 1000);
        assert_ne!(first, secrets.isn(&tuple(1001), now));
        assert_ne!(first, Secrets::from_seed([8; 32]).isn(&tuple(1000), now));
    }
}
