//! Segments as a scripted peer reads and writes them.

use bywash_core::port::Medium;
use bywash_core::wire::arp::{ArpRepr, Operation};
use bywash_core::wire::ethernet::EthernetRepr;
use bywash_core::wire::ipv4::{Fragmentation, Ipv4Repr, Ipv4View};
use bywash_core::wire::ipv6::{Ipv6Repr, Ipv6View};
use bywash_core::wire::ndp::{Envelope, NdpRepr, Occasion, Override, Role};
use bywash_core::wire::tcp::{Flags, Options, TcpRepr, TcpView, seal};
use bywash_core::wire::{Address, EtherType, IpProtocol, Kind, MacAddress, Sum, classify};

/// Both ends of a connection: address and port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ends {
    /// Ours.
    pub(super) local: (Address, u16),
    /// The engine's.
    pub(super) remote: (Address, u16),
}

/// A segment that has arrived.
#[derive(Clone, Copy)]
pub(super) struct Frame<'a> {
    pub(super) ends: Ends,
    /// Who sent it, and our own.
    pub(super) macs: (MacAddress, MacAddress),
    pub(super) tcp: TcpRepr,
    pub(super) payload: &'a [u8],
}

impl Frame<'_> {
    /// Whether it opens a connection.
    pub(super) fn is_syn(&self) -> bool {
        self.tcp.flags.contains(Flags::SYN) && !self.tcp.flags.intersects(Flags::ACK | Flags::RST)
    }
}

/// What has arrived.
pub(super) enum Arrived<'a> {
    /// Somebody asked for our link address: the answer.
    Question(Vec<u8>),
    /// A segment.
    Segment(Frame<'a>),
}

/// Reads a frame for one of the `own` addresses; what is damaged is nothing.
pub(super) fn read<'a>(frame: &'a [u8], own: &[Address]) -> Option<Arrived<'a>> {
    let packet = classify(frame, Medium::Ethernet).ok()?;
    let from = MacAddress(frame.get(6..12)?.try_into().ok()?);
    match packet.kind {
        Kind::Tcp(_) => read_tcp(frame, packet.network(frame), from, own).map(Arrived::Segment),
        Kind::Arp => answer_arp(packet.network(frame), from, own).map(Arrived::Question),
        Kind::Icmpv6 => answer_ndp(packet.network(frame), from, own).map(Arrived::Question),
        Kind::Icmpv4 | Kind::Fragment(_) | Kind::OtherProtocol => None,
    }
}

fn read_tcp<'a>(frame: &'a [u8], packet: &'a [u8], from: MacAddress, own: &[Address]) -> Option<Frame<'a>> {
    let (source, destination, segment) = if packet.first()? >> 4 == 4 {
        let view = Ipv4View::parse(packet).ok().filter(Ipv4View::has_valid_checksum)?;
        (Address::from(view.source()), Address::from(view.destination()), view.payload())
    } else {
        let view = Ipv6View::parse(packet).ok()?;
        (Address::from(view.source()), Address::from(view.destination()), view.payload())
    };
    let view = TcpView::parse(segment).ok()?;
    if !own.contains(&destination) || !pseudo(source, destination, segment.len()).add(view.sum()).is_valid() {
        return None;
    }
    let tcp = TcpRepr::of(&view);
    let ends = Ends { local: (destination, tcp.destination_port), remote: (source, tcp.source_port) };
    let to = MacAddress(frame.get(..6)?.try_into().ok()?);
    Some(Frame { ends, macs: (from, to), tcp, payload: view.payload() })
}

fn pseudo(source: Address, destination: Address, len: usize) -> Sum {
    match (source.as_v4(), destination.as_v4()) {
        (Some(source), Some(destination)) => {
            Sum::pseudo_v4(source, destination, IpProtocol::TCP.0, len as u16)
        }
        (_, _) => Sum::pseudo_v6(source.octets(), destination.octets(), IpProtocol::TCP.0, len as u32),
    }
}

/// Builds a frame with a segment.
pub(super) fn write(
    macs: (MacAddress, MacAddress),
    source: Address,
    destination: Address,
    tcp: &TcpRepr,
    payload: &[u8],
) -> Option<Vec<u8>> {
    let (to, from) = macs;
    let (ether_type, network_len) =
        if source.is_v4() { (EtherType::IPV4, 20) } else { (EtherType::IPV6, 40) };
    let segment_len = tcp.header_len() + payload.len();
    let mut frame = vec![0; 14 + network_len + segment_len];
    EthernetRepr { destination: to, source: from, ether_type }.emit(&mut frame).ok()?;
    let payload_len = segment_len as u16;
    match (source.as_v4(), destination.as_v4()) {
        (Some(source), Some(destination)) => Ipv4Repr {
            source: source.into(),
            destination: destination.into(),
            protocol: IpProtocol::TCP,
            payload_len,
            traffic_class: 0,
            ttl: 64,
            identification: 0,
            fragmentation: Fragmentation::Forbidden,
        }
        .emit(&mut frame[14..])
        .ok()?,
        (_, _) => Ipv6Repr {
            source: source.octets().into(),
            destination: destination.octets().into(),
            next_header: IpProtocol::TCP,
            payload_len,
            traffic_class: 0,
            flow_label: 0,
            hop_limit: 64,
        }
        .emit(&mut frame[14..])
        .ok()?,
    };
    let segment = &mut frame[14 + network_len..];
    let header_len = tcp.emit(segment).ok()?;
    segment[header_len..].copy_from_slice(payload);
    let rest = pseudo(source, destination, segment_len).add(Sum::of(payload));
    seal(&mut segment[..header_len], rest);
    Some(frame)
}

