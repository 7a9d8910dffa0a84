//! Frames one behind the other in one piece of memory.

use super::FRAME_MAX;

/// Frames begin on cache lines, as those of a UMEM do.
const ALIGNMENT: usize = 64;

/// Where a frame lies.
#[derive(Clone, Copy, Debug)]
struct Span {
    start: u32,
    len: u32,
}

/// A row of frames: written at the end, read from the front.
#[derive(Debug)]
pub struct Frames {
    bytes: Vec<u8>,
    spans: Vec<Span>,
    /// Frames that were read.
    read: usize,
    /// Frames behind the last that a reader sees.
    hidden: usize,
    /// Where the next frame begins.
    end: usize,
}

/// The end of a row, while its room is being written.
#[derive(Debug)]
pub(super) struct Row<'a> {
    spans: &'a mut Vec<Span>,
    end: &'a mut usize,
}

impl Row<'_> {
    /// The first `len` bytes of the room are a frame.
    #[inline(always)]
    pub(super) fn commit(self, len: usize) {
        self.spans.push(Span { start: *self.end as u32, len: len as u32 });
        *self.end += (len + ALIGNMENT - 1) & !(ALIGNMENT - 1);
    }
}

impl Frames {
    /// Room for `frames_max` frames of [`FRAME_MAX`] bytes, 2 million at most; memory is touched as it is used.
    pub fn new(frames_max: usize) -> Self {
        let bytes = vec![0; frames_max * FRAME_MAX.next_multiple_of(ALIGNMENT) + ALIGNMENT];
        let end = bytes.as_ptr().align_offset(ALIGNMENT);
        Self { bytes, spans: Vec::with_capacity(frames_max), read: 0, hidden: 0, end }
    }

    /// Frames that can be read now.
    #[inline]
    pub fn len(&self) -> usize {
        self.spans.len() - self.hidden - self.read
    }

    /// Whether no frame can be read now.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The frame `index` behind the front; empty beyond the end.
    #[inline(always)]
    pub fn frame(&self, index: usize) -> &[u8] {
        let Some(span) = self.spans.get(self.read + index) else { return &[] };
        &self.bytes[span.start as usize..][..span.len as usize]
    }

    /// All frames that can be read now.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> + Clone {
        (0..self.len()).map(|index| self.frame(index))
    }

    /// `count` frames at the front are done with.
    #[inline]
    pub fn pop(&mut self, count: usize) {
        debug_assert!(count <= self.len());
        self.read += count;
    }

    /// Shows `count` hidden frames.
    #[inline]
    pub fn show(&mut self, count: usize) {
        debug_assert!(count <= self.hidden);
        self.hidden -= count;
    }

    /// Hides all frames that were not read, until they are shown one by one.
    pub fn conceal(&mut self) {
        self.hidden = self.spans.len() - self.read;
    }

    /// Adds a copy of `frame`.
    ///
    /// # Panics
    /// When the row is full, or the frame longer than [`FRAME_MAX`].
    pub fn push(&mut self, frame: &[u8]) {
        let room = self.room().expect("room for one more frame");
        room[..frame.len()].copy_from_slice(frame);
        self.commit(frame.len());
    }

    /// Drops all frames.
    #[inline]
    pub fn clear(&mut self) {
        self.spans.clear();
        (self.read, self.hidden) = (0, 0);
        self.end = self.bytes.as_ptr().align_offset(ALIGNMENT);
    }

    /// Whether there is room for no other frame.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.spans.len() == self.spans.capacity()
    }

    /// Room for one frame behind the last, or `None` when the row is full.
    #[inline]
    pub fn room(&mut self) -> Option<&mut [u8]> {
        if self.is_full() {
            return None;
        }
        self.bytes.get_mut(self.end..self.end + FRAME_MAX)
    }

    /// The same, with what is needed to make it a frame.
    #[inline(always)]
    pub(super) fn reserve_room(&mut self) -> Option<(&mut [u8], Row<'_>)> {
        if self.is_full() {
            return None;
        }
        let room = self.bytes.get_mut(self.end..self.end + FRAME_MAX)?;
        Some((room, Row { spans: &mut self.spans, end: &mut self.end }))
    }

    /// The first `len` bytes of [`Frames::room`] are a frame.
    #[inline]
    pub fn commit(&mut self, len: usize) {
        Row { spans: &mut self.spans, end: &mut self.end }.commit(len);
    }
}
