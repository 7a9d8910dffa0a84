//! An `AF_XDP` socket as two halves that share no mutable state and own their frames for ever: a
//! [`Receiver`] and a [`Transmitter`].
//!
//! ```no_run
//! use bywash_xdp::socket::{Socket, SocketConfig, TxChecksum};
//!
//! # fn main() -> bywash_xdp::Result<()> {
//! let (mut receiver, mut transmitter) = Socket::open(&SocketConfig::new(2, 0))?.split();
//! let burst = receiver.receive(64);
//! for index in 0..burst.len() {
//!     let Some(mut frame) = transmitter.reserve() else { break };
//!     let bytes = burst.bytes(index);
//!     frame[..bytes.len()].copy_from_slice(bytes);
//!     frame.commit(bytes.len(), TxChecksum::Complete);
//! }
//! drop(burst);
//! let _flush = transmitter.flush();
//! # Ok(()) }
//! ```

mod checksum;
mod config;
mod counts;
mod options;
mod receive;
#[cfg(test)]
mod tests;
mod transmit;

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::Arc,
    time::{Duration, Instant},
};

pub use config::{
    BURST_MAX, ChecksumPolicy, NeedWakeup, RING_SIZE_MAX, RingSizes, SocketConfig, TX_BUDGET_MAX, ZeroCopy,
};
pub use counts::{ReceiveCounters, ReceiveFrames, TransmitCounters, TransmitFrames};
pub use receive::{Burst, Receiver};
use rustix::{
    io::Errno,
    net::{
        AddressFamily, SocketFlags, SocketType, bind, socket_with,
        sockopt::{
            set_xdp_rx_ring_size, set_xdp_tx_ring_size, set_xdp_umem_completion_ring_size,
            set_xdp_umem_fill_ring_size, xdp_mmap_offsets, xdp_statistics,
        },
        xdp::{
            SocketAddrXdp, SocketAddrXdpFlags, XDP_PGOFF_RX_RING, XDP_PGOFF_TX_RING,
            XDP_UMEM_PGOFF_COMPLETION_RING, XDP_UMEM_PGOFF_FILL_RING, XdpStatistics,
        },
    },
};
pub use transmit::{ChecksumOffload, Flush, NotReflected, Reservation, Transmitter, TxChecksum, Wake};

use crate::{
    Error, Result,
    nic::Interface,
    ring::{Consumer, Producer, RingMemory},
    umem::{FrameList, Pages, Umem},
};

/// How long a bind is repeated while the queue's last owner is still being torn down.
const BUSY_WAIT_MAX: Duration = Duration::from_secs(1);
const BUSY_PAUSE: Duration = Duration::from_millis(20);

/// How frames move between the driver and the UMEM.
#[derive(Debug)]
pub enum CopyMode {
    /// The device reads and writes the UMEM itself.
    ZeroCopy,
    /// The kernel copies each frame once.
    Copy {
        /// Why not zero-copy: the kernel's answer, or `None` when it was not asked for.
        why_not_zero_copy: Option<io::Error>,
    },
}

/// What a socket got from the kernel.
#[derive(Debug)]
pub struct Setup {
    /// Zero-copy or copy.
    pub copy_mode: CopyMode,
    /// Whether the device or the kernel completes checksums of sent frames.
    pub checksum: ChecksumOffload,
    /// Frames that one wake-up may send in copy mode: the configured budget, or the kernel's 32.
    pub tx_budget: u32,
    /// The kind of pages under the frames.
    pub pages: Pages,
}

/// What both halves hold: the descriptor, which keeps the kernel's side alive, and the frame memory.
#[derive(Debug)]
struct Shared {
    fd: OwnedFd,
    umem: Arc<Umem>,
}

/// A bound socket, not yet split into its halves.
#[derive(Debug)]
pub struct Socket {
    receiver: Receiver,
    transmitter: Transmitter,
    setup: Setup,
}

