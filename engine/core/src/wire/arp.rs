//! ARP for IPv4 over Ethernet (RFC 826).

use core::net::Ipv4Addr;

use zerocopy::byteorder::network_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{Error, EtherType, Field, MacAddress, NoRoom, Protocol};

/// Bytes of an ARP packet for IPv4 over Ethernet.
pub const PACKET_LEN: usize = 28;

const HARDWARE_ETHERNET: u16 = 1;

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Header {
    hardware_type: U16,
    protocol_type: U16,
    hardware_len: u8,
    protocol_len: u8,
    operation: U16,
    sender_hardware: MacAddress,
    sender_protocol: [u8; 4],
    target_hardware: MacAddress,
    target_protocol: [u8; 4],
}

/// What an ARP packet wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Who has the target's protocol address?
    Request,
    /// The sender has it.
    Reply,
}

/// An ARP packet for IPv4 over Ethernet, its types and lengths checked.
#[derive(Clone, Copy)]
pub struct ArpView<'a> {
    header: &'a Header,
}

impl<'a> ArpView<'a> {
    /// Checks length, types and lengths of addresses; padding after the packet is ignored.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let (header, _padding) =
            Header::ref_from_prefix(bytes).map_err(|_| Error::new(Protocol::Arp, Field::Length))?;
        if header.hardware_type.get() != HARDWARE_ETHERNET || header.protocol_type.get() != EtherType::IPV4.0
        {
            return Err(Error::new(Protocol::Arp, Field::ProtocolNumber));
        }
        if header.hardware_len != 6 || header.protocol_len != 4 {
            return Err(Error::new(Protocol::Arp, Field::HeaderLength));
        }
        Ok(Self { header })
    }

    /// The operation's number: 1 is a request, 2 a reply.
    pub const fn operation(&self) -> u16 {
        self.header.operation.get()
    }

    /// The sender's hardware address.
    pub const fn sender_hardware(&self) -> MacAddress {
        self.header.sender_hardware
    }

    /// The sender's IPv4 address; unspecified in a probe (RFC 5227).
    pub const fn sender_protocol(&self) -> Ipv4Addr {
        Ipv4Addr::from_octets(self.header.sender_protocol)
    }

    /// The target's hardware address; meaningless in a request.
    pub const fn target_hardware(&self) -> MacAddress {
        self.header.target_hardware
    }

    /// The IPv4 address that is asked for, or that the reply goes to.
    pub const fn target_protocol(&self) -> Ipv4Addr {
        Ipv4Addr::from_octets(self.header.target_protocol)
    }
}

/// An ARP request or reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArpRepr {
    /// Request or reply.
    pub operation: Operation,
    /// The sender's hardware address.
    pub sender_hardware: MacAddress,
    /// The sender's IPv4 address; unspecified in a probe (RFC 5227).
    pub sender_protocol: Ipv4Addr,
    /// The target's hardware address; zero in a request.
    pub target_hardware: MacAddress,
    /// The IPv4 address that is asked for, or that the reply goes to.
    pub target_protocol: Ipv4Addr,
}

impl ArpRepr {
    /// Reads a packet; errors also when the operation is neither request nor reply.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let view = ArpView::parse(bytes)?;
        let operation = match view.operation() {
            1 => Operation::Request,
            2 => Operation::Reply,
            _ => return Err(Error::new(Protocol::Arp, Field::Operation)),
        };
        Ok(Self {
            operation,
            sender_hardware: view.sender_hardware(),
            sender_protocol: view.sender_protocol(),
            target_hardware: view.target_hardware(),
            target_protocol: view.target_protocol(),
        })
    }

    /// Writes [`PACKET_LEN`] bytes to the front of `buffer` and returns their number.
    pub fn emit(&self, buffer: &mut [u8]) -> Result<usize, NoRoom> {
        let Self { operation, sender_hardware, sender_protocol, target_hardware, target_protocol } = *self;
        let operation = match operation {
            Operation::Request => 1,
            Operation::Reply => 2,
        };
        let header = Header {
            hardware_type: U16::new(HARDWARE_ETHERNET),
            protocol_type: U16::new(EtherType::IPV4.0),
            hardware_len: 6,
            protocol_len: 4,
            operation: U16::new(operation),
            sender_hardware,
            sender_protocol: sender_protocol.octets(),
            target_hardware,
            target_protocol: target_protocol.octets(),
        };
        header.write_to_prefix(buffer).map_err(|_| NoRoom { needed: PACKET_LEN })?;
        Ok(PACKET_LEN)
    }
}

#[cfg(test)]
mod tests;
