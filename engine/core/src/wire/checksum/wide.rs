//! Sums and copies of long messages, in plain loops over words: the compiler makes them several words wide. It would not
//! if there were a carry flag, so carries are told from a second sum.

use super::Sum;
use crate::base::wide::Wide;

/// A sum of fewer than 2^32 words in the making.
#[derive(Default)]
struct Twice {
    /// The words, modulo 2^64.
    all: u64,
    /// Their upper halves.
    upper: u64,
}

impl Twice {
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

/// Words to be summed.
pub(super) struct Words<'a>(pub(super) &'a [[u8; 8]]);

impl Wide for Words<'_> {
    type Output = Sum;

    #[inline(always)]
    fn run(self) -> Sum {
        let mut twice = Twice::default();
        for word in self.0 {
            twice.add(u64::from_ne_bytes(*word));
        }
        twice.finish()
    }
}

/// Words to be summed and copied; of unequal lengths the shorter counts. One pass: each word is loaded once.
pub(super) struct Copied<'to, 'from> {
    pub(super) to: &'to mut [[u8; 8]],
    pub(super) from: &'from [[u8; 8]],
}

impl Wide for Copied<'_, '_> {
    type Output = Sum;

    #[inline(always)]
    fn run(self) -> Sum {
        let mut twice = Twice::default();
        for (to, from) in self.to.iter_mut().zip(self.from) {
            let word = u64::from_ne_bytes(*from);
            *to = word.to_ne_bytes();
            twice.add(word);
        }
        twice.finish()
    }
}
