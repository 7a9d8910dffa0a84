//! The order in which a described lab comes to be: links, relay, ends.

use std::fs;
use std::net::IpAddr;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use netlink_packet_route::link::State;

use super::builder::{LabBuilder, Middle, ServerAddress, ServerChecksum, namespace_name};
use super::error::LabError;
use super::namespace::Namespace;
use super::netlink::{Netlink, VethEnd};
use super::offload::{self, ALL_OFFLOADS, Offload};
use super::relay::{Relay, RelayConfig};
use super::steering::{CpuMask, QueueAttribute, lane_cpus, write_mask};
use super::{
    CLIENT_INTERFACE, CLIENT_IPV4, CLIENT_IPV6, CLIENT_MAC, IPV4_PREFIX_LEN, IPV6_PREFIX_LEN, Lab,
    MIDDLE_CLIENT_INTERFACE, MIDDLE_CLIENT_MAC, MIDDLE_SERVER_INTERFACE, MIDDLE_SERVER_MAC, SERVER_INTERFACE,
    SERVER_IPV4, SERVER_IPV6, SERVER_MAC, Side,
};

/// How long a fresh veth pair may take to get its carrier.
const CARRIER_WAIT_MAX: Duration = Duration::from_secs(5);

impl LabBuilder {
    /// Fills the empty namespaces of `lab`.
    pub(super) fn assemble(&self, lab: &mut Lab) -> Result<(), LabError> {
        match &self.middle {
            None => self.connect_directly(lab)?,
            Some(middle) => self.connect_through_middle(lab, middle)?,
        }
        self.set_up_ends(lab)?;
        // The middle's ends got their carrier from the outer ones.
        lab.middle.as_ref().map_or(Ok(()), |middle| {
            middle.run(|| {
                wait_for_carrier(MIDDLE_SERVER_INTERFACE)?;
                wait_for_carrier(MIDDLE_CLIENT_INTERFACE)
            })?
        })
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
        lab.server.run(|| {
            wait_for_carrier(SERVER_INTERFACE)?;
            match self.server_address {
                ServerAddress::Stack => Ok(()),
                ServerAddress::Kernel => {
                    add_addresses(SERVER_INTERFACE, SERVER_IPV4.into(), SERVER_IPV6.into())
                }
            }
        })?
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
fn wait_for_carrier(interface: &str) -> Result<(), LabError> {
    let mut netlink = Netlink::open()?;
    let start = Instant::now();
    while netlink.oper_state(interface)? != State::Up {
        if start.elapsed() > CARRIER_WAIT_MAX {
            return Err(LabError::Netlink {
                action: "get a carrier on",
                interface: interface.to_owned(),
                source: std::io::ErrorKind::TimedOut.into(),
            });
        }
        thread::sleep(Duration::from_millis(1));
    }
    Ok(())
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
