//! Whose the addresses are: checked with the kernel, told to the program.

use std::fmt;
use std::net::IpAddr;

use bywash_xdp::lab::{IPV4_PREFIX_LEN, SERVER_IPV4};
use bywash_xdp::program::Program;

use super::super::choose::Place;
use crate::config::{AddressKind, Cidr, Config};
use crate::error::Error;

/// At least one address, and whose they all are.
#[derive(Debug)]
pub(super) struct Addresses {
    pub(super) kind: AddressKind,
    pub(super) list: Vec<Cidr>,
}

impl Addresses {
    /// The configured addresses, or those that follow from the place: the lab's, or all that the host can share.
    /// `known` are the kernel's own on the interface.
    pub(super) fn settle(
        config: &Config,
        place: Place,
        interface: &str,
        known: &[Cidr],
    ) -> Result<Self, Error> {
        let kind = config.address_kind;
        let mut list = config.address.clone();
        if list.is_empty() {
            list = match (place, kind) {
                (Place::Lab, _) => Cidr::new(SERVER_IPV4.into(), IPV4_PREFIX_LEN).into_iter().collect(),
                (Place::Host, AddressKind::Shared) => {
                    known.iter().copied().filter(|cidr| !is_link_local(*cidr)).collect()
                }
                (Place::Host, AddressKind::Owned) => Vec::new(),
            };
        }
        if list.is_empty() {
            return Err(Error::NoAddress { interface: interface.to_owned() });
        }
        for cidr in &list {
            let in_use = known.iter().any(|kernel| kernel.address() == cidr.address());
            match (kind, in_use) {
                (AddressKind::Owned, false) | (AddressKind::Shared, true) => {}
                (AddressKind::Owned, true) => {
                    return Err(Error::AddressUsedByKernel {
                        address: cidr.to_string(),
                        interface: interface.to_owned(),
                    });
                }
                (AddressKind::Shared, false) => {
                    return Err(Error::AddressNotShared {
                        address: cidr.address(),
                        interface: interface.to_owned(),
                    });
                }
            }
        }
        Ok(Self { kind, list })
    }

    /// The first of them.
    pub(super) fn first(&self) -> IpAddr {
        self.list.first().map_or(IpAddr::V4(SERVER_IPV4), Cidr::address)
    }

    /// Tells the program: from now on their frames are ours.
    pub(super) fn claim(&self, program: &mut Program, port: u16) -> Result<(), Error> {
        match self.kind {
            AddressKind::Owned => self.list.iter().try_for_each(|cidr| program.own(cidr.address()))?,
            AddressKind::Shared => {
                program.listen(port)?;
                self.list.iter().try_for_each(|cidr| program.share(cidr.address()))?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Addresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = self.list.iter().map(ToString::to_string).collect();
        let whose = match self.kind {
            AddressKind::Owned => "owned by us",
            AddressKind::Shared => "shared with the host",
        };
        let plural = if names.len() == 1 { "" } else { "es" };
        write!(f, "address{plural} {} ({whose})", names.join(", "))
    }
}

fn is_link_local(cidr: Cidr) -> bool {
    match cidr.address() {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cidrs(texts: &[&str]) -> Vec<Cidr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn settle(kind: AddressKind, wanted: &[&str], known: &[&str]) -> Result<String, String> {
        let config = Config { address: cidrs(wanted), address_kind: kind, ..Config::default() };
        Addresses::settle(&config, Place::Host, "v0", &cidrs(known))
            .map(|addresses| addresses.to_string())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn an_owned_address_is_nobody_elses() {
        let own = settle(AddressKind::Owned, &["198.18.0.1/24"], &["198.18.0.9/24"]);
        assert_eq!(own.unwrap(), "address 198.18.0.1/24 (owned by us)");
        let taken = settle(AddressKind::Owned, &["198.18.0.1/24"], &["198.18.0.1/16"]).unwrap_err();
        assert!(taken.starts_with("198.18.0.1/24 is one of the kernel's own addresses on v0"), "{taken}");
        assert!(taken.contains("ip addr del 198.18.0.1/24 dev v0"), "{taken}");
    }

    #[test]
    fn a_shared_address_is_the_hosts() {
        let known = ["198.18.0.1/24", "fe80::1/64"];
        let all = settle(AddressKind::Shared, &[], &known).unwrap();
        assert_eq!(all, "address 198.18.0.1/24 (shared with the host)");
        let foreign = settle(AddressKind::Shared, &["198.18.0.2/24"], &known).unwrap_err();
        assert!(foreign.starts_with("198.18.0.2 is not one of the kernel's addresses on v0"), "{foreign}");
        let none = settle(AddressKind::Shared, &[], &["fe80::1/64"]).unwrap_err();
        assert_eq!(none, "v0 has no address to serve on: give one with --address");
    }

    #[test]
    fn a_lab_has_its_own_address() {
        let addresses = Addresses::settle(&Config::default(), Place::Lab, "v0", &[]).unwrap();
        assert_eq!(addresses.first().to_string(), "198.18.0.1");
    }
}
