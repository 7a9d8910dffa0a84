//! What a lab shall look like, and the order in which it comes to be.

use std::fs;
use std::net::IpAddr;
use std::num::NonZeroU16;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use rustix::thread::{CapabilitySet, capabilities};

use super::error::LabError;
use super::impairment::Impairment;
use super::lock::Lock;
use super::namespace::{Namespace, remove_name};
use super::netlink::{Netlink, VethEnd, VethShape};
use super::offload::{self, ALL_OFFLOADS, Offload};
use super::relay::{Relay, RelayConfig};
use super::steering::{CpuMask, QueueAttribute, ReceiveSteering, lane_cpus, write_mask};
use super::{
    CLIENT_INTERFACE, CLIENT_IPV4, CLIENT_IPV6, CLIENT_MAC, IPV4_PREFIX_LEN, IPV6_PREFIX_LEN, Lab, Life,
    MIDDLE_CLIENT_INTERFACE, MIDDLE_CLIENT_MAC, MIDDLE_SERVER_INTERFACE, MIDDLE_SERVER_MAC, SERVER_INTERFACE,
    SERVER_IPV4, SERVER_IPV6, SERVER_MAC, Side,
};

/// Longest lab name, in bytes.
const NAME_LEN_MAX: usize = 48;
/// How long a fresh veth pair may take to get its carrier.
const CARRIER_WAIT_MAX: Duration = Duration::from_secs(5);

/// Whose addresses [`SERVER_IPV4`] and [`SERVER_IPV6`] are.
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
    name: String,
    shape: VethShape,
    server_address: ServerAddress,
    server_checksum: ServerChecksum,
    receive_steering: ReceiveSteering,
    middle: Option<Middle>,
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
        check_capabilities(self.middle.is_some())?;
        let lock = Lock::acquire(&self.name)?;
        for side in [Side::Server, Side::Client, Side::Middle] {
            remove_name(&namespace_name(&self.name, side))?;
        }
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
        match &self.middle {
            None => self.connect_directly(&lab)?,
            Some(middle) => self.connect_through_middle(&mut lab, middle)?,
        }
        self.set_up_ends(&lab)?;
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

    fn connect_directly(&self, lab: &Lab) -> Result<(), LabError> {
        let client = lab.client.file().as_raw_fd();
        lab.server.run(|| Netlink::open()?.add_veth(self.shape, &SERVER_END, &CLIENT_END, client))?
    }

    fn connect_through_middle(&self, lab: &mut Lab, middle: &Middle) -> Result<(), LabError> {
        let namespace = Namespace::create(&namespace_name(&self.name, Side::Middle))?;
        let (server, client) = (lab.server.file().as_raw_fd(), lab.client.file().as_raw_fd());
        let lane_cpus = if self.shape.queues > 1 { lane_cpus(self.shape.queues)? } else { None };
        let config = RelayConfig {
            shape: self.shape,
            seed: middle.seed,
            to_server: middle.to_server,
            to_client: middle.to_client,
            lane_cpus,
        };
        namespace.run_with_sysfs(|| {
            // The middle is a wire: it shall say nothing of its own.
            set_sysctl_if_ipv6("net/ipv6/conf/default/disable_ipv6", "1")?;
            let mut netlink = Netlink::open()?;
            netlink.set_up("lo")?;
            netlink.add_veth(self.shape, &MIDDLE_SERVER_END, &SERVER_END, server)?;
            netlink.add_veth(self.shape, &MIDDLE_CLIENT_END, &CLIENT_END, client)?;
            for interface in [MIDDLE_SERVER_INTERFACE, MIDDLE_CLIENT_INTERFACE] {
                offload::turn_off(interface, &ALL_OFFLOADS)?;
                tie_queues_to_lanes(interface, config.lane_cpus.as_deref())?;
                netlink.set_up(interface)?;
            }
            Ok(())
        })?;
        lab.relay = Some(namespace.run(|| Relay::start(&config))??);
        lab.middle = Some(namespace);
        Ok(())
    }

    fn set_up_ends(&self, lab: &Lab) -> Result<(), LabError> {
        let masks = self.receive_steering.masks();
        lab.server.run_with_sysfs(|| {
            if self.server_address == ServerAddress::Stack {
                let conf = format!("net/ipv6/conf/{SERVER_INTERFACE}/addr_gen_mode");
                set_sysctl_if_ipv6(&conf, "1")?;
            }
            if self.middle.is_some() {
                offload::turn_off(SERVER_INTERFACE, &ALL_OFFLOADS)?;
            } else if self.server_checksum == ServerChecksum::Finished {
                offload::turn_off(SERVER_INTERFACE, &[Offload::TransmitChecksum])?;
            }
            self.steer(SERVER_INTERFACE, masks.as_ref().map(|m| m.server))?;
            bring_up(SERVER_INTERFACE)
        })?;
        lab.client.run_with_sysfs(|| {
            let offloads: &[Offload] =
                if self.middle.is_some() { &ALL_OFFLOADS } else { &[Offload::TransmitChecksum] };
            offload::turn_off(CLIENT_INTERFACE, offloads)?;
            self.steer(CLIENT_INTERFACE, masks.as_ref().map(|m| m.client))?;
            bring_up(CLIENT_INTERFACE)?;
            wait_for_carrier(CLIENT_INTERFACE)?;
            add_addresses(CLIENT_INTERFACE, CLIENT_IPV4.into(), CLIENT_IPV6.into())
        })?;
        lab.server.run_with_sysfs(|| {
            wait_for_carrier(SERVER_INTERFACE)?;
            match self.server_address {
                ServerAddress::Stack => Ok(()),
                ServerAddress::Kernel => {
                    add_addresses(SERVER_INTERFACE, SERVER_IPV4.into(), SERVER_IPV6.into())
                }
            }
        })
    }

    fn steer(&self, interface: &str, mask: Option<CpuMask>) -> Result<(), LabError> {
        let Some(mask) = mask else { return Ok(()) };
        (0..self.shape.queues)
            .try_for_each(|queue| write_mask(interface, QueueAttribute::ReceiveCpus, queue, mask))
    }
}

