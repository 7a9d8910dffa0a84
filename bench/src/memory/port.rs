//! The engine's port over memory.

use std::ops::{Deref, DerefMut};

use bywash_core::port::{
    Burst, Capabilities, ChecksumOffload, Flushed, Medium, Port, ReceivedChecksum, Reservation, Transmit,
    TransmitChecksum,
};
use bywash_core::wire::MacAddress;

use super::frames::Row;
use super::{Frames, MTU, Wires};

/// A port that neither verifies nor computes checksums: the engine does both.
#[derive(Debug)]
pub struct MemoryPort {
    wires: Wires,
    mac: MacAddress,
}

impl MemoryPort {
    /// A port with this link-layer address and nothing on its wires.
    pub fn new(mac: MacAddress) -> Self {
        Self { wires: Wires::new(), mac }
    }

    /// What is on the wires, between turns.
    pub fn wires_mut(&mut self) -> &mut Wires {
        &mut self.wires
    }
}

impl Port for MemoryPort {
    type Burst<'a> = MemoryBurst<'a>;
    type Transmit = Frames;

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            medium: Medium::Ethernet,
            mac: self.mac,
            mtu: MTU,
            transmit_checksum: ChecksumOffload::Software,
        }
    }

    #[inline]
    fn receive(&mut self, max: usize) -> (MemoryBurst<'_>, &mut Frames) {
        let count = self.wires.received.len().min(max);
        (MemoryBurst { frames: &mut self.wires.received, count }, &mut self.wires.sent)
    }

    #[inline]
    fn transmit(&mut self) -> &mut Frames {
        &mut self.wires.sent
    }

    #[inline]
    fn flush(&mut self) -> Flushed {
        Flushed { frames: self.wires.sent.len() as u32, wakeups: 0, remaining: false }
    }
}

/// The frames at the front of a row; they are done with when it is dropped.
#[derive(Debug)]
pub struct MemoryBurst<'a> {
    frames: &'a mut Frames,
    count: usize,
}

impl Burst for MemoryBurst<'_> {
    #[inline(always)]
    fn len(&self) -> usize {
        self.count
    }

    #[inline(always)]
    fn frame(&self, index: usize) -> &[u8] {
        self.frames.frame(index)
    }

    #[inline(always)]
    fn checksum(&self, _index: usize) -> ReceivedChecksum {
        ReceivedChecksum::Unverified
    }
}

impl Drop for MemoryBurst<'_> {
    #[inline]
    fn drop(&mut self) {
        self.frames.pop(self.count);
    }
}

impl Transmit for Frames {
    type Reservation<'a> = MemoryReservation<'a>;

    #[inline(always)]
    fn reserve(&mut self) -> Option<MemoryReservation<'_>> {
        let (room, row) = self.reserve_room()?;
        Some(MemoryReservation { room, row })
    }
}

/// Room for one frame at the end of a row.
#[derive(Debug)]
pub struct MemoryReservation<'a> {
    room: &'a mut [u8],
    row: Row<'a>,
}

impl Deref for MemoryReservation<'_> {
    type Target = [u8];

    #[inline(always)]
    fn deref(&self) -> &[u8] {
        self.room
    }
}

impl DerefMut for MemoryReservation<'_> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut [u8] {
        self.room
    }
}

impl Reservation for MemoryReservation<'_> {
    #[inline(always)]
    fn commit(self, len: usize, _checksum: TransmitChecksum) {
        self.row.commit(len);
    }
}
