//! IP addresses of either family in one type, networks, and the four-tuple of a connection.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::str::FromStr;

/// An IPv6 address, or an IPv4 address in its mapped form `::ffff:a.b.c.d` (RFC 4291 section 2.5.5.2).
///
/// A mapped address always means IPv4: it never appears as an IPv6 address on the wire.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Address([u8; 16]);

impl Address {
    /// `::`, the unspecified IPv6 address. The unspecified IPv4 address is [`Address::UNSPECIFIED_V4`].
    pub const UNSPECIFIED: Self = Self([0; 16]);
    /// `0.0.0.0`.
    pub const UNSPECIFIED_V4: Self = Self::v4([0; 4]);
    /// `255.255.255.255`.
    pub const BROADCAST: Self = Self::v4([255; 4]);

    /// The IPv4 address of these octets.
    #[inline]
    pub const fn v4(octets: [u8; 4]) -> Self {
        let [a, b, c, d] = octets;
        Self([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d])
    }

    /// The IPv6 address of these octets; a mapped one is the IPv4 address.
    #[inline]
    pub const fn v6(octets: [u8; 16]) -> Self {
        Self(octets)
    }

    /// All sixteen octets, in network order.
    #[inline]
    pub const fn octets(self) -> [u8; 16] {
        self.0
    }

    /// Whether this is an IPv4 address.
    #[inline]
    pub const fn is_v4(self) -> bool {
        self.bits() >> 32 == 0xffff
    }

    /// The octets of an IPv4 address.
    #[inline]
    pub const fn as_v4(self) -> Option<[u8; 4]> {
        if self.is_v4() { Some((self.bits() as u32).to_be_bytes()) } else { None }
    }

    /// `0.0.0.0` or `::`.
    #[inline]
    pub const fn is_unspecified(self) -> bool {
        self.bits() == 0 || self.bits() == 0xffff_0000_0000
    }

    /// 127.0.0.0/8 or `::1`.
    #[inline]
    pub const fn is_loopback(self) -> bool {
        match self.as_v4() {
            Some(octets) => octets[0] == 127,
            None => self.bits() == 1,
        }
    }

    /// 224.0.0.0/4 or `ff00::/8`.
    #[inline]
    pub const fn is_multicast(self) -> bool {
        match self.as_v4() {
            Some(octets) => octets[0] & 0xf0 == 0xe0,
            None => self.0[0] == 0xff,
        }
    }

    /// `255.255.255.255`. The broadcast address of a network is [`Cidr::broadcast`].
    #[inline]
    pub const fn is_broadcast(self) -> bool {
        self.bits() == Self::BROADCAST.bits()
    }

    /// `fe80::/10` or 169.254.0.0/16.
    #[inline]
    pub const fn is_link_local(self) -> bool {
        match self.as_v4() {
            Some(octets) => octets[0] == 169 && octets[1] == 254,
            None => self.bits() >> 118 == 0x3fa,
        }
    }

    /// Whether a unicast packet may have this source or go to this destination: neither unspecified, multicast nor broadcast.
    #[inline]
    pub const fn is_unicast(self) -> bool {
        !self.is_unspecified() && !self.is_multicast() && !self.is_broadcast()
    }

    #[inline]
    const fn bits(self) -> u128 {
        u128::from_be_bytes(self.0)
    }

    /// The four big-endian words of the address.
    #[inline]
    const fn words(self) -> [u32; 4] {
        let bits = self.bits();
        [(bits >> 96) as u32, (bits >> 64) as u32, (bits >> 32) as u32, bits as u32]
    }

    /// The address of four big-endian words.
    #[inline]
    const fn from_words([a, b, c, d]: [u32; 4]) -> Self {
        let bits = (a as u128) << 96 | (b as u128) << 64 | (c as u128) << 32 | d as u128;
        Self(bits.to_be_bytes())
    }
}

impl From<Ipv4Addr> for Address {
    #[inline]
    fn from(address: Ipv4Addr) -> Self {
        Self::v4(address.octets())
    }
}

impl From<Ipv6Addr> for Address {
    #[inline]
    fn from(address: Ipv6Addr) -> Self {
        Self::v6(address.octets())
    }
}

impl From<IpAddr> for Address {
    #[inline]
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => address.into(),
            IpAddr::V6(address) => address.into(),
        }
    }
}

