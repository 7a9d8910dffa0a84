//! A port in memory: frames that the test gives, frames that the engine sends.

use std::collections::VecDeque;
use std::ops::{Deref, DerefMut};

use bywash_core::port::{
    Burst, Capabilities, ChecksumOffload, Flushed, Medium, Port, ReceivedChecksum, Reservation, Transmit,
    TransmitChecksum,
};
use bywash_core::wire::MacAddress;

/// Octets of a transmit frame.
const FRAME_LEN: usize = 9216;

/// The port. Frames go round: what was received or taken serves as a transmit frame again.
pub struct MemoryPort {
    capabilities: Capabilities,
    inbox: VecDeque<Vec<u8>>,
    burst: Vec<Vec<u8>>,
    transmit: MemoryTransmit,
}

/// The sending half.
pub struct MemoryTransmit {
    spare: Vec<Vec<u8>>,
    sent: VecDeque<Vec<u8>>,
    /// Frames that may be reserved before the device is full.
    pub room: usize,
}

impl MemoryPort {
    /// An Ethernet port without offloads.
    pub fn new(mac: MacAddress, mtu: u16) -> Self {
        Self::of(Medium::Ethernet, mac, mtu)
    }

    /// A port whose frames begin with what `medium` says.
    pub fn of(medium: Medium, mac: MacAddress, mtu: u16) -> Self {
        let capabilities = Capabilities { medium, mac, mtu, transmit_checksum: ChecksumOffload::Software };
        let transmit = MemoryTransmit {
            spare: Vec::with_capacity(1024),
            sent: VecDeque::with_capacity(1024),
            room: usize::MAX,
        };
        let mut port = Self {
            capabilities,
            inbox: VecDeque::with_capacity(64),
            burst: Vec::with_capacity(64),
            transmit,
        };
        port.stock(64);
        port
    }

    /// A frame from the network.
    pub fn give(&mut self, frame: &[u8]) {
        let mut buffer = self.transmit.spare.pop().unwrap_or_else(|| Vec::with_capacity(FRAME_LEN));
        buffer.clear();
        buffer.extend_from_slice(frame);
        self.inbox.push_back(buffer);
    }

    /// Makes sure that `count` frames are spare, so that none is made while the engine runs.
    pub fn stock(&mut self, count: usize) {
        while self.transmit.spare.len() < count {
            self.transmit.spare.push(Vec::with_capacity(FRAME_LEN));
        }
    }

    /// The next frame that was sent.
    pub fn take(&mut self) -> Option<Vec<u8>> {
        self.transmit.sent.pop_front()
    }

    /// Frames of the device that are free from now on.
    pub fn set_room(&mut self, room: usize) {
        self.transmit.room = room;
    }
}

/// A burst of the frames given.
pub struct MemoryBurst<'a> {
    frames: &'a [Vec<u8>],
}

impl Burst for MemoryBurst<'_> {
    fn len(&self) -> usize {
        self.frames.len()
    }

    fn frame(&self, index: usize) -> &[u8] {
        self.frames.get(index).map_or(&[], |frame| frame)
    }

    fn checksum(&self, _index: usize) -> ReceivedChecksum {
        ReceivedChecksum::Unverified
    }
}

/// One frame to be written.
pub struct MemoryReservation<'a> {
    frame: Option<Vec<u8>>,
    transmit: &'a mut MemoryTransmit,
}

impl Deref for MemoryReservation<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.frame.as_deref().unwrap_or_default()
    }
}

impl DerefMut for MemoryReservation<'_> {
    fn deref_mut(&mut self) -> &mut [u8] {
        self.frame.as_deref_mut().unwrap_or_default()
    }
}

impl Reservation for MemoryReservation<'_> {
    fn commit(mut self, len: usize, checksum: TransmitChecksum) {
        assert_eq!(checksum, TransmitChecksum::Complete, "this port does not compute checksums");
        if let Some(mut frame) = self.frame.take() {
            frame.truncate(len);
            self.transmit.sent.push_back(frame);
            self.transmit.room -= 1;
        }
    }
}

impl Drop for MemoryReservation<'_> {
    fn drop(&mut self) {
        self.transmit.spare.extend(self.frame.take());
    }
}

impl Transmit for MemoryTransmit {
    type Reservation<'a> = MemoryReservation<'a>;

    fn reserve(&mut self) -> Option<MemoryReservation<'_>> {
        if self.room == 0 {
            return None;
        }
        let mut frame = self.spare.pop().unwrap_or_else(|| Vec::with_capacity(FRAME_LEN));
        frame.clear();
        // What a device's frame holds before it is written is anybody's guess.
        frame.resize(FRAME_LEN, 0xa5);
        Some(MemoryReservation { frame: Some(frame), transmit: self })
    }
}

impl Port for MemoryPort {
    type Burst<'a> = MemoryBurst<'a>;
    type Transmit = MemoryTransmit;

    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    fn receive(&mut self, max: usize) -> (MemoryBurst<'_>, &mut MemoryTransmit) {
        self.transmit.spare.append(&mut self.burst);
        let count = self.inbox.len().min(max);
        self.burst.extend(self.inbox.drain(..count));
        (MemoryBurst { frames: &self.burst }, &mut self.transmit)
    }

    fn transmit(&mut self) -> &mut MemoryTransmit {
        &mut self.transmit
    }

    fn flush(&mut self) -> Flushed {
        Flushed { frames: self.transmit.sent.len() as u32, wakeups: 0, remaining: false }
    }
}
