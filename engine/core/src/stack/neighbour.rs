//! Who is on the link: the neighbour cache, bounded, with what RFC 4861 asks of a small host.

use alloc::vec::Vec;

use crate::base::time::{Duration, Instant};
use crate::wire::{Address, MacAddress};

/// Requests before a neighbour counts as silent (`mcast_solicit`).
const PROBES_MAX: u8 = 3;
/// Between two requests (`retrans_time_ms`).
const PROBE_INTERVAL: Duration = Duration::from_secs(1);

/// What is known of one neighbour.
#[derive(Clone, Copy, Debug)]
struct Neighbour {
    address: Address,
    state: State,
    /// Connections that hold this entry; it is not evicted while there are any.
    users: u32,
    used_at: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Incomplete { probes: u8, probe_at: Instant },
    Known(MacAddress),
}

/// The cache. Entries keep their index while connections use them.
#[derive(Debug)]
pub struct Neighbours {
    entries: Vec<Neighbour>,
    neighbours_max: u16,
    incomplete: u32,
    /// How often an entry has changed, wrapping.
    changes: u32,
}

/// Where frames for a neighbour go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// There.
    Known(MacAddress),
    /// A request is out, or due now.
    Pending,
}

/// The cache is full of entries in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheFull;

/// Whether an unknown neighbour's claim makes an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Create {
    /// It does: it asked for us, or answered us.
    Yes,
    /// It does not.
    No,
}

/// What is to be done about an incomplete entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// Ask the link who has this address.
    Ask(Address),
    /// Nobody answers for this entry.
    Failed(u16),
}

impl Neighbours {
    /// An empty cache.
    pub fn new(neighbours_max: u16) -> Self {
        Self { entries: Vec::with_capacity(neighbours_max.into()), neighbours_max, incomplete: 0, changes: 0 }
    }

    /// Where frames for entry `index` go.
    #[inline]
    pub fn resolve(&self, index: u16) -> Resolution {
        match self.entries.get(usize::from(index)).map(|n| n.state) {
            Some(State::Known(mac)) => Resolution::Known(mac),
            Some(State::Incomplete { .. }) | None => Resolution::Pending,
        }
    }

    /// Goes on whenever an entry says something new: what was derived from one holds until then.
    #[inline(always)]
    pub fn changes(&self) -> u32 {
        self.changes
    }

    /// Where frames for entry `index` go, if that is known.
    #[inline(always)]
    pub fn link(&self, index: u16) -> Option<&MacAddress> {
        match &self.entries.get(usize::from(index))?.state {
            State::Known(mac) => Some(mac),
            State::Incomplete { .. } => None,
        }
    }

    /// Where frames for `address` go, if that is known.
    pub fn look_up(&self, address: Address) -> Option<MacAddress> {
        match self.resolve(self.find(address)?) {
            Resolution::Known(mac) => Some(mac),
            Resolution::Pending => None,
        }
    }

    /// The entry of `address`, made if need be; `hint` is where a frame of it came from.
    ///
    /// # Errors
    /// [`CacheFull`] when every entry is in use.
    pub fn hold(
        &mut self,
        address: Address,
        hint: Option<MacAddress>,
        now: Instant,
    ) -> Result<u16, CacheFull> {
        let index = match self.find(address) {
            Some(index) => index,
            None => self.insert(address, hint, now)?,
        };
        let entry = &mut self.entries[usize::from(index)];
        entry.users += 1;
        entry.used_at = now;
        match (entry.state, hint) {
            (State::Incomplete { .. }, Some(mac)) => {
                entry.state = State::Known(mac);
                self.changes = self.changes.wrapping_add(1);
                self.incomplete -= 1;
            }
            // It has been given up before: ask anew.
            (State::Incomplete { probes: 0, .. }, None) => {
                entry.state = State::Incomplete { probes: 0, probe_at: now };
            }
            (State::Incomplete { .. } | State::Known(_), _) => {}
        }
        Ok(index)
    }

    /// Holds entry `index` as [`Neighbours::hold`] does, if it says where its address is.
    #[inline]
    pub fn hold_known(&mut self, index: u16, now: Instant) -> bool {
        let Some(entry) = self.entries.get_mut(usize::from(index)) else { return false };
        match entry.state {
            State::Known(_) => {
                entry.users += 1;
                entry.used_at = now;
                true
            }
            State::Incomplete { .. } => false,
        }
    }

    /// A connection no longer uses entry `index`.
    pub fn release(&mut self, index: u16) {
        if let Some(entry) = self.entries.get_mut(usize::from(index)) {
            entry.users = entry.users.saturating_sub(1);
        }
    }

    /// `address` has said where it is. Returns whether that is news.
    ///
    /// Unasked-for claims change an entry that exists, or make one when `create` says that the claim was meant
    /// for us (RFC 826, "merge").
    pub fn learn(&mut self, address: Address, mac: MacAddress, create: Create, now: Instant) -> bool {
        let Some(index) = self.find(address) else {
            return matches!(create, Create::Yes) && self.insert(address, Some(mac), now).is_ok();
        };
        let entry = &mut self.entries[usize::from(index)];
        if entry.state == State::Known(mac) {
            return false;
        }
        self.incomplete -= u32::from(matches!(entry.state, State::Incomplete { .. }));
        entry.state = State::Known(mac);
        self.changes = self.changes.wrapping_add(1);
        true
    }

