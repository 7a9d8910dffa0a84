//! One engine on a port in memory, driven segment by segment in virtual time.
#![allow(unreachable_pub, reason = "two test programs see different parts of it")]

mod application;
mod neighbour;
mod peer;
mod port;
mod segment;
mod world;

pub use application::{Event, Recorder};
pub use peer::{Offer, Peer};
pub use port::MemoryPort;
pub use segment::{Got, Seg, forge_ip, pseudo_header, read, seg};
pub use world::{LOCAL, LOCAL_V6, OWN_MAC, PEER, PEER_MAC, PEER_V6, PORT, World, address, config};

pub use bywash_core::shard::{CloseReason, Host, Origin};
pub use bywash_core::stack::{DropReason, ListenOptions};
pub use bywash_core::wire::tcp::Flags;

/// ACK.
pub const ACK: Flags = Flags::ACK;
/// SYN.
pub const SYN: Flags = Flags::SYN;
/// SYN and ACK.
pub const SYN_ACK: Flags = Flags::SYN.with(Flags::ACK);
/// FIN and ACK.
pub const FIN: Flags = Flags::FIN.with(Flags::ACK);
/// PSH and ACK.
pub const PSH: Flags = Flags::PSH.with(Flags::ACK);
/// FIN, PSH and ACK.
pub const FIN_PSH: Flags = Flags::FIN.with(PSH);
/// RST.
pub const RST: Flags = Flags::RST;
/// RST and ACK.
pub const RST_ACK: Flags = Flags::RST.with(Flags::ACK);

/// `len` octets that differ by position.
pub fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 7 + i / 251) as u8).collect()
}
