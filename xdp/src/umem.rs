//! Frame memory (UMEM) and the move-only handles that own its frames.
//!
//! At any moment each frame is owned once: by a [`Frame`], or by a [`Lent`] ledger that notes frames whose
//! addresses stand in a ring or with the kernel. Bytes are reached only through a `Frame`, so safe code never
//! looks at a frame that the kernel may be writing. A frame index that comes back without having been lent is refused.
#![allow(unsafe_code)]

mod map;
#[cfg(test)]
mod tests;

use std::{
    ops::Range,
    slice,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use map::Map;
pub use map::Pages;

use crate::{Error, Result};

/// Size of a frame in bytes: the two sizes that every driver takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FrameSize {
    /// 2048 bytes: an MTU of 1500 with the kernel's 256 bytes of headroom.
    #[default]
    Two,
    /// 4096 bytes: one page, an MTU of up to 3818 (3506 in native mode on veth).
    Four,
}

impl FrameSize {
    /// The size in bytes.
    pub const fn bytes(self) -> u32 {
        1 << self.shift()
    }

    const fn shift(self) -> u32 {
        match self {
            Self::Two => 11,
            Self::Four => 12,
        }
    }
}

/// Most frames that one UMEM may hold: 4 GiB of 4096-byte frames.
pub const FRAMES_MAX: u32 = 1 << 20;

/// The right to the bytes of one frame. Not `Clone`: whoever has it owns the frame. It has to end in a
/// [`FrameList`] or a [`Lent`] ledger; a debug build panics when one is dropped on the way.
#[derive(Debug)]
#[must_use = "a dropped frame is lost for its socket"]
pub struct Frame {
    index: u32,
    area: u32,
}

impl Frame {
    /// The frame's number in its UMEM, below the UMEM's frame count.
    pub fn index(&self) -> u32 {
        self.index
    }

    /// Ends the handle on purpose, when the frame's memory is going away.
    fn retire(self) {
        std::mem::forget(self);
    }
}

#[cfg(debug_assertions)]
impl Drop for Frame {
    fn drop(&mut self) {
        assert!(std::thread::panicking(), "frame {} of area {} was lost", self.index, self.area);
    }
}

/// Numbers the UMEMs of the process, to tell their frames apart.
static AREAS: AtomicU32 = AtomicU32::new(0);

/// The memory of one UMEM; shared by the two halves of a socket and unmapped when both are gone.
#[derive(Debug)]
pub struct Umem {
    map: Map,
    area: u32,
    frames: u32,
    frame_size: FrameSize,
}

impl Umem {
    /// Maps memory for `frames` frames (1 to [`FRAMES_MAX`]): huge pages where the machine has them, else plain
    /// pages with `MADV_HUGEPAGE`. Returns it with a handle for each frame.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] for a count out of range, [`Error::Os`] when there is no memory.
    pub fn new(frame_size: FrameSize, frames: u32) -> Result<(Arc<Self>, FrameList)> {
        if !(1..=FRAMES_MAX).contains(&frames) {
            return Err(Error::Config {
                field: "frames",
                value: u64::from(frames),
                rule: "1 to 1048576 in one UMEM",
            });
        }
        let area = AREAS.fetch_add(1, Ordering::Relaxed);
        let map = Map::new((frames as usize) << frame_size.shift())?;
        let umem = Arc::new(Self { map, area, frames, frame_size });
        // Highest first, so that frame 0 is the first to be popped.
        let list = (0..frames).rev().map(|index| Frame { index, area }).collect();
        Ok((umem, FrameList(list)))
    }

    /// Number of frames.
    pub fn frames(&self) -> u32 {
        self.frames
    }

    /// Size of each frame.
    pub fn frame_size(&self) -> FrameSize {
        self.frame_size
    }

    /// The kind of pages that the memory got.
    pub fn pages(&self) -> Pages {
        self.map.pages()
    }

    /// Address of the first byte, for the kernel's registration.
    pub(crate) fn address(&self) -> u64 {
        self.map.address() as u64
    }

    /// Length in bytes, for the kernel's registration.
    pub(crate) fn length(&self) -> u64 {
        u64::from(self.frames) << self.frame_size.shift()
    }

    /// Ring address of byte `offset` of a frame.
    pub(crate) fn ring_address(&self, index: u32, offset: u32) -> u64 {
        (u64::from(index) << self.frame_size.shift()) + u64::from(offset)
    }

    /// Bytes `range` of a frame.
    ///
    /// # Panics
    ///
    /// If the frame is another UMEM's, or the range leaves the frame.
    pub fn bytes<'a>(&'a self, frame: &'a Frame, range: Range<usize>) -> &'a [u8] {
        let (offset, length) = self.locate(frame, range);
        // SAFETY: `locate` keeps the bytes inside the frame and so inside the map, which `self` keeps alive. The frame
        // is not lent, since its handle exists, so nobody writes; the handle is borrowed as long as the bytes.
        unsafe { slice::from_raw_parts(self.map.address().add(offset), length) }
    }

