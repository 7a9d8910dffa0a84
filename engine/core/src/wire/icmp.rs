//! What ICMP for IPv4 and for IPv6 share: the message's header, and the packet that an error quotes.

use zerocopy::byteorder::network_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::ipv4::Ipv4View;
use super::ipv6::Ipv6View;
use super::{Error, Field, IpProtocol, NoRoom, Protocol, Sum, Tuple};

/// Bytes of the header of every message: type, code, checksum and four bytes that depend on the type.
pub const HEADER_LEN: usize = 8;

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Header {
    kind: u8,
    code: u8,
    checksum: U16,
    rest: U32,
}

/// A message of at least [`HEADER_LEN`] bytes, of either version.
#[derive(Clone, Copy)]
pub struct IcmpView<'a> {
    message: &'a [u8],
    header: &'a Header,
    body: &'a [u8],
}

impl<'a> IcmpView<'a> {
    /// Any message of at least [`HEADER_LEN`] bytes; `protocol` names the version in the error.
    pub fn parse(message: &'a [u8], protocol: Protocol) -> Result<Self, Error> {
        let (header, body) =
            Header::ref_from_prefix(message).map_err(|_| Error::new(protocol, Field::Length))?;
        Ok(Self { message, header, body })
    }

    /// The type.
    pub const fn kind(&self) -> u8 {
        self.header.kind
    }

    /// The code within the type.
    pub const fn code(&self) -> u8 {
        self.header.code
    }

    /// The four bytes after the checksum, as one number.
    pub const fn rest(&self) -> u32 {
        self.header.rest.get()
    }

    /// Identifier and sequence number of an echo message.
    pub const fn echo(&self) -> EchoId {
        let rest = self.rest();
        EchoId { identifier: (rest >> 16) as u16, sequence: rest as u16 }
    }

    /// What follows the header.
    pub const fn body(&self) -> &'a [u8] {
        self.body
    }

    /// The sum over the whole message: with the pseudo-header's (`ICMPv6` only) it must be valid.
    pub fn sum(&self) -> Sum {
        Sum::of(self.message)
    }
}

/// What tells one echo message from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EchoId {
    /// Which process asks.
    pub identifier: u16,
    /// Which of its requests this is.
    pub sequence: u16,
}

impl EchoId {
    pub(super) const fn rest(self) -> u32 {
        (self.identifier as u32) << 16 | self.sequence as u32
    }
}

/// Type, code and the four bytes after the checksum of a message to emit.
#[derive(Clone, Copy)]
pub(super) struct Start {
    pub(super) kind: u8,
    pub(super) code: u8,
    pub(super) rest: u32,
}

impl Start {
    /// Writes header, `body` and checksum to the front of `buffer`; returns the message's length in bytes.
    pub(super) fn emit(self, body: &[u8], buffer: &mut [u8], pseudo_header: Sum) -> Result<usize, NoRoom> {
        let len = HEADER_LEN + body.len();
        let message = buffer.get_mut(..len).ok_or(NoRoom { needed: len })?;
        let mut header =
            Header { kind: self.kind, code: self.code, checksum: U16::ZERO, rest: U32::new(self.rest) };
        if let Some((start, space)) = message.split_first_chunk_mut::<HEADER_LEN>() {
            let sum = Sum::copy(space, body).add(Sum::of(header.as_bytes())).add(pseudo_header);
            header.checksum = U16::new(sum.finish());
            start.copy_from_slice(header.as_bytes());
        }
        Ok(len)
    }
}

/// The TCP segment of ours that an ICMP error is about, as far as it is quoted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotedTcp {
    /// The connection, seen from this host: the quoted source is local.
    pub tuple: Tuple,
    /// The quoted sequence number, to be checked against what is outstanding (RFC 5927 section 4.1).
    pub seq: u32,
    /// Bytes that the whole packet had, as its IP header says: what was too big was longer than the MTU that is claimed.
    pub packet_len: u32,
}

#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct TcpStart {
    source_port: U16,
    destination_port: U16,
    sequence: U32,
}

impl QuotedTcp {
    /// Reads the quoted start of an IPv4 packet; errors unless it is a TCP segment's start with at least 8 of its bytes.
    pub fn of_v4(quoted: &[u8]) -> Result<Self, Error> {
        let view = Ipv4View::parse_start(quoted)?;
        if view.fragment().is_some_and(|fragment| fragment.offset != 0) {
            return Err(Error::new(Protocol::Ipv4, Field::Fragment));
        }
        if view.protocol() != IpProtocol::TCP {
            return Err(Error::new(Protocol::Ipv4, Field::ProtocolNumber));
        }
        let start = TcpStart::of(view.payload())?;
        Ok(start.quoted(view.source().into(), view.destination().into(), view.total_len().into()))
    }

    /// Reads the quoted start of an IPv6 packet; errors unless it is a TCP segment's start with at least 8 of its bytes.
    pub fn of_v6(quoted: &[u8]) -> Result<Self, Error> {
        let view = Ipv6View::parse_start(quoted)?;
        let upper = view.walk()?;
        if upper.fragment.is_some_and(|fragment| fragment.offset != 0) {
            return Err(Error::new(Protocol::Ipv6, Field::Fragment));
        }
        if upper.protocol != IpProtocol::TCP {
            return Err(Error::new(Protocol::Ipv6, Field::ProtocolNumber));
        }
        let start = TcpStart::of(upper.payload)?;
        let packet_len = super::ipv6::HEADER_LEN as u32 + u32::from(view.payload_len());
        Ok(start.quoted(view.source().into(), view.destination().into(), packet_len))
    }
}

impl TcpStart {
    fn of(bytes: &[u8]) -> Result<&Self, Error> {
        match Self::ref_from_prefix(bytes) {
            Ok((start, _)) => Ok(start),
            Err(_) => Err(Error::new(Protocol::Tcp, Field::Length)),
        }
    }

    fn quoted(&self, local: super::Address, remote: super::Address, packet_len: u32) -> QuotedTcp {
        QuotedTcp {
            tuple: Tuple {
                local,
                remote,
                local_port: self.source_port.get(),
                remote_port: self.destination_port.get(),
            },
            seq: self.sequence.get(),
            packet_len,
        }
    }
}

#[cfg(test)]
mod tests;
