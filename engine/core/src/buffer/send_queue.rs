//! The bytes of a connection that were written and are not yet acknowledged.

mod run;
#[cfg(test)]
mod tests;

use super::chunk::ChunkPool;
use super::class::Handle;
use crate::wire::{Parity, Sum};

/// Most bytes in one queue; keeps distances between stream positions below the sign bit.
const LEN_MAX: u32 = 1 << 30;

/// Unacknowledged and unsent bytes of one connection, in chunks of the shard's [`ChunkPool`].
///
/// Offsets count from the first unacknowledged byte (`snd_una`). A queue must always be used with the same pool, and
/// emptied with [`clear`](Self::clear) before it is forgotten, or its chunks are lost to the pool.
///
/// Inside, a byte has a stream position: a wrapping count of the bytes before it since the queue was made.
#[derive(Debug, Default)]
pub struct SendQueue {
    head: Option<Handle>,
    tail: Option<Handle>,
    /// Position of the first byte of the head chunk; acknowledged bytes of that chunk lie between it and `front`.
    head_base: u32,
    /// Position of the first unacknowledged byte.
    front: u32,
    /// Position behind the last committed byte.
    end: u32,
}

const _: () = assert!(size_of::<SendQueue>() == 20);

/// Room behind the last committed byte of a queue, in a chunk of its pool.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    chunk: Handle,
    from: u32,
    len: u32,
}

impl Room {
    /// Its bytes, in the pool of the queue that gave it.
    #[inline]
    pub fn bytes_mut(self, pool: &mut ChunkPool) -> &mut [u8] {
        pool.piece_mut(self.chunk, self.from as usize, self.len as usize)
    }
}

/// A remembered chunk of a [`SendQueue`], from which a later look-up starts.
///
/// The default value remembers nothing. A cursor stays valid while bytes are acknowledged: one whose chunk has left the
/// queue is recognised and starts over. It must be set back to the default before 2^31 bytes were acknowledged since it was last
/// used (the end of a recovery is the natural moment).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cursor {
    pub(super) chunk: Option<Handle>,
    pub(super) base: u32,
}

impl SendQueue {
    /// A queue that owns nothing.
    pub const EMPTY: Self = Self { head: None, tail: None, head_base: 0, front: 0, end: 0 };

    /// Committed bytes that are not acknowledged.
    #[inline]
    pub fn len(&self) -> usize {
        self.end.wrapping_sub(self.front) as usize
    }

