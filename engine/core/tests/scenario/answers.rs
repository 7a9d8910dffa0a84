//! What is answered without a connection: ARP, neighbour discovery, echo, unreachable ports; and IPv6.

use core::net::{Ipv4Addr, Ipv6Addr};

use bywash_core::port::Medium;
use bywash_core::wire::arp::{ArpRepr, Operation};
use bywash_core::wire::ethernet::{EthernetRepr, EthernetView};
use bywash_core::wire::icmp::EchoId;
use bywash_core::wire::icmpv4::{Icmpv4Repr, Unreachable};
use bywash_core::wire::icmpv6::Icmpv6Repr;
use bywash_core::wire::ndp::{NdpRepr, Occasion, Override, Role, solicited_node};
use bywash_core::wire::parse::{verify_network, verify_transport};
use bywash_core::wire::{Address, EtherType, IpProtocol, MacAddress, Packet, classify};

use crate::harness::*;

/// An ARP packet from the peer's side.
pub(crate) fn arp(destination: MacAddress, repr: &ArpRepr) -> Vec<u8> {
    let mut frame = vec![0; 42];
    let link = EthernetRepr { destination, source: repr.sender_hardware, ether_type: EtherType::ARP };
    let start = link.emit(&mut frame).expect("room");
    repr.emit(&mut frame[start..]).expect("room");
    frame
}

/// The next frame, which must be an ARP packet; with its destination.
#[track_caller]
pub(crate) fn next_arp(world: &mut World) -> (MacAddress, ArpRepr) {
    let (_, frame) = world.sent.pop_front().expect("a frame");
    let view = EthernetView::parse(&frame).expect("a frame");
    assert_eq!((view.ether_type(), view.source()), (EtherType::ARP, OWN_MAC));
    (view.destination(), ArpRepr::parse(view.payload()).expect("ARP"))
}

pub(crate) fn v4(text: &str) -> Ipv4Addr {
    text.parse().expect("an address")
}

fn v6(text: &str) -> Ipv6Addr {
    text.parse().expect("an address")
}

/// The peer answers the engine's ARP request for it.
#[track_caller]
pub(crate) fn answer_arp(world: &mut World) {
    let (destination, request) = next_arp(world);
    assert_eq!(destination, MacAddress::BROADCAST);
    assert_eq!(request.operation, Operation::Request);
    assert_eq!((request.sender_hardware, request.sender_protocol), (OWN_MAC, v4(LOCAL)));
    assert_eq!((request.target_hardware, request.target_protocol), (MacAddress::ZERO, v4(PEER)));
    let reply = ArpRepr {
        operation: Operation::Reply,
        sender_hardware: PEER_MAC,
        sender_protocol: v4(PEER),
        target_hardware: OWN_MAC,
        target_protocol: v4(LOCAL),
    };
    world.give(&arp(OWN_MAC, &reply));
}

/// Somebody asks for our address, and thereby says where he is.
pub(crate) fn announce(world: &mut World, address: &str, mac: [u8; 6]) {
    let request = ArpRepr {
        operation: Operation::Request,
        sender_hardware: MacAddress(mac),
        sender_protocol: v4(address),
        target_hardware: MacAddress::ZERO,
        target_protocol: v4(LOCAL),
    };
    world.give(&arp(MacAddress::BROADCAST, &request));
}

#[test]
fn arp_requests_for_our_address_are_answered() {
    let mut world = World::new();
    announce(&mut world, PEER, PEER_MAC.0);
    let (destination, reply) = next_arp(&mut world);
    assert_eq!(destination, PEER_MAC);
    assert_eq!(reply.operation, Operation::Reply);
    assert_eq!((reply.sender_hardware, reply.sender_protocol), (OWN_MAC, v4(LOCAL)));
    assert_eq!((reply.target_hardware, reply.target_protocol), (PEER_MAC, v4(PEER)));
    let other = ArpRepr {
        operation: Operation::Request,
        sender_hardware: PEER_MAC,
        sender_protocol: v4(PEER),
        target_hardware: MacAddress::ZERO,
        target_protocol: v4("198.18.0.3"),
    };
    world.give(&arp(MacAddress::BROADCAST, &other));
    world.expect_silence();
    // What was learned is used: no request before the SYN.
    let id = world.stack().connect("198.18.0.2:443".parse().expect("an address"), None).expect("connects");
    world.turn();
    let mut peer = Peer::new(&world, 443, Offer::FULL);
    peer.tuple.remote_port = world.stack().info(id).expect("it exists").local.port();
    peer.expect(&mut world, SYN, 0, 0, 0);
}

