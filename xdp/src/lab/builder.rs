//! What a lab shall look like.

use std::num::NonZeroU16;

use rustix::thread::{CapabilitySet, capabilities};

use super::error::LabError;
use super::impairment::Impairment;
use super::lock::Lock;
use super::namespace::{Namespace, remove_name};
use super::netlink::VethShape;
use super::steering::ReceiveSteering;
use super::{Lab, Life, Side};

/// Longest lab name, in bytes.
const NAME_LEN_MAX: usize = 48;

/// Whose addresses [`SERVER_IPV4`](super::SERVER_IPV4) and [`SERVER_IPV6`](super::SERVER_IPV6) are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ServerAddress {
    /// A user-space stack's: the kernel's server end has no address at all, not even a link-local one.
    #[default]
    Stack,
    /// The kernel's: for kernel servers, and for a stack that shares the host's address.
    Kernel,
}

/// Whether an end finishes the checksums of what it sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ServerChecksum {
    /// As the kernel has it: left to a device that does not exist. The client's kernel knows and does not look.
    #[default]
    Offloaded,
    /// Finished in software, as on a wire.
    Finished,
}

/// A third namespace between the two, whose relay may impair the frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Middle {
    /// Seed of the dice. The same seed gives the same sequence of decisions on each queue and direction.
    pub seed: u64,
    /// What happens on the way to the server.
    pub to_server: Impairment,
    /// What happens on the way to the client.
    pub to_client: Impairment,
}

/// Describes a lab; see [`Lab::builder`].
#[derive(Debug, Clone)]
pub struct LabBuilder {
    pub(super) name: String,
    pub(super) shape: VethShape,
    pub(super) server_address: ServerAddress,
    pub(super) server_checksum: ServerChecksum,
    pub(super) receive_steering: ReceiveSteering,
    pub(super) middle: Option<Middle>,
}

impl LabBuilder {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            shape: VethShape { queues: 2, mtu: 1500 },
            server_address: ServerAddress::default(),
            server_checksum: ServerChecksum::default(),
            receive_steering: ReceiveSteering::default(),
            middle: None,
        }
    }

    /// Receive and transmit queues of each end; 2 by default, at most 4096 (the kernel's bound for veth).
    pub fn queues(mut self, queues: NonZeroU16) -> Self {
        self.shape.queues = queues.get();
        self
    }

    /// Largest IP packet in bytes; 1500 by default, 1280 (the least of IPv6) to 65,535.
    pub fn mtu(mut self, mtu: u16) -> Self {
        self.shape.mtu = u32::from(mtu);
        self
    }

    /// Whose the server's addresses are; the stack's by default.
    pub fn server_address(mut self, owner: ServerAddress) -> Self {
        self.server_address = owner;
        self
    }

    /// Whether the kernel's server end finishes its checksums; left alone by default. With a middle it always does.
    pub fn server_checksum(mut self, checksum: ServerChecksum) -> Self {
        self.server_checksum = checksum;
        self
    }

    /// Where the ends' receive work runs; [`ReceiveSteering::Split`] by default.
    pub fn receive_steering(mut self, steering: ReceiveSteering) -> Self {
        self.receive_steering = steering;
        self
    }

    /// Puts a third namespace between the two.
    pub fn middle(mut self, middle: Middle) -> Self {
        self.middle = Some(middle);
        self
    }

    /// Makes the lab. What a killed run of the same name left behind is replaced.
    ///
    /// # Errors
    ///
    /// [`LabError::MissingCapability`] without `CAP_SYS_ADMIN` and `CAP_NET_ADMIN` (and `CAP_NET_RAW` for a middle),
    /// [`LabError::InUse`] while another lab of this name lives, and whatever the kernel refuses. After an error
    /// nothing is left behind.
    pub fn build(self) -> Result<Lab, LabError> {
        self.check_name()?;
        check_capabilities(match self.middle {
            Some(_) => Capabilities::ForRelay,
            None => Capabilities::ForNamespaces,
        })?;
        let lock = Lock::acquire(&self.name)?;
        remove_namespaces(&self.name)?;
        // From here on every value removes itself when a later step fails.
        let mut lab = Lab {
            server: Namespace::create(&namespace_name(&self.name, Side::Server))?,
            client: Namespace::create(&namespace_name(&self.name, Side::Client))?,
            middle: None,
            relay: None,
            queues: self.shape.queues,
            lock,
            name: self.name.clone(),
            life: Life::Standing,
        };
        self.assemble(&mut lab)?;
        Ok(lab)
    }

    fn check_name(&self) -> Result<(), LabError> {
        let legal = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        if (1..=NAME_LEN_MAX).contains(&self.name.len()) && self.name.bytes().all(legal) {
            Ok(())
        } else {
            Err(LabError::InvalidName { name: self.name.clone() })
        }
    }
}

pub(super) fn namespace_name(lab: &str, side: Side) -> String {
    match side {
        Side::Server => format!("{lab}-server"),
        Side::Client => format!("{lab}-client"),
        Side::Middle => format!("{lab}-middle"),
    }
}

/// What the process is about to do.
#[derive(Clone, Copy)]
enum Capabilities {
    ForNamespaces,
    ForRelay,
}

fn check_capabilities(needed: Capabilities) -> Result<(), LabError> {
    let own = capabilities(None).map_err(|errno| LabError::Thread { source: errno.into() })?.effective;
    let all = [
        (CapabilitySet::SYS_ADMIN, "CAP_SYS_ADMIN"),
        (CapabilitySet::NET_ADMIN, "CAP_NET_ADMIN"),
        (CapabilitySet::NET_RAW, "CAP_NET_RAW"),
    ];
    let needed = match needed {
        Capabilities::ForNamespaces => &all[..2],
        Capabilities::ForRelay => &all[..],
    };
    match needed.iter().find(|(capability, _)| !own.contains(*capability)) {
        Some(&(_, capability)) => Err(LabError::MissingCapability { capability }),
        None => Ok(()),
    }
}

/// Removes the names of a lab whose lock the caller holds.
fn remove_namespaces(lab: &str) -> Result<(), LabError> {
    [Side::Server, Side::Client, Side::Middle]
        .into_iter()
        .try_for_each(|side| remove_name(&namespace_name(lab, side)))
}

/// Removes every lab that a killed run left behind, whatever its name, and answers their names. Live labs stay.
pub(super) fn remove_stale() -> Result<Vec<String>, LabError> {
    check_capabilities(Capabilities::ForNamespaces)?;
    let mut names = Vec::new();
    for (name, mut lock) in Lock::acquire_stale()? {
        remove_namespaces(&name)?;
        lock.release()?;
        names.push(name);
    }
    Ok(names)
}
