//! The plain segment: IPv4 without options, not a fragment, TCP with timestamps as its only option. Nearly every segment
//! of an open connection is one, and all its fields lie at fixed places.

use zerocopy::byteorder::network_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

use super::Medium;
use crate::wire::checksum::Words;
use crate::wire::tcp::{Flags, SYN_WORDS, Timestamps};
use crate::wire::{EtherType, IpProtocol, Sum, ethernet, ipv4};

/// What a plain segment says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlainSegment {
    /// SEG.SEQ.
    pub seq: u32,
    /// SEG.ACK.
    pub ack: u32,
    /// The timestamp value of its sender.
    pub ts_value: u32,
    /// SEG.WND, not scaled.
    pub window: u16,
    /// Start of the payload, in bytes from the start of the frame.
    pub payload: u16,
    /// Bytes of payload.
    pub len: u16,
    /// The control bits.
    pub flags: Flags,
}

impl PlainSegment {
    /// Nothing: what a place holds before it is filled.
    pub const EMPTY: Self =
        Self { seq: 0, ack: 0, ts_value: 0, window: 0, payload: 0, len: 0, flags: Flags::NONE };

    /// The timestamps option, out of the frame that this was read from.
    pub fn timestamps(&self, frame: &[u8]) -> Timestamps {
        let echo = frame.get(..usize::from(self.payload)).and_then(<[u8]>::last_chunk);
        Timestamps { value: self.ts_value, echo: echo.map_or(0, |octets| u32::from_be_bytes(*octets)) }
    }

    /// The timestamps of a usual SYN, out of the frame that this was read from.
    #[inline(always)]
    pub fn syn_timestamps(&self, frame: &[u8]) -> Timestamps {
        // The last word but one.
        let echo = frame.get(..usize::from(self.payload).saturating_sub(4)).and_then(<[u8]>::last_chunk);
        Timestamps { value: self.ts_value, echo: echo.map_or(0, |octets| u32::from_be_bytes(*octets)) }
    }

    /// The option bytes of a SYN, out of the frame that this was read from.
    #[inline]
    pub fn syn_options<'a>(&self, frame: &'a [u8]) -> &'a [u8] {
        let end = usize::from(self.payload);
        frame.get(end.saturating_sub(SYN_WORDS * 4)..end).unwrap_or_default()
    }

    /// The payload, out of the frame that this was read from; `None` for a shorter frame.
    #[inline(always)]
    pub fn payload<'a>(&self, frame: &'a [u8]) -> Option<&'a [u8]> {
        let start = usize::from(self.payload);
        frame.get(start..start + usize::from(self.len))
    }
}

/// The headers of a plain segment as they lie on the wire.
#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct PlainHeaders {
    version_class: U16,
    pub(super) total_length: U16,
    identification: U16,
    flags_offset: U16,
    ttl: u8,
    protocol: u8,
    header_checksum: U16,
    source: U32,
    destination: U32,
    ports: U32,
    sequence: U32,
    acknowledgment: U32,
    offset_flags: U16,
    window: U16,
    checksum: U16,
    urgent: U16,
    pub(super) option_head: U32,
    pub(super) value: U32,
    pub(super) echo: U32,
}

/// Bytes of all the headers.
pub(super) const HEADERS_LEN: usize = size_of::<PlainHeaders>();
const _: () = assert!(HEADERS_LEN == 52);
/// Version 4, five words; the traffic class is free.
const VERSION: u16 = 0x4500;
/// The version, and of the traffic class the bit that CE has and ECT(0) has not: the general path looks at marks.
const CLASS: u16 = 0xff01;
/// All of the fragment field but the reserved bit and "don't fragment".
const FRAGMENT: u16 = 0x3fff;
/// Eight words of header.
const OFFSET: u16 = 0x8000;
/// `NOP NOP TIMESTAMPS 10` (RFC 7323 appendix A).
const TIMESTAMPS_HEAD: u32 = 0x0101_080a;