#[test]
fn what_is_not_on_the_link_goes_to_the_gateway() {
    let mut world = World::new();
    world.stack().connect("203.0.113.9:443".parse().expect("an address"), None).expect("connects");
    world.turn();
    assert_eq!(next_arp(&mut world).1.target_protocol, v4("198.18.0.254"));
}

/// The next frame, which must be an IP packet to the peer with checksums that match.
#[track_caller]
fn next_ip(world: &mut World) -> (Vec<u8>, Packet) {
    let (_, frame) = world.sent.pop_front().expect("a frame");
    assert_eq!(&frame[..6], &PEER_MAC.0);
    let packet = classify(&frame, Medium::Ethernet).expect("can be read");
    verify_network(&frame, &packet).expect("IP checksum");
    verify_transport(&frame, &packet).expect("transport checksum");
    (frame, packet)
}

fn give_v4(world: &mut World, destination: &str, protocol: IpProtocol, body: &[u8]) {
    let frame = forge_ip((PEER_MAC, OWN_MAC), (address(PEER), address(destination)), protocol, 64, body);
    world.give(&frame);
}

#[test]
fn ping_is_answered() {
    let mut world = World::new();
    let data = pattern(56);
    let id = EchoId { identifier: 77, sequence: 3 };
    let request = Icmpv4Repr::EchoRequest { id, data: &data };
    let mut body = vec![0; request.message_len()];
    request.emit(&mut body).expect("room");
    give_v4(&mut world, LOCAL, IpProtocol::ICMPV4, &body);
    let (frame, packet) = next_ip(&mut world);
    let addresses = packet.addresses(&frame).expect("IP");
    assert_eq!((addresses.source, addresses.destination), (address(LOCAL), address(PEER)));
    assert_eq!(Icmpv4Repr::parse(packet.transport(&frame)), Ok(Icmpv4Repr::EchoReply { id, data: &data }));
    // A wrong checksum, and somebody else's address: nothing.
    body[20] ^= 1;
    give_v4(&mut world, LOCAL, IpProtocol::ICMPV4, &body);
    body[20] ^= 1;
    give_v4(&mut world, "198.18.0.3", IpProtocol::ICMPV4, &body);
    world.expect_silence();
}

#[test]
fn c145_source_quench_is_discarded() {
    let mut world = World::new();
    let (_, id) = Peer::accepted(&mut world, 40_000, Offer::FULL);
    let quoted = pattern(28);
    let quench = Icmpv4Repr::Other { kind: 4, code: 0, rest: 0, body: &quoted };
    let mut body = vec![0; quench.message_len()];
    quench.emit(&mut body).expect("room");
    give_v4(&mut world, LOCAL, IpProtocol::ICMPV4, &body);
    world.expect_silence();
    assert!(world.stack().info(id).is_some());
}

#[test]
fn a_udp_datagram_is_answered_by_port_unreachable() {
    let mut world = World::new();
    let mut datagram = pattern(100);
    datagram[..8].copy_from_slice(&[0x30, 0x39, 0, 53, 0, 100, 0, 0]);
    give_v4(&mut world, LOCAL, IpProtocol::UDP, &datagram);
    let (frame, packet) = next_ip(&mut world);
    let Ok(Icmpv4Repr::DestinationUnreachable { reason, quoted }) =
        Icmpv4Repr::parse(packet.transport(&frame))
    else {
        panic!("an unreachable was due");
    };
    assert_eq!(reason, Unreachable::Port);
    // The IP header and at least eight octets of what it carried.
    assert!(quoted.len() >= 28);
    assert_eq!(quoted[20..28], datagram[..8]);
    give_v4(&mut world, LOCAL, IpProtocol(132), &datagram);
    let (frame, packet) = next_ip(&mut world);
    let Ok(Icmpv4Repr::DestinationUnreachable { reason, .. }) = Icmpv4Repr::parse(packet.transport(&frame))
    else {
        panic!("an unreachable was due");
    };
    assert_eq!(reason, Unreachable::Protocol);
    // Nothing that came by broadcast is answered (RFC 1122 section 3.2.2).
    let addresses = (address(PEER), address(LOCAL));
    world.give(&forge_ip((PEER_MAC, MacAddress::BROADCAST), addresses, IpProtocol::UDP, 64, &datagram));
    let to_all = (address(PEER), Address::BROADCAST);
    world.give(&forge_ip((PEER_MAC, MacAddress::BROADCAST), to_all, IpProtocol::UDP, 64, &datagram));
    world.expect_silence();
}

