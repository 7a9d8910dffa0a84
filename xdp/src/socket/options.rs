//! Socket options that rustix lacks or that fall back on older kernels.
#![allow(unsafe_code)]

use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::{
    io::Errno,
    net::{
        sockopt::set_xdp_umem_reg,
        xdp::{XdpUmemReg, XdpUmemRegFlags},
    },
};

use super::{ChecksumPolicy, SocketConfig};
use crate::{
    Error, Result,
    abi::{SOL_XDP, TX_METADATA_LEN, XDP_MAX_TX_SKB_BUDGET, XDP_UMEM_TX_METADATA_LEN},
    umem::Umem,
};

/// Frames that one `sendto` sends in copy mode unless raised (`TX_BATCH_SIZE` in `net/xdp/xsk.c`).
const TX_BUDGET_KERNEL: u32 = 32;

/// Whether the kernel accepted room for metadata before sent frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Metadata {
    /// It did.
    Registered,
    /// It is older than 6.11, or was not asked.
    Absent,
}

/// Registers the frame memory, with metadata room where wanted and possible.
pub(super) fn register_umem(fd: BorrowedFd<'_>, umem: &Umem, config: &SocketConfig) -> Result<Metadata> {
    let plain = XdpUmemReg {
        addr: umem.address(),
        len: umem.length(),
        chunk_size: umem.frame_size().bytes(),
        headroom: config.headroom,
        flags: XdpUmemRegFlags::empty(),
        tx_metadata_len: 0,
    };
    if config.checksum == ChecksumPolicy::Offload {
        let with_metadata = XdpUmemReg {
            flags: XdpUmemRegFlags::from_bits_retain(XDP_UMEM_TX_METADATA_LEN),
            tx_metadata_len: TX_METADATA_LEN,
            ..plain
        };
        match set_xdp_umem_reg(fd, with_metadata) {
            Ok(()) => return Ok(Metadata::Registered),
            Err(Errno::INVAL) => {}
            Err(errno) => return Err(register_error(errno)),
        }
    }
    set_xdp_umem_reg(fd, plain).map(|()| Metadata::Absent).map_err(register_error)
}

fn register_error(errno: Errno) -> Error {
    match errno {
        Errno::NOBUFS => Error::NotPermitted {
            what: "pinning the frame memory",
            missing: "CAP_IPC_LOCK (or a larger RLIMIT_MEMLOCK)",
        },
        errno => Error::os("setsockopt(XDP_UMEM_REG)")(errno),
    }
}

/// Raises the frames per wake-up to `budget`, bounded by what the kernel takes; returns what is in force.
pub(super) fn raise_tx_budget(fd: BorrowedFd<'_>, budget: u32) -> u32 {
    let length = size_of::<u32>() as libc::socklen_t;
    // SAFETY: the option's value is the `u32` behind the pointer, alive for the call, with its length given.
    let answer = unsafe {
        libc::setsockopt(fd.as_raw_fd(), SOL_XDP, XDP_MAX_TX_SKB_BUDGET, (&raw const budget).cast(), length)
    };
    if answer == 0 { budget } else { TX_BUDGET_KERNEL }
}
