//! What must hold of every connection between two turns; for simulators and tests.

use core::fmt;

use crate::base::slab::Key;
use crate::shard::Reading;
use crate::tcp::connection::{Connection, Warm, WarmDeadlines};
use crate::tcp::state::{Flag, SendSide};
use crate::tcp::tick::Tick;
use crate::tcp::timer;

use super::Stack;

/// A rule that is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The connection, or none when the rule is about the stack as a whole.
    pub connection: Option<Key>,
    /// What should hold.
    pub rule: &'static str,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.connection {
            Some(key) => write!(f, "connection {}: not {}", key.index, self.rule),
            None => write!(f, "not {}", self.rule),
        }
    }
}

impl core::error::Error for Broken {}

impl Stack {
    /// Checks every rule, between two turns; the cost is proportional to the connections that ever were.
    ///
    /// # Errors
    /// The first rule that is [`Broken`].
    pub fn check(&self) -> Result<(), Broken> {
        let records = self.connections.len() + self.half_open.len() + self.time_wait.len();
        let whole = [
            (self.tables.len() == records, "one table entry for each record"),
            (
                self.pools.recoveries.len() <= self.connections.len(),
                "one recovery for each connection at most",
            ),
            (self.pools.congestion.len() <= self.connections.len(), "one congestion record for each at most"),
            (self.syn_sent_timers() == self.syn_sent.len(), "one timer for each SYN-SENT"),
            (self.half_open_wheel.len() == self.half_open.len(), "one timer for each SYN-RECEIVED"),
            (self.receive.counters().taken == 0, "all receive buffers back from the application"),
        ];
        if let Some((_, rule)) = whole.into_iter().find(|(holds, _)| !holds) {
            return Err(Broken { connection: None, rule });
        }
        for key in self.connections.keys() {
            let broken = self.broken_rule(key.index);
            if let Some(rule) = broken {
                return Err(Broken { connection: Some(key), rule });
            }
        }
        Ok(())
    }

    /// SYN-SENT records that the wheel looks at, or the next turn.
    fn syn_sent_timers(&self) -> usize {
        let new = self.new_syns.iter().filter(|key| self.syn_sent.get(**key).is_some());
        self.syn_sent_wheel.len() + new.count()
    }

    fn broken_rule(&self, index: u32) -> Option<&'static str> {
        let connection = self.connections.at(index);
        let warm = &self.warm[index as usize];
        let flags = connection.flags;
        let rules = [
            (
                connection.armed_at.is_set() == self.wheel.armed_at(index).is_some(),
                "in the wheel as it believes",
            ),
            (flags.has(Flag::Recovering) == warm.recovery.is_some(), "recovering with its state"),
            (flags.has(Flag::Doomed) == warm.doom.is_some(), "doomed with a reason"),
            (!flags.has(Flag::Doomed) || flags.has(Flag::Pending), "buried when doomed"),
        ];
        let first = rules.into_iter().find(|(holds, _)| !holds).map(|(_, rule)| rule);
        if first.is_some() || flags.has(Flag::Pending) {
            return first;
        }
        if !self.is_watched(connection, warm) {
            return Some("armed for its earliest deadline");
        }
        if self.is_opening(index) {
            return None;
        }
        let rules = rules_when_served(connection, self.reading_of(connection, index));
        rules.into_iter().find(|(holds, _)| !holds).map(|(_, rule)| rule)
    }

    /// Whether the wheel looks at the connection no later than its earliest deadline.
    fn is_watched(&self, connection: &Connection, warm: &Warm) -> bool {
        let timer = warm.timer_at.map_or(Tick::NONE, |at| self.timer_tick(at));
        let due = timer::deadline(connection, warm).earliest(timer);
        let of_warm = timer.earliest(warm.fin_wait_2_at).earliest(warm.path_mtu_at).earliest(warm.options_at);
        if of_warm.is_set() && connection.warm_deadlines == WarmDeadlines::None {
            return false;
        }
        !due.is_set()
            || connection.armed_at.is_set() && connection.armed_at.earliest(due) == connection.armed_at
    }
}

/// Rules for a connection that has nothing to do now.
fn rules_when_served(connection: &Connection, reading: Reading) -> [(bool, &'static str); 10] {
    let flags = connection.flags;
    let (flight, queued) = (connection.flight(), connection.send.len() as u32);
    let fin = u32::from(matches!(connection.sides.send(), SendSide::FinSent));
    let is_timed = connection.retransmit_at.is_set();
    // One that found the send pool empty is in the wheel, and asked again when it is looked at.
    let is_starved = flags.has(Flag::SendFull) && connection.armed_at.is_set();
    let can_be_shown = flags.has(Flag::Unshown) && flags.has(Flag::Known) && reading == Reading::Open;
    let is_kept_waiting = can_be_shown && !is_starved;
    let all_acked = connection.last_ack_sent == connection.rcv_nxt;
    [
        (!connection.snd_nxt.is_before(connection.snd_una), "SND.UNA <= SND.NXT"),
        (flight <= queued + fin, "in flight only what is queued"),
        (flight == 0 || is_timed, "a retransmission timer for what is in flight"),
        (
            connection.unsent() == 0 || flight > 0 || is_timed || flags.has(Flag::Corked),
            "a persist timer for what cannot be sent",
        ),
        (
            connection.sides.send() != SendSide::FinQueued || connection.unsent() > 0,
            "FIN sent after the data",
        ),
        (!connection.rcv_adv.is_before(connection.rcv_nxt), "RCV.NXT within the window"),
        (!flags.has(Flag::AckNow), "an owed ACK sent"),
        (all_acked || connection.delayed_ack_at.is_set(), "what has arrived acknowledged in time"),
        (connection.cwnd >= u32::from(connection.mss), "a congestion window of a segment"),
        (!is_kept_waiting, "shown what can be shown"),
    ]
}
