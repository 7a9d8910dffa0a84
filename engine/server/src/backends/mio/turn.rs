//! The stages of a turn: events, timers, reading, accepting, writing, and taking leave.

use std::io;

use ::mio::event::Event;
use bywash_core::base::slab::Key;
use bywash_core::base::time::Instant;
use bywash_core::shard::{CloseReason, ConnectionId, Events, Origin, Reading, Transport, Turn};
use rustix::io::Errno;

use super::connection::{Listed, Outlet, Phase, Readiness, Receive};
use super::host::MioHost;
use super::{MioTransport, Polled, Room};

/// Rounds of writing in one turn, at most: an application may fill again what has just been sent.
const FLUSH_ROUNDS_MAX: u32 = 4;
/// Timers taken from the wheel at a time.
const TIMER_BATCH: usize = 64;

impl Transport for MioTransport {
    type Host = MioHost;

    fn turn<E: Events<MioHost>>(&mut self, now: Instant, events: &mut E) -> Turn {
        self.host.now = now;
        let polled = self.polled;
        if polled == Polled::Stale && self.poll_kernel(Some(std::time::Duration::ZERO)).is_err() {
            self.host.counters.polls_failed += 1;
        }
        self.polled = match polled {
            Polled::Fresh => Polled::Spent,
            Polled::Spent | Polled::Stale => Polled::Stale,
        };
        let mut work = self.take_events(events);
        work += self.host.fire_timers(events);
        work += self.read_ready(events);
        work += self.accept(events);
        self.flush_dirty(events);
        work += self.bury_gone(events);
        Turn { work, again: self.has_work() }
    }

    fn deadline(&self) -> Option<Instant> {
        match (self.host.timers.next_expiry(), self.accept_retry) {
            (Some(timer), Some(retry)) => Some(timer.min(retry)),
            (timer, retry) => timer.or(retry),
        }
    }

    fn host(&mut self) -> &mut MioHost {
        &mut self.host
    }

    fn stop_listening(&mut self) {
        self.listeners.clear();
        self.accept_retry = None;
    }

    fn open_connections(&self, into: &mut Vec<ConnectionId>) {
        let host = &self.host;
        into.extend(host.connections.keys().filter(|key| {
            host.connections.get(*key).is_some_and(|connection| connection.reading() != Reading::Closed)
        }));
    }

    fn draining(&self) -> usize {
        self.host.connections.len()
    }
}

impl MioTransport {
    /// Whether a turn would find something to do without asking the kernel.
    pub(super) fn has_work(&self) -> bool {
        let host = &self.host;
        !(host.ready.is_empty() && host.dirty.is_empty() && host.gone.is_empty()) || self.may_accept()
    }

    fn take_events<E: Events<MioHost>>(&mut self, events: &mut E) -> u32 {
        let mut work = 0;
        for event in &self.events {
            work += 1;
            let key = Key::from_u64(event.token().0 as u64);
            if key.generation == 0 {
                // The waker has no listener's index and only ends the sleep.
                if let Some(listener) = self.listeners.get_mut(key.index as usize) {
                    listener.pending = Listed::Yes;
                }
            } else {
                self.host.note(key, event, events);
            }
        }
        self.events.clear();
        work
    }

    fn read_ready<E: Events<MioHost>>(&mut self, events: &mut E) -> u32 {
        core::mem::swap(&mut self.working, &mut self.host.ready);
        let work = self.working.len() as u32;
        for &key in &self.working {
            if let Some(connection) = self.host.connections.get_mut(key) {
                connection.on_ready = Listed::No;
                self.host.read(key, &mut self.scratch, events);
            }
        }
        self.working.clear();
        work
    }

    fn flush_dirty<E: Events<MioHost>>(&mut self, events: &mut E) {
        for _ in 0..FLUSH_ROUNDS_MAX {
            if self.host.dirty.is_empty() {
                return;
            }
            core::mem::swap(&mut self.working, &mut self.host.dirty);
            for &key in &self.working {
                if let Some(connection) = self.host.connections.get_mut(key) {
                    connection.on_dirty = Listed::No;
                    self.host.flush(key, events);
                }
            }
            self.working.clear();
        }
    }

    /// Reports and removes the connections that are gone.
    fn bury_gone<E: Events<MioHost>>(&mut self, events: &mut E) -> u32 {
        if self.host.gone.is_empty() {
            return 0;
        }
        core::mem::swap(&mut self.working, &mut self.host.gone);
        let work = self.working.len() as u32;
        for &key in &self.working {
            self.host.bury(key, events);
        }
        self.working.clear();
        // There is room and a descriptor again.
        self.accept_room = Room::Some;
        self.accept_retry = None;
        work
    }
}