    /// Whether every committed byte is acknowledged. An empty queue owns no chunk, except between `reserve` and `commit`.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.end == self.front
    }

    /// Room for `len` contiguous bytes behind the last committed one, to be filled and then committed.
    ///
    /// Not cumulative: a second call before `commit` gives up the first, and so may every other call that changes the
    /// queue. `None` when `len` is above
    /// [`ChunkPool::chunk_max`], when the pool is exhausted (both counted there), or when the queue would pass 2^30 bytes.
    #[inline(always)]
    pub fn reserve(&mut self, pool: &mut ChunkPool, len: usize) -> Option<Room> {
        let Some(tail) = self.tail else {
            let chunk = pool.allocate(len, len, self.end)?;
            (self.head, self.tail, self.head_base) = (Some(chunk), Some(chunk), self.end);
            return Some(Room { chunk, from: 0, len: len as u32 });
        };
        let from = self.end.wrapping_sub(self.tail_base(pool, tail));
        if from as usize + len <= pool.capacity(tail) {
            return Some(Room { chunk: tail, from, len: len as u32 });
        }
        let chunk = self.extend(pool, len, len)?;
        Some(Room { chunk, from: 0, len: len as u32 })
    }

    /// Appends the first `len` bytes of `room`, which the last [`reserve`](Self::reserve) gave; with zero it is given up.
    #[inline]
    pub fn commit_room(&mut self, pool: &mut ChunkPool, room: Room, len: usize) {
        debug_assert!(len <= room.len as usize, "{len} bytes committed of a room for {}", room.len);
        self.end = self.end.wrapping_add(len as u32);
        if self.is_empty() {
            self.clear(pool);
        }
    }

    /// Appends the first `len` bytes of the last reservation; with zero it is given up.
    ///
    /// `len` must not exceed what was reserved; what lies beyond the chunk is not counted.
    #[inline]
    pub fn commit(&mut self, pool: &mut ChunkPool, len: usize) {
        let room = self.tail.map_or(0, |tail| self.room(pool, tail));
        debug_assert!(len <= room, "commit of {len} bytes without a reservation for them");
        self.end = self.end.wrapping_add(len.min(room) as u32);
        if self.is_empty() {
            self.clear(pool);
        }
    }

    /// Copies as much of `bytes` as the pool has chunks for, and says how much that was.
    pub fn push(&mut self, pool: &mut ChunkPool, bytes: &[u8]) -> usize {
        let accepted = bytes.len().min(LEN_MAX as usize - self.len());
        let mut rest = &bytes[..accepted];
        while !rest.is_empty() {
            let tail = self.tail.filter(|&tail| self.room(pool, tail) > 0);
            let Some(chunk) = tail.or_else(|| self.extend(pool, 1, rest.len())) else {
                break;
            };
            let used = self.end.wrapping_sub(self.tail_base(pool, chunk)) as usize;
            let (piece, behind) = rest.split_at(self.room(pool, chunk).min(rest.len()));
            pool.piece_mut(chunk, used, piece.len()).copy_from_slice(piece);
            self.end = self.end.wrapping_add(piece.len() as u32);
            rest = behind;
        }
        accepted - rest.len()
    }

    /// Drops the first `len` bytes and gives back the chunks that held nothing else. Returns how many bytes
    /// were dropped: less than `len` only when the queue was shorter.
    #[inline]
    pub fn acknowledge(&mut self, pool: &mut ChunkPool, len: usize) -> usize {
        let len = len.min(self.len());
        self.front = self.front.wrapping_add(len as u32);
        if self.head == self.tail {
            if let (true, Some(chunk)) = (self.is_empty(), self.head) {
                pool.release(chunk);
                (self.head, self.tail) = (None, None);
                self.head_base = self.end;
            }
        } else if self.is_empty() {
            self.clear(pool);
        } else {
            self.release_before_front(pool);
        }
        len
    }

    /// The same, but a queue of one chunk that is emptied keeps it for what is about to be written;
    /// [`trim`](Self::trim) gives it back.
    #[inline(always)]
    pub fn acknowledge_lazily(&mut self, pool: &mut ChunkPool, len: usize) {
        if len == self.len() && self.head == self.tail {
            // The chunk begins anew. Its base in the pool is read only of chunks behind another.
            (self.front, self.head_base) = (self.end, self.end);
        } else {
            self.acknowledge(pool, len);
        }
    }

    /// Gives back what an empty queue has kept.
    #[inline(always)]
    pub fn trim(&mut self, pool: &mut ChunkPool) {
        if self.is_empty() && self.head.is_some() {
            self.clear(pool);
        }
    }

    /// Copies the bytes from `offset` on into `dst`, calling `copy(dst_piece, src_piece)` with equal lengths once for
    /// each contiguous piece, in order. Returns the bytes copied: less than `dst.len()` only at the end of the queue.
    ///
    /// Going on where the furthest call ended costs the same however long the queue is. Going back walks
    /// the chunks before `offset`; [`gather_with`](Self::gather_with) avoids that.
    #[inline]
    pub fn gather(
        &self,
        pool: &mut ChunkPool,
        offset: u32,
        dst: &mut [u8],
        copy: impl FnMut(&mut [u8], &[u8]),
    ) -> usize {
        let Some(head) = self.head.filter(|_| self.head != self.tail) else {
            return self.gather_single(pool, offset, dst, copy);
        };
        // The chunk at which the furthest transmission ended is noted with the head.
        let sent = pool.cursor(head);
        let position = self.front.wrapping_add(offset);
        let is_ahead = sent.chunk.is_some() && !is_before(position, sent.base);
        let start = if is_ahead { sent } else { Cursor { chunk: self.head, base: self.head_base } };
        let Gathered { copied, last } = self.gather_from(pool, start, offset, dst, copy);
        if is_ahead || sent.chunk.is_none() || is_before(sent.base, last.base) {
            pool.set_cursor(head, last);
        }
        copied
    }

    /// Like [`gather_with`](Self::gather_with) or, without a cursor, [`gather`](Self::gather): fills `dst`, and returns its
    /// sum.
    #[inline]
    pub fn gather_summed(
        &self,
        pool: &mut ChunkPool,
        cursor: Option<&mut Cursor>,
        offset: u32,
        dst: &mut [u8],
    ) -> Sum {
        let (mut sum, mut done) = (Sum::ZERO, 0);
        let copy = |to: &mut [u8], from: &[u8]| {
            sum = sum.append(Sum::copy(to, from), Parity::of(done));
            done += from.len();
        };
        match cursor {
            Some(cursor) => self.gather_with(pool, cursor, offset, dst, copy),
            None => self.gather(pool, offset, dst, copy),
        };
        sum
    }

    /// Like [`gather`](Self::gather), with the caller's own cursor: used when it lies before `offset`, and left
    /// where the copy ended. For retransmission, which goes through the queue a second time.
    #[inline]
    pub fn gather_with(
        &self,
        pool: &ChunkPool,
        cursor: &mut Cursor,
        offset: u32,
        dst: &mut [u8],
        copy: impl FnMut(&mut [u8], &[u8]),
    ) -> usize {
        let position = self.front.wrapping_add(offset);
        let helps = self.owns(pool, *cursor) && !is_before(position, cursor.base);
        let start = if helps { *cursor } else { Cursor { chunk: self.head, base: self.head_base } };
        let Gathered { copied, last } = self.gather_from(pool, start, offset, dst, copy);
        *cursor = last;
        copied
    }

    /// `len` bytes from `offset` on, when the queue is one chunk and has them.
    #[inline(always)]
    pub fn piece<'pool>(&self, pool: &'pool ChunkPool, offset: u32, len: u32) -> Option<&'pool [u8]> {
        let chunk = self.head?;
        if self.head != self.tail || len as usize + offset as usize > self.len() {
            return None;
        }
        let from = self.front.wrapping_sub(self.head_base) + offset;
        Some(pool.piece(chunk, from as usize, len as usize))
    }

    /// Asks for the first chunk's first line and what the pool has noted with it: what giving it back touches.
    #[inline(always)]
    pub fn prefetch(&self, pool: &ChunkPool) {
        if let Some(chunk) = self.head {
            pool.prefetch_text(chunk);
            pool.prefetch_header(chunk);
        }
    }

    /// Asks for the first chunk's first line.
    #[inline(always)]
    pub fn prefetch_text(&self, pool: &ChunkPool) {
        if let Some(chunk) = self.head {
            pool.prefetch_text(chunk);
        }
    }

    /// Gives everything back to the pool, committed or not.
    #[inline]
    pub fn clear(&mut self, pool: &mut ChunkPool) {
        while let Some(chunk) = self.head.filter(|_| self.head != self.tail) {
            self.head = pool.next(chunk);
            pool.release(chunk);
        }
        if let Some(chunk) = self.tail {
            pool.release(chunk);
        }
        let end = self.end;
        *self = Self { head: None, tail: None, head_base: end, front: end, end };
    }

    /// Free bytes behind the last committed one in the tail chunk.
    #[inline]
    fn room(&self, pool: &ChunkPool, tail: Handle) -> usize {
        pool.capacity(tail) - self.end.wrapping_sub(self.tail_base(pool, tail)) as usize
    }

    /// Position of the first byte of the tail chunk; its header is read only when there are several.
    #[inline]
    fn tail_base(&self, pool: &ChunkPool, tail: Handle) -> u32 {
        if self.head == self.tail { self.head_base } else { pool.base(tail) }
    }

    /// Appends an empty chunk of at least `needed` bytes. What is queued already asks for large chunks, so that a bulk
    /// writer's queue has few.
    fn extend(&mut self, pool: &mut ChunkPool, needed: usize, preferred: usize) -> Option<Handle> {
        if needed > LEN_MAX as usize - self.len() {
            pool.refuse_oversize();
            return None;
        }
        let preferred = preferred.max(2 * self.len()).min(pool.chunk_max());
        let chunk = pool.allocate(needed, preferred, self.end)?;
        if let Some(tail) = self.tail {
            if self.head == self.tail {
                pool.set_cursor(tail, Cursor::default());
            }
            pool.set_next(tail, chunk);
        } else {
            (self.head, self.head_base) = (Some(chunk), self.end);
        }
        self.tail = Some(chunk);
        Some(chunk)
    }

    fn release_before_front(&mut self, pool: &mut ChunkPool) {
        while let Some(head) = self.head.filter(|_| self.head != self.tail) {
            let next = self.after(pool, Cursor { chunk: Some(head), base: self.head_base });
            let Some(next) = next.filter(|next| !is_before(self.front, next.base)) else {
                break;
            };
            let sent = pool.cursor(head);
            pool.release(head);
            (self.head, self.head_base) = (next.chunk, next.base);
            // A chunk that was given up empty has the base of the next one.
            let is_gone = sent.chunk == Some(head) || is_before(sent.base, next.base);
            if let Some(head) = self.head {
                pool.set_cursor(head, if is_gone { next } else { sent });
            }
        }
    }

    /// The same as `gather_from` for a queue of at most one chunk.
    #[inline]
    fn gather_single(
        &self,
        pool: &ChunkPool,
        offset: u32,
        dst: &mut [u8],
        mut copy: impl FnMut(&mut [u8], &[u8]),
    ) -> usize {
        let wanted = dst.len().min(self.len().saturating_sub(offset as usize));
        match self.head {
            Some(chunk) if wanted > 0 => {
                let from = self.front.wrapping_sub(self.head_base) + offset;
                copy(&mut dst[..wanted], pool.piece(chunk, from as usize, wanted));
                wanted
            }
            Some(_) | None => 0,
        }
    }

    /// Copies from `offset` on; `at` is a chunk of this queue that starts no later, or none in an empty queue.
    #[inline]
    fn gather_from(
        &self,
        pool: &ChunkPool,
        mut at: Cursor,
        offset: u32,
        dst: &mut [u8],
        mut copy: impl FnMut(&mut [u8], &[u8]),
    ) -> Gathered {
        let wanted = dst.len().min(self.len().saturating_sub(offset as usize));
        let mut position = self.front.wrapping_add(offset);
        let mut rest = &mut dst[..wanted];
        while let Some(chunk) = at.chunk.filter(|_| !rest.is_empty()) {
            let next = self.after(pool, at);
            let until = next.map_or(self.end, |next| next.base);
            if is_before(position, until) {
                let len = (until.wrapping_sub(position) as usize).min(rest.len());
                let (piece, behind) = rest.split_at_mut(len);
                copy(piece, pool.piece(chunk, position.wrapping_sub(at.base) as usize, len));
                position = position.wrapping_add(len as u32);
                rest = behind;
            }
            match next {
                Some(next) if !rest.is_empty() => at = next,
                Some(_) | None => break,
            }
        }
        Gathered { copied: wanted - rest.len(), last: at }
    }

    /// Whether the cursor's chunk is still (or again) the chunk of this queue at that position.
    fn owns(&self, pool: &ChunkPool, cursor: Cursor) -> bool {
        // Chunks go from the front: none that begins at or behind the head has left.
        let is_within = |base| !is_before(base, self.head_base) && is_before(base, self.end);
        cursor.chunk.is_some_and(|chunk| {
            self.head.is_some() && is_within(cursor.base) && pool.base(chunk) == cursor.base
        })
    }

    /// The chunk behind `at`; reads no header when `at` is the tail.
    fn after(&self, pool: &ChunkPool, at: Cursor) -> Option<Cursor> {
        if at.chunk == self.tail {
            return None;
        }
        let chunk = pool.next(at.chunk?)?;
        Some(Cursor { chunk: Some(chunk), base: pool.base(chunk) })
    }
}

/// How far a copy came, and in which chunk it ended.
struct Gathered {
    copied: usize,
    last: Cursor,
}

/// Whether position `a` lies before `b`; positions of one queue are less than 2^31 apart.
fn is_before(a: u32, b: u32) -> bool {
    (a.wrapping_sub(b) as i32) < 0
}
