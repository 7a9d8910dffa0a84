//! The BPF program that chooses the frames for our sockets, and the tables that tell it which are ours.
//!
//! An address is either *owned* (every frame to it, and ARP and neighbour discovery for it) or *shared* with the host
//! (only TCP to ports that are ours, and ICMP errors about such TCP). Everything else passes to the kernel untouched.
//! A frame that is ours on a queue without a socket is dropped and counted, since the kernel's TCP would reset it.
//!
//! The program is attached by a link that the kernel removes when the process ends, however it ends.
//! Its source is `bpf/bywash.bpf.c`; `bpf/build.sh` rebuilds the committed object.

mod attach;
mod counters;
mod ports;
#[cfg(test)]
mod tests;

use std::{
    fmt, io,
    net::IpAddr,
    ops::RangeInclusive,
    os::fd::{AsFd, AsRawFd},
};

pub use attach::{AttachedMode, Attachment, Fragments, Mode};
use aya::{
    Ebpf,
    maps::{Array, HashMap, Map, MapData, MapError, PerCpuArray, XskMap},
};
pub use counters::{Counters, Verdict};
use ports::Ports;

use crate::{Error, Result};

/// Sockets that one program may have: queue numbers below this.
pub const QUEUES_MAX: u32 = 256;
/// Addresses that one program may know.
pub const ADDRESSES_MAX: u32 = 1024;

static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("CARGO_MANIFEST_DIR"), "/bpf/bywash.bpf.o"));

/// What is ours about an address; the values stand in the program's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
enum Kind {
    Owned = 1,
    Shared = 2,
}

/// A loaded program and its tables. Dropping it detaches it.
pub struct Program {
    // Before `ebpf`: detach first.
    attachment: Option<Attachment>,
    ebpf: Ebpf,
    addresses: HashMap<MapData, [u8; 16], u32>,
    port_words: Array<MapData, u64>,
    sockets: XskMap<MapData>,
    counters: PerCpuArray<MapData, u64>,
    ports: Ports,
}

impl Program {
    /// Loads the program into the kernel; it sees no frame before [`attach`](Self::attach).
    ///
    /// # Errors
    ///
    /// [`Error::NotPermitted`] without `CAP_BPF` and `CAP_NET_ADMIN`; [`Error::Program`] if the kernel refuses it.
    pub fn load() -> Result<Self> {
        let mut ebpf = Ebpf::load(OBJECT).map_err(|error| program_error("loading the object", &error))?;
        Ok(Self {
            attachment: None,
            addresses: table(&mut ebpf, "addresses")?,
            port_words: table(&mut ebpf, "ports")?,
            sockets: table(&mut ebpf, "sockets")?,
            counters: table(&mut ebpf, "counters")?,
            ebpf,
            ports: Ports::default(),
        })
    }

    /// Attaches to an interface of the calling thread's network namespace. [`Mode::Auto`] takes native mode and falls
    /// back to generic; the answer says which and why. Detaches from an earlier interface.
    /// Waits up to a second for a program whose process has just ended.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchInterface`], [`Error::ProgramBusy`] when another program is attached,
    /// [`Error::MtuTooLarge`], [`Error::NotPermitted`], or [`Error::Program`].
    pub fn attach(&mut self, interface: &str, mode: Mode) -> Result<&Attachment> {
        self.attachment = None;
        let attachment = attach::attach(&mut self.ebpf, interface, mode)?;
        Ok(self.attachment.insert(attachment))
    }

    /// Detaches from the interface, if attached; tables and counters stay. The kernel carries it out a moment later.
    pub fn detach(&mut self) {
        self.attachment = None;
    }

    /// Where and how the program is attached.
    pub fn attachment(&self) -> Option<&Attachment> {
        self.attachment.as_ref()
    }

    /// Takes every frame to `address`. Replaces an earlier [`share`](Self::share).
    ///
    /// # Errors
    ///
    /// [`Error::TableFull`] beyond [`ADDRESSES_MAX`] addresses.
    pub fn own(&mut self, address: IpAddr) -> Result<()> {
        self.set_kind(address, Kind::Owned)
    }

    /// Takes TCP to our ports on `address`, and leaves the rest to the host. Replaces an earlier [`own`](Self::own).
    ///
    /// # Errors
    ///
    /// [`Error::TableFull`] beyond [`ADDRESSES_MAX`] addresses.
    pub fn share(&mut self, address: IpAddr) -> Result<()> {
        self.set_kind(address, Kind::Shared)
    }

    /// Leaves `address` to the kernel again. An unknown address is no error.
    ///
    /// # Errors
    ///
    /// [`Error::Os`] if the kernel refuses.
    pub fn disown(&mut self, address: IpAddr) -> Result<()> {
        match self.addresses.remove(&key(address)) {
            Ok(()) | Err(MapError::KeyNotFound) => Ok(()),
            Err(error) if errno(&error) == Some(libc::ENOENT) => Ok(()),
            Err(error) => Err(map_error("removing an address", error)),
        }
    }

    /// Takes TCP to `port` on shared addresses. Calls nest: each wants its own [`unlisten`](Self::unlisten).
    ///
    /// # Errors
    ///
    /// [`Error::Os`] if the kernel refuses.
    pub fn listen(&mut self, port: u16) -> Result<()> {
        let word = self.ports.listen(port);
        self.write_word(word)
    }

