//! The receiving half: fill ring, kernel, rx ring, burst, fill ring again.

use std::{
    os::fd::{AsFd, BorrowedFd},
    sync::Arc,
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    net::{RecvFlags, recv, xdp::XdpStatistics},
};

use super::{ReceiveCounters, ReceiveFrames, Shared, total};
use crate::{
    Error, Result,
    abi::{Descriptor, XDP_PKT_CONTD},
    ring::{Consumer, Producer, Wakeup},
    umem::{Frame, FrameList, Lent},
};

/// The receiving half of a socket. Owns `rx_frames` frames for ever.
#[derive(Debug)]
pub struct Receiver {
    shared: Arc<Shared>,
    fill: Producer<u64>,
    rx: Consumer<Descriptor>,
    lent: Lent,
    held: Vec<Held>,
    spare: FrameList,
    chain: Chain,
    total: u32,
    burst_max: u32,
    counters: ReceiveCounters,
}

/// A received frame and where its packet lies.
#[derive(Debug)]
struct Held {
    frame: Frame,
    start: u32,
    length: u32,
}

/// Whether the next descriptor starts a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Chain {
    Closed,
    /// It continues a packet of several buffers, which is being dropped.
    Open,
}

impl Receiver {
    pub(super) fn new(
        shared: Arc<Shared>,
        fill: Producer<u64>,
        rx: Consumer<Descriptor>,
        frames: FrameList,
        burst_max: u32,
    ) -> Self {
        let lent = Lent::new(Arc::clone(&shared.umem));
        let total = total(&frames);
        let held = Vec::with_capacity(burst_max as usize);
        let mut receiver = Self {
            shared,
            fill,
            rx,
            lent,
            held,
            spare: frames,
            chain: Chain::Closed,
            total,
            burst_max,
            counters: ReceiveCounters::default(),
        };
        receiver.settle();
        receiver
    }

    /// Takes up to `max` packets (and at most `burst_max`) from the rx ring. Dropping the burst gives its frames
    /// back to the fill ring. Makes a system call only when there is nothing and the fill ring asks to be woken.
    pub fn receive(&mut self, max: usize) -> Burst<'_> {
        // A burst that was forgotten instead of dropped is given back here.
        self.settle();
        self.take(u32::try_from(max).unwrap_or(u32::MAX).min(self.burst_max));
        if self.held.is_empty() {
            self.wake_if_asked();
        } else {
            self.counters.packets += self.held.len() as u64;
            self.counters.bursts += 1;
        }
        Burst { receiver: self }
    }

    /// Wakes the device if the fill ring asks for it, so that it takes the frames waiting there.
    pub fn wake_if_asked(&mut self) {
        if self.fill.wakeup() == Wakeup::Asked {
            self.counters.wakeups += 1;
            // The call only wakes; whether anything is there is seen in the ring.
            let _answer = recv(&self.shared.fd, &mut [0_u8; 0][..], RecvFlags::DONTWAIT);
        }
    }

    /// Sleeps in `poll(2)` until a packet waits in the rx ring or `timeout` has passed; `None` waits for ever.
    /// An interrupted sleep is a short one.
    ///
    /// # Errors
    ///
    /// [`Error::Os`] if the kernel refuses the poll.
    pub fn wait(&self, timeout: Option<Duration>) -> Result<()> {
        let timeout = timeout.map(|timeout| Timespec {
            tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(timeout.subsec_nanos()),
        });
        match poll(&mut [PollFd::new(&self.shared.fd, PollFlags::IN)], timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(errno) => Err(Error::os("poll(AF_XDP)")(errno)),
        }
    }

    /// Events so far.
    pub fn counters(&self) -> ReceiveCounters {
        self.counters
    }

    /// This half's frames by owner.
    pub fn frames(&self) -> ReceiveFrames {
        // The kernel may publish a frame before it gives up the fill entry: such a frame counts as received.
        let rx_ring = self.rx.unread().min(self.lent.count());
        let fill_ring = (self.fill.staged() + self.fill.unconsumed()).min(self.lent.count() - rx_ring);
        let kernel = self.lent.count() - rx_ring - fill_ring;
        let burst = self.held.len() as u32;
        ReceiveFrames { fill_ring, kernel, rx_ring, burst, spare: self.spare.len() as u32 }
    }

    /// Number of frames this half owns.
    pub fn frames_total(&self) -> u32 {
        self.total
    }

    /// The kernel's counters of the whole socket (`XDP_STATISTICS`).
    ///
    /// # Errors
    ///
    /// [`Error::Os`] if the kernel refuses.
    pub fn statistics(&self) -> Result<XdpStatistics> {
        self.shared.statistics()
    }

    fn take(&mut self, max: u32) {
        let count = self.rx.available(max).min(max);
        for _ in 0..count {
            let Some(descriptor) = self.rx.take() else { break };
            self.accept(descriptor);
        }
        self.rx.release();
    }

    fn accept(&mut self, descriptor: Descriptor) {
        let Descriptor { addr, len: length, options } = descriptor;
        let Ok((frame, start)) = self.lent.take_back(addr) else {
            self.counters.invalid_descriptors += 1;
            return;
        };
        let chain = self.chain;
        self.chain = if options & XDP_PKT_CONTD == 0 { Chain::Closed } else { Chain::Open };
        match (chain, self.chain) {
            (Chain::Closed, Chain::Closed) if length <= self.shared.umem.frame_size().bytes() - start => {
                self.held.push(Held { frame, start, length });
                return;
            }
            (Chain::Closed, Chain::Closed) => self.counters.invalid_descriptors += 1,
            (Chain::Open, Chain::Closed) => self.counters.multi_buffer_dropped += 1,
            (Chain::Closed | Chain::Open, Chain::Open) => {}
        }
        self.spare.push(frame);
    }

    /// Gives everything that is ours to the fill ring.
    fn settle(&mut self) {
        for Held { frame, start: _, length: _ } in self.held.drain(..) {
            self.spare.push(frame);
        }
        while !self.spare.is_empty() {
            if self.fill.free(1) == 0 {
                self.counters.fill_ring_full += self.spare.len() as u64;
                break;
            }
            if let Some(frame) = self.spare.pop() {
                let staged = self.fill.stage(self.lent.lend(frame, 0));
                debug_assert!(staged.is_ok(), "room was checked");
            }
        }
        self.fill.publish();
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        // The frames' memory lives on in `shared` until the kernel's side is closed too.
        for Held { frame, start: _, length: _ } in self.held.drain(..) {
            self.spare.push(frame);
        }
    }
}

