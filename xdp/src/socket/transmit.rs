//! The transmitting half: free list, tx ring, kernel, completion ring, free list again.

mod reservation;

use std::{
    os::fd::{AsFd, BorrowedFd},
    sync::Arc,
};

use rustix::{
    io::Errno,
    net::{SendFlags, send, xdp::XdpStatistics},
};

pub use reservation::Reservation;

use super::{Burst, NeedWakeup, Shared, SocketConfig, TransmitCounters, TransmitFrames, checksum, total};
use crate::{
    Result,
    abi::{Descriptor, TX_METADATA_LEN, XDP_TX_METADATA, XskTxMetadata},
    ring::{Consumer, Producer, Wakeup},
    umem::{Frame, FrameList, Lent},
};

/// Where packets start in a transmit frame: room for the metadata, and the packet on a cache line of its own.
const PACKET_START: u32 = 64;
/// An Ethernet header: nothing shorter can be sent.
const PACKET_MIN: usize = 14;

const _: () = assert!(PACKET_START >= TX_METADATA_LEN);

/// What is still to be done to a packet's checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TxChecksum {
    /// Nothing: the packet is complete.
    Complete,
    /// The field holds the pseudo-header's sum; the rest is to be added by the device, or in software without one.
    Partial {
        /// Byte of the packet at which the sum starts: the TCP or UDP header.
        start: u16,
        /// Byte after `start` at which the checksum field stands: 16 for TCP, 6 for UDP.
        offset: u16,
    },
}

/// Who completes a [`TxChecksum::Partial`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChecksumOffload {
    /// The device or the kernel, at no cost to us.
    Device,
    /// This half, by a pass over the packet: a caller that folds the sum into its copy does better.
    Software,
}

/// How the wake-up of a flush went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// The ring was empty or its flag did not ask.
    NotNeeded,
    /// The device was woken.
    Woken,
    /// The kernel still said EAGAIN after the last repeat: what remains goes with the next flush.
    Again,
    /// The kernel is out of buffers, or the device's queue is busy: try again with the next flush.
    NoBuffers,
    /// The interface is down or gone.
    Down,
    /// Any other refusal.
    Refused(Errno),
}

/// What a flush did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "frames may remain in the ring"]
pub struct Flush {
    /// Packets published by this call.
    pub published: u32,
    /// Packets that the device has not yet taken.
    pub remaining: u32,
    /// The wake-up.
    pub wake: Wake,
}

/// Why a received packet was not reflected; it stays in its burst.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotReflected {
    /// Every transmit frame is in flight.
    NoFrame,
    /// The tx ring is full.
    RingFull,
}

/// The transmitting half of a socket. Owns `tx_frames` frames for ever.
#[derive(Debug)]
pub struct Transmitter {
    shared: Arc<Shared>,
    tx: Producer<Descriptor>,
    completion: Consumer<u64>,
    lent: Lent,
    free: FrameList,
    total: u32,
    need_wakeup: NeedWakeup,
    wake_repeats_max: u32,
    checksum: ChecksumOffload,
    counters: TransmitCounters,
}

impl Transmitter {
    pub(super) fn new(
        shared: Arc<Shared>,
        tx: Producer<Descriptor>,
        completion: Consumer<u64>,
        free: FrameList,
        config: &SocketConfig,
        checksum: ChecksumOffload,
    ) -> Self {
        Self {
            lent: Lent::new(Arc::clone(&shared.umem)),
            shared,
            tx,
            completion,
            total: total(&free),
            free,
            need_wakeup: config.need_wakeup,
            wake_repeats_max: config.wake_repeats_max,
            checksum,
            counters: TransmitCounters::default(),
        }
    }