fn icmpv6_frame(source: Address, destination: Address, mac: MacAddress, hops: u8, body: &[u8]) -> Vec<u8> {
    forge_ip((PEER_MAC, mac), (source, destination), IpProtocol::ICMPV6, hops, body)
}

fn ndp_frame(source: Address, destination: Address, mac: MacAddress, repr: &NdpRepr) -> Vec<u8> {
    let mut body = vec![0; repr.message_len()];
    repr.emit(&mut body, pseudo_header(source, destination, IpProtocol::ICMPV6, repr.message_len()))
        .expect("room");
    icmpv6_frame(source, destination, mac, 255, &body)
}

/// The engine's solicitation or advertisement.
#[track_caller]
fn next_ndp(world: &mut World) -> (MacAddress, Address, NdpRepr) {
    let (_, frame) = world.sent.pop_front().expect("a frame");
    let packet = classify(&frame, Medium::Ethernet).expect("can be read");
    verify_transport(&frame, &packet).expect("checksum");
    let addresses = packet.addresses(&frame).expect("IPv6");
    let envelope = bywash_core::wire::ndp::Envelope {
        source: addresses.source.octets().into(),
        destination: addresses.destination.octets().into(),
        hop_limit: packet.network(&frame)[7],
    };
    let repr = NdpRepr::parse(packet.transport(&frame), &envelope).expect("neighbour discovery");
    (EthernetView::parse(&frame).expect("a frame").destination(), addresses.destination, repr)
}

/// The peer asks for our IPv6 address, and thereby says where it is.
pub(crate) fn announce_v6(world: &mut World) {
    let group = solicited_node(v6(LOCAL_V6));
    let solicitation = NdpRepr::Solicitation { target: v6(LOCAL_V6), source_link_address: Some(PEER_MAC) };
    let mac = MacAddress::of_group(group).expect("a group");
    world.give(&ndp_frame(address(PEER_V6), group, mac, &solicitation));
}

#[test]
fn neighbour_solicitations_are_answered() {
    let mut world = World::new();
    let group = solicited_node(v6(LOCAL_V6));
    let solicitation = NdpRepr::Solicitation { target: v6(LOCAL_V6), source_link_address: Some(PEER_MAC) };
    let mac = MacAddress::of_group(group).expect("a group");
    world.give(&ndp_frame(address(PEER_V6), group, mac, &solicitation));
    let (mac, destination, reply) = next_ndp(&mut world);
    assert_eq!((mac, destination), (PEER_MAC, address(PEER_V6)));
    let expected = NdpRepr::Advertisement {
        role: Role::Host,
        occasion: Occasion::Solicited,
        overriding: Override::Replace,
        target: v6(LOCAL_V6),
        target_link_address: Some(OWN_MAC),
    };
    assert_eq!(reply, expected);
    // A duplicate-address probe has no source: all nodes are told.
    let probe = NdpRepr::Solicitation { target: v6(LOCAL_V6), source_link_address: None };
    let mac = MacAddress::of_group(group).expect("a group");
    world.give(&ndp_frame(Address::UNSPECIFIED, group, mac, &probe));
    let (mac, destination, _) = next_ndp(&mut world);
    assert_eq!(mac, MacAddress([0x33, 0x33, 0, 0, 0, 1]));
    assert_eq!(destination, address("ff02::1"));
    // A hop limit below 255 comes from beyond the link.
    let mut forged = ndp_frame(address(PEER_V6), group, mac, &solicitation);
    forged[14 + 7] = 254;
    world.give(&forged);
    world.expect_silence();
}

#[test]
fn ping6_is_answered() {
    let mut world = World::new();
    let data = pattern(31);
    let id = EchoId { identifier: 9, sequence: 1 };
    let request = Icmpv6Repr::EchoRequest { id, data: &data };
    let mut body = vec![0; request.message_len()];
    let (source, destination) = (address(PEER_V6), address(LOCAL_V6));
    let pseudo = pseudo_header(source, destination, IpProtocol::ICMPV6, body.len());
    request.emit(&mut body, pseudo).expect("room");
    world.give(&icmpv6_frame(source, destination, OWN_MAC, 64, &body));
    let (frame, packet) = next_ip(&mut world);
    let message = packet.transport(&frame);
    let pseudo = pseudo_header(destination, source, IpProtocol::ICMPV6, message.len());
    assert_eq!(Icmpv6Repr::parse(message, pseudo), Ok(Icmpv6Repr::EchoReply { id, data: &data }));
}

