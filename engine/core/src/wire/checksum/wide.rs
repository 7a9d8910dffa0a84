//! Sums and copies of long messages: eight words at a time, which the compiler turns into wide registers.

use super::Sum;

/// Bytes that are added in one turn of the loops.
pub(super) const BLOCK: usize = 8 * LANES;
const LANES: usize = 8;

/// Eight words of memory.
type Block = [[u8; 8]; LANES];

/// Eight sums side by side, their carries told from a second sum: without a carry flag, two words fit one register.
#[derive(Default)]
struct Wide {
    /// Sums of the words, modulo 2^64.
    all: [u64; LANES],
    /// Sums of their upper halves: less than 2^32 words have no carry.
    upper: [u64; LANES],
}

impl Wide {
    #[inline(always)]
    fn add(&mut self, lane: usize, word: [u8; 8]) {
        let word = u64::from_ne_bytes(word);
        self.all[lane] = self.all[lane].wrapping_add(word);
        self.upper[lane] += word >> 32;
    }

    #[inline(always)]
    fn finish(&self) -> Sum {
        let all = self.all.iter().fold(0_u64, |sum, lane| sum.wrapping_add(*lane));
        let upper: u64 = self.upper.iter().sum();
        // What the lower halves sum up to is below 2^64, so modulo 2^64 it is found exactly.
        Sum(all.wrapping_sub(upper << 32)).add(Sum(upper))
    }
}

/// The blocks that `bytes` begin with.
#[inline(always)]
fn blocks(bytes: &[u8]) -> &[Block] {
    bytes.as_chunks().0.as_chunks().0
}

/// The sum of the blocks that `bytes` begin with, fewer than 2^29 of them.
#[inline(always)]
pub(super) fn of_blocks(bytes: &[u8]) -> Sum {
    let mut wide = Wide::default();
    for block in blocks(bytes) {
        for (lane, word) in block.iter().enumerate() {
            wide.add(lane, *word);
        }
    }
    wide.finish()
}

/// The same, and copies them; of unequal lengths the shorter counts. One pass: each word is loaded once.
#[inline(always)]
pub(super) fn copy_blocks(to: &mut [u8], from: &[u8]) -> Sum {
    let mut wide = Wide::default();
    let to: &mut [Block] = to.as_chunks_mut().0.as_chunks_mut().0;
    for (to, block) in to.iter_mut().zip(blocks(from)) {
        for (lane, (to, word)) in to.iter_mut().zip(block).enumerate() {
            // Word by word: a copy of the whole block would be loaded twice.
            *to = *word;
            wide.add(lane, *word);
        }
    }
    wide.finish()
}
