//! The few rtnetlink(7) requests that a lab makes, each sent from inside the namespace it is about.

use std::io;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::os::fd::RawFd;

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::address::{
    AddressAttribute, AddressFlags, AddressHeaderFlags, AddressMessage, AddressScope,
};
use netlink_packet_route::link::{
    InfoData, InfoKind, InfoVeth, LinkAttribute, LinkFlags, LinkInfo, LinkMessage, State,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};
use rustix::net::netdevice::name_to_index;

use super::error::LabError;

/// One end of a veth pair.
#[derive(Debug, Clone)]
pub(super) struct VethEnd {
    pub(super) interface: &'static str,
    pub(super) mac: [u8; 6],
}

/// What both ends of a pair have in common.
#[derive(Debug, Clone, Copy)]
pub(super) struct VethShape {
    /// Receive and transmit queues of each end.
    pub(super) queues: u16,
    /// Largest IP packet, in bytes.
    pub(super) mtu: u32,
}

/// A socket to the kernel's link and address tables of the namespace it was opened in.
pub(super) struct Netlink {
    socket: Socket,
    sequence_number: u32,
}

impl Netlink {
    /// Opens a socket in the calling thread's namespace.
    pub(super) fn open() -> Result<Self, LabError> {
        let open = || -> io::Result<Socket> {
            let mut socket = Socket::new(NETLINK_ROUTE)?;
            socket.bind_auto()?;
            socket.connect(&SocketAddr::new(0, 0))?;
            Ok(socket)
        };
        let socket = open().map_err(|source| LabError::Netlink {
            action: "open",
            interface: "the rtnetlink socket".to_owned(),
            source,
        })?;
        Ok(Self { socket, sequence_number: 0 })
    }

