//! Sums and copies of long messages, in plain loops over words: the compiler makes them several words wide. It would not
//! if there were a carry flag, so carries are told from a second sum.

use super::Sum;

/// A sum of fewer than 2^32 words in the making.
#[derive(Default)]
struct Wide {
    /// The words, modulo 2^64.
    all: u64,
    /// Their upper halves.
    upper: u64,
}

impl Wide {
    #[inline(always)]
    fn add(&mut self, word: u64) {
        self.all = self.all.wrapping_add(word);
        self.upper = self.upper.wrapping_add(word >> 32);
    }

    #[inline(always)]
    fn finish(&self) -> Sum {
        // What the lower halves sum up to is below 2^64, so modulo 2^64 it is found exactly.
        Sum(self.all.wrapping_sub(self.upper << 32)).add(Sum(self.upper))
    }
}

/// The sum of `words`.
#[inline(always)]
pub(super) fn of_words(words: &[[u8; 8]]) -> Sum {
    let mut wide = Wide::default();
    for word in words {
        wide.add(u64::from_ne_bytes(*word));
    }
    wide.finish()
}

/// The same, and copies them; of unequal lengths the shorter counts. One pass: each word is loaded once.
#[inline(always)]
pub(super) fn copy_words(to: &mut [[u8; 8]], from: &[[u8; 8]]) -> Sum {
    let mut wide = Wide::default();
    for (to, from) in to.iter_mut().zip(from) {
        let word = u64::from_ne_bytes(*from);
        *to = word.to_ne_bytes();
        wide.add(word);
    }
    wide.finish()
}
