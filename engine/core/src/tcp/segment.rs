//! A received segment, its header read and its checksum verified.

use crate::wire::Ecn;
use crate::wire::parse::PlainSegment;
use crate::wire::tcp::{Flags as Control, Timestamps};

use super::seq::SequenceNumber;

/// One received segment.
#[derive(Clone, Copy, Debug)]
pub struct Segment<'a> {
    /// First octet's sequence number.
    pub seq: SequenceNumber,
    /// Acknowledgment number; meaningful with ACK.
    pub ack: SequenceNumber,
    /// The window field, unscaled.
    pub window: u16,
    /// Control bits.
    pub control: Control,
    /// The timestamps option.
    pub timestamps: Option<Timestamps>,
    /// All options as they came.
    pub options: &'a [u8],
    /// What routers say about congestion, of the packet that carried it. Of a plain segment only that it is not CE.
    pub ecn: Ecn,
    /// The payload.
    pub payload: &'a [u8],
}

impl<'a> Segment<'a> {
    /// A plain segment, out of the frame that it was read from.
    #[inline(always)]
    pub fn of_plain(plain: &PlainSegment, frame: &'a [u8]) -> Self {
        Self {
            seq: SequenceNumber(plain.seq),
            ack: SequenceNumber(plain.ack),
            window: plain.window,
            control: plain.flags,
            timestamps: Some(plain.timestamps(frame)),
            options: &[],
            ecn: Ecn::NotEct,
            payload: plain.payload(frame).unwrap_or_default(),
        }
    }

    /// A SYN with the usual options, out of the frame that it was read from.
    #[inline(always)]
    pub fn of_syn(plain: &PlainSegment, frame: &'a [u8]) -> Self {
        let options = plain.syn_options(frame);
        Self {
            seq: SequenceNumber(plain.seq),
            ack: SequenceNumber(plain.ack),
            window: plain.window,
            control: plain.flags,
            timestamps: Some(plain.syn_timestamps(frame)),
            options,
            ecn: Ecn::NotEct,
            payload: &[],
        }
    }

    /// Sequence numbers that the segment takes, SYN and FIN included (SEG.LEN).
    #[inline]
    pub fn len(&self) -> u32 {
        self.payload.len() as u32
            + u32::from(self.control.intersects(Control::SYN))
            + u32::from(self.control.intersects(Control::FIN))
    }

    /// The sequence number after the last that it takes.
    #[inline]
    pub fn end(&self) -> SequenceNumber {
        self.seq + self.len()
    }
}