    /// Makes a veth pair: `near` here, `far` in the namespace behind the descriptor `far_namespace`.
    pub(super) fn add_veth(
        &mut self,
        shape: VethShape,
        near: &VethEnd,
        far: &VethEnd,
        far_namespace: RawFd,
    ) -> Result<(), LabError> {
        let mut peer = LinkMessage::default();
        peer.attributes = end_attributes(shape, far);
        peer.attributes.push(LinkAttribute::NetNsFd(far_namespace));
        let mut link = LinkMessage::default();
        link.attributes = end_attributes(shape, near);
        link.attributes.push(LinkAttribute::LinkInfo(vec![
            LinkInfo::Kind(InfoKind::Veth),
            LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(peer))),
        ]));
        self.request(RouteNetlinkMessage::NewLink(link), NLM_F_CREATE | NLM_F_EXCL)
            .map_err(|source| netlink_error("create the veth pair of", near.interface, source))
    }

    /// Brings a link up.
    pub(super) fn set_up(&mut self, interface: &str) -> Result<(), LabError> {
        let mut link = LinkMessage::default();
        link.attributes.push(LinkAttribute::IfName(interface.to_owned()));
        link.header.flags = LinkFlags::Up;
        link.header.change_mask = LinkFlags::Up;
        self.request(RouteNetlinkMessage::SetLink(link), 0)
            .map_err(|source| netlink_error("bring up", interface, source))
    }

    /// Removes a link and, for a veth, its peer.
    pub(super) fn remove_link(&mut self, interface: &str) -> Result<(), LabError> {
        let mut link = LinkMessage::default();
        link.attributes.push(LinkAttribute::IfName(interface.to_owned()));
        self.request(RouteNetlinkMessage::DelLink(link), 0)
            .map_err(|source| netlink_error("remove", interface, source))
    }

    /// Gives a link an address; IPv6 without duplicate address detection, so that it works at once.
    pub(super) fn add_address(
        &mut self,
        interface: &str,
        address: IpAddr,
        prefix_len: u8,
    ) -> Result<(), LabError> {
        let index = index_of(interface).map_err(|source| netlink_error("find", interface, source))?;
        let mut message = AddressMessage::default();
        message.header.index = index;
        message.header.prefix_len = prefix_len;
        message.header.scope = AddressScope::Universe;
        message.attributes = vec![AddressAttribute::Local(address), AddressAttribute::Address(address)];
        match address {
            IpAddr::V4(_) => message.header.family = AddressFamily::Inet,
            IpAddr::V6(_) => {
                message.header.family = AddressFamily::Inet6;
                message.header.flags = AddressHeaderFlags::Nodad;
                message.attributes.push(AddressAttribute::Flags(AddressFlags::Nodad));
            }
        }
        self.request(RouteNetlinkMessage::NewAddress(message), NLM_F_CREATE | NLM_F_EXCL)
            .map_err(|source| netlink_error("give an address to", interface, source))
    }

    /// The operational state of a link (RFC 2863). To ask also makes the kernel finish a change of carrier that it
    /// would otherwise leave for up to a second.
    pub(super) fn oper_state(&mut self, interface: &str) -> Result<State, LabError> {
        let mut link = LinkMessage::default();
        link.attributes.push(LinkAttribute::IfName(interface.to_owned()));
        self.exchange(RouteNetlinkMessage::GetLink(link), 0)
            .and_then(|payload| match payload {
                NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewLink(link)) => {
                    let state = link.attributes.iter().find_map(|attribute| match attribute {
                        LinkAttribute::OperState(state) => Some(*state),
                        _ => None,
                    });
                    Ok(state.unwrap_or(State::Unknown))
                }
                NetlinkPayload::Error(error) => Err(error.to_io()),
                other => Err(unexpected(&other)),
            })
            .map_err(|source| netlink_error("ask for the state of", interface, source))
    }

    /// Sends one request and waits for its acknowledgement.
    fn request(&mut self, message: RouteNetlinkMessage, flags: u16) -> io::Result<()> {
        match self.exchange(message, NLM_F_ACK | flags)? {
            NetlinkPayload::Error(error) if error.code.is_none() => Ok(()),
            NetlinkPayload::Error(error) => Err(error.to_io()),
            other => Err(unexpected(&other)),
        }
    }

    /// Sends one request and takes the first answer.
    fn exchange(
        &mut self,
        message: RouteNetlinkMessage,
        flags: u16,
    ) -> io::Result<NetlinkPayload<RouteNetlinkMessage>> {
        self.sequence_number = self.sequence_number.wrapping_add(1);
        let mut request = NetlinkMessage::from(message);
        request.header.flags = NLM_F_REQUEST | flags;
        request.header.sequence_number = self.sequence_number;
        request.finalize();
        let mut bytes = vec![0; request.buffer_len()];
        request.serialize(&mut bytes);
        self.socket.send(&bytes, 0)?;

        let (answer, _) = self.socket.recv_from_full()?;
        let answer = NetlinkMessage::<RouteNetlinkMessage>::deserialize(&answer)
            .map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e.to_string()))?;
        Ok(answer.payload)
    }
}

fn unexpected(payload: &NetlinkPayload<RouteNetlinkMessage>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("unexpected answer {payload:?}"))
}

/// The number of an interface in the calling thread's namespace.
pub(super) fn index_of(interface: &str) -> io::Result<u32> {
    // Any socket of the namespace carries the request.
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    Ok(name_to_index(&socket, interface)?)
}

fn end_attributes(shape: VethShape, end: &VethEnd) -> Vec<LinkAttribute> {
    vec![
        LinkAttribute::IfName(end.interface.to_owned()),
        LinkAttribute::Address(end.mac.to_vec()),
        LinkAttribute::Mtu(shape.mtu),
        LinkAttribute::NumTxQueues(shape.queues.into()),
        LinkAttribute::NumRxQueues(shape.queues.into()),
    ]
}

fn netlink_error(action: &'static str, interface: &str, source: io::Error) -> LabError {
    LabError::Netlink { action, interface: interface.to_owned(), source }
}