    /// Bytes `range` of a frame, for writing.
    ///
    /// # Panics
    ///
    /// As [`bytes`](Self::bytes).
    pub fn bytes_mut<'a>(&'a self, frame: &'a mut Frame, range: Range<usize>) -> &'a mut [u8] {
        let (offset, length) = self.locate(frame, range);
        // SAFETY: as in `bytes`; the unique handle is borrowed mutably, so these are the only live bytes of the frame.
        unsafe { slice::from_raw_parts_mut(self.map.address().add(offset), length) }
    }

    /// The device's view of the frame at a ring address, for tests that play the device while the frame is lent.
    #[cfg(test)]
    pub(crate) fn device_frame(&self, address: u64) -> (Frame, u32) {
        let index = (address >> self.frame_size.shift()) as u32;
        assert!(index < self.frames, "address {address:#x} lies beyond the memory");
        (Frame { index, area: self.area }, address as u32 & (self.frame_size.bytes() - 1))
    }

    fn locate(&self, frame: &Frame, range: Range<usize>) -> (usize, usize) {
        assert!(frame.area == self.area, "frame of area {} used with area {}", frame.area, self.area);
        let size = self.frame_size.bytes() as usize;
        assert!(range.start <= range.end && range.end <= size, "bytes {range:?} of a frame of {size}");
        (((frame.index as usize) << self.frame_size.shift()) + range.start, range.end - range.start)
    }
}

/// Frames that wait for use, last in first out. Frees its handles silently when its socket half ends.
#[derive(Debug, Default)]
pub struct FrameList(Vec<Frame>);

impl FrameList {
    /// An empty list that holds `capacity` frames without allocating.
    pub fn with_capacity(capacity: usize) -> Self {
        Self(Vec::with_capacity(capacity))
    }

    /// Number of frames.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no frame.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a frame.
    pub fn push(&mut self, frame: Frame) {
        self.0.push(frame);
    }

    /// Takes the frame added last.
    pub fn pop(&mut self) -> Option<Frame> {
        self.0.pop()
    }

    /// The frame that [`pop`](Self::pop) would take.
    pub fn last(&self) -> Option<&Frame> {
        self.0.last()
    }

    /// The frame that [`pop`](Self::pop) would take, for writing.
    pub fn last_mut(&mut self) -> Option<&mut Frame> {
        self.0.last_mut()
    }

    /// Splits off all frames after the first `keep`.
    pub fn split_off(&mut self, keep: usize) -> Self {
        Self(self.0.split_off(keep))
    }
}

impl Drop for FrameList {
    fn drop(&mut self) {
        self.0.drain(..).for_each(Frame::retire);
    }
}

/// Why a ring address could not be turned back into a [`Frame`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotLent;

/// The ledger of frames whose addresses were put into rings: a bit per frame of the UMEM. One per socket half.
#[derive(Debug)]
pub struct Lent {
    umem: Arc<Umem>,
    bits: Box<[u64]>,
    count: u32,
}

impl Lent {
    /// An empty ledger.
    pub fn new(umem: Arc<Umem>) -> Self {
        let bits = vec![0; umem.frames.div_ceil(64) as usize].into_boxed_slice();
        Self { umem, bits, count: 0 }
    }

    /// Number of frames lent.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Notes a frame as lent and returns the ring address of its byte `offset`.
    ///
    /// # Panics
    ///
    /// If the frame is another UMEM's.
    pub fn lend(&mut self, frame: Frame, offset: u32) -> u64 {
        assert!(frame.area == self.umem.area, "frame of area {} lent in area {}", frame.area, self.umem.area);
        let index = frame.index;
        frame.retire();
        self.bits[index as usize / 64] |= 1 << (index % 64);
        self.count += 1;
        self.umem.ring_address(index, offset)
    }

    /// Takes back the frame that holds ring address `address`, with the address's offset in the frame.
    ///
    /// # Errors
    ///
    /// [`NotLent`] if this ledger has not lent that frame: the other side of the ring is at fault.
    pub fn take_back(&mut self, address: u64) -> std::result::Result<(Frame, u32), NotLent> {
        let shift = self.umem.frame_size.shift();
        let index = u32::try_from(address >> shift).map_err(|_| NotLent)?;
        let word = self.bits.get_mut(index as usize / 64).ok_or(NotLent)?;
        let bit = 1_u64 << (index % 64);
        if *word & bit == 0 {
            return Err(NotLent);
        }
        *word &= !bit;
        self.count -= 1;
        let offset = address as u32 & (self.umem.frame_size.bytes() - 1);
        Ok((Frame { index, area: self.umem.area }, offset))
    }
}
