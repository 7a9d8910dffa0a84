//! Additions with carry, over the bytes of memory.

use super::Sum;
use super::wide::{Copied, Words};
use crate::base::wide::run_wide;

/// Messages of so many bytes are long: the wide loop, worth its last addition, takes all but their ends.
pub(super) const LONG: usize = 128;

/// A sum whose carries are counted beside it.
#[derive(Default)]
pub(super) struct Lane {
    sum: u64,
    carries: u64,
}

impl Lane {
    #[inline(always)]
    pub(super) fn add(&mut self, word: u64) {
        let carry;
        (self.sum, carry) = self.sum.overflowing_add(word);
        self.carries += carry as u64;
    }

    /// One chain of additions with carry.
    #[inline(always)]
    pub(super) fn add_words(&mut self, words: &[[u8; 8]]) {
        let (mut sum, mut carry) = (self.sum, false);
        for word in words {
            (sum, carry) = sum.carrying_add(u64::from_ne_bytes(*word), carry);
        }
        self.sum = sum;
        self.carries += carry as u64;
    }

    /// Of a long message. Out of line: short messages do not need it.
    #[inline(never)]
    pub(super) fn of_long(bytes: &[u8]) -> Sum {
        let (words, rest) = bytes.as_chunks();
        run_wide(Words(words)).add(Self::default().finish_with(rest, bytes))
    }

    /// The same, and copies them. Both have the same length.
    #[inline(never)]
    pub(super) fn copy_long(to: &mut [u8], from: &[u8]) -> Sum {
        let ((to_words, to_rest), (words, rest)) = (to.as_chunks_mut(), from.as_chunks());
        run_wide(Copied { to: to_words, from: words }).add(Self::default().finish_with_copy(to_rest, rest))
    }

    /// Adds `rest`, the last bytes of `whole`, fewer than [`LONG`].
    #[inline(always)]
    pub(super) fn finish_with(mut self, rest: &[u8], whole: &[u8]) -> Sum {
        let tail = self.add_pieces(rest);
        if tail > 0 {
            self.add_tail(whole, tail);
        }
        self.finish()
    }

    /// Copies and adds fewer than [`LONG`].
    #[inline(always)]
    pub(super) fn finish_with_copy(mut self, to: &mut [u8], from: &[u8]) -> Sum {
        let tail = self.copy_pieces(to, from);
        if tail > 0 {
            self.copy_tail(to, from, tail);
        }
        self.finish()
    }

    /// The last bytes, fewer than [`LONG`], in pieces of fixed sizes: no loop, no call. Returns how many remain, fewer
    /// than 8.
    #[inline(always)]
    fn add_pieces(&mut self, bytes: &[u8]) -> usize {
        let mut rest = bytes;
        if let Some((piece, after)) = rest.split_first_chunk::<64>() {
            self.add_words(piece.as_chunks::<8>().0);
            rest = after;
        }
        if let Some((piece, after)) = rest.split_first_chunk::<32>() {
            self.add_words(piece.as_chunks::<8>().0);
            if after.is_empty() {
                return 0;
            }
            rest = after;
        }
        if let Some((piece, after)) = rest.split_first_chunk::<16>() {
            self.add_words(piece.as_chunks::<8>().0);
            rest = after;
        }
        if let Some((piece, after)) = rest.split_first_chunk::<8>() {
            self.add(u64::from_ne_bytes(*piece));
            rest = after;
        }
        rest.len()
    }

    /// The same, and copies them.
    #[inline(always)]
    fn copy_pieces(&mut self, to: &mut [u8], from: &[u8]) -> usize {
        let (to, from) = self.copy_words::<64>(to, from);
        let (to, from) = self.copy_words::<32>(to, from);
        let (to, from) = self.copy_words::<16>(to, from);
        self.copy_words::<8>(to, from).1.len()
    }

    /// Copies and adds `N` bytes, whole words, if there are so many, and returns what is left.
    #[inline(always)]
    fn copy_words<'to, 'from, const N: usize>(
        &mut self,
        to: &'to mut [u8],
        from: &'from [u8],
    ) -> (&'to mut [u8], &'from [u8]) {
        if let Some(piece) = from.first_chunk::<N>() {
            self.add_words(piece.as_chunks::<8>().0);
        }
        copy_piece::<N>(to, from)
    }

    /// The last `tail` bytes of `whole`, 1 to 7, where the last eight of them are there: without those that are in the
    /// sum already.
    #[inline(always)]
    fn add_tail(&mut self, whole: &[u8], tail: usize) {
        let word = match whole.last_chunk::<8>() {
            Some(last) => (u64::from_le_bytes(*last) >> (64 - 8 * tail)).to_le(),
            None => tail_word(whole),
        };
        self.add(word);
    }

    /// The same, and copies them.
    #[inline(always)]
    fn copy_tail(&mut self, to: &mut [u8], from: &[u8], tail: usize) {
        self.add_tail(from, tail);
        if let (Some(to), Some(from)) = (to.last_chunk_mut::<8>(), from.last_chunk::<8>()) {
            *to = *from;
        } else {
            let (to, from) = copy_piece::<4>(to, from);
            let (to, from) = copy_piece::<2>(to, from);
            copy_piece::<1>(to, from);
        }
    }

    #[inline(always)]
    pub(super) fn finish(self) -> Sum {
        Sum(self.sum).add(Sum(self.carries))
    }
}

/// Fewer than eight bytes as a word, zeros after them.
#[inline(always)]
pub(super) fn tail_word(tail: &[u8]) -> u64 {
    let mut rest = tail;
    // The pieces lie on even places, and their sum fits by far.
    let mut word = 0;
    if let Some((four, after)) = rest.split_first_chunk::<4>() {
        word += u32::from_ne_bytes(*four) as u64;
        rest = after;
    }
    if let Some((two, after)) = rest.split_first_chunk::<2>() {
        word += u16::from_ne_bytes(*two) as u64;
        rest = after;
    }
    if let Some(&last) = rest.first() {
        word += u16::from_ne_bytes([last, 0]) as u64;
    }
    word
}

/// Copies `N` bytes if there are so many, and returns what is left.
#[inline(always)]
fn copy_piece<'to, 'from, const N: usize>(
    to: &'to mut [u8],
    from: &'from [u8],
) -> (&'to mut [u8], &'from [u8]) {
    let Some((from_piece, from_after)) = from.split_first_chunk::<N>() else { return (to, from) };
    let Some((to_piece, to_after)) = to.split_first_chunk_mut::<N>() else { return (&mut [], from) };
    *to_piece = *from_piece;
    (to_after, from_after)
}