/// RST for a segment of a connection that is not (RFC 9293 section 3.10.7.1).
pub(super) fn refuse(frame: &Frame<'_>, outbox: &mut Vec<Vec<u8>>) {
    let Frame { ends, macs, tcp, payload } = *frame;
    if tcp.flags.contains(Flags::RST) {
        return;
    }
    let has_ack = tcp.flags.contains(Flags::ACK);
    let syn_fin = u32::from(tcp.flags.contains(Flags::SYN)) + u32::from(tcp.flags.contains(Flags::FIN));
    let answer = TcpRepr {
        source_port: ends.local.1,
        destination_port: ends.remote.1,
        seq: if has_ack { tcp.ack } else { 0 },
        ack: if has_ack { 0 } else { tcp.seq.wrapping_add(payload.len() as u32 + syn_fin) },
        flags: if has_ack { Flags::RST } else { Flags::RST | Flags::ACK },
        window: 0,
        urgent: 0,
        options: Options::default(),
    };
    outbox.extend(write(macs, ends.local.0, ends.remote.0, &answer, &[]));
}

/// A link address that follows from the host's number, as the engine hosts have theirs.
fn own_mac(own: Address) -> MacAddress {
    let [.., last] = own.octets();
    MacAddress([2, 0, 0, 0, 0, last])
}

fn answer_arp(packet: &[u8], from: MacAddress, own: &[Address]) -> Option<Vec<u8>> {
    let asked = ArpRepr::parse(packet).ok()?;
    let target = Address::from(asked.target_protocol);
    if asked.operation != Operation::Request || !own.contains(&target) {
        return None;
    }
    let reply = ArpRepr {
        operation: Operation::Reply,
        sender_hardware: own_mac(target),
        sender_protocol: asked.target_protocol,
        target_hardware: asked.sender_hardware,
        target_protocol: asked.sender_protocol,
    };
    let mut frame = vec![0; 14 + 28];
    let link = EthernetRepr { destination: from, source: own_mac(target), ether_type: EtherType::ARP };
    link.emit(&mut frame).ok()?;
    reply.emit(&mut frame[14..]).ok()?;
    Some(frame)
}

fn answer_ndp(packet: &[u8], from: MacAddress, own: &[Address]) -> Option<Vec<u8>> {
    let view = Ipv6View::parse(packet).ok()?;
    let (source, message) = (view.source(), view.payload());
    let sum = Sum::pseudo_v6(
        source.octets(),
        view.destination().octets(),
        IpProtocol::ICMPV6.0,
        message.len() as u32,
    );
    if !sum.add(Sum::of(message)).is_valid() || !NdpRepr::has_type(*message.first()?) {
        return None;
    }
    let envelope = Envelope { source, destination: view.destination(), hop_limit: view.hop_limit() };
    let NdpRepr::Solicitation { target, .. } = NdpRepr::parse(message, &envelope).ok()? else { return None };
    let asked = Address::from(target);
    if !own.contains(&asked) {
        return None;
    }
    let answer = NdpRepr::Advertisement {
        role: Role::Host,
        occasion: Occasion::Solicited,
        overriding: Override::Replace,
        target,
        target_link_address: Some(own_mac(asked)),
    };
    let mut body = [0; 64];
    let len = answer.emit(&mut body, Sum::pseudo_v6(target.octets(), source.octets(), 58, 32)).ok()?;
    let mut frame = vec![0; 14 + 40 + len];
    let link = EthernetRepr { destination: from, source: own_mac(asked), ether_type: EtherType::IPV6 };
    link.emit(&mut frame).ok()?;
    let header = Ipv6Repr {
        source: target,
        destination: source,
        next_header: IpProtocol::ICMPV6,
        payload_len: len as u16,
        traffic_class: 0,
        flow_label: 0,
        hop_limit: 255,
    };
    header.emit(&mut frame[14..]).ok()?;
    frame[54..].copy_from_slice(&body[..len]);
    Some(frame)
}
