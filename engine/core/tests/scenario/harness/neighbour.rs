//! Stations that are asked whether they are still there.

use bywash_core::port::Medium;
use bywash_core::wire::arp::{ArpRepr, Operation};
use bywash_core::wire::ethernet::{EthernetRepr, EthernetView};
use bywash_core::wire::ndp::{Envelope, NdpRepr, Occasion, Override, Role};
use bywash_core::wire::{EtherType, IpProtocol, MacAddress, classify};

use super::segment::{forge_ip, pseudo_header};

/// The answer to a request that was sent to one station; `None`: the frame is none.
pub fn answer(frame: &[u8]) -> Option<Vec<u8>> {
    let link = EthernetView::parse(frame).ok()?;
    if link.destination().is_group() {
        return None;
    }
    match link.ether_type() {
        EtherType::ARP => answer_arp(link.destination(), &ArpRepr::parse(link.payload()).ok()?),
        EtherType::IPV6 => answer_solicitation(link, frame),
        _ => None,
    }
}

fn answer_arp(own: MacAddress, request: &ArpRepr) -> Option<Vec<u8>> {
    if request.operation != Operation::Request {
        return None;
    }
    let reply = ArpRepr {
        operation: Operation::Reply,
        sender_hardware: own,
        sender_protocol: request.target_protocol,
        target_hardware: request.sender_hardware,
        target_protocol: request.sender_protocol,
    };
    let mut frame = vec![0; 42];
    let link = EthernetRepr { destination: request.sender_hardware, source: own, ether_type: EtherType::ARP };
    let start = link.emit(&mut frame).expect("room");
    reply.emit(&mut frame[start..]).expect("room");
    Some(frame)
}

fn answer_solicitation(link: EthernetView<'_>, frame: &[u8]) -> Option<Vec<u8>> {
    let packet = classify(frame, Medium::Ethernet).ok()?;
    let addresses = packet.addresses(frame)?;
    let envelope = Envelope {
        source: addresses.source.octets().into(),
        destination: addresses.destination.octets().into(),
        hop_limit: packet.network(frame)[7],
    };
    let message = packet.transport(frame);
    if packet.protocol != IpProtocol::ICMPV6 || !message.first().is_some_and(|kind| NdpRepr::has_type(*kind))
    {
        return None;
    }
    let NdpRepr::Solicitation { target, source_link_address: Some(asker) } =
        NdpRepr::parse(message, &envelope).ok()?
    else {
        return None;
    };
    let own = link.destination();
    let reply = NdpRepr::Advertisement {
        role: Role::Host,
        occasion: Occasion::Solicited,
        overriding: Override::Replace,
        target,
        target_link_address: Some(own),
    };
    let mut body = vec![0; reply.message_len()];
    let (source, destination) = (addresses.destination, addresses.source);
    let pseudo = pseudo_header(source, destination, IpProtocol::ICMPV6, body.len());
    reply.emit(&mut body, pseudo).expect("room");
    Some(forge_ip((own, asker), (source, destination), IpProtocol::ICMPV6, 255, &body))
}
