//! What expires: connections, handshakes, TIME_WAIT, neighbour requests.

use crate::base::slab::Key;
use crate::base::time::{Duration, Instant};
use crate::port::Transmit;
use crate::shard::{CloseReason, Events};
use crate::tcp::config::TcpConfig;
use crate::tcp::connection::{Doom, Farewell, WarmDeadlines};
use crate::tcp::state::{Flag, Flags};
use crate::tcp::tick::Tick;
use crate::tcp::timer::{self, Expired};
use crate::wire::Address;

use super::Stack;

/// Timers taken from the wheel at once; their blocks are asked for together.
const BATCH: usize = 32;
/// Timers of one kind that fire in one turn at most; the rest goes on in the next.
const FIRED_MAX: usize = 4096;

impl Stack {
    /// Fires what is due. Returns how many timers that were. A turn in which nothing can be due pays a comparison for
    /// each kind.
    #[inline]
    pub(super) fn expire<T: Transmit, E: Events<Self>>(&mut self, transmit: &mut T, events: &mut E) -> u32 {
        let mut fired = 0;
        if self.wheel.is_due(self.now) {
            fired += self.expire_connections(events);
        }
        if self.half_open_wheel.is_due(self.now) {
            fired += self.expire_half_open(transmit);
        }
        if !self.new_syns.is_empty() {
            fired += self.send_new_syns(transmit);
        }
        if self.syn_sent_wheel.is_due(self.now) {
            fired += self.expire_syn_sent(transmit);
        }
        if !self.time_wait.is_empty() {
            fired += self.expire_time_wait();
        }
        if !self.fragments.is_empty() {
            fired += self.expire_fragments(transmit);
        }
        if self.neighbours.is_due(self.now) {
            fired += self.expire_neighbours(transmit);
        }
        fired
    }

