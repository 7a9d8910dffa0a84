//! What the kernel knows about an interface: its addresses, its neighbours, its routes; and their changes.
//!
//! An address that is shared with the host has no neighbour discovery of its own: the kernel sees ARP and ND, and this is
//! where the engine learns what it found. Nothing here needs a privilege.

mod message;
#[cfg(test)]
mod tests;

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};

use netlink_packet_core::{NLM_F_DUMP, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::AddressMessage;
use netlink_packet_route::neighbour::NeighbourMessage;
use netlink_packet_route::route::RouteMessage;
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};
use rustix::net::RecvFlags;

use crate::config::Cidr;

/// `RTNLGRP_NEIGH`, `RTNLGRP_IPV4_ROUTE` and `RTNLGRP_IPV6_ROUTE` of linux/rtnetlink.h.
const GROUPS: [u32; 3] = [3, 7, 11];

/// One thing that the kernel knows, or knows no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KernelFact {
    /// `address` is reached at link-layer address `mac`.
    Neighbour {
        /// The neighbour's address.
        address: IpAddr,
        /// Its link-layer address.
        mac: [u8; 6],
    },
    /// `address` does not answer, or the kernel forgot it.
    NeighbourGone {
        /// The neighbour's address.
        address: IpAddr,
    },
    /// Frames to `destination` go to `gateway` (none: straight there).
    Route {
        /// The network.
        destination: Cidr,
        /// The next hop.
        gateway: Option<IpAddr>,
    },
    /// The route is no more.
    RouteGone {
        /// The network.
        destination: Cidr,
        /// The next hop it had.
        gateway: Option<IpAddr>,
    },
}

/// Asks for and follows what the kernel knows about one interface of the calling thread's network namespace.
pub struct HostTables {
    socket: Socket,
    interface: u32,
    buffer: Vec<u8>,
}

impl HostTables {
    /// Listens to changes from now on; ask for the whole state after this, so that nothing falls between the two.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn open(interface: u32) -> io::Result<Self> {
        let tables = Self::asking(interface)?;
        for group in GROUPS {
            tables.socket.add_membership(group)?;
        }
        Ok(tables)
    }

    /// For questions only.
    fn asking(interface: u32) -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        Ok(Self { socket, interface, buffer: vec![0; 1 << 16] })
    }

    /// Tells all neighbours and routes that the kernel knows now, and the changes that came meanwhile.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn dump(&mut self, mut tell: impl FnMut(KernelFact)) -> io::Result<()> {
        self.ask(RouteNetlinkMessage::GetRoute(RouteMessage::default()), &mut |message, interface| {
            message::fact(message, interface).map(&mut tell);
        })?;
        self.ask(RouteNetlinkMessage::GetNeighbour(NeighbourMessage::default()), &mut |message, interface| {
            message::fact(message, interface).map(&mut tell);
        })
    }

    /// Tells the changes that have come and returns; wait for [`HostTables::descriptor`] to be readable before.
    ///
    /// # Errors
    /// What the kernel says; `ENOBUFS` when changes were lost, which asks for a [`HostTables::dump`].
    pub fn changes(&mut self, mut tell: impl FnMut(KernelFact)) -> io::Result<()> {
        let interface = self.interface;
        while let Some(len) = self.receive(RecvFlags::DONTWAIT)? {
            message::each(&self.buffer[..len], |message| {
                if let NetlinkPayload::InnerMessage(message) = message {
                    message::fact(&message, interface).map(&mut tell);
                }
            })?;
        }
        Ok(())
    }

    /// Readable when there are changes.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    fn ask(
        &mut self,
        question: RouteNetlinkMessage,
        answer: &mut dyn FnMut(&RouteNetlinkMessage, u32),
    ) -> io::Result<()> {
        let mut request = NetlinkMessage::from(question);
        request.header.flags = NLM_F_REQUEST | NLM_F_DUMP;
        request.finalize();
        let mut bytes = vec![0; request.buffer_len()];
        request.serialize(&mut bytes);
        self.socket.send(&bytes, 0)?;
        let mut progress = message::Dump::Going;
        while progress == message::Dump::Going {
            let Some(len) = self.receive(RecvFlags::empty())? else { continue };
            let interface = self.interface;
            message::each(&self.buffer[..len], |payload| match payload {
                NetlinkPayload::InnerMessage(message) => answer(&message, interface),
                NetlinkPayload::Done(_) => progress = message::Dump::Done,
                NetlinkPayload::Error(error) => progress = message::Dump::of_error(&error),
                _ => {}
            })?;
        }
        match progress {
            message::Dump::Going | message::Dump::Done => Ok(()),
            message::Dump::Refused(errno) => Err(io::Error::from_raw_os_error(errno)),
        }
    }

    /// The length of the next datagram, or `None` when there is none now.
    fn receive(&mut self, flags: RecvFlags) -> io::Result<Option<usize>> {
        match rustix::net::recv(self.socket.as_fd(), &mut self.buffer[..], flags) {
            Ok((len, _)) => Ok(Some(len)),
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// The addresses that the kernel has on `interface`, in this thread's network namespace.
///
/// # Errors
/// What the kernel says.
pub fn addresses(interface: u32) -> io::Result<Vec<Cidr>> {
    let mut found = Vec::new();
    let mut tables = HostTables::asking(interface)?;
    tables.ask(RouteNetlinkMessage::GetAddress(AddressMessage::default()), &mut |message, interface| {
        found.extend(message::address(message, interface));
    })?;
    Ok(found)
}
