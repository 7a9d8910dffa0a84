//! The usual SYN: IPv4 without options, the four options that nearly every SYN has, no payload.

use zerocopy::byteorder::network_endian::U32;
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

use super::Medium;
use super::plain::{HEADERS_LEN, PlainHeaders, PlainSegment, carried_v4};
use crate::wire::ipv4;
use crate::wire::tcp::{self, Flags, SYN_WORDS, SynOptions};

/// The headers of a SYN or SYN+ACK with the four usual options and no payload, over IPv4.
#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct SynHeaders {
    /// All up to the first three words of options, which are others here.
    start: PlainHeaders,
    echo: U32,
    scale: U32,
}

/// Ten words of header.
const SYN_OFFSET: u16 = 0xa000;
const SYN_HEADERS_LEN: usize = size_of::<SynHeaders>();
const _: () = assert!(SYN_HEADERS_LEN == ipv4::HEADER_LEN + tcp::HEADER_LEN + SYN_WORDS * 4);

impl SynHeaders {
    /// The headers and the whole IP packet of `frame`, if it is such a SYN that was not sent to a group.
    #[inline]
    pub fn of(frame: &[u8], medium: Medium) -> Option<(&Self, &[u8])> {
        let packet = carried_v4(frame, medium)?;
        let (headers, _) = Self::ref_from_prefix(packet).ok()?;
        let start = &headers.start;
        let is_syn = start.flags().contains(Flags::SYN);
        if !is_syn || start.differs(SYN_OFFSET) || usize::from(start.total_length.get()) != SYN_HEADERS_LEN {
            return None;
        }
        if start.is_ecn_capable() {
            return None;
        }
        SynOptions::of_words(headers.words())?;
        Some((headers, &packet[..SYN_HEADERS_LEN]))
    }

    fn words(&self) -> [u32; SYN_WORDS] {
        let start = &self.start;
        [start.option_head, start.value, start.echo, self.echo, self.scale].map(U32::get)
    }

    /// The tuple, as of a plain segment.
    #[inline]
    pub fn tuple(&self) -> [u32; 3] {
        self.start.words()
    }

    /// What the segment says, but for its options; `frame` and `packet` are those that [`SynHeaders::of`] was given and
    /// gave.
    #[inline]
    pub fn segment(&self, frame: &[u8], packet: &[u8]) -> PlainSegment {
        let plain = self.start.segment(frame, packet);
        let payload = plain.payload + (SYN_HEADERS_LEN - HEADERS_LEN) as u16;
        PlainSegment { ts_value: self.start.echo.get(), payload, len: 0, ..plain }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::parse::plain::tests::segment;
    use crate::wire::parse::{Kind, OptionsLayout, classify, verify};
    use crate::wire::tcp::{Options, SackPermitted, Timestamps};
    use proptest::prelude::*;
    use std::vec;

    proptest! {
        /// Whatever a peer makes of a usual SYN: what is still taken for one is what the general parser reads.
        #[test]
        fn a_usual_syn_is_what_the_general_parser_sees(
            flags in prop::sample::select(vec![Flags::SYN, Flags::SYN.with(Flags::ACK)]),
            padding in 0_usize..6,
            cut in 0_usize..20,
            edits in prop::collection::vec((0_usize..90, any::<u8>()), 0..3),
        ) {
            let syn = SynOptions {
                mss: Some(1460),
                window_scale: Some(7),
                sack_permitted: SackPermitted::Present,
                timestamps: Some(Timestamps { value: 7, echo: 9 }),
            };
            let mut frame = segment(flags, Options::from(syn), &[], padding);
            prop_assert!(SynHeaders::of(&frame, Medium::Ethernet).is_some());
            for (at, value) in edits {
                let at = at % frame.len();
                frame[at] = value;
            }
            frame.truncate(frame.len() - cut.min(frame.len()));
            let Some((headers, packet)) = SynHeaders::of(&frame, Medium::Ethernet) else { return Ok(()) };
            let general = classify(&frame, Medium::Ethernet).unwrap();
            let Kind::Tcp(fields) = general.kind else { panic!("not TCP: {general:?}") };
            prop_assert_eq!(general.words_v4(&frame), Some(headers.tuple()));
            let segment = headers.segment(&frame, packet);
            prop_assert_eq!(fields.flags, segment.flags);
            prop_assert_eq!((fields.seq, fields.ack, fields.window), (segment.seq, segment.ack, segment.window));
            prop_assert_eq!(fields.options, OptionsLayout::Mixed);
            let options = general.options(&frame);
            prop_assert_eq!(Options::parse(segment.syn_options(&frame)), options);
            prop_assert_eq!(options.timestamps, Some(segment.syn_timestamps(&frame)));
            prop_assert_eq!(general.payload_len(), 0);
            prop_assert_eq!(verify(&frame, &general).is_ok(), PlainHeaders::is_intact(packet));
        }
    }
}