impl Socket {
    /// Opens a socket, registers its frame memory, maps its rings, fills the fill ring and binds it to its queue.
    /// Frames arrive once a program redirects them (see [`Program::add_socket`](crate::program::Program::add_socket)).
    /// Waits up to a second for a queue whose last owner has just ended.
    ///
    /// # Errors
    ///
    /// [`Error::NoAfXdp`], [`Error::NotPermitted`], [`Error::Config`], [`Error::NoSuchInterface`],
    /// [`Error::QueueOutOfRange`], [`Error::QueueBusy`], [`Error::ZeroCopyRefused`], or [`Error::Os`].
    pub fn open(config: &SocketConfig) -> Result<Self> {
        config.check()?;
        let fd = open_descriptor()?;
        let (umem, mut receive_frames) = Umem::new(config.frame_size, config.rx_frames + config.tx_frames)?;
        let transmit_frames = receive_frames.split_off(config.rx_frames as usize);
        let metadata = options::register_umem(fd.as_fd(), &umem, config)?;
        let rings = Rings::map(fd.as_fd(), &config.rings)?;
        let tx_budget = options::raise_tx_budget(fd.as_fd(), config.tx_budget);
        let pages = umem.pages();
        let shared = Arc::new(Shared { fd, umem });
        // The fill ring is full before the first frame can arrive.
        let receiver =
            Receiver::new(Arc::clone(&shared), rings.fill, rings.rx, receive_frames, config.burst_max);
        let copy_mode = bind_queue(shared.fd.as_fd(), config)?;
        let checksum = checksum_offload(metadata, &copy_mode);
        let transmitter =
            Transmitter::new(shared, rings.tx, rings.completion, transmit_frames, config, checksum);
        Ok(Self { receiver, transmitter, setup: Setup { copy_mode, checksum, tx_budget, pages } })
    }

    /// What the kernel granted.
    pub fn setup(&self) -> &Setup {
        &self.setup
    }

    /// The two halves; each may go to a thread of its own. The socket closes when both are dropped.
    pub fn split(self) -> (Receiver, Transmitter) {
        (self.receiver, self.transmitter)
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.receiver.as_fd()
    }
}

impl Shared {
    /// The kernel's counters of this socket (`XDP_STATISTICS`).
    fn statistics(&self) -> Result<XdpStatistics> {
        xdp_statistics(&self.fd).map_err(Error::os("getsockopt(XDP_STATISTICS)"))
    }
}

struct Rings {
    fill: Producer<u64>,
    rx: Consumer<crate::abi::Descriptor>,
    tx: Producer<crate::abi::Descriptor>,
    completion: Consumer<u64>,
}

impl Rings {
    fn map(fd: BorrowedFd<'_>, sizes: &RingSizes) -> Result<Self> {
        let RingSizes { fill, rx, tx, completion } = *sizes;
        set_xdp_umem_fill_ring_size(fd, fill).map_err(Error::os("setsockopt(XDP_UMEM_FILL_RING)"))?;
        set_xdp_umem_completion_ring_size(fd, completion)
            .map_err(Error::os("setsockopt(XDP_UMEM_COMPLETION_RING)"))?;
        set_xdp_rx_ring_size(fd, rx).map_err(Error::os("setsockopt(XDP_RX_RING)"))?;
        set_xdp_tx_ring_size(fd, tx).map_err(Error::os("setsockopt(XDP_TX_RING)"))?;
        let offsets = xdp_mmap_offsets(fd).map_err(Error::os("getsockopt(XDP_MMAP_OFFSETS)"))?;
        Ok(Self {
            fill: Producer::new(RingMemory::map(fd, &offsets.fr, fill, XDP_UMEM_PGOFF_FILL_RING)?),
            rx: Consumer::new(RingMemory::map(fd, &offsets.rx, rx, XDP_PGOFF_RX_RING)?),
            tx: Producer::new(RingMemory::map(fd, &offsets.tx, tx, XDP_PGOFF_TX_RING)?),
            completion: Consumer::new(RingMemory::map(
                fd,
                &offsets.cr,
                completion,
                XDP_UMEM_PGOFF_COMPLETION_RING,
            )?),
        })
    }
}

