//! Offloads of a link's end, through `SIOCETHTOOL` (linux/sockios.h, linux/ethtool.h).
#![allow(unsafe_code, reason = "ioctl(2) with a structure of linux/if.h")]

use std::io;
use std::mem::size_of;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::ptr;

use super::error::LabError;

/// What a veth end promises to do for its host. A link without a wire does none of it, and frames would travel with
/// half a checksum or far above the MTU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Offload {
    /// Transmit checksums (`tx`); scatter-gather and TSO go with it.
    TransmitChecksum,
    /// TCP segmentation (`tso`).
    TcpSegmentation,
    /// Generic segmentation (`gso`).
    GenericSegmentation,
    /// Generic receive coalescing (`gro`).
    GenericReceive,
}

/// Everything that lets frames above the MTU or with unfinished checksums onto the link.
pub(super) const ALL_OFFLOADS: [Offload; 4] = [
    Offload::TransmitChecksum,
    Offload::TcpSegmentation,
    Offload::GenericSegmentation,
    Offload::GenericReceive,
];

impl Offload {
    /// The name that `ethtool -K` takes.
    fn name(self) -> &'static str {
        match self {
            Self::TransmitChecksum => "tx",
            Self::TcpSegmentation => "tso",
            Self::GenericSegmentation => "gso",
            Self::GenericReceive => "gro",
        }
    }

    /// `ETHTOOL_STXCSUM`, `_STSO`, `_SGSO`, `_SGRO` of linux/ethtool.h.
    fn set_command(self) -> u32 {
        match self {
            Self::TransmitChecksum => 0x17,
            Self::TcpSegmentation => 0x1f,
            Self::GenericSegmentation => 0x24,
            Self::GenericReceive => 0x2c,
        }
    }
}

/// Turns offloads of an interface in the calling thread's namespace off.
pub(super) fn turn_off(interface: &str, offloads: &[Offload]) -> Result<(), LabError> {
    for &offload in offloads {
        set(interface, offload.set_command(), 0).map_err(|source| LabError::Offload {
            interface: interface.to_owned(),
            feature: offload.name(),
            source,
        })?;
    }
    Ok(())
}

/// `struct ethtool_value` of linux/ethtool.h.
#[repr(C)]
struct EthtoolValue {
    cmd: u32,
    data: u32,
}

const _: () = assert!(size_of::<EthtoolValue>() == 8);

fn set(interface: &str, cmd: u32, data: u32) -> io::Result<()> {
    let mut value = EthtoolValue { cmd, data };
    // SAFETY: `ifreq` is plain data for which all zeroes are valid.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    if interface.len() >= request.ifr_name.len() {
        return Err(io::Error::from_raw_os_error(libc::ENAMETOOLONG));
    }
    for (to, from) in request.ifr_name.iter_mut().zip(interface.bytes()) {
        *to = from as libc::c_char;
    }
    request.ifr_ifru.ifru_data = ptr::from_mut(&mut value).cast();
    // Any socket of the namespace carries the request.
    let socket = UdpSocket::bind((std::net::Ipv4Addr::UNSPECIFIED, 0))?;
    // SAFETY: the name is zero-terminated (checked above); `ifru_data` points to a live ethtool_value, and the commands
    // of this file read and write no more than that.
    let answer = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCETHTOOL as _, &raw mut request) };
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