impl PlainHeaders {
    /// The headers and the whole IP packet of `frame`, if it is a plain segment that was not sent to a group.
    #[inline(always)]
    pub fn of(frame: &[u8], medium: Medium) -> Option<(&Self, &[u8])> {
        let packet = carried_v4(frame, medium)?;
        let (headers, _) = Self::ref_from_prefix(packet).ok()?;
        let len = usize::from(headers.total_length.get());
        if headers.differs(OFFSET) || headers.option_head.get() != TIMESTAMPS_HEAD || len < HEADERS_LEN {
            return None;
        }
        Some((headers, packet.get(..len)?))
    }

    /// Whether this is no whole TCP segment, or its header has another length than `offset` says.
    #[inline(always)]
    pub(super) fn differs(&self, offset: u16) -> bool {
        let differences = (self.version_class.get() ^ VERSION) & CLASS
            | self.flags_offset.get() & FRAGMENT
            | (self.offset_flags.get() ^ offset) & 0xff00
            | u16::from(self.protocol ^ IpProtocol::TCP.0);
        differences != 0
    }

    /// Whether the sender calls the packet ECN-capable.
    pub(super) fn is_ecn_capable(&self) -> bool {
        self.version_class.get() & 3 != 0
    }

    #[inline(always)]
    pub(super) fn flags(&self) -> Flags {
        Flags::from_bits(self.offset_flags.get() as u8)
    }

    /// The tuple as the connection tables hold it: local address, remote address, local and remote port.
    #[inline(always)]
    pub fn words(&self) -> [u32; 3] {
        [self.destination.get(), self.source.get(), self.ports.get().rotate_left(16)]
    }

    /// What the segment says; `frame` and `packet` are those that [`PlainHeaders::of`] was given and gave.
    #[inline(always)]
    pub fn segment(&self, frame: &[u8], packet: &[u8]) -> PlainSegment {
        let network = packet.as_ptr().addr() - frame.as_ptr().addr();
        PlainSegment {
            seq: self.sequence.get(),
            ack: self.acknowledgment.get(),
            ts_value: self.value.get(),
            window: self.window.get(),
            payload: (network + HEADERS_LEN) as u16,
            len: (packet.len() - HEADERS_LEN) as u16,
            flags: self.flags(),
        }
    }

    /// Whether both checksums of the packet are right.
    #[inline(always)]
    pub fn is_intact(packet: &[u8]) -> bool {
        let Some((header, segment)) = packet.split_first_chunk::<{ ipv4::HEADER_LEN }>() else {
            return false;
        };
        let [_, _, _, _, _, _, _, _, _, _, _, _, addresses @ ..] = *header;
        let protocol_len = Words::of_u16(IpProtocol::TCP.0.into()).add(Words::of_u16(segment.len() as u16));
        let pseudo = Sum::of_word(addresses).add_words(protocol_len);
        Sum::of_array(header).is_valid() && Sum::of(segment).add(pseudo).is_valid()
    }
}

