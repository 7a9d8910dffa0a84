//! Many segments out of one chunk, without a look for each.

use super::super::chunk::ChunkPool;
use super::{Cursor, SendQueue, is_before};

impl SendQueue {
    /// The committed bytes from `offset` on that lie in one chunk, where transmission goes on: the chunk in which the
    /// furthest [`gather`](Self::gather) ended, or the first. Empty at a border of chunks, over which `gather` steps,
    /// and behind the end.
    #[inline]
    pub fn run<'pool>(&self, pool: &'pool ChunkPool, offset: u32) -> &'pool [u8] {
        let Some(head) = self.head.filter(|_| (offset as usize) < self.len()) else { return &[] };
        let position = self.front.wrapping_add(offset);
        let first = Cursor { chunk: Some(head), base: self.head_base };
        let sent = if self.head == self.tail { first } else { pool.cursor(head) };
        let at = if sent.chunk.is_some() && !is_before(position, sent.base) { sent } else { first };
        let until = self.after(pool, at).map_or(self.end, |next| next.base);
        match at.chunk {
            Some(chunk) if is_before(position, until) => {
                let from = position.wrapping_sub(at.base) as usize;
                pool.piece(chunk, from, until.wrapping_sub(position) as usize)
            }
            Some(_) | None => &[],
        }
    }
}
