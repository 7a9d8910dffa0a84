//! Who is on the link: the neighbour cache, bounded, with the states of RFC 4861 section 7.3.2, for ARP alike.
//!
//! An entry is made by whoever asks for us or is connected with, never by a claim that nobody asked for. What is known is
//! checked after a while: by the progress of connections, else by asking the neighbour itself.

use alloc::vec::Vec;

use crate::base::random::Random;
use crate::base::time::{Duration, Instant};
use crate::wire::ndp::{Occasion, Override};
use crate::wire::{Address, MacAddress};

use super::ip_config::IpConfig;

mod detection;
#[cfg(test)]
mod tests;

pub use detection::Probe;
use detection::{Reach, State};

/// What is known of one neighbour.
#[derive(Clone, Copy, Debug)]
struct Neighbour {
    address: Address,
    state: State,
    /// Connections that hold this entry; it is not evicted while there are any.
    users: u32,
    used_at: Instant,
    /// When its link-layer address changed last.
    changed_at: Instant,
    /// When packets to it were last known to arrive.
    confirmed_at: Option<Instant>,
}

/// The cache. Entries keep their index while connections use them.
#[derive(Debug)]
pub struct Neighbours {
    entries: Vec<Neighbour>,
    neighbours_max: u16,
    times: Times,
    watch: Watch,
    random: Random,
    /// When an entry has something to do next.
    next_event: Instant,
    /// Where the search for entries with something to do goes on, and the earliest that it has passed.
    sweep: (usize, Instant),
    /// How often an entry has changed, wrapping.
    changes: u32,
}

/// Who finds out whether neighbours are still there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watch {
    /// We: answers come to us.
    Ours,
    /// The host's kernel, to which answers go; what it tells holds until it tells otherwise.
    Kernels,
}

#[derive(Clone, Copy, Debug)]
struct Times {
    base_reachable: Duration,
    delay_first_probe: Duration,
    retrans: Duration,
    lock: Duration,
    mcast_solicit: u8,
    ucast_solicit: u8,
}

/// Where frames for a neighbour go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// There.
    Known(MacAddress),
    /// A request is out, or due now, or was in vain.
    Pending,
}

/// The cache is full of entries in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheFull;

/// How somebody says where an address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// He asks for us, or another shard or the kernel knows him: that makes an entry (RFC 826, RFC 4861 section 7.2.3).
    Request,
    /// He answers, or says so unasked (RFC 4861 section 7.2.5).
    Advertisement(Occasion, Override),
    /// As ARP, which has no flags: he answers if we have asked; unasked, he is believed unless he was a moment ago
    /// (`locktime`).
    Reply,
}

/// What a claim has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Learned {
    /// Nothing that packets would notice.
    Nothing,
    /// They go elsewhere from now on.
    Moved,
    /// They can go at all.
    Resolved,
}

impl Neighbours {
    /// An empty cache for up to `neighbours_max` entries. `seed` spreads the times at which entries are checked.
    pub fn new(neighbours_max: u16, config: &IpConfig, watch: Watch, seed: u64) -> Self {
        let ms = |ms: u32| Duration::from_millis(ms.into());
        Self {
            entries: Vec::with_capacity(neighbours_max.into()),
            neighbours_max,
            times: Times {
                base_reachable: ms(config.base_reachable_time_ms),
                delay_first_probe: ms(config.delay_first_probe_time_ms),
                retrans: ms(config.retrans_time_ms),
                lock: ms(config.locktime_ms),
                mcast_solicit: config.mcast_solicit,
                ucast_solicit: config.ucast_solicit,
            },
            watch,
            random: Random::from_seed(seed),
            next_event: Instant::FAR_FUTURE,
            sweep: (0, Instant::FAR_FUTURE),
            changes: 0,
        }
    }

