//! Writing: from what is queued to the socket, and our end of the stream.

use std::io::{self, Write};

use ::mio::{Interest, Token};
use bywash_core::base::slab::Key;
use bywash_core::shard::{CloseReason, Events};

use super::connection::{Fullness, Outlet, Phase, Receive, Send};
use super::host::MioHost;
use super::turn::reason_of;

impl MioHost {
    /// Hands the kernel what is queued, in one call unless it takes less, and then our FIN if that is due.
    pub(super) fn flush<E: Events<Self>>(&mut self, key: Key, events: &mut E) {
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
        if connection.output.is_empty() {
            match connection.send {
                Send::Open => {}
                Send::Ending => return self.end_our_stream(key),
                // Closed after the FIN had left.
                Send::Ended => return self.finish(key),
            }
        } else {
            counters.writes_short += 1;
            self.watch_outlet(key);
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
    pub(super) fn finish(&mut self, key: Key) {
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
}
