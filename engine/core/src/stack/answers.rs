//! What the stack answers without a connection: echo, unreachable protocols. ARP and ND are in `resolution`.

use crate::base::time::{Duration, Instant};
use crate::port::{Medium, Transmit};
use crate::wire::icmpv4::{Icmpv4Repr, Unreachable};
use crate::wire::icmpv6::Icmpv6Repr;
use crate::wire::ndp::NdpRepr;
use crate::wire::parse::Addresses;
use crate::wire::{Address, IpProtocol, Kind, MacAddress, Packet, Sum};

use super::counters::DropReason;
use super::egress::{Datagram, Route, send_ip};
use super::{HostFact, Ownership, Stack};

/// Octets of a refused packet that are quoted: its IP header and eight more (RFC 792), or a little more.
const QUOTED_MAX: usize = 64;

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
    pub(super) fn owns(&self, address: Address) -> bool {
        let is_it = |l: &super::LocalAddress| l.cidr.address() == address && l.ownership == Ownership::Owned;
        self.config.addresses.iter().any(is_it)
    }

    /// RFC 792: echo. Errors about connections are taken in before.
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
        Route { mac, local: addresses.destination, remote: addresses.source, traffic_class: 0 }
    }

    /// RFC 4443: echo; neighbour discovery goes its own way.
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
