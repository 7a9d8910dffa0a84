//! Reading: from the socket to the application, and what is kept in between.

use std::io::{self, Read};

use bywash_core::base::slab::Key;
use bywash_core::shard::{Events, Reading};

use super::connection::{Connection, Phase, Readiness, Receive, UnreadCause};
use super::host::MioHost;
use super::turn::reason_of;

/// Reads from one connection in one turn, at most.
const READS_MAX: u32 = 4;

impl MioHost {
    /// Shows what is kept and what the socket has, as long as the application reads and the budget lasts.
    pub(super) fn read<E: Events<Self>>(&mut self, key: Key, scratch: &mut [u8], events: &mut E) {
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
}

fn note_cause(connection: &mut Connection) {
    connection.unread_cause = match connection.reading() {
        Reading::Paused => UnreadCause::Paused,
        Reading::Open | Reading::Closed => UnreadCause::Incomplete,
    };
}