    fn find(&self, address: Address) -> Option<u16> {
        self.entries.iter().position(|n| n.address == address).map(|index| index as u16)
    }

    fn insert(&mut self, address: Address, hint: Option<MacAddress>, now: Instant) -> Result<u16, CacheFull> {
        let state = match hint {
            Some(mac) => State::Known(mac),
            None => State::Incomplete { probes: 0, probe_at: now },
        };
        let entry = Neighbour { address, state, users: 0, used_at: now };
        let index = if self.entries.len() < usize::from(self.neighbours_max) {
            self.entries.push(entry);
            self.entries.len() - 1
        } else {
            let unused = self.entries.iter_mut().enumerate().filter(|(_, n)| n.users == 0);
            let (index, place) = unused.min_by_key(|(_, n)| n.used_at).ok_or(CacheFull)?;
            self.incomplete -= u32::from(matches!(place.state, State::Incomplete { .. }));
            *place = entry;
            index
        };
        self.incomplete += u32::from(hint.is_none());
        self.changes = self.changes.wrapping_add(1);
        Ok(index as u16)
    }

    /// Whether anybody is being asked for.
    #[inline(always)]
    pub fn has_incomplete(&self) -> bool {
        self.incomplete > 0
    }

    /// When a request is due next.
    pub fn next_probe(&self) -> Option<Instant> {
        if self.incomplete == 0 {
            return None;
        }
        let due = |n: &Neighbour| match n.state {
            State::Incomplete { probe_at, .. } => Some(probe_at),
            State::Known(_) => None,
        };
        self.entries.iter().filter_map(due).min().filter(|at| *at < Instant::FAR_FUTURE)
    }

    /// The next entry whose request is due now: ask for it, or give up what waits for it.
    pub fn poll_probe(&mut self, now: Instant) -> Option<Probe> {
        if self.incomplete == 0 {
            return None;
        }
        for (index, entry) in self.entries.iter_mut().enumerate() {
            let State::Incomplete { probes, probe_at } = entry.state else { continue };
            if probe_at > now {
                continue;
            }
            if probes >= PROBES_MAX {
                // Stays incomplete; whoever holds it next begins anew.
                entry.state = State::Incomplete { probes: 0, probe_at: Instant::FAR_FUTURE };
                return Some(Probe::Failed(index as u16));
            }
            entry.state = State::Incomplete { probes: probes + 1, probe_at: now + PROBE_INTERVAL };
            return Some(Probe::Ask(entry.address));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: MacAddress = MacAddress([2, 0, 0, 0, 0, 9]);

    fn address(last: u8) -> Address {
        Address::v4([198, 18, 0, last])
    }

    #[test]
    fn entries_in_use_are_not_evicted() {
        let mut cache = Neighbours::new(2);
        let held = cache.hold(address(1), Some(MAC), Instant::ZERO).unwrap();
        assert!(cache.learn(address(2), MAC, Create::Yes, Instant::from_nanos(5)));
        assert!(cache.learn(address(3), MAC, Create::Yes, Instant::from_nanos(9)));
        assert_eq!(cache.find(address(1)), Some(held));
        assert_eq!(cache.find(address(2)), None);
        cache.hold(address(3), None, Instant::ZERO).unwrap();
        assert_eq!(cache.hold(address(4), None, Instant::ZERO), Err(CacheFull));
    }

    #[test]
    fn a_silent_neighbour_is_asked_three_times() {
        let mut cache = Neighbours::new(4);
        let index = cache.hold(address(1), None, Instant::ZERO).unwrap();
        let mut now = Instant::ZERO;
        for _ in 0..3 {
            assert_eq!(cache.poll_probe(now), Some(Probe::Ask(address(1))));
            assert_eq!(cache.poll_probe(now), None);
            now = cache.next_probe().unwrap();
        }
        assert_eq!(now, Instant::from_secs(3));
        assert_eq!(cache.poll_probe(now), Some(Probe::Failed(index)));
        assert_eq!(cache.poll_probe(now + Duration::from_secs(60)), None);
        assert_eq!(cache.hold(address(1), None, now), Ok(index));
        assert_eq!(cache.poll_probe(now), Some(Probe::Ask(address(1))));
        assert!(cache.learn(address(1), MAC, Create::No, now));
        assert_eq!(cache.resolve(index), Resolution::Known(MAC));
        assert_eq!(cache.next_probe(), None);
    }

    #[test]
    fn strangers_claims_make_no_entry() {
        let mut cache = Neighbours::new(4);
        assert!(!cache.learn(address(1), MAC, Create::No, Instant::ZERO));
        assert_eq!(cache.look_up(address(1)), None);
    }
}
