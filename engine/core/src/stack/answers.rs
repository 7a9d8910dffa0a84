//! What the stack answers without a connection: echo, unreachable protocols. ARP and ND are in `resolution`.

use crate::base::time::{Duration, Instant};
use crate::port::{Medium, Transmit};
use crate::wire::icmpv4::{Icmpv4Repr, Unreachable};
use crate::wire::icmpv6::Icmpv6Repr;
use crate::wire::ipv4::{self, Ipv4View};
use crate::wire::ipv6::{self, Ipv6View, Problem};
use crate::wire::ndp::NdpRepr;
use crate::wire::parse::Addresses;
use crate::wire::{Address, EtherType, Family, IpProtocol, Kind, Packet, Sum, vlan};

use super::counters::DropReason;
use super::egress::{Datagram, LongMessage, Route, send_fragments, send_ip};
use super::{HostFact, Ownership, Stack};

/// Octets of a refused packet that are quoted at most: the message has 576 octets then (RFC 1812 section 4.3.2.3), or as
/// many as every link takes (RFC 4443 section 2.4).
const QUOTED_MAX_V4: usize = 576 - 20 - 8;
const QUOTED_MAX_V6: usize = 1280 - 40 - 8;
/// The larger of the two.
pub(super) const QUOTED_MAX: usize = QUOTED_MAX_V6;

/// How much of a packet from `source` is quoted.
pub(super) fn quoted_max(source: Address) -> usize {
    if source.is_v4() { QUOTED_MAX_V4 } else { QUOTED_MAX_V6 }
}

