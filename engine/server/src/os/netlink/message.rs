//! From netlink messages to facts.

use std::io;
use std::net::IpAddr;

use netlink_packet_core::{ErrorMessage, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourMessage, NeighbourState,
};
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteType};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::KernelFact;
use crate::config::Cidr;

/// How far the answer to a question has come.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Dump {
    /// More is to come.
    Going,
    /// That was all.
    Done,
    /// The kernel answered with this errno.
    Refused(i32),
}

impl Dump {
    /// What an error message means; errno 0 is an acknowledgement.
    pub(super) fn of_error(error: &ErrorMessage) -> Self {
        error.code.map_or(Self::Done, |code| Self::Refused(-code.get()))
    }
}

/// Calls `read` for each message of a datagram.
pub(super) fn each(
    mut datagram: &[u8],
    mut read: impl FnMut(NetlinkPayload<RouteNetlinkMessage>),
) -> io::Result<()> {
    while !datagram.is_empty() {
        let message = NetlinkMessage::<RouteNetlinkMessage>::deserialize(datagram)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?;
        // Messages are padded to four bytes (netlink(7)).
        let len = (message.header.length as usize).next_multiple_of(4).max(4);
        datagram = datagram.get(len..).unwrap_or_default();
        read(message.payload);
    }
    Ok(())
}

/// What `message` says about `interface`, if anything.
pub(super) fn fact(message: &RouteNetlinkMessage, interface: u32) -> Option<KernelFact> {
    match message {
        RouteNetlinkMessage::NewNeighbour(message) => neighbour(message, interface),
        RouteNetlinkMessage::DelNeighbour(message) => {
            let address = neighbour_address(message).filter(|_| message.header.ifindex == interface)?;
            Some(KernelFact::NeighbourGone { address })
        }
        RouteNetlinkMessage::NewRoute(message) => {
            let (destination, gateway) = route(message, interface)?;
            Some(KernelFact::Route { destination, gateway })
        }
        RouteNetlinkMessage::DelRoute(message) => {
            let (destination, gateway) = route(message, interface)?;
            Some(KernelFact::RouteGone { destination, gateway })
        }
        _ => None,
    }
}

/// The address that `message` tells of, if it is on `interface`.
pub(super) fn address(message: &RouteNetlinkMessage, interface: u32) -> Option<Cidr> {
    let RouteNetlinkMessage::NewAddress(AddressMessage { header, attributes, .. }) = message else {
        return None;
    };
    if header.index != interface {
        return None;
    }
    // On point-to-point links ADDRESS is the peer's; LOCAL is ours wherever there is one.
    let local = attributes.iter().find_map(|attribute| match attribute {
        AddressAttribute::Local(address) => Some(*address),
        _ => None,
    });
    let any = attributes.iter().find_map(|attribute| match attribute {
        AddressAttribute::Address(address) => Some(*address),
        _ => None,
    });
    Cidr::new(local.or(any)?, header.prefix_len)
}

fn neighbour(message: &NeighbourMessage, interface: u32) -> Option<KernelFact> {
    if message.header.ifindex != interface {
        return None;
    }
    let address = neighbour_address(message)?;
    let mac = message.attributes.iter().find_map(|attribute| match attribute {
        NeighbourAttribute::LinkLayerAddress(bytes) => <[u8; 6]>::try_from(bytes.as_slice()).ok(),
        _ => None,
    });
    match message.header.state {
        // A resolution under way says nothing yet.
        NeighbourState::Incomplete | NeighbourState::None => None,
        NeighbourState::Failed => Some(KernelFact::NeighbourGone { address }),
        _ => mac.map(|mac| KernelFact::Neighbour { address, mac }),
    }
}

fn neighbour_address(message: &NeighbourMessage) -> Option<IpAddr> {
    message.attributes.iter().find_map(|attribute| match attribute {
        NeighbourAttribute::Destination(NeighbourAddress::Inet(address)) => Some(IpAddr::V4(*address)),
        NeighbourAttribute::Destination(NeighbourAddress::Inet6(address)) => Some(IpAddr::V6(*address)),
        _ => None,
    })
}

/// Destination and gateway of a unicast route of the main table through `interface`.
fn route(message: &RouteMessage, interface: u32) -> Option<(Cidr, Option<IpAddr>)> {
    let (mut output, mut destination, mut gateway) = (None, None, None);
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Oif(index) => output = Some(*index),
            RouteAttribute::Destination(address) => destination = ip(address),
            RouteAttribute::Gateway(address) => gateway = ip(address),
            _ => {}
        }
    }
    let header: &RouteHeader = &message.header;
    if output != Some(interface)
        || header.table != RouteHeader::RT_TABLE_MAIN
        || header.kind != RouteType::Unicast
    {
        return None;
    }
    // A default route has no destination.
    let destination = destination.or(match header.address_family {
        AddressFamily::Inet => Some(IpAddr::from([0; 4])),
        AddressFamily::Inet6 => Some(IpAddr::from([0; 16])),
        _ => None,
    })?;
    Some((Cidr::new(destination, header.destination_prefix_length)?, gateway))
}

fn ip(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(address) => Some(IpAddr::V4(*address)),
        RouteAddress::Inet6(address) => Some(IpAddr::V6(*address)),
        _ => None,
    }
}
