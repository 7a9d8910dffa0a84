//! A lab: two network namespaces and a link between them, made and removed by the process itself.
//!
//! The server's end is where a user-space stack or a kernel server lives, the client's end belongs to the kernel and
//! ordinary programs. Between them is a veth pair, or, with a [`Middle`], two pairs and a relay that can lose, delay,
//! reorder, duplicate and corrupt frames. Nothing outside the lab's own namespaces is touched; several labs can exist
//! side by side, since names and addresses mean something only within.
//!
//! ```no_run
//! use bywash_xdp::lab::{Lab, Side};
//!
//! let lab = Lab::builder("bywash").build()?;
//! lab.command(Side::Client, "ping")?.args(["-c", "1", "198.18.0.1"]).status()?;
//! lab.remove()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod assembly;
mod builder;
mod counters;
mod delay_line;
mod error;
mod impairment;
mod lock;
mod namespace;
mod netlink;
mod offload;
mod packet;
mod relay;
mod steering;

use std::ffi::OsStr;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::process::Command;
use std::time::Duration;

use self::lock::Lock;
use self::namespace::Namespace;
use self::netlink::Netlink;
use self::relay::Relay;
use self::steering::QueueAttribute;

pub use self::builder::{LabBuilder, Middle, ServerAddress, ServerChecksum};
pub use self::counters::RelayCounters;
pub use self::error::LabError;
pub use self::impairment::{Direction, Impairment, Probability};
pub use self::steering::{CpuMask, ReceiveSteering};

/// Name of the server's end of the link, in the server's namespace.
pub const SERVER_INTERFACE: &str = "v0";
/// Name of the client's end of the link, in the client's namespace.
pub const CLIENT_INTERFACE: &str = "v1";
/// The middle's end of the link to the server.
const MIDDLE_SERVER_INTERFACE: &str = "m0";
/// The middle's end of the link to the client.
const MIDDLE_CLIENT_INTERFACE: &str = "m1";

/// Hardware address of [`SERVER_INTERFACE`].
pub const SERVER_MAC: [u8; 6] = [0x02, 0, 0, 0, 0, 0x01];
/// Hardware address of [`CLIENT_INTERFACE`].
pub const CLIENT_MAC: [u8; 6] = [0x02, 0, 0, 0, 0, 0x02];
const MIDDLE_SERVER_MAC: [u8; 6] = [0x02, 0, 0, 0, 0, 0x11];
const MIDDLE_CLIENT_MAC: [u8; 6] = [0x02, 0, 0, 0, 0, 0x12];

/// The server's IPv4 address (RFC 2544's range for tests).
pub const SERVER_IPV4: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);
/// The client's IPv4 address.
pub const CLIENT_IPV4: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 2);
/// Prefix length of both IPv4 addresses, in bits.
pub const IPV4_PREFIX_LEN: u8 = 24;
/// The server's IPv6 address.
pub const SERVER_IPV6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x198, 0x18, 0, 0, 0, 0, 1);
/// The client's IPv6 address; absent where the kernel has no IPv6.
pub const CLIENT_IPV6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x198, 0x18, 0, 0, 0, 0, 2);
/// Prefix length of both IPv6 addresses, in bits.
pub const IPV6_PREFIX_LEN: u8 = 64;

/// One of the lab's namespaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// `NAME-server`, with [`SERVER_INTERFACE`].
    Server,
    /// `NAME-client`, with [`CLIENT_INTERFACE`].
    Client,
    /// `NAME-middle`, with the relay.
    Middle,
}

/// A lab that lives as long as this value. Dropping it removes everything, silently; [`Lab::remove`] reports.
///
/// To remove a lab takes `CAP_SYS_ADMIN` and `CAP_NET_ADMIN`: a process that drops privileges must keep these.
#[derive(Debug)]
pub struct Lab {
    // The relay must stop before its links vanish, the lock be the last to go.
    relay: Option<Relay>,
    server: Namespace,
    client: Namespace,
    middle: Option<Namespace>,
    queues: u16,
    name: String,
    lock: Lock,
    life: Life,
}

/// Whether there is still something to remove.
#[derive(Debug)]
enum Life {
    Standing,
    Removed,
}

impl Lab {
    /// Describes a lab of this name: 1 to 48 letters, digits, `-` or `_`. Its namespaces will be `NAME-server`,
    /// `NAME-client` and, with a middle, `NAME-middle`, as ip-netns(8) shows them.
    pub fn builder(name: &str) -> LabBuilder {
        LabBuilder::new(name)
    }

    /// Removes every lab that a killed run left behind, whatever its name, and answers their names. Live labs stay.
    ///
    /// # Errors
    ///
    /// [`LabError::MissingCapability`], or what the kernel refuses.
    pub fn remove_stale() -> Result<Vec<String>, LabError> {
        builder::remove_stale()
    }

    /// The lab's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Receive and transmit queues of each end.
    pub fn queues(&self) -> u16 {
        self.queues
    }

