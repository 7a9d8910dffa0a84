//! Parsers of frames. What one accepts is written again, and must be read the same.

use bywash_core::port::Medium;
use bywash_core::wire::arp::{self, ArpRepr};
use bywash_core::wire::ethernet::{EthernetRepr, EthernetView};
use bywash_core::wire::icmp::QuotedTcp;
use bywash_core::wire::icmpv4::Icmpv4Repr;
use bywash_core::wire::icmpv6::Icmpv6Repr;
use bywash_core::wire::ipv4::Ipv4Repr;
use bywash_core::wire::ipv6::{Ipv6Repr, Ipv6View};
use bywash_core::wire::ndp::{Envelope, NdpRepr};
use bywash_core::wire::tcp::{HEADER_LEN_MAX, OptionsForm, TcpRepr, TcpView};
use bywash_core::wire::{Sum, classify, vlan};

/// Ethernet and its tags.
pub fn ethernet(bytes: &[u8]) {
    if let Ok(view) = EthernetView::parse(bytes) {
        let repr = EthernetRepr::of(&view);
        let mut again = [0; 14];
        repr.emit(&mut again).expect("room");
        assert_eq!(again, bytes[..14]);
    }
    if let Ok(untagged) = vlan::skip(bytes) {
        assert!(untagged.offset <= bytes.len());
    }
}

/// ARP.
pub fn arp(bytes: &[u8]) {
    if let Ok(repr) = ArpRepr::parse(bytes) {
        let mut again = [0; arp::PACKET_LEN];
        repr.emit(&mut again).expect("room");
        assert_eq!(ArpRepr::parse(&again), Ok(repr));
    }
}

/// IPv4.
pub fn ipv4(bytes: &[u8]) {
    if let Ok(repr) = Ipv4Repr::parse(bytes) {
        let mut again = vec![0; 20 + usize::from(repr.payload_len)];
        repr.emit(&mut again).expect("room");
        assert_eq!(Ipv4Repr::parse(&again), Ok(repr));
    }
}

/// IPv6 with extension headers.
pub fn ipv6(bytes: &[u8]) {
    if let Ok(repr) = Ipv6Repr::parse(bytes) {
        let mut again = vec![0; 40 + usize::from(repr.payload_len)];
        repr.emit(&mut again).expect("room");
        assert_eq!(Ipv6Repr::parse(&again), Ok(repr));
    }
    if let Ok(view) = Ipv6View::parse(bytes) {
        let _ = view.walk();
    }
}

/// ICMP for IPv4, and what its errors quote.
pub fn icmpv4(bytes: &[u8]) {
    let _ = QuotedTcp::of_v4(bytes);
    if let Ok(repr) = Icmpv4Repr::parse(bytes) {
        let mut again = vec![0; repr.message_len()];
        repr.emit(&mut again).expect("room");
        assert_eq!(Icmpv4Repr::parse(&again), Ok(repr));
    }
}

/// ICMP for IPv6, and what its errors quote.
pub fn icmpv6(bytes: &[u8]) {
    let _ = QuotedTcp::of_v6(bytes);
    let pseudo = Sum::pseudo_v6([1; 16], [2; 16], 58, bytes.len() as u32);
    if let Ok(repr) = Icmpv6Repr::parse(bytes, pseudo) {
        let mut again = vec![0; repr.message_len()];
        repr.emit(&mut again, pseudo).expect("room");
        assert_eq!(Icmpv6Repr::parse(&again, pseudo), Ok(repr));
    }
}

/// Neighbor discovery: the first 33 bytes are the envelope.
pub fn ndp(bytes: &[u8]) {
    let Some((envelope, message)) = bytes.split_first_chunk::<33>() else { return };
    let octets = |from: usize| std::array::from_fn::<u8, 16, _>(|i| envelope[from + i]).into();
    let envelope = Envelope { source: octets(0), destination: octets(16), hop_limit: envelope[32] };
    let _ = NdpRepr::parse(message, &envelope);
}

/// The TCP header and its options.
pub fn tcp(bytes: &[u8]) {
    let Ok(view) = TcpView::parse(bytes) else { return };
    let repr = TcpRepr::of(&view);
    let mut again = [0; HEADER_LEN_MAX];
    // Options that were padded otherwise may not fit any more, but must not panic.
    let Ok(len) = repr.emit(&mut again) else { return };
    let mut read = TcpRepr::of(&TcpView::parse(&again[..len]).expect("our own"));
    let mut expected = repr;
    (read.options.form, expected.options.form) = (OptionsForm::WellFormed, OptionsForm::WellFormed);
    // Three blocks fit beside timestamps, and fewer beside what only a SYN has.
    (read.options.sack, expected.options.sack) = Default::default();
    assert_eq!(read, expected);
}

/// A frame as a shard's first pass reads it.
pub fn packet(bytes: &[u8]) {
    for medium in [Medium::Ethernet, Medium::Ip] {
        let Ok(packet) = classify(bytes, medium) else { continue };
        assert!(packet.network <= packet.transport && packet.transport <= packet.payload);
        assert!(packet.payload <= packet.end && usize::from(packet.end) <= bytes.len());
        let _ = (packet.options(bytes), packet.addresses(bytes), packet.tuple(bytes), packet.words_v4(bytes));
    }
}
