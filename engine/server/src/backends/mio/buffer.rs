//! Contiguous bytes between two ends, and the pool that their memory comes from.

/// The smallest buffer, in bytes.
const BUFFER_MIN: usize = 4 * 1024;
/// A buffer that grew larger is freed and not pooled.
const POOLED_LEN_MAX: usize = 1024 * 1024;
/// Bytes that the pool keeps, at most.
const POOL_LEN_MAX: usize = 32 * 1024 * 1024;

/// A queue of bytes that lie in one piece. It owns memory only while it is in use.
#[derive(Default)]
pub(super) struct Buffer {
    /// All of it initialised; it only grows, so that no byte is zeroed twice.
    memory: Vec<u8>,
    start: usize,
    end: usize,
}

impl Buffer {
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.end - self.start
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    #[inline]
    pub(super) fn filled(&self) -> &[u8] {
        &self.memory[self.start..self.end]
    }

    /// Room for `len` bytes behind what is filled.
    #[inline]
    pub(super) fn spare(&mut self, len: usize, pool: &mut Pool) -> &mut [u8] {
        if self.memory.len() - self.end < len {
            self.make_room(len, pool);
        }
        &mut self.memory[self.end..self.end + len]
    }

    /// Makes the first `len` bytes of the last [`Buffer::spare`] part of what is filled.
    #[inline]
    pub(super) fn commit(&mut self, len: usize) {
        self.end = (self.end + len).min(self.memory.len());
    }

    pub(super) fn push(&mut self, bytes: &[u8], pool: &mut Pool) {
        self.spare(bytes.len(), pool).copy_from_slice(bytes);
        self.commit(bytes.len());
    }

    /// Takes `len` bytes off the front; an empty buffer gives its memory back.
    #[inline]
    pub(super) fn consume(&mut self, len: usize, pool: &mut Pool) {
        self.start = (self.start + len).min(self.end);
        if self.is_empty() {
            self.release(pool);
        }
    }

    #[inline]
    pub(super) fn release(&mut self, pool: &mut Pool) {
        pool.put(core::mem::take(&mut self.memory));
        (self.start, self.end) = (0, 0);
    }

    fn make_room(&mut self, len: usize, pool: &mut Pool) {
        if self.memory.is_empty() {
            self.memory = pool.take();
        } else if self.start >= self.len() {
            // At least as much was consumed as is moved: the moves stay linear in what passes through.
            self.memory.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.len());
        }
        let needed = self.end + len;
        if self.memory.len() < needed {
            self.memory.resize(needed.max(2 * self.memory.len()).max(BUFFER_MIN), 0);
        }
    }
}

/// Memory of buffers that are not in use.
#[derive(Default)]
pub(super) struct Pool {
    free: Vec<Vec<u8>>,
    /// Bytes in `free`.
    len: usize,
}

impl Pool {
    fn take(&mut self) -> Vec<u8> {
        let memory = self.free.pop().unwrap_or_default();
        self.len -= memory.len();
        memory
    }

    fn put(&mut self, memory: Vec<u8>) {
        let len = memory.len();
        if len > 0 && len <= POOLED_LEN_MAX && self.len + len <= POOL_LEN_MAX {
            self.len += len;
            self.free.push(memory);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_out_as_they_went_in_whatever_the_pace() {
        let (mut pool, mut buffer) = (Pool::default(), Buffer::default());
        let mut next = (0u8, 0u8);
        for round in 1..2000usize {
            let pushed: Vec<u8> = (0..round % 701)
                .map(|_| {
                    next.0 = next.0.wrapping_add(1);
                    next.0
                })
                .collect();
            buffer.push(&pushed, &mut pool);
            let taken = (round * 7919) % 1009 % (buffer.len() + 1);
            for byte in &buffer.filled()[..taken] {
                next.1 = next.1.wrapping_add(1);
                assert_eq!(*byte, next.1);
            }
            buffer.consume(taken, &mut pool);
        }
    }

    #[test]
    fn an_empty_buffer_owns_no_memory_and_the_pool_lends_it_again() {
        let (mut pool, mut buffer) = (Pool::default(), Buffer::default());
        buffer.push(&[1; 100], &mut pool);
        let place = buffer.filled().as_ptr();
        buffer.consume(100, &mut pool);
        assert_eq!((buffer.memory.capacity(), pool.free.len()), (0, 1));
        let mut other = Buffer::default();
        other.push(&[2; 100], &mut pool);
        assert_eq!((other.filled().as_ptr(), pool.free.len()), (place, 0));
    }

    #[test]
    fn a_buffer_that_is_always_partly_read_does_not_grow() {
        let (mut pool, mut buffer) = (Pool::default(), Buffer::default());
        buffer.push(&[0; 1000], &mut pool);
        for _ in 0..10_000 {
            buffer.push(&[0; 1000], &mut pool);
            buffer.consume(1000, &mut pool);
        }
        assert!(buffer.memory.len() <= BUFFER_MIN, "{}", buffer.memory.len());
    }

    #[test]
    fn a_huge_buffer_is_not_kept() {
        let (mut pool, mut buffer) = (Pool::default(), Buffer::default());
        buffer.push(&vec![0; POOLED_LEN_MAX + 1], &mut pool);
        buffer.release(&mut pool);
        assert!(pool.free.is_empty());
    }
}
