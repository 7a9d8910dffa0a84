//! ARP (RFC 826, RFC 5227) and neighbour discovery (RFC 4861): who we are, who the others are.
//!
//! Routers, prefixes and redirects are a matter of the configuration: advertisements of them are not listened to.

use core::net::Ipv6Addr;

use crate::base::time::{Duration, Instant};
use crate::port::Transmit;
use crate::wire::arp::{ArpRepr, Operation};
use crate::wire::ndp::{Envelope, NdpRepr, Occasion, Override, Role, solicited_node};
use crate::wire::parse::Addresses;
use crate::wire::{Address, Cidr, IpProtocol, MacAddress, Packet};

use super::counters::DropReason;
use super::egress::{Datagram, Route, send_arp, send_ip};
use super::ingress::source_mac;
use super::neighbour::{Claim, Learned, Probe};
use super::{HostFact, Stack};

/// Hop limit of neighbor discovery: proof that no router was in between (RFC 4861 section 7.1).
const NDP_HOP_LIMIT: u8 = 255;
/// Between two defences of our address (`DEFEND_INTERVAL` of RFC 5227 section 1.1).
const DEFEND_INTERVAL: Duration = Duration::from_secs(10);
/// All nodes of the link.
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// Whether somebody else uses an address of ours, and what was done about it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Defence {
    next_at: Instant,
}

impl Defence {
    pub(super) const NEVER: Self = Self { next_at: Instant::ZERO };
}

impl Stack {
    /// An ARP packet. Returns what it teaches about the link.
    pub(super) fn handle_arp<T: Transmit>(&mut self, transmit: &mut T, bytes: &[u8]) -> Option<HostFact> {
        let Ok(repr) = ArpRepr::parse(bytes) else {
            self.counters.drop(DropReason::Malformed);
            return None;
        };
        let mac = repr.sender_hardware;
        if !mac.is_unicast() {
            self.counters.drop(DropReason::BadSource);
            return None;
        }
        let (sender, target) =
            (Address::v4(repr.sender_protocol.octets()), Address::v4(repr.target_protocol.octets()));
        if self.local_index(sender).is_some() {
            self.handle_conflict(transmit, sender, mac);
            return None;
        }
        let is_request = repr.operation == Operation::Request;
        let is_for_us = is_request && self.owns(target);
        if is_for_us {
            let reply = ArpRepr {
                operation: Operation::Reply,
                sender_hardware: self.capabilities.mac,
                sender_protocol: repr.target_protocol,
                target_hardware: mac,
                target_protocol: repr.sender_protocol,
            };
            self.send_arp(transmit, mac, &reply);
            self.counters.neighbours_answered += 1;
        }
        // A probe (RFC 5227 section 2.1.1) has no sender address to learn.
        if !sender.is_unicast() {
            return None;
        }
        let claim = if is_for_us { Claim::Request } else { Claim::Reply };
        self.learn(transmit, sender, Some(mac), claim)
    }

    fn send_arp<T: Transmit>(&mut self, transmit: &mut T, destination: MacAddress, repr: &ArpRepr) {
        match send_arp(transmit, &self.capabilities, destination, repr) {
            Ok(()) => self.counters.frames_sent += 1,
            Err(_) => self.counters.drop(DropReason::NoTransmitFrame),
        }
    }

    /// Somebody else says that `address`, ours, is his: everybody is told that it is ours, but not too often
    /// (RFC 5227 section 2.4, c). For IPv6 the same.
    fn handle_conflict<T: Transmit>(&mut self, transmit: &mut T, address: Address, mac: MacAddress) {
        // Our own frames come back through some switches.
        if mac == self.capabilities.mac || !self.owns(address) {
            return;
        }
        self.counters.address_conflicts += 1;
        if self.now < self.defence.next_at {
            return;
        }
        self.defence.next_at = self.now + DEFEND_INTERVAL;
        match address.as_v4() {
            Some(own) => {
                let announcement = ArpRepr {
                    operation: Operation::Request,
                    sender_hardware: self.capabilities.mac,
                    sender_protocol: own.into(),
                    target_hardware: MacAddress::ZERO,
                    target_protocol: own.into(),
                };
                self.send_arp(transmit, MacAddress::BROADCAST, &announcement);
            }
            None => self.advertise(transmit, address, None),
        }
    }

    /// Takes in where a neighbour is; SYNs that waited for it leave. Returns what other shards may have asked for.
    pub(super) fn learn<T: Transmit>(
        &mut self,
        transmit: &mut T,
        address: Address,
        mac: Option<MacAddress>,
        claim: Claim,
    ) -> Option<HostFact> {
        let learned = self.neighbours.learn(address, mac, claim, self.now);
        if learned == Learned::Resolved {
            self.neighbour_known(transmit, address);
        }
        match (claim, learned) {
            (Claim::Request, Learned::Moved | Learned::Resolved) => {
                mac.map(|mac| HostFact::Neighbour { address, mac })
            }
            // Answers come to one queue, whichever shard has asked.
            (Claim::Advertisement(..) | Claim::Reply, _) if self.answers.allow(self.now) => {
                Some(HostFact::Claim { address, mac, claim })
            }
            (Claim::Request, Learned::Nothing) | (Claim::Advertisement(..) | Claim::Reply, _) => None,
        }
    }

