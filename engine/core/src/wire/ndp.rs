//! Neighbor discovery: solicitation and advertisement (RFC 4861 sections 4.3, 4.4 and 7.1).

use core::net::Ipv6Addr;

use super::icmp::{HEADER_LEN, IcmpView, Start};
use super::{Address, Error, Field, MacAddress, NoRoom, Protocol, Sum};

/// The hop limit of every message: proof that no router forwarded it.
pub const HOP_LIMIT: u8 = 255;
/// Bytes of the longest message that is emitted: header, target and one link-layer address option.
pub const MESSAGE_LEN_MAX: usize = HEADER_LEN + 16 + OPTION_LEN;

const NEIGHBOR_SOLICITATION: u8 = 135;
const NEIGHBOR_ADVERTISEMENT: u8 = 136;
const SOURCE_LINK_ADDRESS: u8 = 1;
const TARGET_LINK_ADDRESS: u8 = 2;
const OPTION_LEN: usize = 8;

const ROUTER: u32 = 1 << 31;
const SOLICITED: u32 = 1 << 30;
const OVERRIDE: u32 = 1 << 29;

/// Who advertises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The R flag is clear.
    Host,
    /// The R flag is set.
    Router,
}

/// Why somebody advertises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// The S flag is clear.
    Unsolicited,
    /// The S flag is set: an answer, which proves that the neighbor is reachable.
    Solicited,
}

/// What an advertisement may do to an address that is known already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Override {
    /// The O flag is clear: leave it.
    Keep,
    /// The O flag is set: replace it.
    Replace,
}

/// A message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NdpRepr {
    /// Type 135.
    Solicitation {
        /// The address that is asked for.
        target: Ipv6Addr,
        /// The sender's link-layer address; not with an unspecified source.
        source_link_address: Option<MacAddress>,
    },
    /// Type 136.
    Advertisement {
        /// The R flag.
        role: Role,
        /// The S flag.
        occasion: Occasion,
        /// The O flag.
        overriding: Override,
        /// The address that is spoken for.
        target: Ipv6Addr,
        /// Its link-layer address; may be left out of an answer to a unicast solicitation.
        target_link_address: Option<MacAddress>,
    },
}

/// What a message is checked against besides its own bytes.
#[derive(Clone, Copy, Debug)]
pub struct Envelope {
    /// The packet's source.
    pub source: Ipv6Addr,
    /// The packet's destination.
    pub destination: Ipv6Addr,
    /// The packet's hop limit.
    pub hop_limit: u8,
}

impl NdpRepr {
    /// Whether an `ICMPv6` type is one of the two messages.
    pub const fn has_type(kind: u8) -> bool {
        matches!(kind, NEIGHBOR_SOLICITATION | NEIGHBOR_ADVERTISEMENT)
    }

    /// Reads and validates a message (RFC 4861 sections 7.1.1 and 7.1.2). The checksum must have been verified.
    pub fn parse(message: &[u8], envelope: &Envelope) -> Result<Self, Error> {
        if envelope.hop_limit != HOP_LIMIT {
            return Err(Error::new(Protocol::Ndp, Field::HopLimit));
        }
        let view = IcmpView::parse(message, Protocol::Ndp)?;
        if view.code() != 0 {
            return Err(Error::new(Protocol::Ndp, Field::Code));
        }
        let (target, options) =
            view.body().split_first_chunk::<16>().ok_or(Error::new(Protocol::Ndp, Field::Length))?;
        let target = Ipv6Addr::from_octets(*target);
        if target.is_multicast() {
            return Err(Error::new(Protocol::Ndp, Field::Address));
        }
        match view.kind() {
            NEIGHBOR_SOLICITATION => Self::solicitation(target, options, envelope),
            NEIGHBOR_ADVERTISEMENT => Self::advertisement(view.rest(), target, options, envelope),
            _ => Err(Error::new(Protocol::Ndp, Field::ProtocolNumber)),
        }
    }

    fn solicitation(target: Ipv6Addr, options: &[u8], envelope: &Envelope) -> Result<Self, Error> {
        let source_link_address = find_link_address(options, SOURCE_LINK_ADDRESS)?;
        let probe = envelope.source.is_unspecified();
        if probe && (source_link_address.is_some() || !is_solicited_node(envelope.destination)) {
            return Err(Error::new(Protocol::Ndp, Field::Address));
        }
        Ok(Self::Solicitation { target, source_link_address })
    }

