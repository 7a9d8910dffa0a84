//! IPv6 (RFC 8200): the fixed header, and a bounded walk over extension headers.

use core::net::Ipv6Addr;

use zerocopy::byteorder::network_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::ip::MoreFragments;
use super::{Error, Field, Fragment, IpProtocol, NoRoom, Protocol};

/// Bytes of the fixed header.
pub const HEADER_LEN: usize = 40;
/// Extension headers that are followed; a packet with more is dropped.
pub const EXTENSION_HEADERS_MAX: usize = 8;

/// The fixed header as it lies on the wire.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct FixedHeader {
    /// Version (4 bits), traffic class (8), flow label (20).
    pub(super) version_class_label: U32,
    pub(super) payload_length: U16,
    pub(super) next_header: u8,
    pub(super) hop_limit: u8,
    pub(super) source: [u8; 16],
    pub(super) destination: [u8; 16],
}

impl FixedHeader {
    #[inline(always)]
    pub(super) const fn traffic_class(&self) -> u8 {
        (self.version_class_label.get() >> 20) as u8
    }
}

#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct FragmentHeader {
    next_header: u8,
    reserved: u8,
    offset_flags: U16,
    identification: U32,
}

/// A packet whose version and length are consistent.
#[derive(Clone, Copy)]
pub struct Ipv6View<'a> {
    header: &'a FixedHeader,
    payload: &'a [u8],
}

impl<'a> Ipv6View<'a> {
    /// Checks version and payload length; bytes after the payload are a frame's padding. No jumbograms (RFC 2675).
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let view = Self::parse_start(bytes)?;
        let payload = view
            .payload
            .get(..view.header.payload_length.get() as usize)
            .ok_or(Error::new(Protocol::Ipv6, Field::Length))?;
        Ok(Self { payload, ..view })
    }

    /// Like [`Ipv6View::parse`] for a packet that was cut off, as one quoted by `ICMPv6` is: the payload is what there is.
    pub fn parse_start(bytes: &'a [u8]) -> Result<Self, Error> {
        let (header, payload) =
            FixedHeader::ref_from_prefix(bytes).map_err(|_| Error::new(Protocol::Ipv6, Field::Length))?;
        if header.version_class_label.get() >> 28 != 6 {
            return Err(Error::new(Protocol::Ipv6, Field::Version));
        }
        Ok(Self { header, payload })
    }

    /// The sender.
    pub const fn source(&self) -> Ipv6Addr {
        Ipv6Addr::from_octets(self.header.source)
    }

    /// The receiver.
    pub const fn destination(&self) -> Ipv6Addr {
        Ipv6Addr::from_octets(self.header.destination)
    }

    /// The first next header: an extension header's number, or the protocol.
    pub const fn next_header(&self) -> IpProtocol {
        IpProtocol(self.header.next_header)
    }

    /// DSCP in the upper six bits, ECN in the lower two.
    pub const fn traffic_class(&self) -> u8 {
        self.header.traffic_class()
    }

    /// The flow label, 20 bits.
    pub const fn flow_label(&self) -> u32 {
        self.header.version_class_label.get() & 0x000f_ffff
    }

    /// Hops that are left.
    pub const fn hop_limit(&self) -> u8 {
        self.header.hop_limit
    }

    /// Bytes behind the fixed header, as it says.
    pub const fn payload_len(&self) -> u16 {
        self.header.payload_length.get()
    }

    /// What follows the fixed header, padding excluded.
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// Walks the extension headers of this packet.
    pub fn walk(&self) -> Result<Upper<'a>, Error> {
        walk(self.next_header(), self.payload)
    }

    /// What of its extension headers the sender must be told about; `None`: nothing, or they are fine.
    pub fn problem(&self) -> Option<Problem> {
        examine(self.next_header(), self.payload).err()?.1
    }
}

/// What lies behind the extension headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Upper<'a> {
    /// The protocol; of a fragment other than the first, the next header that the fragment header names.
    pub protocol: IpProtocol,
    /// The protocol's bytes, or the fragment's.
    pub payload: &'a [u8],
    /// Where this fragment belongs; `None` for a whole packet. The walk ends at a fragment header.
    pub fragment: Option<Fragment>,
    /// Where the next header stands that names the protocol, in bytes from the start of the packet.
    pub next_header_at: u16,
}

/// What is wrong with a packet that its sender must be told about (RFC 4443 section 3.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Problem {
    /// 0: erroneous field; 1: unknown next header; 2: unknown option.
    pub code: u8,
    /// Offset of the field in the packet, in bytes.
    pub pointer: u16,
}

/// Follows at most [`EXTENSION_HEADERS_MAX`] extension headers from `next` on.
///
/// Errors where RFC 8200 has a node discard the packet: options that must not be ignored and are unknown (section 4.2), a routing
/// header with segments left (section 4.4, RFC 5095), a hop-by-hop header that is not the first. An atomic fragment is a whole packet (RFC 6946).
pub fn walk(next: IpProtocol, payload: &[u8]) -> Result<Upper<'_>, Error> {
    examine(next, payload).map_err(|(error, _)| error)
}

/// Where the fixed header names what follows.
const NEXT_HEADER_AT: u16 = 6;