    /// Where frames for entry `index` go.
    #[inline]
    pub fn resolve(&self, index: u16) -> Resolution {
        self.link(index).map_or(Resolution::Pending, |mac| Resolution::Known(*mac))
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
            State::Known(mac, _) => Some(mac),
            State::Incomplete { .. } | State::Failed => None,
        }
    }

    /// The same for a frame that leaves now: an entry that was not checked for long is checked soon, and one that was
    /// given up is asked for again (RFC 4861 section 7.3.3).
    #[inline]
    pub fn link_to_use(&mut self, index: u16, now: Instant) -> Option<&MacAddress> {
        let entry = self.entries.get_mut(usize::from(index))?;
        entry.used_at = now;
        if !matches!(entry.state, State::Known(_, Reach::Reachable(_) | Reach::Delay(_) | Reach::Probe(..))) {
            self.handle_use(index, now);
        }
        self.link(index)
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
            None => self.insert(address, now)?,
        };
        let entry = &mut self.entries[usize::from(index)];
        entry.users += 1;
        entry.used_at = now;
        if let (State::Incomplete { .. } | State::Failed, Some(mac)) = (entry.state, hint) {
            // A frame from there has answered one of ours: packets arrive.
            let reach = self.reachable(now);
            self.set_known(index, mac, reach, now);
        }
        if matches!(self.entries[usize::from(index)].state, State::Failed) {
            self.ask(index, now);
        }
        Ok(index)
    }

    /// Holds entry `index` as [`Neighbours::hold`] does, if it says where its address is.
    #[inline]
    pub fn hold_known(&mut self, index: u16, now: Instant) -> bool {
        let Some(entry) = self.entries.get_mut(usize::from(index)) else { return false };
        match entry.state {
            State::Known(..) => {
                entry.users += 1;
                entry.used_at = now;
                true
            }
            State::Incomplete { .. } | State::Failed => false,
        }
    }

    /// A connection no longer uses entry `index`.
    pub fn release(&mut self, index: u16) {
        if let Some(entry) = self.entries.get_mut(usize::from(index)) {
            entry.users = entry.users.saturating_sub(1);
        }
    }

    /// `address` is said to be at `mac`, or to be where it was if that is `None`.
    pub fn learn(
        &mut self,
        address: Address,
        mac: Option<MacAddress>,
        claim: Claim,
        now: Instant,
    ) -> Learned {
        let found = match (self.find(address), claim) {
            (None, Claim::Request) if mac.is_some() => self.insert(address, now).ok(),
            (found, _) => found,
        };
        let Some(index) = found else { return Learned::Nothing };
        let entry = &self.entries[usize::from(index)];
        let is_asked = matches!(entry.state, State::Incomplete { .. } | State::Known(_, Reach::Probe(..)));
        let (occasion, overriding) = match claim {
            Claim::Request => (Occasion::Unsolicited, Override::Replace),
            Claim::Advertisement(Occasion::Solicited, overriding) if is_asked => {
                (Occasion::Solicited, overriding)
            }
            // Whoever answers what was not asked proves nothing.
            Claim::Advertisement(_, overriding) => (Occasion::Unsolicited, overriding),
            Claim::Reply if is_asked => (Occasion::Solicited, Override::Replace),
            Claim::Reply if now.since(entry.changed_at) >= self.times.lock => {
                (Occasion::Unsolicited, Override::Replace)
            }
            Claim::Reply => (Occasion::Unsolicited, Override::Keep),
        };
        self.advertised(index, mac, occasion, overriding, now)
    }

    /// RFC 4861 section 7.2.5.
    fn advertised(
        &mut self,
        index: u16,
        mac: Option<MacAddress>,
        occasion: Occasion,
        overriding: Override,
        now: Instant,
    ) -> Learned {
        let reach = match occasion {
            Occasion::Solicited => self.reachable(now),
            Occasion::Unsolicited => Reach::Stale,
        };
        match (self.entries[usize::from(index)].state, mac) {
            (State::Incomplete { .. } | State::Failed, Some(mac)) => {
                self.set_known(index, mac, reach, now);
                Learned::Resolved
            }
            (State::Incomplete { .. } | State::Failed, None) => Learned::Nothing,
            (State::Known(known, was), Some(mac)) if mac != known => match (overriding, was) {
                (Override::Replace, _) => {
                    self.set_known(index, mac, reach, now);
                    Learned::Moved
                }
                (Override::Keep, Reach::Reachable(_)) => {
                    self.set_reach(index, known, Reach::Stale);
                    Learned::Nothing
                }
                (Override::Keep, Reach::Stale | Reach::Delay(_) | Reach::Probe(..)) => Learned::Nothing,
            },
            (State::Known(known, _), _) => {
                if matches!(occasion, Occasion::Solicited) {
                    self.set_reach(index, known, reach);
                }
                Learned::Nothing
            }
        }
    }

    fn find(&self, address: Address) -> Option<u16> {
        self.entries.iter().position(|n| n.address == address).map(|index| index as u16)
    }

    /// A new entry, not asked for yet.
    fn insert(&mut self, address: Address, now: Instant) -> Result<u16, CacheFull> {
        let entry = Neighbour {
            address,
            state: State::Failed,
            users: 0,
            used_at: now,
            changed_at: Instant::ZERO,
            confirmed_at: None,
        };
        let index = if self.entries.len() < usize::from(self.neighbours_max) {
            self.entries.push(entry);
            self.entries.len() - 1
        } else {
            let unused = self.entries.iter_mut().enumerate().filter(|(_, n)| n.users == 0);
            let (index, place) = unused.min_by_key(|(_, n)| n.used_at).ok_or(CacheFull)?;
            *place = entry;
            index
        };
        self.changes = self.changes.wrapping_add(1);
        Ok(index as u16)
    }
}