    /// Name of a side's namespace, for `ip netns exec`.
    ///
    /// # Errors
    ///
    /// [`LabError::NoMiddle`], as for every method that takes a side.
    pub fn namespace_name(&self, side: Side) -> Result<&str, LabError> {
        Ok(self.namespace(side)?.name())
    }

    /// Runs `work` on a fresh thread inside a side's namespace and waits for it. Sockets made there stay there, and so
    /// do threads started there. A panic in `work` goes on in the caller.
    pub fn run_in<T: Send>(&self, side: Side, work: impl FnOnce() -> T + Send) -> Result<T, LabError> {
        self.namespace(side)?.run(work)
    }

    /// Moves the calling thread into a side's namespace for good; threads that it starts later begin there.
    pub fn enter(&self, side: Side) -> Result<(), LabError> {
        self.namespace(side)?.enter()
    }

    /// A command whose process will start inside a side's namespace.
    pub fn command(&self, side: Side, program: impl AsRef<OsStr>) -> Result<Command, LabError> {
        Ok(self.namespace(side)?.command(program))
    }

    /// Writes a network sysctl of a side's namespace, such as `net.ipv4.tcp_congestion_control`.
    ///
    /// # Errors
    ///
    /// [`LabError::NotNetwork`] for a key that does not begin with `net.`: those belong to the whole machine.
    pub fn set_sysctl(&self, side: Side, key: &str, value: &str) -> Result<(), LabError> {
        if !key.starts_with("net.") {
            return Err(LabError::NotNetwork { key: key.to_owned() });
        }
        self.run_in(side, || assembly::set_sysctl(&key.replace('.', "/"), value))?
    }

    /// The client's frames leave by transmit queue `queue` when they are sent from one of these CPUs (XPS). On a veth
    /// the queue of the receiver is the sender's, also through the middle.
    ///
    /// # Errors
    ///
    /// [`LabError::QueueOutOfRange`], or [`LabError::File`] from a kernel without XPS or a link with one queue.
    pub fn set_xps(&self, queue: u16, mask: CpuMask) -> Result<(), LabError> {
        if queue >= self.queues {
            return Err(LabError::QueueOutOfRange {
                interface: CLIENT_INTERFACE,
                queue,
                queues: self.queues,
            });
        }
        self.client.run_with_sysfs(|| {
            steering::write_mask(CLIENT_INTERFACE, QueueAttribute::TransmitCpus, queue, mask)
        })
    }

    /// From now on frames of this direction suffer `impairment`; those already on their way are not touched.
    ///
    /// # Errors
    ///
    /// [`LabError::NoMiddle`], also for the next two.
    pub fn impair(&self, direction: Direction, impairment: Impairment) -> Result<(), LabError> {
        self.relay()?.impair(direction, impairment);
        Ok(())
    }

    /// From now on and for `duration` no frame of this direction enters the middle; those on their way arrive.
    pub fn blackout(&self, direction: Direction, duration: Duration) -> Result<(), LabError> {
        self.relay()?.blackout(direction, duration);
        Ok(())
    }

    /// What the middle did to the frames of this direction so far.
    pub fn counters(&self, direction: Direction) -> Result<RelayCounters, LabError> {
        Ok(self.relay()?.counters(direction))
    }

    /// Removes everything and reports the first thing that did not work; the rest is removed all the same.
    pub fn remove(mut self) -> Result<(), LabError> {
        self.take_down()
    }

    fn relay(&self) -> Result<&Relay, LabError> {
        self.relay.as_ref().ok_or_else(|| LabError::NoMiddle { name: self.name.clone() })
    }

    fn namespace(&self, side: Side) -> Result<&Namespace, LabError> {
        match side {
            Side::Server => Ok(&self.server),
            Side::Client => Ok(&self.client),
            Side::Middle => {
                self.middle.as_ref().ok_or_else(|| LabError::NoMiddle { name: self.name.clone() })
            }
        }
    }
}

impl Lab {
    fn take_down(&mut self) -> Result<(), LabError> {
        match self.life {
            Life::Removed => return Ok(()),
            Life::Standing => self.life = Life::Removed,
        }
        self.relay = None;
        // A namespace outlives its name while a thread is in it, so the links go first and explicitly.
        let links = [
            remove_link(&self.server, SERVER_INTERFACE),
            // Goes with its peer, unless a middle is between them.
            if self.middle.is_some() { remove_link(&self.client, CLIENT_INTERFACE) } else { Ok(()) },
        ];
        let names = [
            self.middle.as_mut().map_or(Ok(()), Namespace::remove),
            self.client.remove(),
            self.server.remove(),
            self.lock.release(),
        ];
        links.into_iter().chain(names).collect()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        // Drop has nobody to tell; `remove` is the way that reports.
        let _ = self.take_down();
    }
}

fn remove_link(namespace: &Namespace, interface: &str) -> Result<(), LabError> {
    namespace.run(|| Netlink::open()?.remove_link(interface))?
}
