//! Who may listen where: one decision for all shards of a server.

use alloc::vec::Vec;
use core::net::IpAddr;

use crate::wire::Address;

use super::listener::{LISTENERS_MAX, ListenError, ListenOptions};
use super::peers::PublishedTables;

/// Whether an address or port that is in use may be used again (`SO_REUSEADDR`, `SO_REUSEPORT`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Reuse {
    /// It may not.
    #[default]
    Off,
    /// It may, where the other user allows it, too.
    On,
}

/// Which of our addresses a listener takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All of both families.
    All,
    /// All IPv4 addresses: `0.0.0.0`.
    AllV4,
    /// All IPv6 addresses, and no IPv4 ones: `::` (as with `IPV6_V6ONLY`).
    AllV6,
    /// One.
    One(Address),
}

impl Scope {
    /// The scope of an address to bind to.
    pub fn of(address: Option<IpAddr>) -> Self {
        match address {
            None => Self::All,
            Some(IpAddr::V4(address)) if address.is_unspecified() => Self::AllV4,
            Some(IpAddr::V6(address)) if address.is_unspecified() => Self::AllV6,
            Some(address) => Self::One(Address::from(address)),
        }
    }

    /// Whether `address` is within it.
    #[inline]
    pub fn contains(self, address: Address) -> bool {
        match self {
            Self::All => true,
            Self::AllV4 => address.is_v4(),
            Self::AllV6 => !address.is_v4(),
            Self::One(own) => own == address,
        }
    }

    /// How much it says: of two listeners whose scopes contain an address, the one that says more takes the connection.
    #[inline]
    pub const fn precision(self) -> u8 {
        match self {
            Self::All => 0,
            Self::AllV4 | Self::AllV6 => 1,
            Self::One(_) => 2,
        }
    }

    fn overlaps(self, other: Self) -> bool {
        match (self, other) {
            (Self::All, _) | (_, Self::All) => true,
            (Self::One(address), scope) | (scope, Self::One(address)) => scope.contains(address),
            (Self::AllV4 | Self::AllV6, Self::AllV4 | Self::AllV6) => self == other,
        }
    }
}

/// What a listener has bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binding {
    /// Which addresses.
    pub scope: Scope,
    /// The port, never 0.
    pub port: u16,
    reuse_addr: Reuse,
    reuse_port: Reuse,
}

impl Binding {
    /// What `options` ask for.
    ///
    /// # Errors
    /// [`ListenError::InvalidPort`].
    pub fn of(options: &ListenOptions) -> Result<Self, ListenError> {
        let ListenOptions { address, port, backlog: _, reuse_addr, reuse_port } = *options;
        if port == 0 {
            return Err(ListenError::InvalidPort);
        }
        Ok(Self { scope: Scope::of(address), port, reuse_addr, reuse_port })
    }

    /// Whether it takes connections to `address` and `port`.
    #[inline]
    pub fn takes(&self, address: Address, port: u16) -> bool {
        self.port == port && self.scope.contains(address)
    }

    /// Whether both can be listened on at a time. The same address and port: only as a group that shares new
    /// connections. One within the other: with `reuse_addr`, since the more precise one takes what both could.
    fn agrees_with(&self, other: &Self) -> bool {
        let both = |a: Reuse, b: Reuse| a == Reuse::On && b == Reuse::On;
        self.port != other.port
            || !self.scope.overlaps(other.scope)
            || both(self.reuse_port, other.reuse_port)
            || self.scope != other.scope && both(self.reuse_addr, other.reuse_addr)
    }

    /// Whether it can be bound beside `others`, and beside the connections that `tables` know.
    ///
    /// # Errors
    /// [`ListenError::AddrInUse`].
    pub(super) fn check<'a>(
        &self,
        mut others: impl Iterator<Item = &'a Self>,
        tables: &[PublishedTables],
    ) -> Result<(), ListenError> {
        let port = self.port;
        if !others.all(|other| self.agrees_with(other)) {
            return Err(ListenError::AddrInUse { port });
        }
        // Without `SO_REUSEADDR`, connections of the port hold it, in TIME_WAIT as in any other state.
        let is_held = || tables.iter().any(|table| table.has_connection(|local, at| self.takes(local, at)));
        if self.reuse_addr == Reuse::Off && self.reuse_port == Reuse::Off && is_held() {
            return Err(ListenError::AddrInUse { port });
        }
        Ok(())
    }
}