/// What an Ethernet frame that was not sent to a group, or a layer-3 port, carries as IPv4.
#[inline(always)]
pub(super) fn carried_v4(frame: &[u8], medium: Medium) -> Option<&[u8]> {
    match medium {
        Medium::Ethernet => {
            let (link, packet) = frame.split_first_chunk::<{ ethernet::HEADER_LEN }>()?;
            let [first, _, _, _, _, _, _, _, _, _, _, _, ether_type @ ..] = *link;
            (u16::from_be_bytes(ether_type) == EtherType::IPV4.0 && first & 1 == 0).then_some(packet)
        }
        Medium::Tagged(_) => None,
        Medium::Ip => Some(frame),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::wire::ipv4::{Fragmentation, Ipv4Repr};
    use crate::wire::parse::{classify, verify};
    use crate::wire::tcp::{Options, TcpRepr, seal};
    use crate::wire::{MacAddress, ethernet::EthernetRepr};
    use proptest::prelude::*;
    use std::vec;
    use std::vec::Vec;

    /// A frame with a plain segment and `padding` bytes behind it.
    fn plain(payload: &[u8], push: bool, padding: usize) -> Vec<u8> {
        let flags = if push { Flags::ACK | Flags::PSH } else { Flags::ACK };
        let options = Options { timestamps: Some(Timestamps { value: 7, echo: 9 }), ..Options::NONE };
        segment(flags, options, payload, padding)
    }

    /// A frame with any segment and `padding` bytes behind it.
    pub(in crate::wire::parse) fn segment(
        flags: Flags,
        options: Options,
        payload: &[u8],
        padding: usize,
    ) -> Vec<u8> {
        let (source, destination) = ([198, 18, 0, 2], [198, 18, 0, 1]);
        let repr = TcpRepr {
            source_port: 1000,
            destination_port: 7,
            seq: 1,
            ack: 2,
            flags,
            window: 3,
            urgent: 0,
            options,
        };
        let segment_len = repr.header_len() + payload.len();
        let mut frame = vec![0; 34 + segment_len + padding];
        let link = EthernetRepr {
            destination: MacAddress([2, 0, 0, 0, 0, 1]),
            source: MacAddress([2, 0, 0, 0, 0, 2]),
            ether_type: EtherType::IPV4,
        };
        link.emit(&mut frame).unwrap();
        Ipv4Repr {
            source: source.into(),
            destination: destination.into(),
            protocol: IpProtocol::TCP,
            payload_len: segment_len as u16,
            traffic_class: 0,
            ttl: 64,
            identification: 0,
            fragmentation: Fragmentation::Forbidden,
        }
        .emit(&mut frame[14..])
        .unwrap();
        let segment = &mut frame[34..34 + segment_len];
        let header_len = repr.emit(segment).unwrap();
        segment[header_len..].copy_from_slice(payload);
        seal(segment, Sum::pseudo_v4(source, destination, 6, segment_len as u16));
        frame
    }

    proptest! {
        /// Whatever a peer makes of a plain segment: what is still taken for one is what the general parser reads.
        #[test]
        fn a_plain_segment_is_what_the_general_parser_sees(
            payload in prop::collection::vec(any::<u8>(), 0..200),
            push: bool,
            padding in 0_usize..20,
            cut in 0_usize..40,
            edits in prop::collection::vec((0_usize..90, any::<u8>()), 0..3),
        ) {
            let mut frame = plain(&payload, push, padding);
            if edits.is_empty() && cut < padding {
                prop_assert!(PlainHeaders::of(&frame, Medium::Ethernet).is_some());
            }
            for (at, value) in edits {
                let at = at % frame.len();
                frame[at] = value;
            }
            frame.truncate(frame.len() - cut.min(frame.len()));
            let Some((headers, packet)) = PlainHeaders::of(&frame, Medium::Ethernet) else { return Ok(()) };
            let general = classify(&frame, Medium::Ethernet).unwrap();
            let super::super::Kind::Tcp(fields) = general.kind else { panic!("not TCP: {general:?}") };
            prop_assert_eq!(general.words_v4(&frame), Some(headers.words()));
            let segment = headers.segment(&frame, packet);
            prop_assert_eq!(fields.flags, segment.flags);
            prop_assert_eq!((fields.seq, fields.ack, fields.window), (segment.seq, segment.ack, segment.window));
            let timestamps = super::super::OptionsLayout::Timestamps(segment.timestamps(&frame));
            prop_assert_eq!(fields.options, timestamps);
            prop_assert_eq!(Some(general.payload(&frame)), segment.payload(&frame));
            prop_assert_eq!(verify(&frame, &general).is_ok(), PlainHeaders::is_intact(packet));
        }
    }
}
