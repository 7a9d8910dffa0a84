//! What packets the paths to other hosts take, as far as routers have said so (RFC 1191, RFC 8201).

use alloc::vec;
use alloc::vec::Vec;

use crate::base::time::{Duration, Instant};
use crate::wire::hash::TupleHasher;
use crate::wire::{Address, Tuple};

use super::ip_config::IpConfig;

/// Destinations that share a place in the cache.
const WAYS: usize = 4;
/// The least MTU of a link that carries IPv6 (RFC 8200 section 5).
const IPV6_MIN_MTU: u32 = 1280;
/// What paths usually take, for routers that do not say (RFC 1191 section 7.1).
const PLATEAUS: [u16; 11] = [65_535, 32_000, 17_914, 8166, 4352, 2002, 1492, 1006, 508, 296, 68];

#[derive(Clone, Copy, Debug)]
struct PathMtu {
    remote: Address,
    expires_at: Instant,
    mtu: u16,
}

/// The path MTUs that are lower than the interface's. Bounded; a look-up is a set of four.
#[derive(Debug)]
pub struct PathMtus {
    sets: Vec<[PathMtu; WAYS]>,
    /// After this nothing here holds.
    last_expiry: Instant,
    min_pmtu: u16,
    lifetime: Duration,
}

/// What a router said about a packet of ours that was too big.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooBig {
    /// The next hop's MTU in bytes; 0 from a router older than RFC 1191.
    pub mtu: u32,
    /// Bytes of the packet.
    pub packet_len: u32,
}

impl PathMtus {
    /// Nothing known.
    pub fn new(config: &IpConfig) -> Self {
        const NOBODY: PathMtu = PathMtu { remote: Address::UNSPECIFIED, expires_at: Instant::ZERO, mtu: 0 };
        let sets = usize::from(config.path_mtus_max).div_ceil(WAYS).max(1);
        Self {
            sets: vec![[NOBODY; WAYS]; sets],
            last_expiry: Instant::ZERO,
            min_pmtu: config.min_pmtu,
            lifetime: Duration::from_millis(config.mtu_expires_ms.into()),
        }
    }

    /// What the path to `remote` takes, and until when that holds; `None`: as much as the interface.
    #[inline]
    pub fn look_up(&self, remote: Address, hasher: &TupleHasher, now: Instant) -> Option<(u16, Instant)> {
        if now >= self.last_expiry {
            return None;
        }
        let set = &self.sets[self.place(remote, hasher)];
        let found = set.iter().find(|path| path.remote == remote && path.expires_at > now)?;
        Some((found.mtu, found.expires_at))
    }

    /// What a router's word makes of a path that took `current` bytes so far. `None`: nothing.
    pub fn lowered(&self, remote: Address, said: TooBig, current: u16) -> Option<u16> {
        let bound = said.packet_len.min(current.into());
        let mtu = if remote.is_v4() {
            let mtu = if said.mtu == 0 { plateau_below(bound) } else { said.mtu };
            // As Linux's min_pmtu: smaller packets are not worth what a forger could do with them.
            mtu.max(self.min_pmtu.into())
        } else if said.mtu >= IPV6_MIN_MTU {
            said.mtu
        } else {
            // RFC 8201 section 4: must be discarded.
            return None;
        };
        // RFC 8201 section 4: no message makes it larger; and a packet that fits was not too big (RFC 5927 section 7.2).
        u16::try_from(mtu).ok().filter(|mtu| u32::from(*mtu) < bound)
    }

    /// Keeps what the path to `remote` takes from now on.
    pub fn keep(&mut self, remote: Address, mtu: u16, hasher: &TupleHasher, now: Instant) {
        let expires_at = now + self.lifetime;
        self.last_expiry = self.last_expiry.max(expires_at);
        let place = self.place(remote, hasher);
        let set = &mut self.sets[place];
        // Its own place, or that of the oldest.
        let own = set.iter().position(|path| path.remote == remote);
        let oldest = || (0..WAYS).min_by_key(|way| set[*way].expires_at);
        let Some(way) = own.or_else(oldest) else { return };
        set[way] = PathMtu { remote, expires_at, mtu };
    }

    fn place(&self, remote: Address, hasher: &TupleHasher) -> usize {
        let tuple = Tuple { local: Address::UNSPECIFIED, remote, local_port: 0, remote_port: 0 };
        (hasher.v6(tuple.words_v6()) % self.sets.len() as u64) as usize
    }
}

/// The next usual MTU below `len` bytes.
fn plateau_below(len: u32) -> u32 {
    PLATEAUS.iter().map(|plateau| u32::from(*plateau)).find(|plateau| *plateau < len).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const REMOTE: Address = Address::v4([203, 0, 113, 9]);
    const REMOTE_V6: Address = Address::v6([0xfd; 16]);

    fn paths() -> PathMtus {
        PathMtus::new(&IpConfig { path_mtus_max: 8, ..IpConfig::default() })
    }

    fn said(mtu: u32, packet_len: u32) -> TooBig {
        TooBig { mtu, packet_len }
    }

    #[test]
    fn only_what_makes_the_path_smaller_counts() {
        let paths = paths();
        assert_eq!(paths.lowered(REMOTE, said(1400, 1500), 1500), Some(1400));
        assert_eq!(paths.lowered(REMOTE, said(1500, 1500), 1500), None);
        assert_eq!(paths.lowered(REMOTE, said(1400, 1300), 1500), None);
        assert_eq!(paths.lowered(REMOTE, said(1400, 1500), 1400), None);
        assert_eq!(paths.lowered(REMOTE, said(68, 1500), 1500), Some(552));
        assert_eq!(paths.lowered(REMOTE, said(70_000, 1500), 1500), None);
        assert_eq!(paths.lowered(REMOTE_V6, said(1280, 1500), 1500), Some(1280));
        assert_eq!(paths.lowered(REMOTE_V6, said(1279, 1500), 1500), None);
        assert_eq!(paths.lowered(REMOTE_V6, said(0, 1500), 1500), None);
    }

    #[test]
    fn a_router_that_names_no_mtu_leads_down_the_plateaus() {
        let paths = paths();
        let mut mtu = 9000;
        let mut seen = std::vec::Vec::new();
        while let Some(lower) = paths.lowered(REMOTE, said(0, mtu.into()), mtu) {
            seen.push(lower);
            mtu = lower;
        }
        assert_eq!(seen, [8166, 4352, 2002, 1492, 1006, 552]);
    }

    #[test]
    fn paths_are_forgotten_in_time_and_their_number_is_bounded() {
        let mut paths = paths();
        let hasher = TupleHasher::new([1, 2]);
        let start = Instant::from_secs(5);
        paths.keep(REMOTE, 1400, &hasher, start);
        paths.keep(REMOTE, 1300, &hasher, start);
        let end = start + Duration::from_secs(600);
        let before = Instant::from_nanos(end.as_nanos() - 1);
        assert_eq!(paths.look_up(REMOTE, &hasher, before), Some((1300, end)));
        assert_eq!(paths.look_up(REMOTE, &hasher, end), None);
        for last in 0..200 {
            paths.keep(Address::v4([203, 0, 113, last]), 1400, &hasher, start);
        }
        let known = |last| paths.look_up(Address::v4([203, 0, 113, last]), &hasher, start).is_some();
        assert_eq!((0..200).filter(|last| known(*last)).count(), 8);
    }
}
