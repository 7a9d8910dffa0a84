//! What can be wrong with bytes: which protocol, which field.

use core::fmt;

/// A frame or message that cannot be used: the peer's (or the network's) fault, never ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Error {
    /// The protocol whose rules are broken.
    pub protocol: Protocol,
    /// The field that breaks them.
    pub field: Field,
}

impl Error {
    /// An error of `protocol` at `field`.
    #[inline]
    pub const fn new(protocol: Protocol, field: Field) -> Self {
        Self { protocol, field }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: bad {}", self.protocol.name(), self.field.name())
    }
}

impl core::error::Error for Error {}

/// The protocols that this module reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Protocol {
    /// Ethernet II.
    Ethernet,
    /// IEEE 802.1Q and 802.1ad tags.
    Vlan,
    /// ARP for IPv4 over Ethernet, RFC 826.
    Arp,
    /// IPv4, RFC 791.
    Ipv4,
    /// IPv6, RFC 8200.
    Ipv6,
    /// ICMP, RFC 792.
    Icmpv4,
    /// `ICMPv6`, RFC 4443.
    Icmpv6,
    /// Neighbor discovery, RFC 4861.
    Ndp,
    /// TCP, RFC 9293.
    Tcp,
}

impl Protocol {
    /// A short name, as in a counter's label.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ethernet => "ethernet",
            Self::Vlan => "vlan",
            Self::Arp => "arp",
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
            Self::Icmpv4 => "icmpv4",
            Self::Icmpv6 => "icmpv6",
            Self::Ndp => "ndp",
            Self::Tcp => "tcp",
        }
    }
}

/// The part of a header that is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Field {
    /// Fewer bytes than the fixed header, or a length field that disagrees with the bytes there are.
    Length,
    /// The length of the header itself (IHL, data offset).
    HeaderLength,
    /// The IP version.
    Version,
    /// A protocol number nothing here handles: `EtherType`, next header, ARP hardware or protocol type.
    ProtocolNumber,
    /// ARP's operation.
    Operation,
    /// A checksum that does not match.
    Checksum,
    /// A fragment where a whole datagram is needed.
    Fragment,
    /// An option or extension header that is malformed, or must not be ignored and is unknown.
    Extension,
    /// More VLAN tags or extension headers than are followed.
    Depth,
    /// An IPv6 routing header that still has segments to visit.
    RoutingHeader,
    /// The hop limit, where the protocol prescribes one.
    HopLimit,
    /// An ICMP code that its type does not have.
    Code,
    /// An address that must not stand there.
    Address,
}

impl Field {
    /// A short name, as in a counter's label.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Length => "length",
            Self::HeaderLength => "header length",
            Self::Version => "version",
            Self::ProtocolNumber => "protocol number",
            Self::Operation => "operation",
            Self::Checksum => "checksum",
            Self::Fragment => "fragment",
            Self::Extension => "extension",
            Self::Depth => "depth",
            Self::RoutingHeader => "routing header",
            Self::HopLimit => "hop limit",
            Self::Code => "code",
            Self::Address => "address",
        }
    }
}

/// The buffer handed to an `emit` is too short: the caller's mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRoom {
    /// Bytes that the header needs.
    pub needed: usize,
}

impl fmt::Display for NoRoom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the buffer is too short: {} bytes needed", self.needed)
    }
}

impl core::error::Error for NoRoom {}
