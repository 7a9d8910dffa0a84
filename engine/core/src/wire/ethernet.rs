//! Ethernet II (RFC 894, RFC 2464).

use core::fmt;

use zerocopy::byteorder::network_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{Address, Error, Field, NoRoom, Protocol};

/// Bytes of an untagged Ethernet header.
pub const HEADER_LEN: usize = 14;

/// A 48-bit hardware address.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(transparent)]
pub struct MacAddress(pub [u8; 6]);

impl MacAddress {
    /// All ones.
    pub const BROADCAST: Self = Self([0xff; 6]);
    /// All zeros: "not known" in an ARP request.
    pub const ZERO: Self = Self([0; 6]);

    /// Whether the group bit is set: multicast or broadcast.
    #[inline]
    pub const fn is_group(self) -> bool {
        self.0[0] & 1 == 1
    }

    /// Whether a station can own this address: neither a group's nor all zeros.
    #[inline]
    pub const fn is_unicast(self) -> bool {
        !self.is_group() && !matches!(self.0, [0, 0, 0, 0, 0, 0])
    }

    /// Where packets to a multicast or broadcast `group` go: RFC 1112 section 6.4, RFC 2464 section 7. `None` for unicast.
    pub const fn of_group(group: Address) -> Option<Self> {
        if group.is_broadcast() {
            return Some(Self::BROADCAST);
        }
        if !group.is_multicast() {
            return None;
        }
        let octets = group.octets();
        let [.., a, b, c, d] = octets;
        Some(if group.is_v4() {
            Self([0x01, 0x00, 0x5e, b & 0x7f, c, d])
        } else {
            Self([0x33, 0x33, a, b, c, d])
        })
    }
}

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, rest @ ..] = self.0;
        write!(f, "{first:02x}")?;
        rest.iter().try_for_each(|octet| write!(f, ":{octet:02x}"))
    }
}

impl fmt::Debug for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The protocol that an Ethernet frame carries (IANA, "IEEE 802 Numbers").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct EtherType(pub u16);

impl EtherType {
    /// IPv4.
    pub const IPV4: Self = Self(0x0800);
    /// ARP.
    pub const ARP: Self = Self(0x0806);
    /// A customer VLAN tag, IEEE 802.1Q.
    pub const VLAN: Self = Self(0x8100);
    /// IPv6.
    pub const IPV6: Self = Self(0x86dd);
    /// A service VLAN tag, IEEE 802.1ad.
    pub const SERVICE_VLAN: Self = Self(0x88a8);
}

/// The header as it lies on the wire.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct Header {
    pub(super) destination: MacAddress,
    pub(super) source: MacAddress,
    pub(super) ether_type: U16,
}

/// A frame of at least [`HEADER_LEN`] bytes.
#[derive(Clone, Copy)]
pub struct EthernetView<'a> {
    header: &'a Header,
    payload: &'a [u8],
}

impl<'a> EthernetView<'a> {
    /// Any frame of at least [`HEADER_LEN`] bytes.
    #[inline]
    pub fn parse(frame: &'a [u8]) -> Result<Self, Error> {
        let (header, payload) =
            Header::ref_from_prefix(frame).map_err(|_| Error::new(Protocol::Ethernet, Field::Length))?;
        Ok(Self { header, payload })
    }

    /// The station it goes to.
    #[inline]
    pub const fn destination(&self) -> MacAddress {
        self.header.destination
    }

    /// The station it comes from.
    #[inline]
    pub const fn source(&self) -> MacAddress {
        self.header.source
    }

    /// The type field: a VLAN tag's if the frame is tagged.
    #[inline]
    pub const fn ether_type(&self) -> EtherType {
        EtherType(self.header.ether_type.get())
    }

    /// What follows the header, padding included.
    #[inline]
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }
}

/// An untagged Ethernet header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EthernetRepr {
    /// The station it goes to.
    pub destination: MacAddress,
    /// The station it comes from.
    pub source: MacAddress,
    /// What follows.
    pub ether_type: EtherType,
}

impl EthernetRepr {
    /// The values of a view.
    #[inline]
    pub const fn of(view: &EthernetView<'_>) -> Self {
        Self { destination: view.destination(), source: view.source(), ether_type: view.ether_type() }
    }

    /// Writes [`HEADER_LEN`] bytes to the front of `buffer` and returns their number.
    #[inline]
    pub fn emit(&self, buffer: &mut [u8]) -> Result<usize, NoRoom> {
        let Self { destination, source, ether_type } = *self;
        let header = Header { destination, source, ether_type: U16::new(ether_type.0) };
        header.write_to_prefix(buffer).map_err(|_| NoRoom { needed: HEADER_LEN })?;
        Ok(HEADER_LEN)
    }
}

#[cfg(test)]
mod tests;