    fn advertisement(
        flags: u32,
        target: Ipv6Addr,
        options: &[u8],
        envelope: &Envelope,
    ) -> Result<Self, Error> {
        if envelope.destination.is_multicast() && flags & SOLICITED != 0 {
            return Err(Error::new(Protocol::Ndp, Field::Address));
        }
        Ok(Self::Advertisement {
            role: if flags & ROUTER == 0 { Role::Host } else { Role::Router },
            occasion: if flags & SOLICITED == 0 { Occasion::Unsolicited } else { Occasion::Solicited },
            overriding: if flags & OVERRIDE == 0 { Override::Keep } else { Override::Replace },
            target,
            target_link_address: find_link_address(options, TARGET_LINK_ADDRESS)?,
        })
    }

    /// Bytes of the whole message: 24, or 32 with a link-layer address.
    pub const fn message_len(&self) -> usize {
        let link_address = match self {
            Self::Solicitation { target: _, source_link_address } => source_link_address,
            Self::Advertisement { target_link_address, .. } => target_link_address,
        };
        if link_address.is_some() { MESSAGE_LEN_MAX } else { MESSAGE_LEN_MAX - OPTION_LEN }
    }

    /// Writes the message with its checksum to the front of `buffer` and returns its length in bytes;
    /// `pseudo_header` is [`Sum::pseudo_v6`] over [`NdpRepr::message_len`].
    pub fn emit(&self, buffer: &mut [u8], pseudo_header: Sum) -> Result<usize, NoRoom> {
        let (start, target, option) = match *self {
            Self::Solicitation { target, source_link_address } => {
                let start = Start { kind: NEIGHBOR_SOLICITATION, code: 0, rest: 0 };
                (start, target, source_link_address.map(|mac| (SOURCE_LINK_ADDRESS, mac)))
            }
            Self::Advertisement { role, occasion, overriding, target, target_link_address } => {
                let rest = flag(role == Role::Router, ROUTER)
                    | flag(occasion == Occasion::Solicited, SOLICITED)
                    | flag(overriding == Override::Replace, OVERRIDE);
                let start = Start { kind: NEIGHBOR_ADVERTISEMENT, code: 0, rest };
                (start, target, target_link_address.map(|mac| (TARGET_LINK_ADDRESS, mac)))
            }
        };
        let mut body = [0; MESSAGE_LEN_MAX - HEADER_LEN];
        body[..16].copy_from_slice(&target.octets());
        let Some((kind, MacAddress(mac))) = option else {
            return start.emit(&body[..16], buffer, pseudo_header);
        };
        body[16] = kind;
        body[17] = 1;
        body[18..].copy_from_slice(&mac);
        start.emit(&body, buffer, pseudo_header)
    }
}

const fn flag(set: bool, bit: u32) -> u32 {
    if set { bit } else { 0 }
}

/// The solicited-node multicast address of `address` (RFC 4291 section 2.7.1).
pub const fn solicited_node(address: Ipv6Addr) -> Address {
    let [.., a, b, c] = address.octets();
    Address::v6([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, a, b, c])
}

fn is_solicited_node(address: Ipv6Addr) -> bool {
    solicited_node(address) == Address::from(address)
}

/// RFC 4861 section 4.6: options have a length in units of 8 bytes, which is never zero; unknown ones are skipped.
/// An address of another length than Ethernet's is skipped too.
fn find_link_address(mut options: &[u8], wanted: u8) -> Result<Option<MacAddress>, Error> {
    const EXTENSION: Error = Error::new(Protocol::Ndp, Field::Extension);
    let mut found = None;
    while !options.is_empty() {
        let &[kind, units, ..] = options else { return Err(EXTENSION) };
        if units == 0 {
            return Err(EXTENSION);
        }
        let (option, after) = options.split_at_checked(units as usize * OPTION_LEN).ok_or(EXTENSION)?;
        if let (true, &[_, _, a, b, c, d, e, f]) = (kind == wanted, option) {
            found = Some(MacAddress([a, b, c, d, e, f]));
        }
        options = after;
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