#[test]
fn a_handshake_and_data_over_ipv6() {
    let mut world = World::new();
    let mut peer = Peer::v6(&world, 40_000, Offer::FULL);
    let syn_ack = peer.open(&mut world);
    assert_eq!(syn_ack.options.mss, Some(1440));
    let id = world.app.last();
    let text = pattern(3_000);
    world.stack().write(id, &text).expect("open");
    world.turn();
    let first = peer.expect(&mut world, ACK, 1, 1, 1_428);
    let second = peer.expect(&mut world, ACK, 1_429, 1, 1_428);
    let third = peer.expect(&mut world, PSH, 2_857, 1, 144);
    assert_eq!([first.payload, second.payload, third.payload].concat(), text);
    peer.send(&mut world, seg(FIN_PSH, 1, 3_001).data(b"bye"));
    assert_eq!((&world.app.bytes[..], world.app.ends()), (&b"bye"[..], 1));
    peer.expect(&mut world, ACK, 3_001, 5, 0);
    world.stack().close(id);
    world.turn();
    peer.expect(&mut world, FIN, 3_001, 5, 0);
    peer.send(&mut world, seg(ACK, 5, 3_002));
    assert_eq!(world.app.closed(), Some(CloseReason::Finished));
    world.expect_idle();
}

#[test]
fn c032_over_ipv6_the_default_is_1220() {
    let mut world = World::new();
    let mut peer = Peer::v6(&world, 40_000, Offer { mss: None, ..Offer::PLAIN });
    peer.open(&mut world);
    let id = world.app.last();
    world.stack().write(id, &pattern(1_300)).expect("open");
    world.turn();
    peer.expect(&mut world, ACK, 1, 1, 1_220);
    peer.expect(&mut world, PSH, 1_221, 1, 80);
}

#[test]
fn connecting_over_ipv6_asks_for_the_neighbour_first() {
    let mut world = World::new();
    world.stack().connect("[fd00:198:18::2]:443".parse().expect("an address"), None).expect("connects");
    world.turn();
    let (mac, destination, repr) = next_ndp(&mut world);
    assert_eq!(destination, solicited_node(v6(PEER_V6)));
    assert_eq!(Some(mac), MacAddress::of_group(destination));
    assert_eq!(repr, NdpRepr::Solicitation { target: v6(PEER_V6), source_link_address: Some(OWN_MAC) });
    let reply = NdpRepr::Advertisement {
        role: Role::Host,
        occasion: Occasion::Solicited,
        overriding: Override::Replace,
        target: v6(PEER_V6),
        target_link_address: Some(PEER_MAC),
    };
    world.give(&ndp_frame(address(PEER_V6), address(LOCAL_V6), OWN_MAC, &reply));
    let (frame, packet) = next_ip(&mut world);
    assert_eq!(packet.tuple(&frame).expect("TCP").local_port, 443);
}

#[test]
fn a_layer_3_port_needs_no_neighbours() {
    use bywash_core::shard::Transport;
    use bywash_core::stack::{Alone, Engine, Stack};
    let world = World::new();
    let port = MemoryPort::of(Medium::Ip, MacAddress::ZERO, 1_500);
    let capabilities = bywash_core::port::Port::capabilities(&port);
    let stack = Stack::new(config(), capabilities, [7; 32], world.now).expect("a stack");
    let mut engine = Engine::new(port, stack, Alone, Vec::new());
    let mut app = Recorder::default();
    let options = ListenOptions { port: PORT, backlog: 16, ..ListenOptions::default() };
    engine.stack_mut().listen(options).expect("listens");
    // The same frames without their link header.
    let peer = Peer::new(&world, 40_000, Offer::FULL);
    let syn = peer.frame(&peer.repr(&world, &seg(SYN, 0, 0), peer.syn_options(&world)), &[]);
    engine.port_mut().give(&syn[14..]);
    engine.turn(world.now, &mut app);
    let packet = engine.port_mut().take().expect("a SYN+ACK");
    let view = classify(&packet, Medium::Ip).expect("can be read");
    verify_transport(&packet, &view).expect("checksum");
    assert_eq!(packet[33], SYN_ACK.bits());
    // And outwards: no ARP.
    engine.stack_mut().connect("198.18.0.2:443".parse().expect("an address"), None).expect("connects");
    engine.turn(world.now, &mut app);
    let packet = engine.port_mut().take().expect("a SYN");
    assert_eq!((packet[0] >> 4, packet[33]), (4, SYN.bits()));
}
