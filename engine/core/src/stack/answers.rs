//! What the stack answers without a connection: echo, ARP and ND requests, unreachable protocols.

use core::net::Ipv6Addr;

use crate::base::time::{Duration, Instant};
use crate::port::{Medium, Transmit};
use crate::wire::arp::{ArpRepr, Operation};
use crate::wire::icmpv4::{Icmpv4Repr, Unreachable};
use crate::wire::icmpv6::Icmpv6Repr;
use crate::wire::ndp::{Envelope, NdpRepr, Occasion, Override, Role};
use crate::wire::parse::Addresses;
use crate::wire::{Address, IpProtocol, Kind, MacAddress, Packet, Sum};

use super::counters::DropReason;
use super::egress::{Datagram, Route, send_arp, send_ip};
use super::neighbour::Create;
use super::{HostFact, Ownership, Stack};

/// Octets of a refused packet that are quoted: its IP header and eight more (RFC 792), or a little more.
const QUOTED_MAX: usize = 64;
/// Hop limit of neighbor discovery: proof that no router was in between (RFC 4861 section 7.1).
const NDP_HOP_LIMIT: u8 = 255;

/// A bound on answers that anybody can ask for.
#[derive(Clone, Copy, Debug)]
pub(super) struct RateLimit {
    per_second_max: u32,
    left: u32,
    refill_at: Instant,
}

impl RateLimit {
    pub(super) const fn new(per_second_max: u32) -> Self {
        Self { per_second_max, left: per_second_max, refill_at: Instant::ZERO }
    }

    /// Whether one more is allowed now.
    pub(super) fn allow(&mut self, now: Instant) -> bool {
        if now >= self.refill_at {
            self.left = self.per_second_max;
            self.refill_at = now + Duration::from_secs(1);
        }
        let allowed = self.left > 0;
        self.left = self.left.saturating_sub(1);
        allowed
    }
}

impl Stack {
    /// A frame that is no TCP segment. Returns what it teaches about the link, if that is news.
    pub(super) fn handle_other<T: Transmit>(
        &mut self,
        transmit: &mut T,
        frame: &[u8],
        packet: &Packet,
    ) -> Option<HostFact> {
        if crate::wire::parse::verify_network(frame, packet).is_err()
            || crate::wire::parse::verify_transport(frame, packet).is_err()
        {
            self.counters.drop(DropReason::BadChecksum);
            return None;
        }
        match packet.kind {
            Kind::Arp => return self.handle_arp(transmit, packet.network(frame)),
            Kind::Icmpv4 => self.handle_icmpv4(transmit, frame, packet),
            Kind::Icmpv6 => return self.handle_icmpv6(transmit, frame, packet),
            Kind::Fragment(_) => self.counters.drop(DropReason::Fragment),
            Kind::OtherProtocol => self.handle_other_protocol(transmit, frame, packet),
            Kind::Tcp(_) => {}
        }
        None
    }

    /// Whether the stack speaks for an address alone.
    fn owns(&self, address: Address) -> bool {
        let is_it = |l: &super::LocalAddress| l.cidr.address() == address && l.ownership == Ownership::Owned;
        self.config.addresses.iter().any(is_it)
    }

    /// RFC 826.
    fn handle_arp<T: Transmit>(&mut self, transmit: &mut T, bytes: &[u8]) -> Option<HostFact> {
        let Ok(repr) = ArpRepr::parse(bytes) else {
            self.counters.drop(DropReason::Malformed);
            return None;
        };
        let (sender, target) =
            (Address::v4(repr.sender_protocol.octets()), Address::v4(repr.target_protocol.octets()));
        if !repr.sender_hardware.is_unicast() {
            self.counters.drop(DropReason::BadSource);
            return None;
        }
        let is_for_us = self.owns(target);
        if is_for_us && repr.operation == Operation::Request {
            let reply = ArpRepr {
                operation: Operation::Reply,
                sender_hardware: self.capabilities.mac,
                sender_protocol: repr.target_protocol,
                target_hardware: repr.sender_hardware,
                target_protocol: repr.sender_protocol,
            };
            match send_arp(transmit, &self.capabilities, repr.sender_hardware, &reply) {
                Ok(()) => {
                    self.counters.frames_sent += 1;
                    self.counters.neighbours_answered += 1;
                }
                Err(_) => self.counters.drop(DropReason::NoTransmitFrame),
            }
        }
        // A probe (RFC 5227) has no sender address to learn.
        if !sender.is_unicast() || self.local_index(sender).is_some() {
            return None;
        }
        let create = if is_for_us { Create::Yes } else { Create::No };
        self.learn(transmit, sender, repr.sender_hardware, create)
    }

    /// Takes in where a neighbour is; SYNs that waited for it leave.
    pub(super) fn learn<T: Transmit>(
        &mut self,
        transmit: &mut T,
        address: Address,
        mac: MacAddress,
        create: Create,
    ) -> Option<HostFact> {
        if !self.neighbours.learn(address, mac, create, self.now) {
            return None;
        }
        self.neighbour_known(transmit, address);
        Some(HostFact::Neighbour { address, mac })
    }

