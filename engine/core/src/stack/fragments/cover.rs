//! Which blocks of eight bytes of a datagram have come.

/// One bit for each block.
#[derive(Clone, Debug)]
pub(super) struct Cover {
    blocks: [u64; WORDS],
    count: u16,
}

const WORDS: usize = (1 << 16) / 8 / 64;

/// What a fragment adds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Covered {
    /// Nothing that was there.
    New,
    /// Nothing new at all.
    Duplicate,
    /// Some of both: never by an honest sender (RFC 5722 section 4).
    Overlap,
}

impl Cover {
    pub(super) const NOTHING: Self = Self { blocks: [0; WORDS], count: 0 };

    /// Adds the bytes from `start`, a multiple of eight, to `end`. Only what is new is added.
    pub(super) fn add(&mut self, start: usize, end: usize) -> Covered {
        let (first, last) = (start / 8, end.div_ceil(8).min(WORDS * 64));
        let known = (first..last).filter(|block| self.has(*block)).count();
        if known > 0 {
            return if known == last - first { Covered::Duplicate } else { Covered::Overlap };
        }
        for block in first..last {
            self.blocks[block / 64] |= 1 << (block % 64);
        }
        self.count += (last - first) as u16;
        Covered::New
    }

    fn has(&self, block: usize) -> bool {
        self.blocks[block / 64] >> (block % 64) & 1 == 1
    }

    /// Whether the first `len` bytes have come, and nothing beyond.
    pub(super) fn is_whole(&self, len: usize) -> bool {
        usize::from(self.count) == len.div_ceil(8) && self.last() < len
    }

    /// Where the last block that has come begins; 0: none has, or the first.
    pub(super) fn last(&self) -> usize {
        let last = self.blocks.iter().rposition(|word| *word != 0);
        last.map_or(0, |word| (word * 64 + 63 - self.blocks[word].leading_zeros() as usize) * 8)
    }
}
