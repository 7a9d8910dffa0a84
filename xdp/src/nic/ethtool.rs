//! The `ioctl`s behind [`Interface`](super::Interface): `SIOCGIF*` and `SIOCETHTOOL`
//! (`include/uapi/linux/sockios.h`, `include/uapi/linux/ethtool.h`), and the two libc lists.
#![allow(unsafe_code)]

use std::{
    ffi::CStr,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    os::fd::OwnedFd,
    ptr,
};

use rustix::{
    io::Errno,
    ioctl::{Opcode, Updater, ioctl},
    net::{AddressFamily, SocketFlags, SocketType, netdevice, socket_with},
};

use super::Offload;
use crate::{Error, Result};

const SIOCGIFMTU: Opcode = 0x8921;
const SIOCGIFHWADDR: Opcode = 0x8927;
const SIOCETHTOOL: Opcode = 0x8946;

const ETHTOOL_GDRVINFO: u32 = 0x03;
const ETHTOOL_GRXFHINDIR: u32 = 0x38;
const ETHTOOL_GCHANNELS: u32 = 0x3c;

/// Most entries of an RSS indirection table that we ask for.
const INDIRECTION_MAX: usize = 1 << 16;

/// A socket to ask through, and the interface's name.
#[derive(Debug)]
pub(super) struct Control {
    socket: OwnedFd,
    name: String,
}

/// `struct ifreq`: the name and a union of 24 bytes.
#[repr(C, align(8))]
#[derive(Clone, Copy)]
struct InterfaceRequest {
    name: [u8; libc::IFNAMSIZ],
    data: [u8; 24],
}

/// `struct ethtool_channels`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Channels {
    command: u32,
    max_rx: u32,
    max_tx: u32,
    max_other: u32,
    pub(super) max_combined: u32,
    pub(super) rx_count: u32,
    pub(super) tx_count: u32,
    other_count: u32,
    pub(super) combined_count: u32,
}

/// `struct ethtool_drvinfo`.
#[repr(C)]
#[derive(Clone, Copy)]
struct DriverInfo {
    command: u32,
    driver: [u8; 32],
    rest: [u8; 160],
}

/// `struct ethtool_value`.
#[repr(C)]
#[derive(Clone, Copy)]
struct Value {
    command: u32,
    data: u32,
}

const _: () = {
    assert!(size_of::<InterfaceRequest>() == 40 && size_of::<libc::ifreq>() <= 40);
    assert!(size_of::<Channels>() == 36);
    assert!(size_of::<DriverInfo>() == 196);
    assert!(size_of::<Value>() == 8);
};

impl Control {
    pub(super) fn new(name: &str) -> Result<Self> {
        let socket = socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None)
            .map_err(Error::os("socket(AF_INET)"))?;
        Ok(Self { socket, name: name.to_owned() })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The index, or `None` when no interface has this name.
    pub(super) fn index(&self) -> Option<u32> {
        netdevice::name_to_index(&self.socket, &self.name).ok()
    }

    pub(super) fn mtu(&self) -> Result<u32> {
        let data = self.ask::<SIOCGIFMTU>([0; 24]).map_err(Error::os("ioctl(SIOCGIFMTU)"))?;
        Ok(u32::from_ne_bytes([data[0], data[1], data[2], data[3]]))
    }

    pub(super) fn hardware_address(&self) -> Result<[u8; 6]> {
        let data = self.ask::<SIOCGIFHWADDR>([0; 24]).map_err(Error::os("ioctl(SIOCGIFHWADDR)"))?;
        // After the two bytes of the address family.
        Ok([data[2], data[3], data[4], data[5], data[6], data[7]])
    }

    pub(super) fn driver(&self) -> Result<String> {
        let mut info = DriverInfo { command: ETHTOOL_GDRVINFO, driver: [0; 32], rest: [0; 160] };
        // SAFETY: ETHTOOL_GDRVINFO writes a `struct ethtool_drvinfo`, which `DriverInfo` is.
        unsafe { self.ethtool(&raw mut info) }.map_err(Error::os("ioctl(ETHTOOL_GDRVINFO)"))?;
        let length = info.driver.iter().position(|byte| *byte == 0).unwrap_or(info.driver.len());
        Ok(String::from_utf8_lossy(&info.driver[..length]).into_owned())
    }