impl AsFd for Receiver {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.shared.fd.as_fd()
    }
}

/// Packets taken from the rx ring at once. Dropping it gives the frames back to the fill ring.
#[derive(Debug)]
pub struct Burst<'a> {
    receiver: &'a mut Receiver,
}

impl Burst<'_> {
    /// Number of packets.
    pub fn len(&self) -> usize {
        self.receiver.held.len()
    }

    /// Whether nothing had arrived.
    pub fn is_empty(&self) -> bool {
        self.receiver.held.is_empty()
    }

    /// Packet `index`, from its Ethernet header on; empty after the packet was reflected.
    ///
    /// # Panics
    ///
    /// If `index` is not below [`len`](Self::len).
    pub fn bytes(&self, index: usize) -> &[u8] {
        let Held { frame, start, length } = &self.receiver.held[index];
        self.receiver.shared.umem.bytes(frame, *start as usize..(*start + *length) as usize)
    }

    /// Packet `index`, for changes in place.
    ///
    /// # Panics
    ///
    /// If `index` is not below [`len`](Self::len).
    pub fn bytes_mut(&mut self, index: usize) -> &mut [u8] {
        let Held { frame, start, length } = &mut self.receiver.held[index];
        self.receiver.shared.umem.bytes_mut(frame, *start as usize..(*start + *length) as usize)
    }

    /// Where packet `index` starts in its frame.
    pub(super) fn start(&self, index: usize) -> u32 {
        self.receiver.held[index].start
    }

    /// Exchanges the frame of packet `index` for an unused one of the same UMEM.
    pub(super) fn exchange(&mut self, index: usize, unused: Frame) -> Frame {
        let held = &mut self.receiver.held[index];
        (held.start, held.length) = (0, 0);
        std::mem::replace(&mut held.frame, unused)
    }

    /// Whether the burst's frames lie in the UMEM of `shared`.
    pub(super) fn is_of(&self, shared: &Arc<Shared>) -> bool {
        Arc::ptr_eq(&self.receiver.shared.umem, &shared.umem)
    }
}

impl Drop for Burst<'_> {
    fn drop(&mut self) {
        self.receiver.settle();
    }
}