const SERVER_END: VethEnd = VethEnd { interface: SERVER_INTERFACE, mac: SERVER_MAC };
const CLIENT_END: VethEnd = VethEnd { interface: CLIENT_INTERFACE, mac: CLIENT_MAC };
const MIDDLE_SERVER_END: VethEnd = VethEnd { interface: MIDDLE_SERVER_INTERFACE, mac: MIDDLE_SERVER_MAC };
const MIDDLE_CLIENT_END: VethEnd = VethEnd { interface: MIDDLE_CLIENT_INTERFACE, mac: MIDDLE_CLIENT_MAC };

pub(super) fn namespace_name(lab: &str, side: Side) -> String {
    match side {
        Side::Server => format!("{lab}-server"),
        Side::Client => format!("{lab}-client"),
        Side::Middle => format!("{lab}-middle"),
    }
}

fn check_capabilities(with_middle: bool) -> Result<(), LabError> {
    let own = capabilities(None).map_err(|errno| LabError::Thread { source: errno.into() })?.effective;
    let mut needed =
        vec![(CapabilitySet::SYS_ADMIN, "CAP_SYS_ADMIN"), (CapabilitySet::NET_ADMIN, "CAP_NET_ADMIN")];
    if with_middle {
        needed.push((CapabilitySet::NET_RAW, "CAP_NET_RAW"));
    }
    match needed.into_iter().find(|(capability, _)| !own.contains(*capability)) {
        Some((_, capability)) => Err(LabError::MissingCapability { capability }),
        None => Ok(()),
    }
}

/// Frames that lane n sends, from its own CPU, leave by queue n.
fn tie_queues_to_lanes(interface: &str, lane_cpus: Option<&[usize]>) -> Result<(), LabError> {
    for (queue, &cpu) in lane_cpus.unwrap_or_default().iter().enumerate() {
        let mask = CpuMask::single(cpu as u32).unwrap_or(CpuMask::NONE);
        write_mask(interface, QueueAttribute::TransmitCpus, queue as u16, mask)?;
    }
    Ok(())
}

fn bring_up(interface: &str) -> Result<(), LabError> {
    let mut netlink = Netlink::open()?;
    netlink.set_up("lo")?;
    netlink.set_up(interface)
}

/// Waits until frames really pass: the kernel starts a link's queues some time after its carrier is there.
/// The thread's `/sys` must be that of the namespace.
fn wait_for_carrier(interface: &str) -> Result<(), LabError> {
    let path = PathBuf::from("/sys/class/net").join(interface).join("operstate");
    let start = Instant::now();
    loop {
        let state = fs::read_to_string(&path).map_err(|e| LabError::file("read", &path, e))?;
        if state.trim() == "up" {
            return Ok(());
        }
        if start.elapsed() > CARRIER_WAIT_MAX {
            return Err(LabError::Netlink {
                action: "get a carrier on",
                interface: interface.to_owned(),
                source: std::io::ErrorKind::TimedOut.into(),
            });
        }
        thread::sleep(Duration::from_millis(1));
    }
}

fn add_addresses(interface: &str, ipv4: IpAddr, ipv6: IpAddr) -> Result<(), LabError> {
    let mut netlink = Netlink::open()?;
    netlink.add_address(interface, ipv4, IPV4_PREFIX_LEN)?;
    if kernel_has_ipv6() {
        netlink.add_address(interface, ipv6, IPV6_PREFIX_LEN)?;
    }
    Ok(())
}

fn set_sysctl_if_ipv6(path: &str, value: &str) -> Result<(), LabError> {
    if kernel_has_ipv6() { set_sysctl(path, value) } else { Ok(()) }
}

/// Writes a sysctl of the calling thread's namespace.
pub(super) fn set_sysctl(path: &str, value: &str) -> Result<(), LabError> {
    let path = PathBuf::from("/proc/sys").join(path);
    fs::write(&path, value).map_err(|e| LabError::file("write", path, e))
}

fn kernel_has_ipv6() -> bool {
    fs::exists("/proc/sys/net/ipv6").unwrap_or(false)
}
