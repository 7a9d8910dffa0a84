//! The stages of a turn: events, timers, reading, accepting, writing, and taking leave.

use std::io::{self, Read, Write};

use ::mio::event::Event;
use ::mio::{Interest, Token};
use bywash_core::base::slab::Key;
use bywash_core::base::time::Instant;
use bywash_core::shard::{CloseReason, ConnectionId, Events, Origin, Reading, Transport, Turn};
use rustix::io::Errno;

use super::connection::{Connection, Fullness, Listed, Outlet, Phase, Readiness, Receive, Send, UnreadCause};
use super::host::MioHost;
use super::{MioTransport, Polled, Room};

/// Reads from one connection in one turn, at most.
const READS_MAX: u32 = 4;
/// Rounds of writing in one turn, at most: an application may fill again what has just been sent.
const FLUSH_ROUNDS_MAX: u32 = 4;
/// Timers taken from the wheel at a time.
const TIMER_BATCH: usize = 64;

impl Transport for MioTransport {
    type Host = MioHost;

    fn turn<E: Events<MioHost>>(&mut self, now: Instant, events: &mut E) -> Turn {
        self.host.now = now;
        if self.polled == Polled::Stale && self.poll_kernel(Some(std::time::Duration::ZERO)).is_err() {
            self.host.counters.polls_failed += 1;
        }
        self.polled = Polled::Stale;
        let mut work = self.take_events(events);
        work += self.host.fire_timers(events);
        work += self.read_ready(events);
        work += self.accept(events);
        self.flush_dirty(events);
        work += self.bury_gone(events);
        let timers = self.host.timers.next_expiry();
        let deadline = match (timers, self.accept_retry) {
            (Some(timer), Some(retry)) => Some(timer.min(retry)),
            (timer, retry) => timer.or(retry),
        };
        Turn { work, deadline, again: self.has_work() }
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

    /// Shows what is kept and what the socket has, as long as the application reads and the budget lasts.
    fn read<E: Events<Self>>(&mut self, key: Key, scratch: &mut [u8], events: &mut E) {
        for _ in 0..READS_MAX {
            let Some(connection) = self.connections.get_mut(key) else { return };
            match connection.reading() {
                Reading::Paused => return,
                Reading::Closed if connection.receive != Receive::Dropped => return,
                Reading::Open | Reading::Closed => {}
            }
            if connection.unread_cause == UnreadCause::Paused {
                connection.unread_cause = UnreadCause::Incomplete;
                self.show_kept(key, &[], events);
                continue;
            }
            if connection.receive == Receive::Ending {
                return self.show_end(key, events);
            }
            if connection.readiness == Readiness::Drained || connection.phase != Phase::Open {
                return;
            }
            let Some(stream) = &mut connection.stream else { return };
            match stream.read(scratch) {
                Ok(0) => {
                    connection.readiness = Readiness::Drained;
                    match connection.receive {
                        Receive::Open => connection.receive = Receive::Ending,
                        Receive::Ending | Receive::Ended | Receive::Dropped => return,
                    }
                }
                Ok(len) => {
                    if len < scratch.len() && connection.readiness == Readiness::Readable {
                        connection.readiness = Readiness::Drained;
                    }
                    self.counters.reads += 1;
                    self.counters.received_bytes += len as u64;
                    self.show(key, &scratch[..len], events);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    connection.readiness = Readiness::Drained;
                    return;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return self.lose(key, reason_of(&error)),
            }
        }
        self.make_ready_again(key);
    }

    /// Comes back to the connection in the next turn, if its budget ended before its bytes.
    fn make_ready_again(&mut self, key: Key) {
        let Some(connection) = self.connections.get(key) else { return };
        if connection.readiness != Readiness::Drained
            || connection.receive == Receive::Ending
            || connection.unread_cause == UnreadCause::Paused
        {
            self.make_ready(key);
        }
    }

    /// Shows bytes in the buffer that they were read into; keeps what is not consumed.
    #[inline]
    fn show<E: Events<Self>>(&mut self, key: Key, bytes: &[u8], events: &mut E) {
        match self.connections.get(key) {
            Some(connection) if connection.receive == Receive::Dropped => return,
            Some(connection) if connection.unread.is_empty() => {}
            Some(_) => return self.show_kept(key, bytes, events),
            None => return,
        }
        let consumed = events.received(self, key, bytes);
        if consumed < bytes.len() {
            let Self { connections, pool, counters, .. } = self;
            if let Some(connection) = connections.get_mut(key).filter(|it| it.reading() != Reading::Closed) {
                connection.unread.push(&bytes[consumed..], pool);
                counters.copied_bytes += (bytes.len() - consumed) as u64;
                note_cause(connection);
            }
        }
    }

    /// Shows what was kept together with `more`.
    fn show_kept<E: Events<Self>>(&mut self, key: Key, more: &[u8], events: &mut E) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        connection.unread.push(more, &mut self.pool);
        self.counters.copied_bytes += more.len() as u64;
        // Taken out for the call: the application may do anything to its connection meanwhile.
        let mut unread = core::mem::take(&mut connection.unread);
        let consumed = events.received(self, key, unread.filled());
        unread.consume(consumed, &mut self.pool);
        match self.connections.get_mut(key).filter(|connection| connection.reading() != Reading::Closed) {
            Some(connection) if !unread.is_empty() => {
                connection.unread = unread;
                note_cause(connection);
            }
            Some(_) | None => unread.release(&mut self.pool),
        }
    }

    fn show_end<E: Events<Self>>(&mut self, key: Key, events: &mut E) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        connection.receive = Receive::Ended;
        let mut unread = core::mem::take(&mut connection.unread);
        events.end_of_stream(self, key, unread.filled());
        unread.release(&mut self.pool);
        self.finish(key);
    }