impl MioHost {
    /// Writes down what the kernel says of a connection.
    fn note<E: Events<Self>>(&mut self, key: Key, event: &Event, events: &mut E) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        match connection.phase {
            Phase::Gone(_) => return,
            Phase::Connecting { .. } => return self.finish_connecting(key, event, events),
            Phase::Open => {}
        }
        if event.is_read_closed() || event.is_error() {
            connection.readiness = Readiness::EndSeen;
        } else if event.is_readable() && connection.readiness == Readiness::Drained {
            connection.readiness = Readiness::Readable;
        }
        if event.is_writable() && connection.outlet == Outlet::Blocked {
            connection.outlet = Outlet::Watched;
            self.make_dirty(key);
        }
        let Some(connection) = self.connections.get(key) else { return };
        if event.is_error() && connection.reading() == Reading::Paused {
            // Nobody will read up to it.
            if let Some(Ok(Some(error))) = connection.stream.as_ref().map(::mio::net::TcpStream::take_error) {
                self.lose(key, reason_of(&error));
            }
        } else if connection.readiness != Readiness::Drained {
            self.make_ready(key);
        }
    }

    fn finish_connecting<E: Events<Self>>(&mut self, key: Key, event: &Event, events: &mut E) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        let Some(stream) = &connection.stream else { return };
        match stream.take_error() {
            Ok(Some(error)) | Err(error) => return self.lose(key, reason_of(&error)),
            Ok(None) => {}
        }
        if stream.peer_addr().is_err() {
            return;
        }
        connection.phase = Phase::Open;
        self.counters.connected += 1;
        events.opened(self, key, Origin::Connected);
        self.note(key, event, events);
    }

    fn fire_timers<E: Events<Self>>(&mut self, events: &mut E) -> u32 {
        let mut fired = 0;
        let mut batch = [0; TIMER_BATCH];
        loop {
            let taken = self.timers.expire(self.now, &mut batch);
            for &index in &batch[..taken] {
                if let Some(key) = self.connections.key_at(index) {
                    fired += self.fire_timer(key, events);
                }
            }
            if taken < batch.len() {
                return fired;
            }
        }
    }

    fn fire_timer<E: Events<Self>>(&mut self, key: Key, events: &mut E) -> u32 {
        let Some(connection) = self.connections.get_mut(key) else { return 0 };
        let Some(deadline) = connection.deadline() else { return 0 };
        if deadline > self.now {
            self.timers.arm(key.index, deadline);
            return 0;
        }
        match (connection.phase, connection.receive) {
            (Phase::Gone(_), _) => {}
            (Phase::Connecting { deadline: Some(give_up) }, _) if give_up <= self.now => {
                self.lose(key, CloseReason::TimedOut);
            }
            // The time that a close may take has passed.
            (Phase::Open, Receive::Dropped) => {
                connection.reset_on_close();
                self.lose(key, CloseReason::TimedOut);
            }
            (Phase::Connecting { .. } | Phase::Open, _) => {
                connection.timer = None;
                if let Some(later) = connection.deadline() {
                    self.timers.arm(key.index, later);
                }
                events.timer(self, key);
            }
        }
        1
    }

    fn bury<E: Events<Self>>(&mut self, key: Key, events: &mut E) {
        let Some(Phase::Gone(reason)) = self.connections.get(key).map(|connection| connection.phase) else {
            return;
        };
        self.timers.disarm(key.index);
        if let Some(connection) = self.connections.remove(key) {
            // Closing it takes it out of epoll too.
            connection.stream = None;
        }
        events.closed(self, key, reason);
    }
}

/// What an error of a socket says of its connection.
pub(super) fn reason_of(error: &io::Error) -> CloseReason {
    match Errno::from_io_error(error) {
        Some(Errno::CONNREFUSED) => CloseReason::ConnectionRefused,
        Some(Errno::TIMEDOUT) => CloseReason::TimedOut,
        Some(Errno::HOSTUNREACH | Errno::NETUNREACH) => CloseReason::HostUnreachable,
        Some(Errno::NOMEM | Errno::NOBUFS) => CloseReason::OutOfMemory,
        // What is left is ECONNRESET and EPIPE.
        Some(_) | None => CloseReason::ConnectionReset,
    }
}
