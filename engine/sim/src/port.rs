//! A queue of a simulated device: bounded both ways, and every transmit frame accounted for.

use std::collections::VecDeque;
use std::ops::{Deref, DerefMut};

use bywash_core::base::time::Instant;
use bywash_core::port::{
    Burst, Capabilities, Flushed, Port, ReceivedChecksum, Reservation, Transmit, TransmitChecksum,
};

/// Link header, or more, beyond the MTU.
const HEADROOM: usize = 32;

/// What became of a frame that arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// It waits to be taken.
    Queued,
    /// The queue was full.
    Overflow,
}

/// One queue of a simulated device.
#[derive(Debug)]
pub struct SimPort {
    capabilities: Capabilities,
    received: VecDeque<Vec<u8>>,
    received_max: usize,
    /// The burst that was handed out last.
    shown: Vec<Vec<u8>>,
    transmit: SimTransmit,
}

impl SimPort {
    /// A port that holds `received_max` received frames and has `frames_max` frames to send with.
    pub fn new(capabilities: Capabilities, received_max: usize, frames_max: usize) -> Self {
        let size = usize::from(capabilities.mtu) + HEADROOM;
        let transmit = SimTransmit {
            free: vec![vec![0; size]; frames_max],
            committed: Vec::new(),
            device: VecDeque::new(),
            frames_max,
        };
        let received = VecDeque::new();
        Self { capabilities, received, received_max, shown: Vec::new(), transmit }
    }

    /// A frame has arrived; it is lost when the queue is full.
    pub fn deliver(&mut self, frame: Vec<u8>) -> Delivery {
        if self.received.len() >= self.received_max {
            return Delivery::Overflow;
        }
        self.received.push_back(frame);
        Delivery::Queued
    }

    /// Frames that were committed in the last turn, in order. Each must come back by [`SimPort::lend`].
    pub fn take_committed(&mut self) -> Vec<SentFrame> {
        std::mem::take(&mut self.transmit.committed)
    }

    /// The frame's buffer belongs to the device until `until`.
    pub fn lend(&mut self, buffer: Vec<u8>, until: Instant) {
        self.transmit.device.push_back((until, buffer));
    }

    /// Takes back what the device has sent by `now`.
    pub fn reclaim(&mut self, now: Instant) {
        let device = &mut self.transmit.device;
        while let Some((_, buffer)) = device.pop_front_if(|(until, _)| *until <= now) {
            self.transmit.free.push(buffer);
        }
    }

    /// When the device gives the next frame back.
    pub fn next_completion(&self) -> Option<Instant> {
        self.transmit.device.front().map(|(until, _)| *until)
    }

    /// Received frames that nobody has taken yet.
    pub fn waiting(&self) -> usize {
        self.received.len()
    }

    /// Transmit frames that are neither free, committed nor with the device: 0 between turns, or some leaked.
    pub fn missing_frames(&self) -> usize {
        let SimTransmit { free, committed, device, frames_max } = &self.transmit;
        frames_max - free.len() - committed.len() - device.len()
    }
}

impl Port for SimPort {
    type Burst<'a> = SimBurst<'a>;
    type Transmit = SimTransmit;

    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    fn receive(&mut self, max: usize) -> (SimBurst<'_>, &mut SimTransmit) {
        let count = max.min(self.received.len());
        self.shown.clear();
        self.shown.extend(self.received.drain(..count));
        (SimBurst { frames: &mut self.shown }, &mut self.transmit)
    }

    fn transmit(&mut self) -> &mut SimTransmit {
        &mut self.transmit
    }

    fn flush(&mut self) -> Flushed {
        let frames = self.transmit.committed.len() as u32;
        Flushed { frames, wakeups: u32::from(frames > 0), remaining: false }
    }
}

/// A burst of received frames.
#[derive(Debug)]
pub struct SimBurst<'a> {
    frames: &'a mut Vec<Vec<u8>>,
}

impl Burst for SimBurst<'_> {
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

impl Drop for SimBurst<'_> {
    fn drop(&mut self) {
        // Whoever still looks at a frame of this burst afterwards must not find it.
        self.frames.clear();
    }
}

/// The sending half.
#[derive(Debug)]
pub struct SimTransmit {
    free: Vec<Vec<u8>>,
    committed: Vec<SentFrame>,
    device: VecDeque<(Instant, Vec<u8>)>,
    frames_max: usize,
}

/// A committed frame.
#[derive(Debug)]
pub struct SentFrame {
    /// Where it lies; longer than the frame.
    pub buffer: Vec<u8>,
    /// Octets of the frame.
    pub len: usize,
}

impl Transmit for SimTransmit {
    type Reservation<'a> = SimReservation<'a>;

    fn reserve(&mut self) -> Option<SimReservation<'_>> {
        let frame = self.free.pop()?;
        Some(SimReservation { transmit: self, frame })
    }
}

/// A frame reserved for transmission.
#[derive(Debug)]
pub struct SimReservation<'a> {
    transmit: &'a mut SimTransmit,
    /// Empty once committed.
    frame: Vec<u8>,
}

impl Deref for SimReservation<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.frame
    }
}

impl DerefMut for SimReservation<'_> {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.frame
    }
}

impl Reservation for SimReservation<'_> {
    fn commit(mut self, len: usize, checksum: TransmitChecksum) {
        let mut buffer = std::mem::take(&mut self.frame);
        match checksum {
            TransmitChecksum::Complete => {}
            TransmitChecksum::Partial { start, offset } => {
                let place = usize::from(start + offset);
                let sum = ones_complement(&buffer[usize::from(start)..len]);
                buffer[place..place + 2].copy_from_slice(&(!sum).to_be_bytes());
            }
        }
        self.transmit.committed.push(SentFrame { buffer, len });
    }
}

impl Drop for SimReservation<'_> {
    fn drop(&mut self) {
        if !self.frame.is_empty() {
            self.transmit.free.push(std::mem::take(&mut self.frame));
        }
    }
}

/// What a device with checksum offload computes (RFC 1071), written without the engine's own sums.
fn ones_complement(bytes: &[u8]) -> u16 {
    let mut sum = 0_u32;
    for pair in bytes.chunks(2) {
        let low = pair.get(1).copied().unwrap_or(0);
        sum += u32::from(u16::from_be_bytes([pair[0], low]));
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}
