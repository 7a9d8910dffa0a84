//! A router whose next link is narrower: it drops what is too long and says so (RFC 792, RFC 4443 section 3.2).

use bywash_core::wire::ethernet::{EtherType, EthernetRepr};
use bywash_core::wire::icmpv4::{Icmpv4Repr, Unreachable};
use bywash_core::wire::icmpv6::Icmpv6Repr;
use bywash_core::wire::ipv4::{Fragmentation, Ipv4Repr, Ipv4View};
use bywash_core::wire::ipv6::{Ipv6Repr, Ipv6View};
use bywash_core::wire::{IpProtocol, MacAddress, Sum};

/// Link header of a frame without tags.
const LINK_LEN: usize = 14;
/// Octets of the dropped packet that a router quotes at most: enough for all headers.
const QUOTED_MAX: usize = 128;

/// Whether the router tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Manners {
    /// It does, as it should.
    #[default]
    Tells,
    /// It drops in silence: a black hole (RFC 4821 section 1).
    Silent,
}

/// The router's answer to `frame`, which does not fit `mtu`; `None`: there is nobody to tell.
pub fn answer(frame: &[u8], mtu: u16) -> Option<Vec<u8>> {
    let sender: [u8; 6] = frame.get(6..12)?.try_into().ok()?;
    let packet = frame.get(LINK_LEN..)?;
    let quoted = &packet[..packet.len().min(QUOTED_MAX)];
    let mut answer = vec![0; LINK_LEN + 48 + 8 + QUOTED_MAX];
    let (ether_type, len) = match frame.get(12..14)? {
        [0x08, 0x00] => (EtherType(0x0800), answer_v4(&mut answer[LINK_LEN..], packet, quoted, mtu)?),
        [0x86, 0xdd] => (EtherType(0x86dd), answer_v6(&mut answer[LINK_LEN..], packet, quoted, mtu)?),
        _ => return None,
    };
    let router = MacAddress([2, 0, 0, 0, 0, 0xfe]);
    let link = EthernetRepr { destination: MacAddress(sender), source: router, ether_type };
    link.emit(&mut answer).ok()?;
    answer.truncate(LINK_LEN + len);
    Some(answer)
}

fn answer_v4(into: &mut [u8], packet: &[u8], quoted: &[u8], mtu: u16) -> Option<usize> {
    let view = Ipv4View::parse(packet).ok()?;
    let reason = Unreachable::FragmentationNeeded { next_hop_mtu: mtu };
    let message = Icmpv4Repr::DestinationUnreachable { reason, quoted };
    let header = Ipv4Repr {
        source: [198, 18, 0, 254].into(),
        destination: view.source(),
        protocol: IpProtocol::ICMPV4,
        payload_len: message.message_len() as u16,
        traffic_class: 0,
        ttl: 64,
        identification: 0,
        fragmentation: Fragmentation::Forbidden,
    };
    let len = header.emit(into).ok()?;
    Some(len + message.emit(&mut into[len..]).ok()?)
}

fn answer_v6(into: &mut [u8], packet: &[u8], quoted: &[u8], mtu: u16) -> Option<usize> {
    let view = Ipv6View::parse(packet).ok()?;
    let message = Icmpv6Repr::PacketTooBig { mtu: u32::from(mtu), quoted };
    let header = Ipv6Repr {
        source: [0xfd00, 0x198, 0x18, 0, 0, 0, 0, 0xfe].into(),
        destination: view.source(),
        next_header: IpProtocol::ICMPV6,
        payload_len: message.message_len() as u16,
        traffic_class: 0,
        flow_label: 0,
        hop_limit: 64,
    };
    let pseudo = Sum::pseudo_v6(
        header.source.octets(),
        header.destination.octets(),
        IpProtocol::ICMPV6.0,
        u32::from(header.payload_len),
    );
    let len = header.emit(into).ok()?;
    Some(len + message.emit(&mut into[len..], pseudo).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bywash_core::port::Medium;
    use bywash_core::wire::{Kind, classify};

    #[test]
    fn the_sender_learns_the_mtu() {
        let mut frame = vec![0; 1514];
        frame[6..12].copy_from_slice(&[2, 0, 0, 0, 0, 1]);
        frame[12] = 8;
        let header = Ipv4Repr {
            source: [198, 18, 0, 1].into(),
            destination: [198, 18, 0, 2].into(),
            protocol: IpProtocol::TCP,
            payload_len: 1480,
            traffic_class: 0,
            ttl: 64,
            identification: 0,
            fragmentation: Fragmentation::Forbidden,
        };
        header.emit(&mut frame[14..]).expect("room");
        let answer = answer(&frame, 1280).expect("an answer");
        assert_eq!(&answer[..6], &[2, 0, 0, 0, 0, 1]);
        let packet = classify(&answer, Medium::Ethernet).expect("well formed");
        assert_eq!(packet.kind, Kind::Icmpv4);
        let message = Icmpv4Repr::parse(packet.transport(&answer)).expect("sums up");
        let Icmpv4Repr::DestinationUnreachable { reason, quoted } = message else {
            panic!("{message:?}");
        };
        assert_eq!(reason, Unreachable::FragmentationNeeded { next_hop_mtu: 1280 });
        assert_eq!(quoted, &frame[14..14 + 128]);
    }
}
