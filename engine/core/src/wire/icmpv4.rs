//! ICMP for IPv4 (RFC 792, RFC 1122 section 3.2.2, RFC 1191).

use super::icmp::{EchoId, HEADER_LEN, IcmpView, Start};
use super::{Error, Field, NoRoom, Protocol, Sum};

const ECHO_REPLY: u8 = 0;
const DESTINATION_UNREACHABLE: u8 = 3;
const ECHO_REQUEST: u8 = 8;
const TIME_EXCEEDED: u8 = 11;

/// Why a destination cannot be reached: the code, and what it carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreachable {
    /// Code 0: network.
    Network,
    /// Code 1: host.
    Host,
    /// Code 2: protocol.
    Protocol,
    /// Code 3: port.
    Port,
    /// Code 4: fragmentation needed and DF set.
    FragmentationNeeded {
        /// The next hop's MTU in bytes; 0 from a router older than RFC 1191.
        next_hop_mtu: u16,
    },
    /// Code 5: source route failed.
    SourceRouteFailed,
    /// Any other code: RFC 1122 section 3.2.2.1, RFC 1812 section 5.2.7.1.
    Other(u8),
}

impl Unreachable {
    const fn of(code: u8, rest: u32) -> Self {
        match code {
            0 => Self::Network,
            1 => Self::Host,
            2 => Self::Protocol,
            3 => Self::Port,
            4 => Self::FragmentationNeeded { next_hop_mtu: rest as u16 },
            5 => Self::SourceRouteFailed,
            other => Self::Other(other),
        }
    }

    /// The code on the wire.
    pub const fn code(self) -> u8 {
        match self {
            Self::Network => 0,
            Self::Host => 1,
            Self::Protocol => 2,
            Self::Port => 3,
            Self::FragmentationNeeded { next_hop_mtu: _ } => 4,
            Self::SourceRouteFailed => 5,
            Self::Other(code) => code,
        }
    }

    const fn rest(self) -> u32 {
        match self {
            Self::FragmentationNeeded { next_hop_mtu } => next_hop_mtu as u32,
            Self::Network
            | Self::Host
            | Self::Protocol
            | Self::Port
            | Self::SourceRouteFailed
            | Self::Other(_) => 0,
        }
    }
}

/// A message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Icmpv4Repr<'a> {
    /// Type 8.
    EchoRequest {
        /// Identifier and sequence number.
        id: EchoId,
        /// To be sent back.
        data: &'a [u8],
    },
    /// Type 0.
    EchoReply {
        /// The request's identifier and sequence number.
        id: EchoId,
        /// The request's data.
        data: &'a [u8],
    },
    /// Type 3.
    DestinationUnreachable {
        /// Why.
        reason: Unreachable,
        /// The start of the packet that did not arrive.
        quoted: &'a [u8],
    },
    /// Type 11.
    TimeExceeded {
        /// 0: in transit; 1: in reassembly.
        code: u8,
        /// The start of the packet that did not arrive.
        quoted: &'a [u8],
    },
    /// Any other type; cannot be emitted with more than its header's four bytes and body as they were.
    Other {
        /// The type.
        kind: u8,
        /// The code.
        code: u8,
        /// The four bytes after the checksum.
        rest: u32,
        /// What follows.
        body: &'a [u8],
    },
}

impl<'a> Icmpv4Repr<'a> {
    /// Reads a message and verifies its checksum.
    pub fn parse(message: &'a [u8]) -> Result<Self, Error> {
        let view = IcmpView::parse(message, Protocol::Icmpv4)?;
        if !view.sum().is_valid() {
            return Err(Error::new(Protocol::Icmpv4, Field::Checksum));
        }
        Ok(match (view.kind(), view.code()) {
            (ECHO_REQUEST, 0) => Self::EchoRequest { id: view.echo(), data: view.body() },
            (ECHO_REPLY, 0) => Self::EchoReply { id: view.echo(), data: view.body() },
            (DESTINATION_UNREACHABLE, code) => Self::DestinationUnreachable {
                reason: Unreachable::of(code, view.rest()),
                quoted: view.body(),
            },
            (TIME_EXCEEDED, code) => Self::TimeExceeded { code, quoted: view.body() },
            (kind, code) => Self::Other { kind, code, rest: view.rest(), body: view.body() },
        })
    }

    /// Bytes of the whole message.
    pub const fn message_len(&self) -> usize {
        HEADER_LEN + self.body().len()
    }

    /// What follows the header.
    const fn body(&self) -> &'a [u8] {
        match *self {
            Self::EchoRequest { id: _, data } | Self::EchoReply { id: _, data } => data,
            Self::DestinationUnreachable { reason: _, quoted } | Self::TimeExceeded { code: _, quoted } => {
                quoted
            }
            Self::Other { kind: _, code: _, rest: _, body } => body,
        }
    }

    /// Writes the message with its checksum to the front of `buffer` and returns its length in bytes.
    pub fn emit(&self, buffer: &mut [u8]) -> Result<usize, NoRoom> {
        let start = match *self {
            Self::EchoRequest { id, data: _ } => Start { kind: ECHO_REQUEST, code: 0, rest: id.rest() },
            Self::EchoReply { id, data: _ } => Start { kind: ECHO_REPLY, code: 0, rest: id.rest() },
            Self::DestinationUnreachable { reason, quoted: _ } => {
                Start { kind: DESTINATION_UNREACHABLE, code: reason.code(), rest: reason.rest() }
            }
            Self::TimeExceeded { code, quoted: _ } => Start { kind: TIME_EXCEEDED, code, rest: 0 },
            Self::Other { kind, code, rest, body: _ } => Start { kind, code, rest },
        };
        start.emit(self.body(), buffer, Sum::ZERO)
    }
}

#[cfg(test)]
mod tests;