/// Why a packet is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Nobody is at that port.
    Port,
    /// Nobody speaks that protocol.
    Protocol,
    /// IPv6 only: something in its headers (RFC 4443 section 3.4).
    ParameterProblem {
        /// What is wrong.
        code: u8,
        /// Where it stands in the packet, in bytes.
        pointer: u32,
    },
}

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
            Kind::OtherProtocol => self.handle_other_protocol(transmit, frame, packet),
            // Fragments are put together before, and segments have their own way.
            Kind::Fragment(_) | Kind::Tcp(_) => {}
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
                let head = Icmpv4Repr::EchoReply { id, data: &[] };
                let mut echo = Echo { protocol: IpProtocol::ICMPV4, head: [0; HEAD_LEN], data };
                // The head alone, as if there were no data; its checksum follows.
                let _ = head.emit(&mut echo.head);
                self.send_echo(transmit, frame, addresses, echo, Sum::ZERO);
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
        let (source, destination) = (addresses.source.octets(), addresses.destination.octets());
        // The same for the reply: addresses change places, and the length is the same.
        let pseudo = Sum::pseudo_v6(source, destination, IpProtocol::ICMPV6.0, message.len() as u32);
        if let Ok(Icmpv6Repr::EchoRequest { id, data }) = Icmpv6Repr::parse(message, pseudo) {
            let head = Icmpv6Repr::EchoReply { id, data: &[] };
            let mut echo = Echo { protocol: IpProtocol::ICMPV6, head: [0; HEAD_LEN], data };
            // As above.
            let _ = head.emit(&mut echo.head, Sum::ZERO);
            self.send_echo(transmit, frame, addresses, echo, pseudo);
        } else {
            self.counters.drop(DropReason::Unhandled);
        }
        None
    }

    /// Sends an echo back, in fragments if it is longer than the path takes (RFC 1122 section 3.2.2.6).
    fn send_echo<T: Transmit>(
        &mut self,
        transmit: &mut T,
        frame: &[u8],
        addresses: Addresses,
        mut echo: Echo<'_>,
        pseudo_header: Sum,
    ) {
        if !self.answers.allow(self.now) {
            return self.counters.drop(DropReason::RateLimited);
        }
        echo.head[CHECKSUM_AT..CHECKSUM_AT + 2].fill(0);
        let sum = Sum::of(&echo.head).add(Sum::of(echo.data)).add(pseudo_header);
        echo.head[CHECKSUM_AT..CHECKSUM_AT + 2].copy_from_slice(&sum.finish().to_be_bytes());
        let route = self.way_back(frame, addresses);
        let mtu = self.path_mtu(addresses.source);
        let Echo { protocol, head, data: body } = echo;
        self.identification = self.identification.wrapping_add(1);
        let message = LongMessage { protocol, head, body, identification: self.identification };
        let len = head.len() + body.len();
        let header_len = if addresses.source.is_v4() { ipv4::HEADER_LEN } else { ipv6::HEADER_LEN };
        let sent = if len + header_len > usize::from(mtu) {
            send_fragments(transmit, &self.capabilities, &route, &message, mtu)
        } else {
            let packet = Datagram { protocol, ttl: None, len };
            send_ip(transmit, &self.capabilities, &route, &packet, |room, _| message.copy(0, room))
                .map(|()| 1)
        };
        match sent {
            Ok(frames) => {
                self.counters.frames_sent += u64::from(frames);
                self.counters.echoes += 1;
            }
            Err(_) => self.counters.drop(DropReason::NoTransmitFrame),
        }
    }

    /// Where an answer to `frame` goes.
    fn way_back(&self, frame: &[u8], addresses: Addresses) -> Route {
        Route {
            mac: self.source_mac(frame),
            local: addresses.destination,
            remote: addresses.source,
            traffic_class: 0,
        }
    }

    /// A protocol that nothing here speaks: ICMP says so (RFC 1122 section 3.2.2.1).
    fn handle_other_protocol<T: Transmit>(&mut self, transmit: &mut T, frame: &[u8], packet: &Packet) {
        self.counters.drop(DropReason::Unhandled);
        let network = packet.network(frame);
        let refusal = match packet.protocol {
            IpProtocol::UDP => Refusal::Port,
            // RFC 8200 section 4.7: nothing follows, and nothing is wrong.
            IpProtocol::NO_NEXT_HEADER if packet.family == Family::V6 => return,
            _ => match Ipv6View::parse(network).map(|view| view.walk()) {
                // RFC 4443 section 3.4: which header names it.
                Ok(Ok(upper)) => Refusal::ParameterProblem { code: 1, pointer: upper.next_header_at.into() },
                Ok(Err(_)) | Err(_) => Refusal::Protocol,
            },
        };
        self.send_refusal(transmit, frame, network, refusal);
    }

    /// A packet whose headers IPv6 has us refuse aloud (RFC 8200 section 4.2 and 4.4); all others were dropped for good.
    #[cold]
    pub(super) fn handle_malformed<T: Transmit>(&mut self, transmit: &mut T, frame: &[u8]) {
        let network = match self.capabilities.medium {
            Medium::Ethernet | Medium::Tagged(_) => match vlan::skip(frame) {
                Ok(untagged) if untagged.ether_type == EtherType::IPV6 => untagged.offset,
                Ok(_) | Err(_) => return,
            },
            Medium::Ip => 0,
        };
        let network = frame.get(network..).unwrap_or_default();
        let Ok(view) = Ipv6View::parse(network) else { return };
        if let Some(Problem { code, pointer }) = view.problem() {
            self.send_refusal(
                transmit,
                frame,
                network,
                Refusal::ParameterProblem { code, pointer: pointer.into() },
            );
        }
    }

    /// Says why the IP packet `network`, which came in `frame`, is refused.
    pub(super) fn send_refusal<T: Transmit>(
        &mut self,
        transmit: &mut T,
        frame: &[u8],
        network: &[u8],
        refusal: Refusal,
    ) {
        let Some(addresses) = addresses_of(network) else { return };
        // Never in answer to what came by broadcast or from no single host (RFC 1122 section 3.2.2).
        let is_group = !matches!(self.capabilities.medium, Medium::Ip) && frame[0] & 1 == 1;
        let may_answer = self.owns(addresses.destination) && self.is_host(addresses.source) && !is_group;
        if !may_answer || self.local_index(addresses.source).is_some() {
            return;
        }
        if !self.answers.allow(self.now) {
            return self.counters.drop(DropReason::RateLimited);
        }
        let quoted = network.get(..quoted_max(addresses.source)).unwrap_or(network);
        let route = self.way_back(frame, addresses);
        if addresses.source.is_v4() {
            let reason = match refusal {
                Refusal::Port => Unreachable::Port,
                Refusal::Protocol | Refusal::ParameterProblem { .. } => Unreachable::Protocol,
            };
            self.send_icmpv4(transmit, &route, &Icmpv4Repr::DestinationUnreachable { reason, quoted });
        } else {
            // RFC 4443 section 3.1: 4 is "port unreachable".
            let repr = match refusal {
                Refusal::Port | Refusal::Protocol => Icmpv6Repr::DestinationUnreachable { code: 4, quoted },
                Refusal::ParameterProblem { code, pointer } => {
                    Icmpv6Repr::ParameterProblem { code, pointer, quoted }
                }
            };
            self.send_icmpv6(transmit, &route, &repr);
        }
    }

    pub(super) fn send_icmpv4<T: Transmit>(
        &mut self,
        transmit: &mut T,
        route: &Route,
        repr: &Icmpv4Repr<'_>,
    ) {
        let packet = Datagram { protocol: IpProtocol::ICMPV4, ttl: None, len: repr.message_len() };
        let sent = send_ip(transmit, &self.capabilities, route, &packet, |body, _| {
            // The reservation has exactly the message's length.
            let _ = repr.emit(body);
        });
        self.count_sent(sent);
    }

    pub(super) fn send_icmpv6<T: Transmit>(
        &mut self,
        transmit: &mut T,
        route: &Route,
        repr: &Icmpv6Repr<'_>,
    ) {
        let packet = Datagram { protocol: IpProtocol::ICMPV6, ttl: None, len: repr.message_len() };
        let sent = send_ip(transmit, &self.capabilities, route, &packet, |body, pseudo| {
            // As above.
            let _ = repr.emit(body, pseudo);
        });
        self.count_sent(sent);
    }
}

/// An echo to be sent back.
struct Echo<'a> {
    protocol: IpProtocol,
    head: [u8; HEAD_LEN],
    data: &'a [u8],
}

/// Bytes of an ICMP header, and where its checksum stands.
const HEAD_LEN: usize = 8;
const CHECKSUM_AT: usize = 2;

/// Source and destination of an IP packet of either version.
fn addresses_of(network: &[u8]) -> Option<Addresses> {
    match (Ipv4View::parse_start(network), Ipv6View::parse_start(network)) {
        (Ok(view), _) => {
            Some(Addresses { source: view.source().into(), destination: view.destination().into() })
        }
        (_, Ok(view)) => {
            Some(Addresses { source: view.source().into(), destination: view.destination().into() })
        }
        (Err(_), Err(_)) => None,
    }
}