    /// Ends one [`listen`](Self::listen). A port that is not listened on is no error.
    ///
    /// # Errors
    ///
    /// [`Error::Os`] if the kernel refuses.
    pub fn unlisten(&mut self, port: u16) -> Result<()> {
        let word = self.ports.unlisten(port);
        self.write_word(word)
    }

    /// Takes TCP to all of `range` on shared addresses: the local ports of active opens. Replaces an earlier range.
    /// The host must not use these ports itself (`net.ipv4.ip_local_reserved_ports`).
    ///
    /// # Errors
    ///
    /// [`Error::Os`] if the kernel refuses.
    pub fn reserve_ports(&mut self, range: RangeInclusive<u16>) -> Result<()> {
        self.ports.reserve(range);
        (0..ports::WORDS).try_for_each(|word| self.write_word(word))
    }

    /// Sends frames of `queue` to a socket bound to that queue; the kernel forgets it when the socket closes.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] for a queue of [`QUEUES_MAX`] or more, [`Error::Os`] if the kernel refuses.
    pub fn add_socket(&mut self, queue: u32, socket: impl AsFd) -> Result<()> {
        check_queue(queue)?;
        self.sockets
            .set(queue, socket.as_fd().as_raw_fd(), 0)
            .map_err(|error| map_error("adding a socket", error))
    }

    /// Drops frames of `queue` that are ours from now on. A queue without a socket is no error.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] for a queue of [`QUEUES_MAX`] or more, [`Error::Os`] if the kernel refuses.
    pub fn remove_socket(&mut self, queue: u32) -> Result<()> {
        check_queue(queue)?;
        match self.sockets.unset(queue) {
            Ok(()) | Err(MapError::KeyNotFound) => Ok(()),
            Err(error) => Err(map_error("removing a socket", error)),
        }
    }

    /// Frames by verdict since the program was loaded, summed over all processors.
    ///
    /// # Errors
    ///
    /// [`Error::Os`] if the kernel refuses.
    pub fn counters(&self) -> Result<Counters> {
        let mut counters = Counters::default();
        for verdict in Verdict::ALL {
            let values = self
                .counters
                .get(&(verdict as u32), 0)
                .map_err(|error| map_error("reading counters", error))?;
            *counters.of_mut(verdict) = values.iter().sum();
        }
        Ok(counters)
    }

    fn set_kind(&mut self, address: IpAddr, kind: Kind) -> Result<()> {
        self.addresses.insert(key(address), kind as u32, 0).map_err(|error| match errno(&error) {
            Some(libc::E2BIG | libc::ENOSPC) => Error::TableFull { what: "addresses", max: ADDRESSES_MAX },
            _ => map_error("adding an address", error),
        })
    }

    fn write_word(&mut self, word: u32) -> Result<()> {
        self.port_words
            .set(word, self.ports.bits(word), 0)
            .map_err(|error| map_error("changing the ports", error))
    }
}

impl fmt::Debug for Program {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { attachment, ports, .. } = self;
        formatter
            .debug_struct("Program")
            .field("attachment", attachment)
            .field("ports", ports)
            .finish_non_exhaustive()
    }
}

fn check_queue(queue: u32) -> Result<()> {
    if queue < QUEUES_MAX {
        return Ok(());
    }
    Err(Error::Config { field: "queue", value: u64::from(queue), rule: "below 256" })
}

/// The table's key: IPv6, or IPv4 mapped into it (RFC 4291 section 2.5.5.2).
fn key(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

fn table<T: TryFrom<Map, Error = MapError>>(ebpf: &mut Ebpf, name: &'static str) -> Result<T> {
    let map = ebpf.take_map(name).ok_or_else(|| Error::Program {
        what: "looking for a table",
        reason: format!("the object has no map named {name}"),
    })?;
    T::try_from(map)
        .map_err(|error| Error::Program { what: "opening a table", reason: format!("{name}: {error}") })
}

fn map_error(call: &'static str, error: MapError) -> Error {
    match error {
        MapError::SyscallError(error) => Error::Os { call, source: error.io_error },
        error => Error::Program { what: call, reason: error.to_string() },
    }
}

fn errno(error: &MapError) -> Option<i32> {
    match error {
        MapError::SyscallError(error) => error.io_error.raw_os_error(),
        _ => None,
    }
}

/// The loader's errors, with a missing privilege picked out of the chain of causes.
fn program_error(what: &'static str, error: &(dyn std::error::Error + 'static)) -> Error {
    if is_permission(&chain(error)) {
        return Error::NotPermitted { what: "loading a BPF program", missing: "CAP_BPF and CAP_NET_ADMIN" };
    }
    Error::Program { what, reason: join(error) }
}

/// Error numbers in the chain of causes.
fn chain(error: &(dyn std::error::Error + 'static)) -> Vec<i32> {
    std::iter::successors(Some(error), |error| error.source())
        .filter_map(|error| error.downcast_ref::<io::Error>()?.raw_os_error())
        .collect()
}

fn is_permission(errnos: &[i32]) -> bool {
    errnos.contains(&libc::EPERM) || errnos.contains(&libc::EACCES)
}

/// The texts of an error and its causes.
fn join(error: &(dyn std::error::Error + 'static)) -> String {
    let texts: Vec<String> =
        std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string).collect();
    texts.join(": ")
}