    /// A solicitation or advertisement.
    pub(super) fn handle_ndp<T: Transmit>(
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
                let target = Address::from(target);
                if !self.owns(target) || addresses.source.is_multicast() {
                    self.counters.drop(DropReason::NotForUs);
                    return None;
                }
                if self.local_index(addresses.source).is_some() {
                    self.handle_conflict(transmit, addresses.source, source_mac(frame));
                    return None;
                }
                let asker = addresses.source.is_unicast().then(|| (addresses.source, source_mac(frame)));
                self.advertise(transmit, target, asker);
                self.counters.neighbours_answered += 1;
                let mac = source_link_address.filter(|mac| mac.is_unicast())?;
                asker.and_then(|_| self.learn(transmit, addresses.source, Some(mac), Claim::Request))
            }
            Ok(NdpRepr::Advertisement { role: _, occasion, overriding, target, target_link_address }) => {
                let target = Address::from(target);
                if self.local_index(target).is_some() {
                    self.handle_conflict(transmit, target, source_mac(frame));
                    return None;
                }
                if target_link_address.is_some_and(|mac| !mac.is_unicast()) {
                    self.counters.drop(DropReason::BadSource);
                    return None;
                }
                let claim = Claim::Advertisement(occasion, overriding);
                self.learn(transmit, target, target_link_address, claim)
            }
            Err(_) => {
                self.counters.drop(DropReason::Malformed);
                None
            }
        }
    }

    /// Says where `target`, ours, is: to whoever asks, or to all nodes, as a duplicate-address probe is answered
    /// (RFC 4861 section 7.2.4).
    fn advertise<T: Transmit>(
        &mut self,
        transmit: &mut T,
        target: Address,
        asker: Option<(Address, MacAddress)>,
    ) {
        let all_nodes = Address::v6(ALL_NODES.octets());
        let group = || (all_nodes, MacAddress::of_group(all_nodes).unwrap_or(MacAddress::BROADCAST));
        let (remote, mac) = asker.unwrap_or_else(group);
        let reply = NdpRepr::Advertisement {
            role: Role::Host,
            occasion: if asker.is_some() { Occasion::Solicited } else { Occasion::Unsolicited },
            overriding: Override::Replace,
            target: target.octets().into(),
            target_link_address: Some(self.capabilities.mac),
        };
        self.send_ndp(transmit, &Route { mac, local: target, remote, traffic_class: 0 }, &reply);
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

    /// Does what is due about neighbours. Returns how much that was.
    #[cold]
    pub(super) fn expire_neighbours<T: Transmit>(&mut self, transmit: &mut T) -> u32 {
        let mut fired = 0;
        while let Some(probe) = self.neighbours.poll(self.now) {
            fired += 1;
            match probe {
                Probe::Ask(address) => self.ask_neighbour(transmit, address, None),
                Probe::AskAt(address, mac) => self.ask_neighbour(transmit, address, Some(mac)),
                Probe::Failed(neighbour) => self.neighbour_failed(neighbour),
            }
        }
        fired
    }

    /// Asks the link who has `address`, or the station at `mac` whether it still has.
    fn ask_neighbour<T: Transmit>(&mut self, transmit: &mut T, address: Address, mac: Option<MacAddress>) {
        let Some(own) = self.source_for(address) else { return };
        match (own.as_v4(), address.as_v4()) {
            (Some(own), Some(target)) => {
                let request = ArpRepr {
                    operation: Operation::Request,
                    sender_hardware: self.capabilities.mac,
                    sender_protocol: own.into(),
                    target_hardware: MacAddress::ZERO,
                    target_protocol: target.into(),
                };
                self.send_arp(transmit, mac.unwrap_or(MacAddress::BROADCAST), &request);
            }
            (_, _) => {
                let target = Ipv6Addr::from(address.octets());
                let group = solicited_node(target);
                let (remote, mac) = match (mac, MacAddress::of_group(group)) {
                    (Some(mac), _) => (address, mac),
                    (None, Some(mac)) => (group, mac),
                    (None, None) => return,
                };
                let request =
                    NdpRepr::Solicitation { target, source_link_address: Some(self.capabilities.mac) };
                self.send_ndp(transmit, &Route { mac, local: own, remote, traffic_class: 0 }, &request);
            }
        }
    }

    /// Our address to ask for `address` from: one of the same network, else of the same family (RFC 4861 section 7.2.2).
    fn source_for(&self, address: Address) -> Option<Address> {
        let ours = || self.config.addresses.iter().map(|local| local.cidr);
        let near = ours().find(|cidr| cidr.contains(address));
        let any = || ours().find(|cidr| cidr.address().is_v4() == address.is_v4());
        near.or_else(any).map(Cidr::address)
    }
}
