//! Send chunks: fixed pieces of memory in size classes, chained into the queues of connections.

use crate::base::prefetch::prefetch;

use super::class::{self, CLASSES, ClassCounters, ConfigError, FreeList, Handle, SizeClass};
use super::send_queue::Cursor;
use alloc::vec::Vec;
use core::array;
use core::ops::Range;
use zerocopy::FromZeros;

/// Sizes and limits of the send side of one shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendConfig {
    /// The size classes, smallest first.
    pub classes: [SizeClass; CLASSES],
    /// Most bytes that all classes together may reserve.
    pub send_memory_max: u64,
}

impl SendConfig {
    /// The default sizes with counts that share out `send_memory_max` bytes: an eighth each to the two small
    /// classes, a quarter and a half to the large ones.
    pub fn with_memory(send_memory_max: u64) -> Self {
        let class = |size: u32, share: u64| {
            let count = (send_memory_max / share / u64::from(size)).min(u64::from(class::COUNT_MAX));
            SizeClass { size, count: count as u32 }
        };
        let classes = [class(256, 8), class(2048, 8), class(16 << 10, 4), class(64 << 10, 2)];
        Self { classes, send_memory_max }
    }
}

impl Default for SendConfig {
    /// 64 MiB.
    fn default() -> Self {
        Self::with_memory(64 << 20)
    }
}

/// All send chunks of one shard.
#[derive(Debug)]
pub struct ChunkPool {
    sizes: [u32; CLASSES],
    chunk_max: u32,
    classes: [Class; CLASSES],
    oversize: u64,
    /// Bytes of the chunks in use, and the bytes in use from which the pool counts as low.
    used: usize,
    low_from: usize,
}

impl ChunkPool {
    /// Reserves all memory; pages are touched only when their chunks are first used.
    pub fn new(config: &SendConfig) -> Result<Self, ConfigError> {
        class::check(&config.classes, config.send_memory_max)?;
        let mut built = Vec::with_capacity(CLASSES);
        for &class in &config.classes {
            built.push(Class::new(class)?);
        }
        let classes = built.try_into().map_err(|_| ConfigError::OutOfMemory)?;
        let served = config.classes.iter().filter(|class| class.count > 0);
        let chunk_max = served.map(|class| class.size).max().unwrap_or(0);
        let sizes = config.classes.map(|class| class.size);
        let total: usize =
            config.classes.iter().map(|class| class.size as usize * class.count as usize).sum();
        Ok(Self { sizes, chunk_max, classes, oversize: 0, used: 0, low_from: total / 8 * 7 })
    }

    /// Bytes of the largest chunk: no reservation can be longer.
    pub fn chunk_max(&self) -> usize {
        self.chunk_max as usize
    }

    /// Whether seven eighths of the pool are in use: no more work should be begun that ends in a reply.
    #[inline]
    pub fn is_low(&self) -> bool {
        self.used >= self.low_from
    }

    /// Use of each class, smallest first.
    pub fn counters(&self) -> [ClassCounters; CLASSES] {
        array::from_fn(|class| self.classes[class].free.counters(self.classes[class].refusals))
    }

    /// Requests refused because they were longer than the largest chunk, or too long for one queue.
    pub fn oversize_refusals(&self) -> u64 {
        self.oversize
    }

    /// Address ranges of each class's memory, for advice about huge pages.
    pub fn address_ranges(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        self.classes.iter().flat_map(|Class { bytes, headers, .. }| {
            let (text, notes) = (bytes.as_ptr().addr(), headers.as_ptr().addr());
            [text..text + bytes.len(), notes..notes + size_of_val(headers.as_slice())]
        })
    }

    /// Takes a chunk of at least `needed` bytes: the smallest class that holds `preferred`, else a larger one, else
    /// a smaller one that still holds `needed`, which is at most `preferred` unless no chunk is that large. The chunk's base is `base`; its link says nothing yet.
    #[inline]
    pub(super) fn allocate(&mut self, needed: usize, preferred: usize, base: u32) -> Option<Handle> {
        if needed > self.chunk_max() {
            self.refuse_oversize();
            return None;
        }
        debug_assert!(preferred >= needed);
        let class = self.fitting(preferred);
        match self.classes[class].take(base) {
            Some(index) => {
                self.used += self.sizes[class] as usize;
                Some(Handle::new(class, index))
            }
            None => self.allocate_elsewhere(needed, preferred, base),
        }
    }

    pub(super) fn refuse_oversize(&mut self) {
        self.oversize += 1;
    }

    #[inline]
    pub(super) fn release(&mut self, chunk: Handle) {
        self.used -= self.capacity(chunk);
        self.classes[chunk.class()].give(chunk.index());
    }

    #[inline]
    pub(super) fn capacity(&self, chunk: Handle) -> usize {
        self.sizes[chunk.class()] as usize
    }

