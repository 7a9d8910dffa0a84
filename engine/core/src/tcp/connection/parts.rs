//! What a connection keeps in a few bits: its window scales, its ports, its way to the peer.

/// Both window scales of a connection (RFC 7323 section 2.2), 0 to 14 each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Scales(u8);

impl Scales {
    /// `send` for windows that the peer advertises, `receive` for ours; values above 14 count as 14.
    pub fn new(send: u8, receive: u8) -> Self {
        Self(send.min(14) << 4 | receive.min(14))
    }

    /// The shift of windows that the peer advertises.
    #[inline]
    pub const fn send(self) -> u8 {
        self.0 >> 4
    }

    /// The shift of windows that we advertise.
    #[inline]
    pub const fn receive(self) -> u8 {
        self.0 & 15
    }
}

/// The two ports of a connection, as our segments carry them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports([u8; 4]);

impl Ports {
    /// Our port and the peer's.
    pub const fn new(local: u16, remote: u16) -> Self {
        Self(((local as u32) << 16 | remote as u32).to_be_bytes())
    }

    /// Our port.
    #[inline]
    pub const fn local(self) -> u16 {
        u16::from_be_bytes([self.0[0], self.0[1]])
    }

    /// The peer's port.
    #[inline]
    pub const fn remote(self) -> u16 {
        u16::from_be_bytes([self.0[2], self.0[3]])
    }

    /// The first four octets of the header of our segments.
    #[inline(always)]
    pub const fn octets(self) -> [u8; 4] {
        self.0
    }
}

/// Which way segments of a connection leave: over which neighbour, from which address of ours, as which traffic class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route(u32);

impl Route {
    /// No way at all: no neighbour has this index.
    pub const NONE: Self = Self(u32::MAX);

    /// Over the neighbour of this index, from our address of that index.
    pub const fn new(neighbour: u16, local: u8) -> Self {
        Self((neighbour as u32) << 8 | local as u32)
    }

    /// Index of the next hop in the neighbour cache.
    #[inline]
    pub const fn neighbour(self) -> u16 {
        (self.0 >> 8) as u16
    }

    /// Index of our address.
    #[inline]
    pub const fn local(self) -> usize {
        (self.0 & 0xff) as usize
    }

    /// The traffic class of new octets: DSCP and ECN.
    #[inline]
    pub const fn traffic_class(self) -> u8 {
        (self.0 >> 24) as u8
    }

    /// The same way, as another traffic class.
    pub const fn with_traffic_class(self, class: u8) -> Self {
        Self(self.0 & 0xff_ffff | (class as u32) << 24)
    }

    /// The same way for all but new octets: not ECN-capable.
    #[inline(always)]
    pub const fn not_ect(self) -> Self {
        Self(self.0 & !(3 << 24))
    }
}
