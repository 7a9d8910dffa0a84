//! IPv4 (RFC 791).

use core::net::Ipv4Addr;

use zerocopy::byteorder::network_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::ip::MoreFragments;
use super::{Error, Field, Fragment, IpProtocol, NoRoom, Protocol, Sum};

/// Bytes of a header without options.
pub const HEADER_LEN: usize = 20;

const DONT_FRAGMENT: u16 = 0x4000;
const MORE_FRAGMENTS: u16 = 0x2000;
const OFFSET_MASK: u16 = 0x1fff;

/// The fixed part of the header as it lies on the wire.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct Header {
    pub(super) version_ihl: u8,
    pub(super) traffic_class: u8,
    pub(super) total_length: U16,
    pub(super) identification: U16,
    pub(super) flags_offset: U16,
    pub(super) ttl: u8,
    pub(super) protocol: u8,
    pub(super) checksum: U16,
    pub(super) source: [u8; 4],
    pub(super) destination: [u8; 4],
}

impl Header {
    /// The header's length in bytes as its IHL field has it, 0 to 60.
    #[inline(always)]
    pub(super) const fn header_len(&self) -> usize {
        (self.version_ihl & 0x0f) as usize * 4
    }

    /// Whether this is a piece of a datagram.
    #[inline(always)]
    pub(super) const fn is_fragment(&self) -> bool {
        self.flags_offset.get() & (MORE_FRAGMENTS | OFFSET_MASK) != 0
    }

    pub(super) const fn fragment(&self) -> Option<Fragment> {
        if !self.is_fragment() {
            return None;
        }
        let field = self.flags_offset.get();
        Some(Fragment {
            identification: self.identification.get() as u32,
            offset: (field & OFFSET_MASK) << 3,
            more: MoreFragments::from_bit(field & MORE_FRAGMENTS),
        })
    }
}

/// Whether routers may cut a datagram into fragments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fragmentation {
    /// They may.
    Allowed,
    /// They may not: the "don't fragment" flag.
    Forbidden,
}

/// A datagram, or a fragment of one, whose version and lengths are consistent.
#[derive(Clone, Copy)]
pub struct Ipv4View<'a> {
    header: &'a Header,
    /// Header and options.
    header_bytes: &'a [u8],
    payload: &'a [u8],
}

impl<'a> Ipv4View<'a> {
    /// Checks version, header length and total length; bytes after the total length are a frame's padding.
    /// The header's checksum is a matter of [`Ipv4View::has_valid_checksum`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let view = Self::parse_start(bytes)?;
        let total = view.header.total_length.get() as usize;
        let payload = total
            .checked_sub(view.header_bytes.len())
            .and_then(|len| view.payload.get(..len))
            .ok_or(Error::new(Protocol::Ipv4, Field::Length))?;
        Ok(Self { payload, ..view })
    }

    /// Like [`Ipv4View::parse`] for a datagram that was cut off, as one quoted by ICMP is: the total length is not looked at,
    /// and the payload is what there is.
    pub fn parse_start(bytes: &'a [u8]) -> Result<Self, Error> {
        let (header, _) =
            Header::ref_from_prefix(bytes).map_err(|_| Error::new(Protocol::Ipv4, Field::Length))?;
        if header.version_ihl >> 4 != 4 {
            return Err(Error::new(Protocol::Ipv4, Field::Version));
        }
        if header.header_len() < HEADER_LEN {
            return Err(Error::new(Protocol::Ipv4, Field::HeaderLength));
        }
        let (header_bytes, payload) = bytes
            .split_at_checked(header.header_len())
            .ok_or(Error::new(Protocol::Ipv4, Field::HeaderLength))?;
        Ok(Self { header, header_bytes, payload })
    }

    /// The sender.
    pub const fn source(&self) -> Ipv4Addr {
        Ipv4Addr::from_octets(self.header.source)
    }

    /// The receiver.
    pub const fn destination(&self) -> Ipv4Addr {
        Ipv4Addr::from_octets(self.header.destination)
    }

    /// What the payload is.
    pub const fn protocol(&self) -> IpProtocol {
        IpProtocol(self.header.protocol)
    }

    /// DSCP in the upper six bits, ECN in the lower two.
    pub const fn traffic_class(&self) -> u8 {
        self.header.traffic_class
    }

    /// Hops that are left.
    pub const fn ttl(&self) -> u8 {
        self.header.ttl
    }

    /// The datagram's identification; meaningful for fragments only (RFC 6864).
    pub const fn identification(&self) -> u16 {
        self.header.identification.get()
    }

    /// The "don't fragment" flag.
    pub const fn fragmentation(&self) -> Fragmentation {
        if self.header.flags_offset.get() & DONT_FRAGMENT == 0 {
            Fragmentation::Allowed
        } else {
            Fragmentation::Forbidden
        }
    }

    /// Where this fragment belongs; `None` for a whole datagram.
    pub const fn fragment(&self) -> Option<Fragment> {
        self.header.fragment()
    }

    /// Bytes of the whole datagram, as its header says.
    pub const fn total_len(&self) -> u16 {
        self.header.total_length.get()
    }

    /// Bytes of header and options, 20 to 60.
    pub const fn header_len(&self) -> usize {
        self.header_bytes.len()
    }

    /// The options, 0 to 40 bytes.
    pub fn options(&self) -> &'a [u8] {
        self.header_bytes.get(HEADER_LEN..).unwrap_or_default()
    }

    /// What the datagram carries, padding excluded.
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// Whether the header's checksum matches.
    pub fn has_valid_checksum(&self) -> bool {
        Sum::of(self.header_bytes).is_valid()
    }
}