    /// Hands the kernel what is queued, in one call unless it takes less, and then our FIN if that is due.
    fn flush<E: Events<Self>>(&mut self, key: Key, events: &mut E) {
        let Self { connections, pool, counters, .. } = self;
        let Some(connection) = connections.get_mut(key) else { return };
        if connection.phase != Phase::Open || connection.outlet == Outlet::Blocked {
            return;
        }
        if !connection.output.is_empty() {
            let Some(stream) = &mut connection.stream else { return };
            match stream.write(connection.output.filled()) {
                Ok(len) => {
                    counters.writes += 1;
                    counters.sent_bytes += len as u64;
                    connection.output.consume(len, pool);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => return self.make_dirty(key),
                Err(error) => return self.lose(key, reason_of(&error)),
            }
        }
        if !connection.output.is_empty() {
            counters.writes_short += 1;
            self.watch_outlet(key);
        } else if connection.send == Send::Ending {
            return self.end_our_stream(key);
        }
        self.tell_room(key, events);
    }

    /// Waits for a writable edge; asks the kernel for them if that was not done before.
    fn watch_outlet(&mut self, key: Key) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        let was = core::mem::replace(&mut connection.outlet, Outlet::Blocked);
        if was == Outlet::Free
            && let Some(stream) = &mut connection.stream
        {
            let interest = Interest::READABLE | Interest::WRITABLE;
            if let Err(error) = self.registry.reregister(stream, Token(key.to_u64() as usize), interest) {
                self.lose(key, reason_of(&error));
            }
        }
    }

    fn end_our_stream(&mut self, key: Key) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        connection.send = Send::Ended;
        match (connection.receive, &connection.stream) {
            // Closing the descriptor sends the FIN.
            (Receive::Dropped, _) | (_, None) => {}
            (Receive::Open | Receive::Ending | Receive::Ended, Some(stream)) => {
                if let Err(error) = stream.shutdown(std::net::Shutdown::Write) {
                    return self.lose(key, reason_of(&error));
                }
            }
        }
        self.finish(key);
    }

    /// Ends a connection both of whose streams have ended.
    fn finish(&mut self, key: Key) {
        let Some(connection) = self.connections.get(key) else { return };
        match (connection.send, connection.receive) {
            (Send::Ended, Receive::Ended | Receive::Dropped) => self.lose(key, CloseReason::Finished),
            (Send::Open | Send::Ending, _) | (_, Receive::Open | Receive::Ending) => {}
        }
    }

    /// Tells the application that a full send buffer has room again, and reads on.
    fn tell_room<E: Events<Self>>(&mut self, key: Key, events: &mut E) {
        let Some(connection) = self.connections.get(key) else { return };
        if connection.fullness == Fullness::Room || !self.has_room_again(connection) {
            return;
        }
        if let Some(connection) = self.connections.get_mut(key) {
            connection.fullness = Fullness::Room;
        }
        events.writable(self, key);
        self.make_ready(key);
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

fn note_cause(connection: &mut Connection) {
    connection.unread_cause = match connection.reading() {
        Reading::Paused => UnreadCause::Paused,
        Reading::Open | Reading::Closed => UnreadCause::Incomplete,
    };
}

fn reason_of(error: &io::Error) -> CloseReason {
    match Errno::from_io_error(error) {
        Some(Errno::CONNREFUSED) => CloseReason::ConnectionRefused,
        Some(Errno::TIMEDOUT) => CloseReason::TimedOut,
        Some(Errno::HOSTUNREACH | Errno::NETUNREACH) => CloseReason::HostUnreachable,
        Some(Errno::NOMEM | Errno::NOBUFS) => CloseReason::OutOfMemory,
        // What is left is ECONNRESET and EPIPE.
        Some(_) | None => CloseReason::ConnectionReset,
    }
}
