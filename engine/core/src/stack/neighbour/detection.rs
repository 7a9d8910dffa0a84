//! Whether neighbours are still there (RFC 4861 section 7.3).

use crate::base::time::{Duration, Instant};
use crate::wire::{Address, MacAddress};

use super::{Neighbours, Watch};

/// Entries are looked through at most this often: a sweep looks at all of them.
const SWEEP_INTERVAL: Duration = Duration::from_millis(10);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// INCOMPLETE: so many requests are out, and the next is due then.
    Incomplete { probes: u8, probe_at: Instant },
    /// Nobody has answered. Whoever needs it next begins anew.
    Failed,
    /// There; and how sure that is.
    Known(MacAddress, Reach),
}

/// How sure it is that a neighbour is where it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// REACHABLE until then.
    Reachable(Instant),
    /// STALE: nobody has needed it since.
    Stale,
    /// DELAY: asked then, if nothing proves until then that it is there.
    Delay(Instant),
    /// PROBE: asked so many times, and again then.
    Probe(u8, Instant),
}

/// What is to be done about an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// Ask the link who has this address.
    Ask(Address),
    /// Ask the station with this address whether it is still there.
    AskAt(Address, MacAddress),
    /// Nobody answers for this entry.
    Failed(u16),
}

impl State {
    /// When something is due.
    fn due_at(self) -> Instant {
        match self {
            Self::Incomplete { probes: _, probe_at } => probe_at,
            Self::Known(_, Reach::Reachable(at) | Reach::Delay(at) | Reach::Probe(_, at)) => at,
            Self::Failed | Self::Known(_, Reach::Stale) => Instant::FAR_FUTURE,
        }
    }
}

impl Neighbours {
    /// Packets over entry `index` are known to arrive: a connection makes progress (RFC 4861 section 7.3.1).
    #[inline]
    pub fn confirm(&mut self, index: u16, now: Instant) {
        if let Some(entry) = self.entries.get_mut(usize::from(index)) {
            entry.confirmed_at = Some(now);
        }
    }

    /// Whether an entry may have something to do.
    #[inline(always)]
    pub fn is_due(&self, now: Instant) -> bool {
        self.next_event <= now
    }

    /// When an entry has something to do next.
    pub fn next_event(&self) -> Option<Instant> {
        Some(self.next_event).filter(|at| *at < Instant::FAR_FUTURE)
    }

    /// The next thing to do now.
    pub fn poll(&mut self, now: Instant) -> Option<Probe> {
        if !self.is_due(now) {
            return None;
        }
        let (start, mut earliest) = self.sweep;
        for place in start..self.entries.len() {
            let probe = if self.entries[place].state.due_at() <= now {
                self.handle_due(place as u16, now)
            } else {
                None
            };
            earliest = earliest.min(self.entries[place].state.due_at());
            if probe.is_some() {
                self.sweep = (place + 1, earliest);
                return probe;
            }
        }
        self.sweep = (0, Instant::FAR_FUTURE);
        self.next_event = earliest.max(now + SWEEP_INTERVAL);
        if earliest == Instant::FAR_FUTURE {
            self.next_event = earliest;
        }
        None
    }

    /// The time of entry `index` has come.
    fn handle_due(&mut self, index: u16, now: Instant) -> Option<Probe> {
        let entry = self.entries[usize::from(index)];
        let confirmed =
            entry.confirmed_at.map(|at| at + self.times.base_reachable).filter(|until| *until > now);
        match (entry.state, confirmed) {
            (State::Known(mac, Reach::Reachable(_) | Reach::Delay(_) | Reach::Probe(..)), Some(until)) => {
                self.set_reach(index, mac, Reach::Reachable(until));
                None
            }
            (State::Known(mac, Reach::Reachable(_)), None) => {
                self.set_reach(index, mac, Reach::Stale);
                // Whoever writes headers in advance has to come and say that they are used.
                self.changes = self.changes.wrapping_add(1);
                None
            }
            (State::Known(mac, Reach::Delay(_)), None) => {
                self.set_reach(index, mac, Reach::Probe(1, now + self.times.retrans));
                Some(Probe::AskAt(entry.address, mac))
            }
            (State::Known(mac, Reach::Probe(probes, _)), None) if probes < self.times.ucast_solicit => {
                self.set_reach(index, mac, Reach::Probe(probes + 1, now + self.times.retrans));
                Some(Probe::AskAt(entry.address, mac))
            }
            // It may be somewhere else now: whoever still needs it asks the link.
            (State::Known(_, Reach::Probe(..)), None) => {
                self.changes = self.changes.wrapping_add(1);
                self.entries[usize::from(index)].state = State::Failed;
                if entry.users == 0 {
                    return None;
                }
                self.ask(index, now);
                self.handle_due(index, now)
            }
            (State::Incomplete { probes, probe_at: _ }, _) if probes < self.times.mcast_solicit => {
                let probe_at = now + self.times.retrans;
                self.entries[usize::from(index)].state = State::Incomplete { probes: probes + 1, probe_at };
                Some(Probe::Ask(entry.address))
            }
            (State::Incomplete { .. }, _) => {
                self.entries[usize::from(index)].state = State::Failed;
                Some(Probe::Failed(index))
            }
            (State::Failed | State::Known(_, Reach::Stale), _) => None,
        }
    }

    /// A frame leaves over an entry that nobody was sure of.
    #[cold]
    pub(super) fn handle_use(&mut self, index: u16, now: Instant) {
        match self.entries[usize::from(index)].state {
            State::Known(mac, Reach::Stale) => {
                self.set_reach(index, mac, Reach::Delay(now + self.times.delay_first_probe));
            }
            State::Failed => self.ask(index, now),
            State::Incomplete { .. }
            | State::Known(_, Reach::Reachable(_) | Reach::Delay(_) | Reach::Probe(..)) => {}
        }
    }

    /// Begins to ask the link.
    pub(super) fn ask(&mut self, index: u16, now: Instant) {
        self.entries[usize::from(index)].state = State::Incomplete { probes: 0, probe_at: now };
        self.next_event = self.next_event.min(now);
    }

    /// REACHABLE for a random while (RFC 4861 section 6.3.2: half of to one and a half of the base).
    pub(super) fn reachable(&mut self, now: Instant) -> Reach {
        let base = self.times.base_reachable.as_nanos();
        Reach::Reachable(now + Duration::from_nanos(base / 2 + self.random.below(base.max(1))))
    }

    /// The neighbour's link-layer address is another from now on.
    pub(super) fn set_known(&mut self, index: u16, mac: MacAddress, reach: Reach, now: Instant) {
        self.entries[usize::from(index)].changed_at = now;
        self.entries[usize::from(index)].confirmed_at = None;
        self.changes = self.changes.wrapping_add(1);
        self.set_reach(index, mac, reach);
    }

    pub(super) fn set_reach(&mut self, index: u16, mac: MacAddress, reach: Reach) {
        let reach = match self.watch {
            Watch::Ours => reach,
            Watch::Kernels => Reach::Reachable(Instant::FAR_FUTURE),
        };
        let state = State::Known(mac, reach);
        self.entries[usize::from(index)].state = state;
        self.next_event = self.next_event.min(state.due_at());
    }
}
