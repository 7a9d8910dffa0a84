//! What IPv4 and IPv6 have in common.

/// A protocol number of the IPv4 header, or a next header of IPv6 (IANA, "Assigned Internet Protocol Numbers").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct IpProtocol(pub u8);

impl IpProtocol {
    /// IPv6 hop-by-hop options, RFC 8200 section 4.3.
    pub const HOP_BY_HOP: Self = Self(0);
    /// ICMP for IPv4.
    pub const ICMPV4: Self = Self(1);
    /// TCP.
    pub const TCP: Self = Self(6);
    /// UDP.
    pub const UDP: Self = Self(17);
    /// IPv6 routing header, RFC 8200 section 4.4.
    pub const ROUTING: Self = Self(43);
    /// IPv6 fragment header, RFC 8200 section 4.5.
    pub const FRAGMENT: Self = Self(44);
    /// ICMP for IPv6.
    pub const ICMPV6: Self = Self(58);
    /// Nothing follows, RFC 8200 section 4.7.
    pub const NO_NEXT_HEADER: Self = Self(59);
    /// IPv6 destination options, RFC 8200 section 4.6.
    pub const DESTINATION_OPTIONS: Self = Self(60);
}

/// Where a fragment belongs in its datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// The datagram's identification: 16 bits in IPv4, 32 in IPv6.
    pub identification: u32,
    /// Offset of the fragment's data in the datagram, in bytes, a multiple of 8.
    pub offset: u16,
    /// Whether this is the last one.
    pub more: MoreFragments,
}

/// The "more fragments" flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MoreFragments {
    /// Fragments with higher offsets exist.
    Follow,
    /// This is the datagram's end.
    Last,
}

impl MoreFragments {
    /// From the flag's bit, zero or not.
    #[inline]
    pub(crate) const fn from_bit(bit: u16) -> Self {
        if bit == 0 { Self::Last } else { Self::Follow }
    }
}

/// The ECN codepoint: the low two bits of the traffic class, RFC 3168 section 5.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Ecn {
    /// Not ECN-capable.
    NotEct = 0,
    /// ECN-capable, ECT(1).
    Ect1 = 1,
    /// ECN-capable, ECT(0).
    Ect0 = 2,
    /// Congestion experienced.
    Ce = 3,
}

impl Ecn {
    /// The codepoint within a traffic class (IPv4: type of service) byte.
    #[inline]
    pub const fn from_traffic_class(traffic_class: u8) -> Self {
        match traffic_class & 3 {
            0 => Self::NotEct,
            1 => Self::Ect1,
            2 => Self::Ect0,
            _ => Self::Ce,
        }
    }
}
