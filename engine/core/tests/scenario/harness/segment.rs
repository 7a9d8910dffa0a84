//! Segments as the tests write and read them.

use bywash_core::base::time::Instant;
use bywash_core::port::Medium;
use bywash_core::wire::ethernet::{self, EthernetRepr, EthernetView};
use bywash_core::wire::ipv4::{Fragmentation, Ipv4Repr};
use bywash_core::wire::ipv6::Ipv6Repr;
use bywash_core::wire::parse::{verify_network, verify_transport};
use bywash_core::wire::tcp::{self, Flags, Options, SackBlock, TcpRepr, TcpView};
use bywash_core::wire::{Address, EtherType, IpProtocol, Kind, MacAddress, Sum, Tuple, classify};

/// A segment to be forged; sequence numbers count from the two initial ones.
#[derive(Clone, Debug)]
pub struct Seg {
    pub flags: Flags,
    pub seq: u32,
    pub ack: u32,
    pub window: Option<u16>,
    pub payload: Vec<u8>,
    pub sack: Vec<(u32, u32)>,
    /// The timestamp to send instead of the peer's clock.
    pub clock: Option<u32>,
    /// Whether timestamps are left out though agreed.
    pub bare: bool,
}

/// A segment without payload.
pub fn seg(flags: Flags, seq: u32, ack: u32) -> Seg {
    Seg { flags, seq, ack, window: None, payload: Vec::new(), sack: Vec::new(), clock: None, bare: false }
}

impl Seg {
    /// With this payload.
    pub fn data(mut self, payload: &[u8]) -> Self {
        self.payload = payload.to_vec();
        self
    }

    /// With this window field.
    pub fn window(mut self, window: u16) -> Self {
        self.window = Some(window);
        self
    }

    /// With SACK blocks, in the engine's sequence numbers.
    pub fn sack(mut self, blocks: &[(u32, u32)]) -> Self {
        self.sack = blocks.to_vec();
        self
    }

    /// With this timestamp.
    pub fn clock(mut self, clock: u32) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Without timestamps.
    pub fn bare(mut self) -> Self {
        self.bare = true;
        self
    }
}

/// A segment that the engine has sent; sequence numbers count from the two initial ones.
#[derive(Clone, Debug)]
pub struct Got {
    pub at: Instant,
    pub seq: u32,
    pub ack: u32,
    pub flags: Flags,
    /// The window field.
    pub window: u16,
    pub options: Options,
    /// The option octets as they are.
    pub option_bytes: Vec<u8>,
    pub payload: Vec<u8>,
    /// The frame without its link header.
    pub packet: Vec<u8>,
}

impl Got {
    /// SACK blocks, counted from the peer's initial sequence number.
    pub fn sack(&self, from: u32) -> Vec<(u32, u32)> {
        let relative = |b: &SackBlock| (b.left.wrapping_sub(from), b.right.wrapping_sub(from));
        self.options.sack.as_slice().iter().map(relative).collect()
    }
}

/// Headers and payload of a TCP segment in an Ethernet frame, checksums right.
pub fn forge(macs: (MacAddress, MacAddress), tuple: &Tuple, repr: &TcpRepr, payload: &[u8]) -> Vec<u8> {
    let mut segment = vec![0; repr.header_len() + payload.len()];
    let header_len = repr.emit(&mut segment).expect("room");
    segment[header_len..].copy_from_slice(payload);
    let pseudo = pseudo_header(tuple.local, tuple.remote, IpProtocol::TCP, segment.len());
    let sum = Sum::of(payload);
    tcp::seal(&mut segment[..header_len], pseudo.add(sum));
    forge_ip(macs, (tuple.local, tuple.remote), IpProtocol::TCP, 64, &segment)
}

/// The pseudo header's sum.
pub fn pseudo_header(source: Address, destination: Address, protocol: IpProtocol, len: usize) -> Sum {
    match (source.as_v4(), destination.as_v4()) {
        (Some(source), Some(destination)) => Sum::pseudo_v4(source, destination, protocol.0, len as u16),
        (_, _) => Sum::pseudo_v6(source.octets(), destination.octets(), protocol.0, len as u32),
    }
}

/// An IP packet in an Ethernet frame; `macs` and `addresses` are source and destination.
pub fn forge_ip(
    macs: (MacAddress, MacAddress),
    addresses: (Address, Address),
    protocol: IpProtocol,
    hops: u8,
    body: &[u8],
) -> Vec<u8> {
    let mut frame = vec![0; ethernet::HEADER_LEN + 40];
    let v4 = addresses.0.as_v4().zip(addresses.1.as_v4());
    let ether_type = if v4.is_some() { EtherType::IPV4 } else { EtherType::IPV6 };
    let link = EthernetRepr { source: macs.0, destination: macs.1, ether_type };
    let start = link.emit(&mut frame).expect("room");
    let len = match v4 {
        Some((source, destination)) => Ipv4Repr {
            source: source.into(),
            destination: destination.into(),
            protocol,
            payload_len: body.len() as u16,
            traffic_class: 0,
            ttl: hops,
            identification: 7,
            fragmentation: Fragmentation::Forbidden,
        }
        .emit(&mut frame[start..]),
        None => Ipv6Repr {
            source: addresses.0.octets().into(),
            destination: addresses.1.octets().into(),
            next_header: protocol,
            payload_len: body.len() as u16,
            traffic_class: 0,
            flow_label: 0,
            hop_limit: hops,
        }
        .emit(&mut frame[start..]),
    };
    frame.truncate(start + len.expect("room"));
    frame.extend_from_slice(body);
    frame
}

/// Reads a frame that the engine has sent; every one must be right in form and checksums. `None`: it is no TCP.
pub fn read(at: Instant, frame: &[u8]) -> Option<(Tuple, Got)> {
    let packet = classify(frame, Medium::Ethernet).expect("what is sent can be read");
    verify_network(frame, &packet).expect("IP checksum");
    verify_transport(frame, &packet).expect("transport checksum");
    if !matches!(packet.kind, Kind::Tcp(_)) {
        return None;
    }
    assert_eq!(usize::from(packet.end), frame.len(), "no octets behind the packet");
    let view = TcpView::parse(packet.transport(frame)).expect("a TCP segment");
    // c038: reserved bits are zero.
    assert_eq!(packet.transport(frame)[12] & 0x0f, 0, "reserved bits");
    assert_eq!(view.urgent(), 0);
    let link = EthernetView::parse(frame).expect("an Ethernet frame");
    let got = Got {
        at,
        seq: view.seq(),
        ack: view.ack(),
        flags: view.flags(),
        window: view.window(),
        options: view.options(),
        option_bytes: view.option_bytes().to_vec(),
        payload: view.payload().to_vec(),
        packet: link.payload().to_vec(),
    };
    Some((packet.tuple(frame).expect("a tuple"), got))
}