/// The same, with what the sender must be told.
fn examine(next: IpProtocol, payload: &[u8]) -> Result<Upper<'_>, (Error, Option<Problem>)> {
    const LENGTH: (Error, Option<Problem>) = (Error::new(Protocol::Ipv6, Field::Length), None);
    let (mut protocol, mut rest) = (next, payload);
    let mut next_header_at = NEXT_HEADER_AT;
    for position in 0..=EXTENSION_HEADERS_MAX {
        let start = (HEADER_LEN + payload.len() - rest.len()) as u16;
        let extension = match protocol {
            IpProtocol::FRAGMENT => {
                let (header, after) = FragmentHeader::ref_from_prefix(rest).map_err(|_| LENGTH)?;
                protocol = IpProtocol(header.next_header);
                rest = after;
                next_header_at = start;
                let fragment = header.fragment();
                if fragment.is_some() {
                    return Ok(Upper { protocol, payload: rest, fragment, next_header_at });
                }
                continue;
            }
            IpProtocol::HOP_BY_HOP if position > 0 => {
                // RFC 8200 section 4: zero is an unknown next header anywhere but at the beginning.
                let problem = Problem { code: 1, pointer: next_header_at };
                return Err((Error::new(Protocol::Ipv6, Field::Extension), Some(problem)));
            }
            IpProtocol::HOP_BY_HOP | IpProtocol::ROUTING | IpProtocol::DESTINATION_OPTIONS => {
                split_extension(rest).ok_or(LENGTH)?
            }
            _ => return Ok(Upper { protocol, payload: rest, fragment: None, next_header_at }),
        };
        match protocol {
            // Type and segments left follow the two common bytes.
            IpProtocol::ROUTING if extension.content.get(1) != Some(&0) => {
                // RFC 8200 section 4.4: the pointer names the routing type.
                let problem = Problem { code: 0, pointer: start + 2 };
                return Err((Error::new(Protocol::Ipv6, Field::RoutingHeader), Some(problem)));
            }
            IpProtocol::ROUTING => {}
            _ => check_options(extension.content, start + 2)?,
        }
        next_header_at = start;
        protocol = extension.next;
        rest = extension.after;
    }
    Err((Error::new(Protocol::Ipv6, Field::Depth), None))
}

impl FragmentHeader {
    fn fragment(&self) -> Option<Fragment> {
        let field = self.offset_flags.get();
        if field & !0x0006 == 0 {
            return None;
        }
        Some(Fragment {
            identification: self.identification.get(),
            offset: field & 0xfff8,
            more: MoreFragments::from_bit(field & 1),
        })
    }
}

struct Extension<'a> {
    next: IpProtocol,
    /// Behind next header and length.
    content: &'a [u8],
    after: &'a [u8],
}

fn split_extension(bytes: &[u8]) -> Option<Extension<'_>> {
    let &[next, units, ..] = bytes else { return None };
    let (header, after) = bytes.split_at_checked((units as usize + 1) * 8)?;
    Some(Extension { next: IpProtocol(next), content: header.get(2..)?, after })
}

/// RFC 8200 section 4.2: the two upper bits of an unknown option's type say whether it may be skipped.
fn check_options(all: &[u8], start: u16) -> Result<(), (Error, Option<Problem>)> {
    const PAD1: u8 = 0;
    const EXTENSION: Error = Error::new(Protocol::Ipv6, Field::Extension);
    let mut options = all;
    while let Some((&kind, after)) = options.split_first() {
        if kind == PAD1 {
            options = after;
            continue;
        }
        // 01: in silence; 10 and 11: the sender is told (whoever sends to a group gets no answer here at all).
        if kind & 0xc0 != 0 {
            let pointer = start + (all.len() - options.len()) as u16;
            return Err((EXTENSION, (kind & 0x80 != 0).then_some(Problem { code: 2, pointer })));
        }
        let (&len, data) = after.split_first().ok_or((EXTENSION, None))?;
        options = data.get(len as usize..).ok_or((EXTENSION, None))?;
    }
    Ok(())
}

/// A fixed header with no extension headers behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ipv6Repr {
    /// The sender.
    pub source: Ipv6Addr,
    /// The receiver.
    pub destination: Ipv6Addr,
    /// What follows.
    pub next_header: IpProtocol,
    /// Bytes that follow.
    pub payload_len: u16,
    /// DSCP in the upper six bits, ECN in the lower two.
    pub traffic_class: u8,
    /// The flow label; its lower 20 bits are written.
    pub flow_label: u32,
    /// Hops that are left.
    pub hop_limit: u8,
}

impl Ipv6Repr {
    /// Reads a fixed header; extension headers are not walked.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let view = Ipv6View::parse(bytes)?;
        Ok(Self {
            source: view.source(),
            destination: view.destination(),
            next_header: view.next_header(),
            payload_len: view.payload().len() as u16,
            traffic_class: view.traffic_class(),
            flow_label: view.flow_label(),
            hop_limit: view.hop_limit(),
        })
    }

    /// Writes [`HEADER_LEN`] bytes to the front of `buffer` and returns their number.
    #[inline]
    pub fn emit(&self, buffer: &mut [u8]) -> Result<usize, NoRoom> {
        let first = 6 << 28 | (self.traffic_class as u32) << 20 | (self.flow_label & 0x000f_ffff);
        let header = FixedHeader {
            version_class_label: U32::new(first),
            payload_length: U16::new(self.payload_len),
            next_header: self.next_header.0,
            hop_limit: self.hop_limit,
            source: self.source.octets(),
            destination: self.destination.octets(),
        };
        header.write_to_prefix(buffer).map_err(|_| NoRoom { needed: HEADER_LEN })?;
        Ok(HEADER_LEN)
    }
}

#[cfg(test)]
mod tests;
