//! An `AF_XDP` socket as the engine's port.

use std::ops::{Deref, DerefMut};
use std::os::fd::{AsFd, BorrowedFd};

use bywash_core::port::{
    Burst, Capabilities, ChecksumOffload, Flushed, Medium, Port, ReceivedChecksum, Reservation, Transmit,
    TransmitChecksum,
};
use bywash_core::wire::MacAddress;
use bywash_xdp::socket::{self, Receiver, Socket, Transmitter, TxChecksum, Wake};

use crate::capture::Tap;

/// The two halves of a socket, each with frames of its own. The framework makes its ports itself; this is for whoever
/// runs an [`Engine`](bywash_core::stack::Engine) without it.
pub struct XdpPort {
    receiver: Receiver,
    transmit: XdpTransmit,
    capabilities: Capabilities,
}

impl XdpPort {
    /// A socket on an interface with this link-layer address and MTU in octets.
    pub fn new(socket: Socket, mac: [u8; 6], mtu: u16) -> Self {
        Self::tapped(socket, mac, mtu, None)
    }

    /// The same; `tap` sees every frame.
    pub(crate) fn tapped(socket: Socket, mac: [u8; 6], mtu: u16, tap: Option<Tap>) -> Self {
        let (receiver, transmitter) = socket.split();
        let transmit_checksum = match transmitter.checksum_offload() {
            socket::ChecksumOffload::Device => ChecksumOffload::Device,
            socket::ChecksumOffload::Software => ChecksumOffload::Software,
        };
        let mac = MacAddress(mac);
        let capabilities = Capabilities { medium: Medium::Ethernet, mac, mtu, transmit_checksum };
        Self { receiver, transmit: XdpTransmit { transmitter, tap }, capabilities }
    }

    /// The receiving half.
    pub(super) fn receiver(&self) -> &Receiver {
        &self.receiver
    }

    /// The transmitting half.
    pub(super) fn transmitter(&self) -> &Transmitter {
        &self.transmit.transmitter
    }
}

impl AsFd for XdpPort {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.receiver.as_fd()
    }
}

impl Port for XdpPort {
    type Burst<'a> = XdpBurst<'a>;
    type Transmit = XdpTransmit;

    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    #[inline]
    fn receive(&mut self, max: usize) -> (XdpBurst<'_>, &mut XdpTransmit) {
        self.transmit.transmitter.reclaim();
        let burst = XdpBurst(self.receiver.receive(max));
        if let Some(tap) = &self.transmit.tap {
            (0..burst.len()).for_each(|index| tap.received(burst.frame(index)));
        }
        (burst, &mut self.transmit)
    }

    #[inline]
    fn transmit(&mut self) -> &mut XdpTransmit {
        &mut self.transmit
    }

    #[inline]
    fn flush(&mut self) -> Flushed {
        let transmitter = &mut self.transmit.transmitter;
        let before = transmitter.counters().wakeups;
        let flush = transmitter.flush();
        let remaining = match flush.wake {
            Wake::Again | Wake::NoBuffers => true,
            // A device that is down takes the frames when it is up again and a later flush wakes it.
            Wake::NotNeeded | Wake::Woken | Wake::Down | Wake::Refused(_) => false,
        };
        let wakeups = (transmitter.counters().wakeups - before) as u32;
        Flushed { frames: flush.published, wakeups, remaining }
    }
}

/// Received frames; they go back to the device when it is dropped.
pub struct XdpBurst<'a>(socket::Burst<'a>);

impl Burst for XdpBurst<'_> {
    #[inline]
    fn len(&self) -> usize {
        self.0.len()
    }

    #[inline]
    fn frame(&self, index: usize) -> &[u8] {
        if index < self.0.len() { self.0.bytes(index) } else { &[] }
    }

    #[inline]
    fn checksum(&self, _index: usize) -> ReceivedChecksum {
        // No driver tells an XDP program's socket yet; XDP hints are per driver.
        ReceivedChecksum::Unverified
    }
}

/// The sending half.
pub struct XdpTransmit {
    transmitter: Transmitter,
    tap: Option<Tap>,
}

impl Transmit for XdpTransmit {
    type Reservation<'a> = XdpReservation<'a>;

    #[inline]
    fn reserve(&mut self) -> Option<XdpReservation<'_>> {
        let Self { transmitter, tap } = self;
        transmitter.reserve().map(|frame| XdpReservation { frame, tap: tap.as_ref() })
    }
}

/// One frame to be filled.
pub struct XdpReservation<'a> {
    frame: socket::Reservation<'a>,
    tap: Option<&'a Tap>,
}

impl Deref for XdpReservation<'_> {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        &self.frame
    }
}

impl DerefMut for XdpReservation<'_> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.frame
    }
}

impl Reservation for XdpReservation<'_> {
    #[inline]
    fn commit(self, len: usize, checksum: TransmitChecksum) {
        let Self { frame, tap } = self;
        if let Some(tap) = tap {
            tap.sent(frame.get(..len).unwrap_or_default(), checksum);
        }
        let checksum = match checksum {
            TransmitChecksum::Complete => TxChecksum::Complete,
            TransmitChecksum::Partial { start, offset } => TxChecksum::Partial { start, offset },
        };
        frame.commit(len, checksum);
    }
}
