//! Frames, ports and devices that are nothing but memory.
//!
//! Both stacks stand on the same [`Wires`], so that neither has the better device.

mod device;
mod frames;
mod port;

pub use device::{MemoryReceive, MemoryTransmit};
pub use frames::Frames;
pub use port::{MemoryBurst, MemoryPort, MemoryReservation};

/// The largest IP packet on these links, in bytes.
pub const MTU: u16 = 1500;
/// The largest frame on these links, in bytes.
pub const FRAME_MAX: usize = MTU as usize + 14;
/// Frames that one direction holds at most.
pub const FRAMES_MAX: usize = 4096;

/// One end of a link: what has arrived, and what leaves.
#[derive(Debug)]
pub struct Wires {
    /// Frames to this end.
    pub received: Frames,
    /// Frames from this end.
    pub sent: Frames,
}

impl Wires {
    /// Both directions empty.
    pub fn new() -> Self {
        Self { received: Frames::new(FRAMES_MAX), sent: Frames::new(FRAMES_MAX) }
    }

    /// Lets what this end has sent arrive at `peer`, which must have taken in all that came before. Nothing is
    /// copied: the two change places.
    ///
    /// # Panics
    /// When `peer` has left frames.
    pub fn deliver(&mut self, peer: &mut Self) {
        assert!(peer.received.is_empty(), "the peer has not taken all frames");
        peer.received.clear();
        core::mem::swap(&mut self.sent, &mut peer.received);
    }
}

impl Default for Wires {
    fn default() -> Self {
        Self::new()
    }
}