    /// Queue numbers, or `None` when the driver cannot be asked.
    pub(super) fn channels(&self) -> Result<Option<Channels>> {
        let mut channels = Channels { command: ETHTOOL_GCHANNELS, ..Channels::default() };
        // SAFETY: ETHTOOL_GCHANNELS writes a `struct ethtool_channels`, which `Channels` is.
        let answer = unsafe { self.ethtool(&raw mut channels) };
        optional(answer, "ioctl(ETHTOOL_GCHANNELS)").map(|answer| answer.map(|()| channels))
    }

    /// The RSS indirection table, or `None` when the driver has none.
    pub(super) fn indirection(&self) -> Result<Option<Vec<u32>>> {
        const CALL: &str = "ioctl(ETHTOOL_GRXFHINDIR)";
        // Size zero asks for the size only.
        let mut size = Value { command: ETHTOOL_GRXFHINDIR, data: 0 };
        // SAFETY: with size zero the kernel writes only the two words of `struct ethtool_rxfh_indir`.
        let answer = unsafe { self.ethtool(&raw mut size) };
        if optional(answer, CALL)?.is_none() || size.data == 0 {
            return Ok(None);
        }
        let entries = (size.data as usize).min(INDIRECTION_MAX);
        let mut table = vec![0_u32; 2 + entries];
        (table[0], table[1]) = (ETHTOOL_GRXFHINDIR, entries as u32);
        // SAFETY: the kernel writes the header's two words and as many entries as the second word says; it refuses
        // a number other than its own.
        let answer = unsafe { self.ethtool(table.as_mut_ptr()) };
        Ok(optional(answer, CALL)?.map(|()| table.split_off(2)))
    }

    pub(super) fn value(&self, command: u32) -> Result<u32> {
        let mut value = Value { command, data: 0 };
        // SAFETY: the commands of `get_command` write a `struct ethtool_value`, which `Value` is.
        unsafe { self.ethtool(&raw mut value) }.map_err(Error::os("ioctl(SIOCETHTOOL, get)"))?;
        Ok(value.data)
    }

    pub(super) fn set_value(&self, command: u32, data: u32) -> Result<()> {
        let mut value = Value { command, data };
        // SAFETY: the commands of `set_command` read a `struct ethtool_value`, which `Value` is.
        unsafe { self.ethtool(&raw mut value) }.map_err(|errno| match errno {
            Errno::PERM => Error::NotPermitted { what: "switching an offload", missing: "CAP_NET_ADMIN" },
            errno => Error::os("ioctl(SIOCETHTOOL, set)")(errno),
        })
    }

    /// One `SIOCETHTOOL` call.
    ///
    /// # Safety
    ///
    /// `argument` leads to the whole structure of the command that it holds, and all of it may be written.
    unsafe fn ethtool<T>(&self, argument: *mut T) -> rustix::io::Result<()> {
        let mut data = [0; 24];
        let address = argument.expose_provenance();
        data[..size_of::<usize>()].copy_from_slice(&address.to_ne_bytes());
        self.ask::<SIOCETHTOOL>(data).map(|_| ())
    }