impl From<Address> for IpAddr {
    #[inline]
    fn from(address: Address) -> Self {
        match address.as_v4() {
            Some(octets) => Self::V4(Ipv4Addr::from(octets)),
            None => Self::V6(Ipv6Addr::from(address.0)),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        IpAddr::from(*self).fmt(f)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An address and the length of its network's prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cidr {
    address: Address,
    prefix_len: u8,
}

impl Cidr {
    /// `prefix_len` in bits: 0 to 32 for IPv4, 0 to 128 for IPv6, else `None`. The host's bits of `address` are kept.
    #[inline]
    pub const fn new(address: Address, prefix_len: u8) -> Option<Self> {
        let max = if address.is_v4() { 32 } else { 128 };
        if prefix_len <= max { Some(Self { address, prefix_len }) } else { None }
    }

    /// The address, host's bits included.
    #[inline]
    pub const fn address(self) -> Address {
        self.address
    }

    /// The prefix length in bits: 0 to 32 for IPv4, 0 to 128 for IPv6.
    #[inline]
    pub const fn prefix_len(self) -> u8 {
        self.prefix_len
    }

    /// Whether `address` is of the same family and lies in this network.
    #[inline]
    pub const fn contains(self, address: Address) -> bool {
        address.is_v4() == self.address.is_v4()
            && (address.bits() ^ self.address.bits()) & !self.host_mask() == 0
    }

    /// The network's first address.
    #[inline]
    pub const fn network(self) -> Address {
        Address((self.address.bits() & !self.host_mask()).to_be_bytes())
    }

    /// The network's directed broadcast address: IPv4 only, and not in a /31 (RFC 3021) or /32.
    #[inline]
    pub const fn broadcast(self) -> Option<Address> {
        if self.address.is_v4() && self.prefix_len < 31 {
            Some(Address((self.address.bits() | self.host_mask()).to_be_bytes()))
        } else {
            None
        }
    }

    /// Ones where the host's bits are.
    #[inline]
    const fn host_mask(self) -> u128 {
        let family_bits = if self.address.is_v4() { 96 } else { 0 };
        let bits = family_bits + self.prefix_len as u32;
        if bits >= 128 { 0 } else { u128::MAX >> bits }
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix_len)
    }
}

/// Text that is not of the form `address/prefix-length`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CidrSyntax;

impl fmt::Display for CidrSyntax {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected an address and a prefix length, like 198.18.0.1/24 or fd00:198:18::1/64")
    }
}

impl core::error::Error for CidrSyntax {}

impl FromStr for Cidr {
    type Err = CidrSyntax;

    fn from_str(text: &str) -> Result<Self, CidrSyntax> {
        let (address, prefix_len) = text.split_once('/').ok_or(CidrSyntax)?;
        let address: IpAddr = address.parse().map_err(|_| CidrSyntax)?;
        let prefix_len = prefix_len.parse().map_err(|_| CidrSyntax)?;
        Self::new(address.into(), prefix_len).ok_or(CidrSyntax)
    }
}

/// The four-tuple that names a connection, seen from this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tuple {
    /// Our address.
    pub local: Address,
    /// The peer's address.
    pub remote: Address,
    /// Our port.
    pub local_port: u16,
    /// The peer's port.
    pub remote_port: u16,
}

impl Tuple {
    /// Local address, remote address, and both ports (local in the upper half); `None` unless both addresses are IPv4.
    #[inline]
    pub const fn words_v4(&self) -> Option<[u32; 3]> {
        if self.local.is_v4() && self.remote.is_v4() {
            Some([self.local.bits() as u32, self.remote.bits() as u32, self.ports()])
        } else {
            None
        }
    }

    /// Local address, remote address, and both ports (local in the upper half); IPv4 in mapped form.
    #[inline]
    pub const fn words_v6(&self) -> [u32; 9] {
        let [l0, l1, l2, l3] = self.local.words();
        let [r0, r1, r2, r3] = self.remote.words();
        [l0, l1, l2, l3, r0, r1, r2, r3, self.ports()]
    }

    /// The tuple as the other end sees it.
    #[inline]
    pub const fn reversed(&self) -> Self {
        let Self { local, remote, local_port, remote_port } = *self;
        Self { local: remote, remote: local, local_port: remote_port, remote_port: local_port }
    }

    /// The tuple that [`Tuple::words_v4`] made these words from.
    #[inline]
    pub const fn from_words_v4([local, remote, ports]: [u32; 3]) -> Self {
        let (local, remote) = (Address::v4(local.to_be_bytes()), Address::v4(remote.to_be_bytes()));
        Self { local, remote, local_port: (ports >> 16) as u16, remote_port: ports as u16 }
    }

    /// The tuple that [`Tuple::words_v6`] made these words from.
    #[inline]
    pub const fn from_words_v6(words: [u32; 9]) -> Self {
        let [l0, l1, l2, l3, r0, r1, r2, r3, ports] = words;
        Self {
            local: Address::from_words([l0, l1, l2, l3]),
            remote: Address::from_words([r0, r1, r2, r3]),
            local_port: (ports >> 16) as u16,
            remote_port: ports as u16,
        }
    }

    #[inline]
    const fn ports(&self) -> u32 {
        (self.local_port as u32) << 16 | self.remote_port as u32
    }
}

impl fmt::Display for Tuple {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} port {} <- {} port {}", self.local, self.local_port, self.remote, self.remote_port)
    }
}

#[cfg(test)]
mod tests;
