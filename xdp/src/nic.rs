//! Facts and settings of a network interface, asked from the kernel by `ioctl` and so always those of the calling
//! thread's network namespace.

mod ethtool;
#[cfg(test)]
mod tests;

use std::{fmt, net::IpAddr};

use crate::{Error, Result, socket::SocketConfig};
use ethtool::Control;

/// An interface of the calling thread's network namespace.
#[derive(Debug)]
pub struct Interface {
    control: Control,
    index: u32,
}

/// A hardware (MAC) address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MacAddress(pub [u8; 6]);

/// How many queues an interface uses now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queues {
    /// Receive queues, at least 1.
    pub receive: u32,
    /// Transmit queues, at least 1.
    pub transmit: u32,
}

/// An offload that can be switched (`ethtool -k`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offload {
    /// Checksums of sent packets are left to the device (`tx-checksumming`).
    TxChecksum,
    /// Checksums of received packets are verified by the device (`rx-checksumming`).
    RxChecksum,
    /// Packets of several buffers (`scatter-gather`).
    ScatterGather,
    /// TCP segments cut by the device (`tcp-segmentation-offload`).
    TcpSegmentation,
    /// Segments cut late by the kernel (`generic-segmentation-offload`).
    GenericSegmentation,
    /// Received segments merged by the kernel (`generic-receive-offload`).
    GenericReceive,
}

/// The state of an [`Offload`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switch {
    /// In use.
    On,
    /// Not in use.
    Off,
}

impl Interface {
    /// The interface of this name.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchInterface`] with the names that exist.
    pub fn by_name(name: &str) -> Result<Self> {
        let control = Control::new(name)?;
        let index = control.index().ok_or_else(|| unknown(name.to_owned()))?;
        Ok(Self { control, index })
    }

    /// The interface of this index.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchInterface`] with the names that exist.
    pub fn by_index(index: u32) -> Result<Self> {
        let name = ethtool::name_of(index)?.ok_or_else(|| unknown(format!("#{index}")))?;
        Ok(Self { control: Control::new(&name)?, index })
    }

    /// The names of all interfaces, as in `ip link`.
    pub fn names() -> Vec<String> {
        ethtool::names()
    }

    /// Name.
    pub fn name(&self) -> &str {
        self.control.name()
    }

    /// Index, as sockets and programs want it.
    pub fn index(&self) -> u32 {
        self.index
    }

    /// Hardware address; zero for interfaces without one.
    ///
    /// # Errors
    ///
    /// [`Error::Os`] if the kernel refuses, as for all questions below.
    pub fn mac(&self) -> Result<MacAddress> {
        self.control.hardware_address().map(MacAddress)
    }

    /// MTU in bytes: the largest IP packet, without the Ethernet header.
    ///
    /// # Errors
    ///
    /// [`Error::Os`].
    pub fn mtu(&self) -> Result<u32> {
        self.control.mtu()
    }

    /// The driver's name, such as `veth`.
    ///
    /// # Errors
    ///
    /// [`Error::Os`], also for interfaces without a driver.
    pub fn driver(&self) -> Result<String> {
        self.control.driver()
    }

    /// The kernel's own addresses on this interface.
    ///
    /// # Errors
    ///
    /// [`Error::Os`].
    pub fn addresses(&self) -> Result<Vec<IpAddr>> {
        ethtool::addresses(self.name())
    }

    /// Queues in use; one of each where the driver cannot be asked.
    ///
    /// # Errors
    ///
    /// [`Error::Os`].
    pub fn queues(&self) -> Result<Queues> {
        let Some(channels) = self.control.channels()? else {
            return Ok(Queues { receive: 1, transmit: 1 });
        };
        Ok(Queues {
            receive: (channels.rx_count + channels.combined_count).max(1),
            transmit: (channels.tx_count + channels.combined_count).max(1),
        })
    }

    /// The receive queues, from 0 up, over which frames are spread: by the RSS indirection table where there is one,
    /// else all.
    ///
    /// # Errors
    ///
    /// [`Error::Os`].
    pub fn spread(&self) -> Result<u32> {
        match self.control.indirection()? {
            Some(table) => Ok(table.into_iter().max().map_or(1, |queue| queue + 1)),
            None => self.queues().map(|queues| queues.receive),
        }
    }

    /// State of an offload.
    ///
    /// # Errors
    ///
    /// [`Error::Os`], also when the driver does not know the offload.
    pub fn offload(&self, offload: Offload) -> Result<Switch> {
        let value = self.control.value(ethtool::get_command(offload))?;
        Ok(if value == 0 { Switch::Off } else { Switch::On })
    }

    /// Switches an offload, as `ethtool -K` does. For one that is fixed the kernel refuses or does nothing.
    ///
    /// # Errors
    ///
    /// [`Error::NotPermitted`] without `CAP_NET_ADMIN`, or [`Error::Os`].
    pub fn set_offload(&self, offload: Offload, switch: Switch) -> Result<()> {
        self.control.set_value(ethtool::set_command(offload), u32::from(switch == Switch::On))
    }

    /// Checks that `served` queues, from 0 up, are all that frames can land on.
    ///
    /// # Errors
    ///
    /// [`Error::FewerQueuesServed`] with the command that mends it, [`Error::QueueOutOfRange`] for more than exist.
    pub fn check_served(&self, served: u32) -> Result<()> {
        let queues = self.queues()?.receive;
        if served > queues {
            let interface = self.name().to_owned();
            return Err(Error::QueueOutOfRange { interface, queue: served - 1, queues });
        }
        let spread = self.spread()?;
        if served >= spread {
            return Ok(());
        }
        Err(Error::FewerQueuesServed {
            interface: self.name().to_owned(),
            served,
            spread,
            fix: self.fewer_queues_command(served),
        })
    }

    /// Checks that frames of this interface's MTU fit the frames of `config`.
    ///
    /// # Errors
    ///
    /// [`Error::MtuTooLarge`] with the largest MTU that works.
    pub fn check_mtu(&self, config: &SocketConfig) -> Result<()> {
        let (mtu, max) = (self.mtu()?, config.mtu_max());
        if mtu <= max {
            return Ok(());
        }
        let mode = format!("frames of {} bytes", config.frame_size.bytes());
        Err(Error::MtuTooLarge { interface: self.name().to_owned(), mtu, max, mode })
    }

    /// The command that leaves `served` receive queues: devices have combined or separate ones.
    fn fewer_queues_command(&self, served: u32) -> String {
        let kind = match self.control.channels() {
            Ok(Some(channels)) if channels.max_combined == 0 => "rx",
            Ok(_) | Err(_) => "combined",
        };
        format!("ethtool -L {} {kind} {served}", self.name())
    }
}

impl fmt::Display for MacAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, byte) in self.0.iter().enumerate() {
            let separator = if position == 0 { "" } else { ":" };
            write!(formatter, "{separator}{byte:02x}")?;
        }
        Ok(())
    }
}

fn unknown(name: String) -> Error {
    Error::NoSuchInterface { name, known: Interface::names() }
}