    /// `len` bytes of a chunk; the caller knows that they lie in it.
    #[inline(always)]
    pub(super) fn piece(&self, chunk: Handle, from: usize, len: usize) -> &[u8] {
        let start = self.piece_start(chunk, from, len);
        &self.classes[chunk.class()].bytes[start..start + len]
    }

    #[inline]
    pub(super) fn piece_mut(&mut self, chunk: Handle, from: usize, len: usize) -> &mut [u8] {
        let start = self.piece_start(chunk, from, len);
        &mut self.classes[chunk.class()].bytes[start..start + len]
    }

    #[inline]
    fn piece_start(&self, chunk: Handle, from: usize, len: usize) -> usize {
        debug_assert!(from + len <= self.capacity(chunk), "piece reaches beyond its chunk");
        chunk.index() * self.capacity(chunk) + from
    }

    /// The smallest class whose chunks hold `len` bytes, or the last.
    #[inline]
    fn fitting(&self, len: usize) -> usize {
        if len <= self.sizes[0] as usize {
            return 0;
        }
        self.sizes.iter().position(|&size| size as usize >= len).unwrap_or(CLASSES - 1)
    }

    /// The class that fits best has no chunk, or none can serve: the other classes, and the count of refusals.
    #[cold]
    fn allocate_elsewhere(&mut self, needed: usize, preferred: usize, base: u32) -> Option<Handle> {
        let floor = self.fitting(needed);
        let first = self.fitting(preferred);
        for class in (first + 1..CLASSES).chain((floor..first).rev()) {
            if let Some(index) = self.classes[class].take(base) {
                self.used += self.sizes[class] as usize;
                return Some(Handle::new(class, index));
            }
        }
        self.classes[first].refusals += 1;
        None
    }

    #[inline(always)]
    pub(super) fn prefetch_text(&self, chunk: Handle) {
        if let Some(first) = self.classes[chunk.class()].bytes.get(chunk.index() * self.capacity(chunk)) {
            prefetch(first);
        }
    }

    #[inline(always)]
    pub(super) fn prefetch_header(&self, chunk: Handle) {
        if let Some(header) = self.classes[chunk.class()].headers.get(chunk.index()) {
            prefetch(header);
        }
    }

    pub(super) fn next(&self, chunk: Handle) -> Option<Handle> {
        Handle::from_raw(self.classes[chunk.class()].headers[chunk.index()].next)
    }

    pub(super) fn set_next(&mut self, chunk: Handle, next: Handle) {
        self.classes[chunk.class()].headers[chunk.index()].next = Handle::to_raw(Some(next));
    }

    /// What a queue of several chunks notes with its first one.
    #[inline]
    pub(super) fn cursor(&self, chunk: Handle) -> Cursor {
        let header = &self.classes[chunk.class()].headers[chunk.index()];
        Cursor { chunk: Handle::from_raw(header.sent), base: header.sent_base }
    }

    #[inline]
    pub(super) fn set_cursor(&mut self, chunk: Handle, cursor: Cursor) {
        let header = &mut self.classes[chunk.class()].headers[chunk.index()];
        (header.sent, header.sent_base) = (Handle::to_raw(cursor.chunk), cursor.base);
    }

    #[inline(always)]
    pub(super) fn base(&self, chunk: Handle) -> u32 {
        self.classes[chunk.class()].headers[chunk.index()].base
    }
}

/// What a queue must know about a chunk that is neither its first nor its last.
#[derive(Debug, Clone, Copy, FromZeros)]
struct Header {
    /// In use: handle of the chunk behind it, meaningless in the last. Free: link of the free list.
    next: u32,
    /// Stream position of the chunk's first byte.
    base: u32,
    /// The first of several: handle and base of the chunk in which the furthest transmission ended, or zero.
    sent: u32,
    sent_base: u32,
}

#[derive(Debug)]
struct Class {
    bytes: Vec<u8>,
    headers: Vec<Header>,
    free: FreeList,
    refusals: u64,
}

impl Class {
    fn new(class: SizeClass) -> Result<Self, ConfigError> {
        let SizeClass { size, count } = class;
        let bytes = u8::new_vec_zeroed(size as usize * count as usize);
        let headers = Header::new_vec_zeroed(count as usize);
        Ok(Self {
            bytes: bytes.map_err(|_| ConfigError::OutOfMemory)?,
            headers: headers.map_err(|_| ConfigError::OutOfMemory)?,
            free: FreeList::new(count),
            refusals: 0,
        })
    }

    #[inline]
    fn take(&mut self, base: u32) -> Option<u32> {
        let index = self.free.take(|index| self.headers[index].next)?;
        self.headers[index as usize].base = base;
        Some(index)
    }

    #[inline]
    fn give(&mut self, index: usize) {
        self.headers[index].next = self.free.give(index);
    }
}