    fn ask<const CODE: Opcode>(&self, data: [u8; 24]) -> rustix::io::Result<[u8; 24]> {
        let mut request = InterfaceRequest { name: [0; libc::IFNAMSIZ], data };
        let name = self.name.as_bytes();
        // The last byte stays zero; a longer name cannot exist.
        if name.len() >= request.name.len() {
            return Err(Errno::NODEV);
        }
        request.name[..name.len()].copy_from_slice(name);
        // SAFETY: the codes used here read and write one `struct ifreq`, whose layout `InterfaceRequest` has; what
        // a pointer in it leads to is the contract of `ethtool`.
        unsafe { ioctl(&self.socket, Updater::<'_, CODE, InterfaceRequest>::new(&mut request)) }?;
        Ok(request.data)
    }
}

/// Turns "the driver does not have this" into `None`.
fn optional(answer: rustix::io::Result<()>, call: &'static str) -> Result<Option<()>> {
    match answer {
        Ok(()) => Ok(Some(())),
        Err(Errno::OPNOTSUPP | Errno::INVAL) => Ok(None),
        Err(errno) => Err(Error::os(call)(errno)),
    }
}

/// `ETHTOOL_G*` of an offload.
pub(super) fn get_command(offload: Offload) -> u32 {
    match offload {
        Offload::RxChecksum => 0x14,
        Offload::TxChecksum => 0x16,
        Offload::ScatterGather => 0x18,
        Offload::TcpSegmentation => 0x1e,
        Offload::GenericSegmentation => 0x23,
        Offload::GenericReceive => 0x2b,
    }
}

/// `ETHTOOL_S*` of an offload: always the number after `ETHTOOL_G*`.
pub(super) fn set_command(offload: Offload) -> u32 {
    get_command(offload) + 1
}

/// The name of an interface index, or `None` when there is none.
pub(super) fn name_of(index: u32) -> Result<Option<String>> {
    let control = Control::new("")?;
    Ok(netdevice::index_to_name(&control.socket, index).ok())
}

/// The names of all interfaces; empty when the kernel gives no list.
pub(super) fn names() -> Vec<String> {
    let mut names = Vec::new();
    // SAFETY: the list is ours until it is freed below; it ends with a null name.
    unsafe {
        let list = libc::if_nameindex();
        let mut entry = list;
        while !entry.is_null() && !(*entry).if_name.is_null() {
            names.push(CStr::from_ptr((*entry).if_name).to_string_lossy().into_owned());
            entry = entry.add(1);
        }
        if !list.is_null() {
            libc::if_freenameindex(list);
        }
    }
    names
}

/// The kernel's addresses on the interface `name`.
pub(super) fn addresses(name: &str) -> Result<Vec<IpAddr>> {
    let mut addresses = Vec::new();
    let mut list = ptr::null_mut();
    // SAFETY: `list` is a place for the head of the list.
    if unsafe { libc::getifaddrs(&raw mut list) } != 0 {
        return Err(Error::Os { call: "getifaddrs", source: std::io::Error::last_os_error() });
    }
    let mut entry = list;
    // SAFETY: the list is ours until it is freed below; each entry has a name and leads to the next or to null.
    unsafe {
        while !entry.is_null() {
            if CStr::from_ptr((*entry).ifa_name).to_bytes() == name.as_bytes() {
                addresses.extend(address((*entry).ifa_addr));
            }
            entry = (*entry).ifa_next;
        }
        libc::freeifaddrs(list);
    }
    Ok(addresses)
}

/// Reads an IPv4 or IPv6 socket address.
///
/// # Safety
///
/// The pointer is null or leads to a socket address of the length that its family asks for.
unsafe fn address(socket_address: *const libc::sockaddr) -> Option<IpAddr> {
    if socket_address.is_null() {
        return None;
    }
    // SAFETY: by this function's contract.
    match i32::from(unsafe { (*socket_address).sa_family }) {
        libc::AF_INET => {
            // SAFETY: the family says that a `sockaddr_in` stands here; read without assuming its alignment.
            let v4 = unsafe { socket_address.cast::<libc::sockaddr_in>().read_unaligned() };
            Some(Ipv4Addr::from(v4.sin_addr.s_addr.to_ne_bytes()).into())
        }
        libc::AF_INET6 => {
            // SAFETY: as above, a `sockaddr_in6`.
            let v6 = unsafe { socket_address.cast::<libc::sockaddr_in6>().read_unaligned() };
            Some(Ipv6Addr::from(v6.sin6_addr.s6_addr).into())
        }
        _ => None,
    }
}
