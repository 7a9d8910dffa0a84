//! Frames as values: for each protocol a total *view* over bytes that passed its length check, and a *repr* value that is
//! parsed at the edge and emitted into a buffer.
//!
//! Nothing here allocates, blocks, reads a clock or panics on what a peer sent.
#![forbid(unsafe_code)]

pub mod address;
pub mod arp;
pub mod checksum;
mod error;
pub mod ethernet;
pub mod hash;
pub mod icmp;
pub mod icmpv4;
pub mod icmpv6;
pub mod ip;
pub mod ipv4;
pub mod ipv6;
pub mod ndp;
pub mod parse;
pub mod tcp;
pub mod vlan;

pub use address::{Address, Cidr, Tuple};
pub use checksum::{Parity, Sum};
pub use error::{Error, Field, NoRoom, Protocol};
pub use ethernet::{EtherType, MacAddress};
pub use ip::{Ecn, Fragment, IpProtocol};
pub use parse::{Family, Kind, Medium, Packet, TcpFields, classify};

#[cfg(test)]
mod tests;