    /// When something expires next.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let candidates = [
            self.wheel.next_expiry(),
            self.half_open_wheel.next_expiry(),
            self.new_syns.first().map(|_| self.now),
            self.syn_sent_wheel.next_expiry(),
            self.neighbours.next_event(),
            self.next_fragment_expiry(),
            self.time_wait.first().map(|(_, expires_at)| expires_at.instant(self.now)),
        ];
        candidates.into_iter().flatten().min()
    }

    #[cold]
    fn expire_connections<E: Events<Self>>(&mut self, events: &mut E) -> u32 {
        let mut fired = 0;
        let mut batch = [0; BATCH];
        while fired < FIRED_MAX {
            let count = self.wheel.expire(self.now, &mut batch);
            for &index in &batch[..count] {
                self.connections.prefetch(index);
            }
            for &index in &batch[..count] {
                if !self.is_early(index) {
                    self.expire_connection(events, index);
                }
            }
            fired += count;
            if count == 0 {
                break;
            }
        }
        fired as u32
    }

    /// Whether the wheel looks at a connection too early, as it mostly does: then it is armed again, if for anything, and
    /// the warm block stays cold.
    #[inline]
    fn is_early(&mut self, index: u32) -> bool {
        if self.connections.key_at(index).is_none() {
            return false;
        }
        let connection = self.connections.at_mut(index);
        let retransmit_due = timer::retransmit_due(connection, &self.warm[index as usize], &self.config.tcp);
        let due = retransmit_due.earliest(connection.delayed_ack_at);
        if connection.warm_deadlines != WarmDeadlines::None
            || due.is_due(self.now)
            || connection.flags.has_any(Flags::of(&[Flag::SendFull, Flag::Unshown]))
        {
            return false;
        }
        connection.armed_at = Tick::NONE;
        // What it was armed for has been acknowledged since: packets arrive (RFC 4861 section 7.3.1).
        self.neighbours.confirm(connection.route.neighbour(), self.now);
        if due.is_set() {
            self.arm(index, due);
        }
        true
    }

    fn expire_connection<E: Events<Self>>(&mut self, events: &mut E, index: u32) {
        let Some(id) = self.connections.key_at(index) else { return };
        let connection = self.connections.at_mut(index);
        connection.armed_at = Tick::NONE;
        let warm = &mut self.warm[index as usize];
        let timer_due = warm.timer_at.is_some_and(|at| at <= self.now);
        if timer_due {
            warm.timer_at = None;
        }
        if warm.path_mtu_at.is_due(self.now) {
            self.follow_path(index);
        }
        if self.is_tuned(index) && self.is_given_up(index) {
            return self.doom(index, Doom { reason: CloseReason::TimedOut, farewell: Farewell::Silence });
        }
        let connection = self.connections.at_mut(index);
        let warm = &mut self.warm[index as usize];
        let (had_backoff, options_due) = (connection.backoff, warm.options_at.is_due(self.now));
        let expired = timer::handle_timeout(connection, warm, &mut self.pools, &self.config.tcp, self.now);
        self.counters.timeouts += u64::from(connection.backoff > had_backoff);
        match expired {
            Expired::Nothing => {}
            Expired::Output => self.pend(index),
            Expired::TimedOut | Expired::FinWait2 => {
                let reason = match expired {
                    Expired::FinWait2 => CloseReason::Finished,
                    Expired::TimedOut | Expired::Nothing | Expired::Output => self.silence(index),
                };
                self.doom(index, Doom { reason, farewell: Farewell::Silence });
            }
        }
        if self.is_tuned(index) {
            self.clamp_retransmit(index);
        }
        if options_due {
            self.expire_options(events, index);
        }
        if self.connections.at(index).flags.has_any(Flags::of(&[Flag::SendFull, Flag::Unshown])) {
            self.pend(index);
        }
        if timer_due && self.connections.at(index).flags.has(Flag::Known) {
            events.timer(self, id);
            self.pend(index);
        }
        self.arm_again(index);
    }

    /// The wheel looked too early, or there are other deadlines.
    fn arm_again(&mut self, index: u32) {
        let warm = &self.warm[index as usize];
        let connection = self.connections.at(index);
        let retransmit_due = timer::retransmit_due(connection, warm, &self.config.tcp);
        let mut due = retransmit_due.earliest(timer::deadline(connection, warm));
        if let Some(at) = warm.timer_at {
            due = due.earliest(self.timer_tick(at));
        }
        if due.is_set() {
            self.arm(index, due);
        }
    }

    #[cold]
    fn expire_half_open<T: Transmit>(&mut self, transmit: &mut T) -> u32 {
        let mut fired = 0;
        let mut batch = [0; BATCH];
        while fired < FIRED_MAX {
            let count = self.half_open_wheel.expire(self.now, &mut batch);
            for &index in &batch[..count] {
                if let Some(key) = self.half_open.key_at(index) {
                    self.retry_syn_ack(transmit, key);
                }
            }
            fired += count;
            if count == 0 {
                break;
            }
        }
        fired as u32
    }

    fn retry_syn_ack<T: Transmit>(&mut self, transmit: &mut T, key: Key) {
        let Some(record) = self.half_open.get_mut(key) else { return };
        if record.retries >= self.config.tcp.tcp_synack_retries {
            self.counters.half_open_expired += 1;
            return self.remove_half_open(key);
        }
        record.retries += 1;
        self.counters.retransmits += 1;
        self.send_syn_ack(transmit, key);
    }

    /// SYNs of connections that were begun since the last turn's timers.
    fn send_new_syns<T: Transmit>(&mut self, transmit: &mut T) -> u32 {
        for place in 0..self.new_syns.len() {
            self.retry_syn(transmit, self.new_syns[place]);
        }
        let count = self.new_syns.len() as u32;
        self.new_syns.clear();
        count
    }

    #[cold]
    fn expire_syn_sent<T: Transmit>(&mut self, transmit: &mut T) -> u32 {
        let mut fired = 0;
        let mut batch = [0; BATCH];
        while fired < FIRED_MAX {
            let count = self.syn_sent_wheel.expire(self.now, &mut batch);
            for &index in &batch[..count] {
                if let Some(key) = self.syn_sent.key_at(index) {
                    self.retry_syn(transmit, key);
                }
            }
            fired += count;
            if count == 0 {
                break;
            }
        }
        fired as u32
    }

    /// The SYN's first time, its next time, or the end (RFC 6298 section 5, RFC 9293 section 3.8.3).
    fn retry_syn<T: Transmit>(&mut self, transmit: &mut T, key: Key) {
        let tcp = &self.config.tcp;
        let Some(record) = self.syn_sent.get_mut(key) else { return };
        let tuned = self.warm[record.connection.index as usize].tuned;
        let (retries_max, user_timeout_ms) = match tuned {
            None => (tcp.tcp_syn_retries, tcp.tcp_user_timeout_ms),
            Some(place) => {
                let options = &self.tuned.at(place.get() - 1).options;
                (options.tcp_syncnt, options.tcp_user_timeout_ms)
            }
        };
        let is_due = record.retransmit_at.is_due(self.now);
        if is_due && user_timeout_ms > 0 {
            let waited = (0..record.retries).fold(Duration::ZERO, |sum, n| sum + syn_timeout(tcp, n));
            let at = self.now - waited + Duration::from_millis(user_timeout_ms.into());
            record.timeout_at = Some(record.timeout_at.map_or(at, |earlier| earlier.min(at)));
        }
        let timed_out = record.timeout_at.is_some_and(|at| at <= self.now);
        if timed_out || (is_due && record.retries > retries_max) {
            let index = record.connection.index;
            let reason = self.silence(index);
            return self.fail_open(key, reason);
        }
        if is_due {
            record.retransmit_at = Tick::at(self.now + syn_timeout(tcp, record.retries));
            record.retries += 1;
        }
        let mut at = record.retransmit_at.instant(self.now);
        if let Some(timeout_at) = record.timeout_at {
            at = at.min(timeout_at);
        }
        self.syn_sent_wheel.arm(key.index, at);
        if is_due {
            self.send_syn(transmit, key);
        }
    }

    fn expire_time_wait(&mut self) -> u32 {
        let mut fired = 0;
        while fired < FIRED_MAX as u32 {
            match self.time_wait.first() {
                Some((index, expires_at)) if expires_at.is_due(self.now) => self.end_time_wait(index),
                Some(_) | None => break,
            }
            fired += 1;
        }
        fired
    }

    /// What waits for a silent neighbour has failed (s05).
    pub(super) fn neighbour_failed(&mut self, neighbour: u16) {
        for place in 0..self.syn_sent.capacity() as u32 {
            let Some(key) = self.syn_sent.key_at(place) else { continue };
            let index = self.syn_sent.at(place).connection.index;
            if self.connections.at(index).route.neighbour() == neighbour {
                self.fail_open(key, CloseReason::HostUnreachable);
            }
        }
    }

    /// The neighbour at `address` is known now: SYNs that waited for it leave.
    pub(super) fn neighbour_known<T: Transmit>(&mut self, transmit: &mut T, address: Address) {
        if self.syn_sent.is_empty() {
            return;
        }
        for place in 0..self.syn_sent.capacity() as u32 {
            let Some(key) = self.syn_sent.key_at(place) else { continue };
            let record = self.syn_sent.at(place);
            let remote = self.warm[record.connection.index as usize].remote;
            // One whose time has not come yet leaves with this turn's timers.
            if record.retries > 0 && self.next_hop(remote) == address {
                self.send_syn(transmit, key);
            }
        }
    }
}

/// How long the answer to a SYN is waited for that was sent so often before (RFC 6298 section 5).
fn syn_timeout(tcp: &TcpConfig, sent_before: u8) -> Duration {
    let doublings = sent_before.saturating_sub(tcp.tcp_syn_linear_timeouts).min(16);
    Duration::from_micros(u64::from(tcp.tcp_rto_initial_us) << doublings)
}