    /// RFC 792: echo. What errors say about connections is for later.
    fn handle_icmpv4<T: Transmit>(&mut self, transmit: &mut T, frame: &[u8], packet: &Packet) {
        let Some(addresses) = packet.addresses(frame) else { return };
        if !self.owns(addresses.destination) || !addresses.source.is_unicast() {
            return self.counters.drop(DropReason::NotForUs);
        }
        match Icmpv4Repr::parse(packet.transport(frame)) {
            Ok(Icmpv4Repr::EchoRequest { id, data }) => {
                let reply = Icmpv4Repr::EchoReply { id, data };
                self.send_echo(
                    transmit,
                    frame,
                    addresses,
                    IpProtocol::ICMPV4,
                    reply.message_len(),
                    |body, _| {
                        // The reservation has exactly the message's length.
                        let _ = reply.emit(body);
                    },
                );
            }
            Ok(
                Icmpv4Repr::EchoReply { .. }
                | Icmpv4Repr::DestinationUnreachable { .. }
                | Icmpv4Repr::TimeExceeded { .. }
                | Icmpv4Repr::Other { .. },
            ) => self.counters.drop(DropReason::Unhandled),
            Err(_) => self.counters.drop(DropReason::Malformed),
        }
    }

    fn send_echo<T: Transmit>(
        &mut self,
        transmit: &mut T,
        frame: &[u8],
        addresses: Addresses,
        protocol: IpProtocol,
        len: usize,
        fill: impl FnOnce(&mut [u8], Sum),
    ) {
        if !self.answers.allow(self.now) {
            return self.counters.drop(DropReason::RateLimited);
        }
        let route = self.way_back(frame, addresses);
        let packet = Datagram { protocol, ttl: None, len };
        match send_ip(transmit, &self.capabilities, &route, &packet, fill) {
            Ok(()) => {
                self.counters.frames_sent += 1;
                self.counters.echoes += 1;
            }
            Err(_) => self.counters.drop(DropReason::NoTransmitFrame),
        }
    }

    /// Where an answer to `frame` goes.
    fn way_back(&self, frame: &[u8], addresses: Addresses) -> Route {
        let mac = match self.capabilities.medium {
            Medium::Ethernet => super::ingress::source_mac(frame),
            Medium::Ip => MacAddress::ZERO,
        };
        Route { mac, local: addresses.destination, remote: addresses.source }
    }

    /// RFC 4443 echo, RFC 4861 solicitations and advertisements.
    fn handle_icmpv6<T: Transmit>(
        &mut self,
        transmit: &mut T,
        frame: &[u8],
        packet: &Packet,
    ) -> Option<HostFact> {
        let addresses = packet.addresses(frame)?;
        let message = packet.transport(frame);
        if message.first().is_some_and(|kind| NdpRepr::has_type(*kind)) {
            return self.handle_ndp(transmit, frame, packet, addresses);
        }
        if !self.owns(addresses.destination) || !addresses.source.is_unicast() {
            self.counters.drop(DropReason::NotForUs);
            return None;
        }
        let pseudo = Sum::pseudo_v6(
            addresses.source.octets(),
            addresses.destination.octets(),
            IpProtocol::ICMPV6.0,
            message.len() as u32,
        );
        if let Ok(Icmpv6Repr::EchoRequest { id, data }) = Icmpv6Repr::parse(message, pseudo) {
            let reply = Icmpv6Repr::EchoReply { id, data };
            self.send_echo(transmit, frame, addresses, IpProtocol::ICMPV6, message.len(), |body, pseudo| {
                // As long as the request, which it copies.
                let _ = reply.emit(body, pseudo);
            });
        } else {
            self.counters.drop(DropReason::Unhandled);
        }
        None
    }

    fn handle_ndp<T: Transmit>(
        &mut self,
        transmit: &mut T,
        frame: &[u8],
        packet: &Packet,
        addresses: Addresses,
    ) -> Option<HostFact> {
        let network = packet.network(frame);
        let envelope = Envelope {
            source: addresses.source.octets().into(),
            destination: addresses.destination.octets().into(),
            hop_limit: network.get(7).copied().unwrap_or(0),
        };
        match NdpRepr::parse(packet.transport(frame), &envelope) {
            Ok(NdpRepr::Solicitation { target, source_link_address }) => {
                if !self.owns(target.into()) {
                    self.counters.drop(DropReason::NotForUs);
                    return None;
                }
                self.advertise(transmit, frame, target, addresses);
                let mac = source_link_address?;
                self.learn(transmit, addresses.source, mac, Create::Yes)
            }
            Ok(NdpRepr::Advertisement { target, target_link_address, .. }) => {
                self.learn(transmit, target.into(), target_link_address?, Create::No)
            }
            Err(_) => {
                self.counters.drop(DropReason::Malformed);
                None
            }
        }
    }

