//! The guard over a free frame.

use std::ops::{Deref, DerefMut};

use super::{PACKET_MIN, PACKET_START, Transmitter, TxChecksum};

/// The right to fill one free frame. Dropping it without [`commit`](Self::commit) leaves the frame free.
#[derive(Debug)]
#[must_use = "a reservation that is not committed sends nothing"]
pub struct Reservation<'a> {
    transmitter: &'a mut Transmitter,
}

impl<'a> Reservation<'a> {
    /// The caller has seen a frame in the free list and room in the tx ring.
    pub(super) fn new(transmitter: &'a mut Transmitter) -> Self {
        Self { transmitter }
    }

    /// Queues the first `length` bytes as a packet; it leaves with the next [`flush`](Transmitter::flush).
    ///
    /// # Panics
    ///
    /// If `length` is not from 14 to the frame's length, or a partial checksum's field lies outside.
    pub fn commit(self, length: usize, checksum: TxChecksum) {
        let max = self.len();
        assert!((PACKET_MIN..=max).contains(&length), "length {length} of a frame of {max} bytes");
        let frame = self.transmitter.free.pop().expect(HAS_FRAME);
        self.transmitter.queue(frame, PACKET_START, length, checksum);
    }
}

const HAS_FRAME: &str = "a reservation exists only while a frame is free";

impl Deref for Reservation<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        let Transmitter { shared, free, .. } = &*self.transmitter;
        let size = shared.umem.frame_size().bytes() as usize;
        shared.umem.bytes(free.last().expect(HAS_FRAME), PACKET_START as usize..size)
    }
}

impl DerefMut for Reservation<'_> {
    fn deref_mut(&mut self) -> &mut [u8] {
        let Transmitter { shared, free, .. } = &mut *self.transmitter;
        let size = shared.umem.frame_size().bytes() as usize;
        shared.umem.bytes_mut(free.last_mut().expect(HAS_FRAME), PACKET_START as usize..size)
    }
}