/// The header of a whole datagram without options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ipv4Repr {
    /// The sender.
    pub source: Ipv4Addr,
    /// The receiver.
    pub destination: Ipv4Addr,
    /// What the payload is.
    pub protocol: IpProtocol,
    /// Bytes of payload, at most 65515.
    pub payload_len: u16,
    /// DSCP in the upper six bits, ECN in the lower two.
    pub traffic_class: u8,
    /// Hops that are left.
    pub ttl: u8,
    /// The identification; free for datagrams that must not be fragmented (RFC 6864).
    pub identification: u16,
    /// Whether routers may fragment it.
    pub fragmentation: Fragmentation,
}

impl Ipv4Repr {
    /// Reads a whole datagram's header, its checksum included; options are skipped, a fragment is an error.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let view = Ipv4View::parse(bytes)?;
        if !view.has_valid_checksum() {
            return Err(Error::new(Protocol::Ipv4, Field::Checksum));
        }
        if view.fragment().is_some() {
            return Err(Error::new(Protocol::Ipv4, Field::Fragment));
        }
        Ok(Self {
            source: view.source(),
            destination: view.destination(),
            protocol: view.protocol(),
            payload_len: view.payload().len() as u16,
            traffic_class: view.traffic_class(),
            ttl: view.ttl(),
            identification: view.identification(),
            fragmentation: view.fragmentation(),
        })
    }

    /// Writes [`HEADER_LEN`] bytes, checksum included, to the front of `buffer` and returns their number.
    ///
    /// A `payload_len` above 65515 is written as the largest total length there is.
    #[inline]
    pub fn emit(&self, buffer: &mut [u8]) -> Result<usize, NoRoom> {
        let mut header = Header {
            version_ihl: 0x45,
            traffic_class: self.traffic_class,
            total_length: U16::new(self.payload_len.saturating_add(HEADER_LEN as u16)),
            identification: U16::new(self.identification),
            flags_offset: U16::new(match self.fragmentation {
                Fragmentation::Allowed => 0,
                Fragmentation::Forbidden => DONT_FRAGMENT,
            }),
            ttl: self.ttl,
            protocol: self.protocol.0,
            checksum: U16::ZERO,
            source: self.source.octets(),
            destination: self.destination.octets(),
        };
        header.checksum = U16::new(Sum::of(header.as_bytes()).finish());
        header.write_to_prefix(buffer).map_err(|_| NoRoom { needed: HEADER_LEN })?;
        Ok(HEADER_LEN)
    }
}

#[cfg(test)]
mod tests;