    /// Answers a solicitation (RFC 4861 section 7.2.4).
    fn advertise<T: Transmit>(
        &mut self,
        transmit: &mut T,
        frame: &[u8],
        target: Ipv6Addr,
        addresses: Addresses,
    ) {
        // A duplicate-address probe has no source; it is answered to all nodes.
        let is_probe = addresses.source.is_unspecified();
        let all_nodes = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
        let remote =
            if is_probe { Address::from(core::net::IpAddr::V6(all_nodes)) } else { addresses.source };
        let mac = match (is_probe, MacAddress::of_group(remote)) {
            (true, Some(group)) => group,
            (_, _) => super::ingress::source_mac(frame),
        };
        let reply = NdpRepr::Advertisement {
            role: Role::Host,
            occasion: if is_probe { Occasion::Unsolicited } else { Occasion::Solicited },
            overriding: Override::Replace,
            target,
            target_link_address: Some(self.capabilities.mac),
        };
        let route = Route { mac, local: target.into(), remote };
        self.send_ndp(transmit, &route, &reply);
        self.counters.neighbours_answered += 1;
    }

    fn send_ndp<T: Transmit>(&mut self, transmit: &mut T, route: &Route, repr: &NdpRepr) {
        let packet =
            Datagram { protocol: IpProtocol::ICMPV6, ttl: Some(NDP_HOP_LIMIT), len: repr.message_len() };
        let sent = send_ip(transmit, &self.capabilities, route, &packet, |body, pseudo| {
            // The reservation has exactly the message's length.
            let _ = repr.emit(body, pseudo);
        });
        match sent {
            Ok(()) => self.counters.frames_sent += 1,
            Err(_) => self.counters.drop(DropReason::NoTransmitFrame),
        }
    }

    /// Asks the link who has `address`.
    pub(super) fn ask_neighbour<T: Transmit>(&mut self, transmit: &mut T, address: Address) {
        let same_family = |l: &&super::LocalAddress| l.cidr.address().is_v4() == address.is_v4();
        let Some(own) = self.config.addresses.iter().find(same_family) else { return };
        let own = own.cidr.address();
        match (own.as_v4(), address.as_v4()) {
            (Some(own), Some(target)) => {
                let request = ArpRepr {
                    operation: Operation::Request,
                    sender_hardware: self.capabilities.mac,
                    sender_protocol: own.into(),
                    target_hardware: MacAddress::ZERO,
                    target_protocol: target.into(),
                };
                match send_arp(transmit, &self.capabilities, MacAddress::BROADCAST, &request) {
                    Ok(()) => self.counters.frames_sent += 1,
                    Err(_) => self.counters.drop(DropReason::NoTransmitFrame),
                }
            }
            (_, _) => {
                let target = Ipv6Addr::from(address.octets());
                let group = crate::wire::ndp::solicited_node(target);
                let remote = group;
                let Some(mac) = MacAddress::of_group(remote) else { return };
                let request =
                    NdpRepr::Solicitation { target, source_link_address: Some(self.capabilities.mac) };
                self.send_ndp(transmit, &Route { mac, local: own, remote }, &request);
            }
        }
    }

    /// A protocol that nothing here speaks: ICMP says so (RFC 1122 section 3.2.2.1).
    fn handle_other_protocol<T: Transmit>(&mut self, transmit: &mut T, frame: &[u8], packet: &Packet) {
        self.counters.drop(DropReason::Unhandled);
        let Some(addresses) = packet.addresses(frame) else { return };
        // Never in answer to what came by broadcast or from no single host (RFC 1122 section 3.2.2).
        let is_group = matches!(self.capabilities.medium, Medium::Ethernet) && frame[0] & 1 == 1;
        let may_answer = self.owns(addresses.destination) && self.is_host(addresses.source) && !is_group;
        if !may_answer || !self.answers.allow(self.now) {
            return;
        }
        let quoted = packet.network(frame);
        let quoted = quoted.get(..QUOTED_MAX).unwrap_or(quoted);
        let is_udp = packet.protocol == IpProtocol::UDP;
        let route = self.way_back(frame, addresses);
        let sent = if addresses.source.is_v4() {
            let reason = if is_udp { Unreachable::Port } else { Unreachable::Protocol };
            let repr = Icmpv4Repr::DestinationUnreachable { reason, quoted };
            let datagram = Datagram { protocol: IpProtocol::ICMPV4, ttl: None, len: repr.message_len() };
            send_ip(transmit, &self.capabilities, &route, &datagram, |body, _| {
                // The reservation has exactly the message's length.
                let _ = repr.emit(body);
            })
        } else {
            // RFC 4443 section 3.1: 4 is "port unreachable"; other headers are a parameter problem (section 3.4).
            let repr = if is_udp {
                Icmpv6Repr::DestinationUnreachable { code: 4, quoted }
            } else {
                Icmpv6Repr::ParameterProblem { code: 1, pointer: 6, quoted }
            };
            let datagram = Datagram { protocol: IpProtocol::ICMPV6, ttl: None, len: quoted.len() + 8 };
            send_ip(transmit, &self.capabilities, &route, &datagram, |body, pseudo| {
                // As above.
                let _ = repr.emit(body, pseudo);
            })
        };
        match sent {
            Ok(()) => self.counters.frames_sent += 1,
            Err(_) => self.counters.drop(DropReason::NoTransmitFrame),
        }
    }
}
