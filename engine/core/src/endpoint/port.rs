//! A frame device in memory: frames that the caller brings, frames that wait to be fetched.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::ops::{Deref, DerefMut};

use crate::port::{
    Burst, Capabilities, ChecksumOffload, Flushed, Medium, Port, ReceivedChecksum, Reservation, Transmit,
    TransmitChecksum,
};
use crate::wire::MacAddress;

/// Octets of a frame beside the IP packet: an Ethernet header and two VLAN tags at most.
const LINK_HEADER_MAX: usize = 22;

/// What frames look like and how large they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// What frames begin with.
    pub medium: Medium,
    /// Our link-layer address; all zeros on a layer-3 link.
    pub mac: MacAddress,
    /// The largest IP packet in bytes (68 to 65,535; IPv6 needs 1280).
    pub mtu: u16,
    /// Frames that may wait to be fetched: with so many, the stack sends on when some were (1 and more).
    pub frames_max: usize,
}

impl Link {
    /// Ethernet frames from and to `mac`.
    pub const fn ethernet(mac: MacAddress, mtu: u16) -> Self {
        Self { medium: Medium::Ethernet, mac, mtu, frames_max: 1024 }
    }

    /// IP packets with nothing before them, as a tunnel or TUN device has.
    pub const fn ip(mtu: u16) -> Self {
        Self { medium: Medium::Ip, mac: MacAddress::ZERO, mtu, frames_max: 1024 }
    }
}

/// The device. Frames go round: what was received or fetched serves as a transmit frame again.
pub(super) struct MemoryPort {
    link: Link,
    inbox: Vec<Vec<u8>>,
    burst: Vec<Vec<u8>>,
    transmit: Outbox,
}

impl MemoryPort {
    pub(super) fn new(link: Link) -> Self {
        let transmit = Outbox {
            frame_len: usize::from(link.mtu) + LINK_HEADER_MAX,
            frames_max: link.frames_max.max(1),
            spare: Vec::new(),
            sent: VecDeque::new(),
        };
        Self { link, inbox: Vec::new(), burst: Vec::new(), transmit }
    }

    /// A frame for the next turn.
    pub(super) fn push(&mut self, frame: &[u8]) {
        let mut buffer = self.transmit.spare();
        buffer.clear();
        buffer.extend_from_slice(frame);
        self.inbox.push(buffer);
    }

    /// Exchanges `frame` for the frame that has waited longest; says whether there was one.
    pub(super) fn fetch(&mut self, frame: &mut Vec<u8>) -> bool {
        let Some(sent) = self.transmit.sent.pop_front() else { return false };
        self.transmit.spare.push(core::mem::replace(frame, sent));
        true
    }

    /// Whether frames wait to be fetched.
    pub(super) fn has_sent(&self) -> bool {
        !self.transmit.sent.is_empty()
    }
}

/// The sending half.
pub(super) struct Outbox {
    frame_len: usize,
    frames_max: usize,
    spare: Vec<Vec<u8>>,
    sent: VecDeque<Vec<u8>>,
}

impl Outbox {
    fn spare(&mut self) -> Vec<u8> {
        self.spare.pop().unwrap_or_else(|| Vec::with_capacity(self.frame_len))
    }
}

impl Transmit for Outbox {
    type Reservation<'a> = Reserved<'a>;

    fn reserve(&mut self) -> Option<Reserved<'_>> {
        if self.sent.len() >= self.frames_max {
            return None;
        }
        let mut frame = self.spare();
        frame.resize(self.frame_len, 0);
        Some(Reserved { frame, outbox: self })
    }
}

/// One frame to be written.
pub(super) struct Reserved<'a> {
    frame: Vec<u8>,
    outbox: &'a mut Outbox,
}

impl Deref for Reserved<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.frame
    }
}

impl DerefMut for Reserved<'_> {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.frame
    }
}

impl Reservation for Reserved<'_> {
    fn commit(mut self, len: usize, checksum: TransmitChecksum) {
        debug_assert_eq!(checksum, TransmitChecksum::Complete, "this device does not compute checksums");
        let mut frame = core::mem::take(&mut self.frame);
        frame.truncate(len);
        self.outbox.sent.push_back(frame);
    }
}

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        // A committed one has left an empty place.
        if self.frame.capacity() > 0 {
            self.outbox.spare.push(core::mem::take(&mut self.frame));
        }
    }
}

/// The frames of one turn.
pub(super) struct Frames<'a>(&'a [Vec<u8>]);

impl Burst for Frames<'_> {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn frame(&self, index: usize) -> &[u8] {
        self.0.get(index).map_or(&[], Vec::as_slice)
    }

    fn checksum(&self, _index: usize) -> ReceivedChecksum {
        ReceivedChecksum::Unverified
    }
}

impl Port for MemoryPort {
    type Burst<'a> = Frames<'a>;
    type Transmit = Outbox;

    fn capabilities(&self) -> Capabilities {
        let Link { medium, mac, mtu, frames_max: _ } = self.link;
        Capabilities { medium, mac, mtu, transmit_checksum: ChecksumOffload::Software }
    }

    fn receive(&mut self, max: usize) -> (Frames<'_>, &mut Outbox) {
        self.transmit.spare.append(&mut self.burst);
        let count = self.inbox.len().min(max);
        self.burst.extend(self.inbox.drain(..count));
        (Frames(&self.burst), &mut self.transmit)
    }

    fn transmit(&mut self) -> &mut Outbox {
        &mut self.transmit
    }

    fn flush(&mut self) -> Flushed {
        Flushed::default()
    }
}