    /// A free frame to write a packet into, or `None` (counted) when all are in flight or the tx ring is full.
    pub fn reserve(&mut self) -> Option<Reservation<'_>> {
        self.room().ok()?;
        Some(Reservation::new(self))
    }

    /// Sends packet `index` of `burst`, cut or extended in its frame to `length` bytes, without a copy: its frame
    /// becomes ours, and the burst gets a free one for it. Changes to the packet are made before, through
    /// [`Burst::bytes_mut`].
    ///
    /// # Errors
    ///
    /// [`NotReflected`] when there is no free frame or no room in the ring (counted).
    ///
    /// # Panics
    ///
    /// If the burst is another socket's, `index` is not in it, or `length` is not from 14 to the packet's length.
    pub fn reflect(
        &mut self,
        burst: &mut Burst<'_>,
        index: usize,
        length: usize,
        checksum: TxChecksum,
    ) -> std::result::Result<(), NotReflected> {
        assert!(burst.is_of(&self.shared), "the burst is another socket's");
        let packet = burst.bytes(index).len();
        assert!((PACKET_MIN..=packet).contains(&length), "length {length} of a packet of {packet} bytes");
        self.room()?;
        let Some(unused) = self.free.pop() else { return Err(NotReflected::NoFrame) };
        let start = burst.start(index);
        let frame = burst.exchange(index, unused);
        self.counters.reflected += 1;
        self.queue(frame, start, length, checksum);
        Ok(())
    }

    /// Takes back the frames that the device has sent; returns how many. Called by `reserve` when none is free,
    /// and best once at the start of each turn.
    pub fn reclaim(&mut self) -> u32 {
        let before = self.lent.count();
        // One look at the shared index; what completes meanwhile is for the next call.
        for _ in 0..self.completion.available(u32::MAX) {
            let Some(address) = self.completion.take() else { break };
            match self.lent.take_back(address) {
                Ok((frame, _)) => self.free.push(frame),
                Err(_) => self.counters.invalid_completions += 1,
            }
        }
        self.completion.release();
        before - self.lent.count()
    }

    /// Publishes all committed packets and wakes the device if the ring asks, repeating the call at most
    /// `wake_repeats_max` times while the kernel says that more remain.
    pub fn flush(&mut self) -> Flush {
        let published = self.tx.publish();
        self.counters.flushes += u64::from(published > 0);
        let wake =
            if self.tx.unconsumed() > 0 && self.is_wakeup_due() { self.wake() } else { Wake::NotNeeded };
        Flush { published, remaining: self.tx.unconsumed(), wake }
    }

    /// Who completes partial checksums.
    pub fn checksum_offload(&self) -> ChecksumOffload {
        self.checksum
    }

    /// Bytes that a packet may have.
    pub fn packet_max(&self) -> usize {
        (self.shared.umem.frame_size().bytes() - PACKET_START) as usize
    }

    /// Events so far.
    pub fn counters(&self) -> TransmitCounters {
        self.counters
    }

    /// This half's frames by owner.
    pub fn frames(&self) -> TransmitFrames {
        let staged = self.tx.staged();
        let published = self.lent.count() - staged;
        // The kernel may complete a frame before it gives up the ring entry: such a frame counts as sent.
        let completion_ring = self.completion.unread().min(published);
        let tx_ring = self.tx.unconsumed().min(published - completion_ring);
        let kernel = published - completion_ring - tx_ring;
        TransmitFrames { free: self.free.len() as u32, staged, tx_ring, kernel, completion_ring }
    }

    /// Number of frames this half owns.
    pub fn frames_total(&self) -> u32 {
        self.total
    }

    /// The kernel's counters of the whole socket (`XDP_STATISTICS`).
    ///
    /// # Errors
    ///
    /// [`Error::Os`](crate::Error::Os) if the kernel refuses.
    pub fn statistics(&self) -> Result<XdpStatistics> {
        self.shared.statistics()
    }

    fn room(&mut self) -> std::result::Result<(), NotReflected> {
        if self.free.is_empty() && self.reclaim() == 0 {
            self.counters.no_frame += 1;
            return Err(NotReflected::NoFrame);
        }
        if self.tx.free(1) == 0 {
            self.counters.ring_full += 1;
            return Err(NotReflected::RingFull);
        }
        Ok(())
    }

    fn queue(&mut self, mut frame: Frame, start: u32, length: usize, checksum: TxChecksum) {
        let options = match checksum {
            TxChecksum::Complete => 0,
            TxChecksum::Partial { start: csum_start, offset } => {
                self.complete(&mut frame, start as usize, length, XskTxMetadata::checksum(csum_start, offset))
            }
        };
        let addr = self.lent.lend(frame, start);
        let staged = self.tx.stage(Descriptor { addr, len: length as u32, options });
        debug_assert!(staged.is_ok(), "room was checked");
        self.counters.packets += 1;
    }

    /// Completes the checksum or asks the device to; returns the descriptor's options.
    fn complete(&mut self, frame: &mut Frame, start: usize, length: usize, request: XskTxMetadata) -> u32 {
        let XskTxMetadata { csum_start, csum_offset, .. } = request;
        let field = usize::from(csum_start) + usize::from(csum_offset);
        assert!(field + 2 <= length, "checksum field at {field} of a packet of {length} bytes");
        let metadata = TX_METADATA_LEN as usize;
        match self.checksum {
            ChecksumOffload::Device if start >= metadata => {
                let room = self.shared.umem.bytes_mut(frame, start - metadata..start);
                room.copy_from_slice(&request.to_bytes());
                XDP_TX_METADATA
            }
            ChecksumOffload::Device | ChecksumOffload::Software => {
                let packet = self.shared.umem.bytes_mut(frame, start..start + length);
                checksum::complete(packet, csum_start, csum_offset);
                self.counters.software_checksums += 1;
                0
            }
        }
    }

    fn is_wakeup_due(&self) -> bool {
        match self.need_wakeup {
            NeedWakeup::Always => true,
            NeedWakeup::Use => self.tx.wakeup() == Wakeup::Asked,
        }
    }

    fn wake(&mut self) -> Wake {
        for _ in 0..self.wake_repeats_max {
            self.counters.wakeups += 1;
            match send(&self.shared.fd, &[], SendFlags::DONTWAIT) {
                Ok(_) => return Wake::Woken,
                Err(Errno::AGAIN) => self.counters.again += 1,
                Err(Errno::INTR) => {}
                Err(Errno::BUSY | Errno::NOBUFS) => return Wake::NoBuffers,
                Err(Errno::NETDOWN | Errno::NXIO | Errno::NODEV) => return Wake::Down,
                Err(errno) => return Wake::Refused(errno),
            }
        }
        Wake::Again
    }
}

impl AsFd for Transmitter {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.shared.fd.as_fd()
    }
}
