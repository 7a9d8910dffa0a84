//! The other shards: where a flow's frames go when they arrive at the wrong queue, and what all shards know.

use crate::table::TableReader;
use crate::wire::{Address, MacAddress, Tuple};

use super::neighbour::Claim;

/// Something about the network that one shard has learned and all want to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostFact {
    /// The neighbour at this address has this link-layer address.
    Neighbour {
        /// Its network address.
        address: Address,
        /// Its link-layer address.
        mac: MacAddress,
    },
    /// Somebody has said where the neighbour at this address is, perhaps because this shard has asked.
    Claim {
        /// Its network address.
        address: Address,
        /// Its link-layer address, if that was said.
        mac: Option<MacAddress>,
        /// How it was said.
        claim: Claim,
    },
    /// A router has said how large packets may be on the way to this host.
    PathMtu {
        /// The host.
        remote: Address,
        /// Bytes of an IP packet.
        mtu: u16,
    },
}

/// The ring to another shard is full; the frame is dropped and counted, as a congested link would.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingFull;

/// One shard's end of the mesh between the shards of a server.
pub trait Peers {
    /// Copies a frame into the ring of shard `to`, and wakes that shard if it sleeps.
    ///
    /// # Errors
    /// [`RingFull`].
    fn hand_over(&mut self, to: usize, frame: &[u8]) -> Result<(), RingFull>;

    /// Shows the next frame that another shard has handed over; says whether there was one.
    fn next_frame(&mut self, show: impl FnOnce(&[u8])) -> bool;

    /// Tells all other shards.
    fn publish(&mut self, fact: HostFact);

    /// The next thing that another shard has told.
    fn next_fact(&mut self) -> Option<HostFact>;
}

/// The tables that a shard publishes; readable from any thread at any time.
#[derive(Clone)]
pub struct PublishedTables {
    /// The shard's number among its peers.
    pub shard: usize,
    /// IPv4 connections.
    pub v4: TableReader<3>,
    /// IPv6 connections.
    pub v6: TableReader<9>,
}

impl PublishedTables {
    /// Whether any connection, in whatever state, has a local address and port that `is_it` accepts. Looks at all of
    /// them: for the control plane.
    pub fn has_connection(&self, is_it: impl Fn(Address, u16) -> bool) -> bool {
        let accepts = |tuple: Tuple| is_it(tuple.local, tuple.local_port);
        self.v4.any(|words| accepts(Tuple::from_words_v4(*words)))
            || self.v6.any(|words| accepts(Tuple::from_words_v6(*words)))
    }
}

/// A server of one shard: there is nobody else.
#[derive(Clone, Copy, Debug, Default)]
pub struct Alone;

impl Peers for Alone {
    fn hand_over(&mut self, _to: usize, _frame: &[u8]) -> Result<(), RingFull> {
        Err(RingFull)
    }

    fn next_frame(&mut self, _show: impl FnOnce(&[u8])) -> bool {
        false
    }

    fn publish(&mut self, _fact: HostFact) {}

    fn next_fact(&mut self) -> Option<HostFact> {
        None
    }
}
