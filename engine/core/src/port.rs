//! What the engine asks of a frame device: bursts in, reserved frames out.
//!
//! A port is one queue of a device, owned by one shard. Receiving hands out a guard over a burst of
//! frames, which stay the device's: dropping the guard gives all of them back. Transmitting reserves one
//! frame at a time, writes it in place and commits it; a reservation that is dropped gives its frame back.
//! The two directions are separate owners, so that a reply can be written while the burst is being read.

pub use crate::wire::Medium;

use crate::wire::MacAddress;

/// Who computes the TCP checksum of a frame to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChecksumOffload {
    /// The device: the engine writes the sum of the pseudo header only.
    Device,
    /// The engine, folded into the copy of the payload.
    Software,
}

/// What a port is and can do; fixed for its life.
#[derive(Clone, Copy, Debug)]
pub struct Capabilities {
    /// What its frames begin with.
    pub medium: Medium,
    /// Its link-layer address; all zeros on a layer-3 device.
    pub mac: MacAddress,
    /// The largest IP packet in bytes (68 to 65,535).
    pub mtu: u16,
    /// Who computes TCP checksums on transmit.
    pub transmit_checksum: ChecksumOffload,
}

/// Whether the device vouches for a received frame's checksums.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReceivedChecksum {
    /// It does.
    Verified,
    /// It does not: the engine verifies.
    Unverified,
}

/// What is left to do to the checksum of a committed frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransmitChecksum {
    /// Nothing: the field is right.
    Complete,
    /// The device sums from `start` to the end of the frame and stores the result `offset` bytes after `start`.
    Partial {
        /// Offset in the frame where summing starts, in bytes.
        start: u16,
        /// Offset of the checksum field from `start`, in bytes.
        offset: u16,
    },
}

/// A burst of received frames, borrowed from the device.
pub trait Burst {
    /// How many frames it holds.
    fn len(&self) -> usize;
    /// Whether it holds none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// The bytes of frame `index`; an empty slice beyond [`Burst::len`].
    fn frame(&self, index: usize) -> &[u8];
    /// Whether the device vouches for the checksums of frame `index`.
    fn checksum(&self, index: usize) -> ReceivedChecksum;
}

/// One frame reserved for transmission; dropping it gives the frame back unsent.
pub trait Reservation: core::ops::DerefMut<Target = [u8]> {
    /// Queues the first `len` bytes for transmission.
    fn commit(self, len: usize, checksum: TransmitChecksum);
}

/// The sending half of a port.
pub trait Transmit {
    /// A reserved frame.
    type Reservation<'a>: Reservation
    where
        Self: 'a;
    /// A free frame of at least the MTU and the link header, or `None` when all are with the device.
    fn reserve(&mut self) -> Option<Self::Reservation<'_>>;
}

/// How a flush ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flushed {
    /// Frames that were handed to the device since the last flush.
    pub frames: u32,
    /// System calls that it took to wake the device.
    pub wakeups: u32,
    /// Whether the device asked to be woken again and the bound on repeats was reached: call again next turn.
    pub remaining: bool,
}

/// One queue of a frame device.
pub trait Port {
    /// A burst of received frames.
    type Burst<'a>: Burst
    where
        Self: 'a;
    /// The sending half.
    type Transmit: Transmit;

    /// What the port is and can do.
    fn capabilities(&self) -> Capabilities;

    /// Reclaims completed frames, refills the device and takes up to `max` received frames.
    fn receive(&mut self, max: usize) -> (Self::Burst<'_>, &mut Self::Transmit);

    /// The sending half, when nothing is being received.
    fn transmit(&mut self) -> &mut Self::Transmit;

    /// Hands every committed frame to the device and wakes it if it asks for that.
    fn flush(&mut self) -> Flushed;
}
