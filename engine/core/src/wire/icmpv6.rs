//! ICMP for IPv6 (RFC 4443). Neighbor discovery is in [`super::ndp`].

use super::icmp::{EchoId, HEADER_LEN, IcmpView, Start};
use super::{Error, Field, NoRoom, Protocol, Sum};

const DESTINATION_UNREACHABLE: u8 = 1;
const PACKET_TOO_BIG: u8 = 2;
const TIME_EXCEEDED: u8 = 3;
const PARAMETER_PROBLEM: u8 = 4;
const ECHO_REQUEST: u8 = 128;
const ECHO_REPLY: u8 = 129;

/// A message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Icmpv6Repr<'a> {
    /// Type 1.
    DestinationUnreachable {
        /// Why: RFC 4443 section 3.1 (4 is "port unreachable").
        code: u8,
        /// The start of the packet that did not arrive.
        quoted: &'a [u8],
    },
    /// Type 2.
    PacketTooBig {
        /// The next hop's MTU in bytes.
        mtu: u32,
        /// The start of the packet that did not arrive.
        quoted: &'a [u8],
    },
    /// Type 3.
    TimeExceeded {
        /// 0: in transit; 1: in reassembly.
        code: u8,
        /// The start of the packet that did not arrive.
        quoted: &'a [u8],
    },
    /// Type 4.
    ParameterProblem {
        /// 0: erroneous field; 1: unknown next header; 2: unknown option.
        code: u8,
        /// Offset of the field in the quoted packet, in bytes.
        pointer: u32,
        /// The start of the packet that was refused.
        quoted: &'a [u8],
    },
    /// Type 128.
    EchoRequest {
        /// Identifier and sequence number.
        id: EchoId,
        /// To be sent back.
        data: &'a [u8],
    },
    /// Type 129.
    EchoReply {
        /// The request's identifier and sequence number.
        id: EchoId,
        /// The request's data.
        data: &'a [u8],
    },
    /// Any other type, neighbor discovery included.
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

impl<'a> Icmpv6Repr<'a> {
    /// Reads a message and verifies its checksum; `pseudo_header` is [`Sum::pseudo_v6`] over the message's length.
    pub fn parse(message: &'a [u8], pseudo_header: Sum) -> Result<Self, Error> {
        let view = IcmpView::parse(message, Protocol::Icmpv6)?;
        if !view.sum().add(pseudo_header).is_valid() {
            return Err(Error::new(Protocol::Icmpv6, Field::Checksum));
        }
        let body = view.body();
        Ok(match (view.kind(), view.code()) {
            (DESTINATION_UNREACHABLE, code) => Self::DestinationUnreachable { code, quoted: body },
            // RFC 4443 section 3.2: the code is ignored by the receiver.
            (PACKET_TOO_BIG, _) => Self::PacketTooBig { mtu: view.rest(), quoted: body },
            (TIME_EXCEEDED, code) => Self::TimeExceeded { code, quoted: body },
            (PARAMETER_PROBLEM, code) => Self::ParameterProblem { code, pointer: view.rest(), quoted: body },
            (ECHO_REQUEST, 0) => Self::EchoRequest { id: view.echo(), data: body },
            (ECHO_REPLY, 0) => Self::EchoReply { id: view.echo(), data: body },
            (kind, code) => Self::Other { kind, code, rest: view.rest(), body },
        })
    }

    /// Bytes of the whole message.
    pub const fn message_len(&self) -> usize {
        HEADER_LEN + self.body().len()
    }

    /// What follows the header.
    const fn body(&self) -> &'a [u8] {
        match *self {
            Self::DestinationUnreachable { code: _, quoted }
            | Self::PacketTooBig { mtu: _, quoted }
            | Self::TimeExceeded { code: _, quoted }
            | Self::ParameterProblem { code: _, pointer: _, quoted } => quoted,
            Self::EchoRequest { id: _, data } | Self::EchoReply { id: _, data } => data,
            Self::Other { kind: _, code: _, rest: _, body } => body,
        }
    }

    /// Writes the message with its checksum to the front of `buffer` and returns its length in bytes;
    /// `pseudo_header` is [`Sum::pseudo_v6`] over [`Icmpv6Repr::message_len`].
    pub fn emit(&self, buffer: &mut [u8], pseudo_header: Sum) -> Result<usize, NoRoom> {
        let start = match *self {
            Self::DestinationUnreachable { code, quoted: _ } => {
                Start { kind: DESTINATION_UNREACHABLE, code, rest: 0 }
            }
            Self::PacketTooBig { mtu, quoted: _ } => Start { kind: PACKET_TOO_BIG, code: 0, rest: mtu },
            Self::TimeExceeded { code, quoted: _ } => Start { kind: TIME_EXCEEDED, code, rest: 0 },
            Self::ParameterProblem { code, pointer, quoted: _ } => {
                Start { kind: PARAMETER_PROBLEM, code, rest: pointer }
            }
            Self::EchoRequest { id, data: _ } => Start { kind: ECHO_REQUEST, code: 0, rest: id.rest() },
            Self::EchoReply { id, data: _ } => Start { kind: ECHO_REPLY, code: 0, rest: id.rest() },
            Self::Other { kind, code, rest, body: _ } => Start { kind, code, rest },
        };
        start.emit(self.body(), buffer, pseudo_header)
    }
}

#[cfg(test)]
mod tests;
