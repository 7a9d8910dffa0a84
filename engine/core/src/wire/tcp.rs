//! The TCP header (RFC 9293 section 3.1). Sequence numbers are plain `u32` here; their arithmetic is `tcp::seq`'s.

use zerocopy::byteorder::network_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{Error, Field, NoRoom, Protocol, Sum};

mod flags;
mod options;

pub use flags::Flags;
pub use options::{
    OPTIONS_LEN_MAX, Options, OptionsForm, SACK_BLOCKS_MAX, SYN_WORDS, SackBlock, SackBlocks, SackPermitted,
    SynOptions, Timestamps, WINDOW_SCALE_MAX,
};

/// Bytes of a header without options.
pub const HEADER_LEN: usize = 20;
/// Bytes of the longest header.
pub const HEADER_LEN_MAX: usize = HEADER_LEN + OPTIONS_LEN_MAX;

/// Offset of the checksum field, in bytes.
pub const CHECKSUM_OFFSET: usize = 16;

/// The fixed header as it lies on the wire.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct Header {
    pub(super) source_port: U16,
    pub(super) destination_port: U16,
    pub(super) sequence: U32,
    pub(super) acknowledgment: U32,
    /// Data offset in 32-bit words (upper four bits), then reserved bits.
    pub(super) data_offset: u8,
    pub(super) flags: u8,
    pub(super) window: U16,
    pub(super) checksum: U16,
    pub(super) urgent: U16,
}

impl Header {
    /// The data offset in bytes, 0 to 60.
    #[inline(always)]
    pub(super) const fn header_len(&self) -> usize {
        (self.data_offset >> 4) as usize * 4
    }
}

/// A segment whose data offset is consistent with its length.
#[derive(Clone, Copy)]
pub struct TcpView<'a> {
    header: &'a Header,
    options: &'a [u8],
    payload: &'a [u8],
}

impl<'a> TcpView<'a> {
    /// Checks the length and the data offset of a segment; its checksum is a matter of [`TcpView::sum`].
    #[inline]
    pub fn parse(segment: &'a [u8]) -> Result<Self, Error> {
        let (header, rest) =
            Header::ref_from_prefix(segment).map_err(|_| Error::new(Protocol::Tcp, Field::Length))?;
        let (options, payload) = header
            .header_len()
            .checked_sub(HEADER_LEN)
            .and_then(|len| rest.split_at_checked(len))
            .ok_or(Error::new(Protocol::Tcp, Field::HeaderLength))?;
        Ok(Self { header, options, payload })
    }

    /// The sender's port.
    pub const fn source_port(&self) -> u16 {
        self.header.source_port.get()
    }

    /// The receiver's port.
    pub const fn destination_port(&self) -> u16 {
        self.header.destination_port.get()
    }

    /// SEG.SEQ.
    pub const fn seq(&self) -> u32 {
        self.header.sequence.get()
    }

    /// SEG.ACK; meaningful only with the ACK flag.
    pub const fn ack(&self) -> u32 {
        self.header.acknowledgment.get()
    }

    /// The control bits. Reserved bits are ignored.
    pub const fn flags(&self) -> Flags {
        Flags::from_bits(self.header.flags)
    }

    /// SEG.WND, not scaled.
    pub const fn window(&self) -> u16 {
        self.header.window.get()
    }

    /// SEG.UP; meaningful only with the URG flag.
    pub const fn urgent(&self) -> u16 {
        self.header.urgent.get()
    }

    /// Bytes of the header with its options, 20 to 60.
    pub const fn header_len(&self) -> usize {
        HEADER_LEN + self.options.len()
    }

    /// The option bytes, 0 to 40.
    pub const fn option_bytes(&self) -> &'a [u8] {
        self.options
    }

    /// The options.
    pub fn options(&self) -> Options {
        Options::parse(self.options)
    }

    /// The data.
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// The sum over the whole segment: with the pseudo-header's it must be valid.
    pub fn sum(&self) -> Sum {
        // Header and options are whole words: no odd piece comes before the payload.
        Sum::of(self.header.as_bytes()).add(Sum::of(self.options)).add(Sum::of(self.payload))
    }
}

/// A TCP header with its options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpRepr {
    /// The sender's port.
    pub source_port: u16,
    /// The receiver's port.
    pub destination_port: u16,
    /// SEG.SEQ.
    pub seq: u32,
    /// SEG.ACK; zero without the ACK flag.
    pub ack: u32,
    /// The control bits.
    pub flags: Flags,
    /// SEG.WND, not scaled.
    pub window: u16,
    /// SEG.UP; zero without the URG flag.
    pub urgent: u16,
    /// The options.
    pub options: Options,
}

impl TcpRepr {
    /// The values of a view.
    pub fn of(view: &TcpView<'_>) -> Self {
        Self {
            source_port: view.source_port(),
            destination_port: view.destination_port(),
            seq: view.seq(),
            ack: view.ack(),
            flags: view.flags(),
            window: view.window(),
            urgent: view.urgent(),
            options: view.options(),
        }
    }

    /// Bytes of the header with its options, 20 to 60, a multiple of 4.
    #[inline]
    pub fn header_len(&self) -> usize {
        HEADER_LEN + self.options.wire_len()
    }

    /// Writes the header with its options to the front of `buffer` and returns its length in bytes.
    /// The checksum stays zero: [`seal`] or [`seal_for_device`] completes it.
    pub fn emit(&self, buffer: &mut [u8]) -> Result<usize, NoRoom> {
        let len = self.header_len();
        let (fixed, options) = buffer
            .get_mut(..len)
            .and_then(<[u8]>::split_first_chunk_mut::<HEADER_LEN>)
            .ok_or(NoRoom { needed: len })?;
        let header = Header {
            source_port: U16::new(self.source_port),
            destination_port: U16::new(self.destination_port),
            sequence: U32::new(self.seq),
            acknowledgment: U32::new(self.ack),
            data_offset: ((len / 4) << 4) as u8,
            flags: self.flags.bits(),
            window: U16::new(self.window),
            checksum: U16::ZERO,
            urgent: U16::new(self.urgent),
        };
        fixed.copy_from_slice(header.as_bytes());
        self.options.emit(options);
        Ok(len)
    }
}

/// Completes the checksum of an emitted `header` (options included, checksum field zero): `rest` is the sum of the
/// pseudo-header and the payload.
#[inline]
pub fn seal(header: &mut [u8], rest: Sum) {
    let checksum = Sum::of(header).add(rest).finish();
    store_checksum(header, checksum);
}

/// Leaves the pseudo-header's sum in the checksum field, as a device wants it that completes the checksum itself.
#[inline]
pub fn seal_for_device(header: &mut [u8], pseudo_header: Sum) {
    store_checksum(header, pseudo_header.partial());
}

/// A header shorter than its checksum field stays as it is.
#[inline]
fn store_checksum(header: &mut [u8], checksum: u16) {
    if let Some(field) = header.get_mut(CHECKSUM_OFFSET..CHECKSUM_OFFSET + 2) {
        field.copy_from_slice(&checksum.to_be_bytes());
    }
}

#[cfg(test)]
mod tests;
