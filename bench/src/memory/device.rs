//! smoltcp's device over the same memory.

use smoltcp::phy::{ChecksumCapabilities, Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::time::Instant;

use super::{FRAME_MAX, Frames, Wires};

impl Device for Wires {
    type RxToken<'a> = MemoryReceive<'a>;
    type TxToken<'a> = MemoryTransmit<'a>;

    #[inline]
    fn receive(&mut self, _now: Instant) -> Option<(MemoryReceive<'_>, MemoryTransmit<'_>)> {
        if self.received.is_empty() {
            return None;
        }
        self.sent.room()?;
        Some((MemoryReceive(&mut self.received), MemoryTransmit(&mut self.sent)))
    }

    #[inline]
    fn transmit(&mut self, _now: Instant) -> Option<MemoryTransmit<'_>> {
        self.sent.room()?;
        Some(MemoryTransmit(&mut self.sent))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = FRAME_MAX;
        // The default: smoltcp verifies and computes every checksum itself.
        capabilities.checksum = ChecksumCapabilities::default();
        capabilities
    }
}

/// The frame at the front of a row.
#[derive(Debug)]
pub struct MemoryReceive<'a>(&'a mut Frames);

impl RxToken for MemoryReceive<'_> {
    #[inline]
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        let result = read(self.0.frame(0));
        self.0.pop(1);
        result
    }
}

/// Room for one frame at the end of a row.
#[derive(Debug)]
pub struct MemoryTransmit<'a>(&'a mut Frames);

impl TxToken for MemoryTransmit<'_> {
    #[inline]
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, write: F) -> R {
        // The token was given out because there is room, and smoltcp keeps to the MTU.
        let room = self.0.room().unwrap_or_default();
        let result = write(&mut room[..len]);
        self.0.commit(len);
        result
    }
}