fn open_descriptor() -> Result<OwnedFd> {
    socket_with(AddressFamily::XDP, SocketType::RAW, SocketFlags::CLOEXEC, None).map_err(
        |errno| match errno {
            Errno::AFNOSUPPORT => Error::NoAfXdp,
            Errno::PERM => Error::NotPermitted { what: "opening an AF_XDP socket", missing: "CAP_NET_RAW" },
            errno => Error::os("socket(AF_XDP)")(errno),
        },
    )
}

fn bind_queue(fd: BorrowedFd<'_>, config: &SocketConfig) -> Result<CopyMode> {
    let copy = |why_not_zero_copy| {
        bind_patiently(fd, config, SocketAddrXdpFlags::XDP_COPY)
            .map(|()| CopyMode::Copy { why_not_zero_copy })
            .map_err(|errno| bind_error(config, errno))
    };
    if config.zero_copy == ZeroCopy::Never {
        return copy(None);
    }
    match bind_patiently(fd, config, SocketAddrXdpFlags::XDP_ZEROCOPY) {
        Ok(()) => Ok(CopyMode::ZeroCopy),
        Err(errno @ (Errno::BUSY | Errno::NODEV | Errno::PERM)) => Err(bind_error(config, errno)),
        Err(errno) => match config.zero_copy {
            ZeroCopy::Required => Err(Error::ZeroCopyRefused {
                interface: interface_name(config.interface),
                queue: config.queue,
                reason: errno.into(),
            }),
            ZeroCopy::Preferred | ZeroCopy::Never => copy(Some(errno.into())),
        },
    }
}

/// Binds, repeating EBUSY: the kernel frees a queue some time after its last owner closed it.
fn bind_patiently(
    fd: BorrowedFd<'_>,
    config: &SocketConfig,
    mode: SocketAddrXdpFlags,
) -> rustix::io::Result<()> {
    let flags = match config.need_wakeup {
        NeedWakeup::Use => mode | SocketAddrXdpFlags::XDP_USE_NEED_WAKEUP,
        NeedWakeup::Always => mode,
    };
    let address = SocketAddrXdp::new(flags, config.interface, config.queue);
    let start = Instant::now();
    loop {
        match bind(fd, &address) {
            Err(Errno::BUSY) if start.elapsed() < BUSY_WAIT_MAX => std::thread::sleep(BUSY_PAUSE),
            answer => return answer,
        }
    }
}

fn bind_error(config: &SocketConfig, errno: Errno) -> Error {
    let SocketConfig { interface, queue, .. } = *config;
    let name = interface_name(interface);
    match errno {
        Errno::BUSY => {
            Error::QueueBusy { interface: name, queue, waited_ms: BUSY_WAIT_MAX.as_millis() as u64 }
        }
        Errno::PERM => Error::NotPermitted { what: "binding an AF_XDP socket", missing: "CAP_NET_RAW" },
        Errno::NODEV => match Interface::by_index(interface) {
            Err(error) => error,
            Ok(_) => Error::os("bind(AF_XDP)")(errno),
        },
        errno => match Interface::by_index(interface).and_then(|interface| interface.queues()) {
            Ok(queues) if queue >= queues.receive => {
                Error::QueueOutOfRange { interface: name, queue, queues: queues.receive }
            }
            Ok(_) | Err(_) => Error::os("bind(AF_XDP)")(errno),
        },
    }
}

fn interface_name(index: u32) -> String {
    Interface::by_index(index).map_or_else(|_| format!("#{index}"), |interface| interface.name().to_owned())
}

/// In copy mode the kernel completes any sum it is asked for. A zero-copy driver may ignore the request, so there
/// the sums are ours.
fn checksum_offload(metadata: options::Metadata, copy_mode: &CopyMode) -> ChecksumOffload {
    match (metadata, copy_mode) {
        (options::Metadata::Registered, CopyMode::Copy { .. }) => ChecksumOffload::Device,
        (options::Metadata::Registered, CopyMode::ZeroCopy) | (options::Metadata::Absent, _) => {
            ChecksumOffload::Software
        }
    }
}

/// Frames handed to a half at construction, and their number, which stays the same for ever.
fn total(frames: &FrameList) -> u32 {
    u32::try_from(frames.len()).expect("a UMEM has at most FRAMES_MAX frames")
}