/// A binding's name in its [`Registry`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BindingId(usize);

/// Decides for all shards of a server about listeners, before any of them listens. It belongs to the control plane:
/// shards have copies of the listeners, each with a backlog of its own.
#[derive(Default)]
pub struct Registry {
    /// Of all listeners; none where one was released.
    bindings: Vec<Option<Binding>>,
    /// Of all shards.
    tables: Vec<PublishedTables>,
}

impl Registry {
    /// A registry of the shards whose tables these are.
    pub fn new(tables: Vec<PublishedTables>) -> Self {
        Self { bindings: Vec::new(), tables }
    }

    /// Binds; every shard may listen with the same options then. The cost grows with the size of the connection tables
    /// unless `reuse_addr` is on.
    ///
    /// # Errors
    /// [`ListenError::InvalidPort`], [`ListenError::AddrInUse`], and [`ListenError::TooMany`] beyond
    /// [`LISTENERS_MAX`].
    pub fn bind(&mut self, options: &ListenOptions) -> Result<BindingId, ListenError> {
        let binding = Binding::of(options)?;
        binding.check(self.bindings.iter().flatten(), &self.tables)?;
        let free = self.bindings.iter().position(Option::is_none);
        if free.is_none() && self.bindings.len() == LISTENERS_MAX {
            return Err(ListenError::TooMany);
        }
        let index = free.unwrap_or_else(|| {
            self.bindings.push(None);
            self.bindings.len() - 1
        });
        self.bindings[index] = Some(binding);
        Ok(BindingId(index))
    }

    /// Gives a binding back, once no shard listens there any more.
    pub fn release(&mut self, id: BindingId) {
        if let Some(binding) = self.bindings.get_mut(id.0) {
            *binding = None;
        }
    }
}

impl core::fmt::Debug for Registry {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Registry").field("bindings", &self.bindings).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(address: Option<&str>, reuse_addr: Reuse, reuse_port: Reuse) -> ListenOptions {
        let address = address.map(|text| text.parse().expect("an address"));
        ListenOptions { address, port: 80, backlog: 1, reuse_addr, reuse_port }
    }

    fn both(first: &ListenOptions, second: &ListenOptions) -> bool {
        let mut registry = Registry::default();
        registry.bind(first).expect("nobody else");
        registry.bind(second).is_ok()
    }

    #[test]
    fn scopes_overlap_by_family_and_address() {
        let plain = |address| options(address, Reuse::Off, Reuse::Off);
        let (a, b, six) = (Some("198.18.0.1"), Some("198.18.0.3"), Some("fd00::1"));
        let (any_v4, any_v6) = (Some("0.0.0.0"), Some("::"));
        // `::` does not take IPv4.
        for apart in [(a, b), (a, six), (any_v4, any_v6), (any_v6, a), (any_v4, six)] {
            assert!(both(&plain(apart.0), &plain(apart.1)), "{apart:?}");
        }
        for over in [(a, a), (any_v4, a), (six, any_v6), (None, a), (None, any_v6), (any_v4, None)] {
            assert!(!both(&plain(over.0), &plain(over.1)), "{over:?}");
        }
    }

    #[test]
    fn both_must_want_to_share() {
        let (a, any) = (Some("198.18.0.1"), Some("0.0.0.0"));
        let (on, off) = (Reuse::On, Reuse::Off);
        for reuse_addr in [on, off] {
            let shared = options(a, reuse_addr, on);
            assert!(both(&shared, &shared));
            assert!(!both(&shared, &options(a, reuse_addr, off)));
            assert!(!both(&options(a, reuse_addr, off), &shared));
        }
        assert!(both(&options(any, on, off), &options(a, on, off)));
        assert!(!both(&options(any, on, off), &options(a, off, off)));
    }

    #[test]
    fn what_was_released_can_be_bound_again() {
        let mut registry = Registry::default();
        let plain = options(None, Reuse::Off, Reuse::Off);
        let id = registry.bind(&plain).expect("nobody else");
        assert_eq!(registry.bind(&plain), Err(ListenError::AddrInUse { port: 80 }));
        registry.release(id);
        assert_eq!(registry.bind(&plain), Ok(id));
        let port_0 = ListenOptions { port: 0, ..plain };
        assert_eq!(registry.bind(&port_0), Err(ListenError::InvalidPort));
    }
}
