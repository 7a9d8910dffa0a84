//! Where connections that we open begin: the local address and port.

use core::net::{IpAddr, SocketAddr};

use crate::base::time::Duration;
use crate::shard::{ConnectError, ConnectionId};
use crate::wire::Address;

use super::{LocalAddress, Stack};

/// What an application may choose of a connection that it opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct ConnectOptions {
    /// One of our addresses; none: the one that suits the peer best.
    pub local_address: Option<IpAddr>,
    /// The local port, in or out of the range for active opens; 0: one that is free.
    pub local_port: u16,
    /// What ends the attempt earlier than `tcp_syn_retries` would.
    pub timeout: Option<Duration>,
}

impl Stack {
    /// Opens a connection as [`Host::connect`](crate::shard::Host::connect) does, from where `options` say.
    ///
    /// # Errors
    /// [`ConnectError`]: [`AddrNotAvailable`](ConnectError::AddrNotAvailable) where the local address is not ours or of
    /// the other family, [`AddrInUse`](ConnectError::AddrInUse) where a connection to `remote` has the port.
    // RFC 9293 MUST-43: the local address is for the application to choose.
    pub fn connect_with(
        &mut self,
        remote: SocketAddr,
        options: &ConnectOptions,
    ) -> Result<ConnectionId, ConnectError> {
        self.open(remote, options)
    }

    /// The index of the address from which a connection to `remote` is opened.
    ///
    /// # Errors
    /// [`ConnectError::AddrNotAvailable`], [`ConnectError::NetworkUnreachable`].
    pub(super) fn source(&self, remote: Address, wanted: Option<IpAddr>) -> Result<usize, ConnectError> {
        let Some(address) = wanted.filter(|address| !address.is_unspecified()) else {
            return self.best_source(remote).ok_or(ConnectError::NetworkUnreachable);
        };
        let own = Address::from(address);
        let index = self.local_index(own).filter(|_| own.is_v4() == remote.is_v4());
        index.map(usize::from).ok_or(ConnectError::AddrNotAvailable { address })
    }

    /// RFC 9293 MUST-44, RFC 1122 section 3.3.4.3, RFC 6724 rules 2 and 8: an address as far-reaching as the peer's, on the
    /// network of the next hop, the narrowest such network first.
    fn best_source(&self, remote: Address) -> Option<usize> {
        let addresses = &self.config.addresses;
        let is_of_family = |local: &LocalAddress| local.cidr.address().is_v4() == remote.is_v4();
        let first = addresses.iter().position(is_of_family)?;
        if !addresses[first + 1..].iter().any(is_of_family) {
            return Some(first);
        }
        let hop = self.next_hop(remote);
        let suits = |local: &LocalAddress| {
            let cidr = local.cidr;
            let is_as_far = cidr.address().is_link_local() == remote.is_link_local();
            let on_link = cidr.contains(hop).then(|| cidr.prefix_len());
            (is_as_far, on_link)
        };
        // The last of those that suit equally is taken, so they are looked at backwards.
        let all = addresses.iter().enumerate().rev().filter(|(_, local)| is_of_family(local));
        all.max_by_key(|(_, local)| suits(local)).map(|(index, _)| index)
    }
}
