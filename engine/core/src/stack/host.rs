//! What handlers may do with the connections of this shard.

use core::net::SocketAddr;

use crate::base::time::{Duration, Instant};
use crate::shard::{CloseReason, ConnectError, ConnectionId, ConnectionInfo, Host, Reading, WriteError};
use crate::tcp::connection::{Connection, Doom, Farewell, WarmDeadlines};
use crate::tcp::info::TcpInfo;
use crate::tcp::socket_options::{OptionError, OptionName, SocketOption};
use crate::tcp::state::{Flag, SendSide};
use crate::tcp::tick::Tick;

use super::source::ConnectOptions;
use super::{Accepting, Stack};

/// How soon a connection is looked at again that found the send pool empty.
const STARVED_RETRY: Duration = Duration::from_millis(10);

impl Stack {
    /// The pool had nothing for the connection: it is told when there is room again, whoever gives it back.
    #[cold]
    pub(super) fn starve(&mut self, index: u32) {
        self.counters.send_pool_waits += 1;
        self.connections.at_mut(index).flags.set(Flag::SendFull);
        self.arm(index, Tick::at(self.now + STARVED_RETRY));
    }

    /// There is no room for `asked` octets in one piece.
    #[cold]
    fn no_space(&mut self, index: u32, asked: usize) -> WriteError {
        let max = self.piece_max();
        self.starve(index);
        WriteError::NoSpace { asked, max: if asked > max { max } else { 0 } }
    }

    /// The connection, if it may still be written to.
    #[inline]
    fn writable(&mut self, id: ConnectionId) -> Result<&mut Connection, WriteError> {
        let connection = self.connections.get_mut(id).ok_or(WriteError::NotOpen)?;
        let is_open = connection.sides.send() == SendSide::Open && !connection.flags.has(Flag::Doomed);
        if is_open { Ok(connection) } else { Err(WriteError::NotOpen) }
    }

    /// RFC 9293 section 3.10.4: in SYN-SENT the connection is deleted, and the peer hears nothing. Says whether it is; once
    /// the SYNs have crossed, the end waits for the handshake.
    #[cold]
    fn delete_opening(&mut self, id: ConnectionId) -> bool {
        let is_deleted = !self.is_crossed(id.index);
        if is_deleted {
            self.doom(id.index, Doom { reason: CloseReason::Aborted, farewell: Farewell::Silence });
        }
        is_deleted
    }

    /// Octets that one write may queue now.
    fn write_space(&self, index: u32) -> usize {
        let connection = self.connections.at(index);
        let space = self.send_limit_of(connection, index).saturating_sub(connection.send.len());
        let lowat = self.notsent_lowat(index);
        space.min(lowat.saturating_sub(connection.unsent()) as usize)
    }

    /// Queues our FIN.
    fn end_stream(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        if connection.sides.send() == SendSide::Open {
            connection.sides.set_send(SendSide::FinQueued);
        }
        self.pend(id.index);
    }
}

impl Host for Stack {
    fn now(&self) -> Instant {
        self.now
    }

    #[inline]
    fn reserve(&mut self, id: ConnectionId, len: usize) -> Result<&mut [u8], WriteError> {
        let Some(connection) = self.connections.get_mut(id) else { return Err(WriteError::NotOpen) };
        if connection.sides.send() != SendSide::Open || connection.flags.has(Flag::Doomed) {
            return Err(WriteError::NotOpen);
        }
        match connection.send.reserve(&mut self.chunks, len) {
            Some(room) => Ok(room.bytes_mut(&mut self.chunks)),
            None => Err(self.no_space(id.index, len)),
        }
    }

    fn piece_max(&self) -> usize {
        self.chunks.chunk_max()
    }

    #[inline]
    fn commit(&mut self, id: ConnectionId, len: usize) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        connection.send.commit(&mut self.chunks, len);
        let is_full = connection.send.len() >= self.config.tcp.send_buffer as usize;
        if is_full || connection.flags.has(Flag::Tuned) {
            self.note_written(id.index);
        }
        self.pend(id.index);
    }

    #[inline]
    fn append(
        &mut self,
        id: ConnectionId,
        max: usize,
        fill: impl FnOnce(&mut [u8]) -> usize,
    ) -> Result<usize, WriteError> {
        let Some(connection) = self.connections.get_mut(id) else { return Err(WriteError::NotOpen) };
        if connection.sides.send() != SendSide::Open || connection.flags.has(Flag::Doomed) {
            return Err(WriteError::NotOpen);
        }
        let Some(room) = connection.send.reserve(&mut self.chunks, max) else {
            return Err(self.no_space(id.index, max));
        };
        let len = fill(room.bytes_mut(&mut self.chunks)).min(max);
        connection.send.commit_room(&mut self.chunks, room, len);
        let flags = connection.flags;
        if connection.send.len() >= self.config.tcp.send_buffer as usize || flags.has(Flag::Tuned) {
            self.note_written(id.index);
        }
        if !flags.has(Flag::Pending) {
            self.pend(id.index);
        }
        Ok(len)
    }

    #[inline]
    fn write(&mut self, id: ConnectionId, bytes: &[u8]) -> Result<usize, WriteError> {
        self.writable(id)?;
        let space = self.write_space(id.index);
        let connection = self.connections.at_mut(id.index);
        let written = connection.send.push(&mut self.chunks, &bytes[..bytes.len().min(space)]);
        if written < bytes.len() || written == space {
            connection.flags.set(Flag::SendFull);
        }
        if connection.flags.has(Flag::Tuned) {
            self.note_written(id.index);
        }
        if written < bytes.len().min(space) {
            self.starve(id.index);
        }
        self.pend(id.index);
        Ok(written)
    }

    fn send_space(&self, id: ConnectionId) -> usize {
        let Some(connection) = self.connections.get(id) else { return 0 };
        if connection.sides.send() != SendSide::Open {
            return 0;
        }
        self.write_space(id.index)
    }

    fn shutdown(&mut self, id: ConnectionId) {
        self.end_stream(id);
    }

    fn close(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        if connection.flags.has(Flag::Closed) {
            return;
        }
        if self.is_opening(id.index) && self.delete_opening(id) {
            return;
        }
        let connection = self.connections.at_mut(id.index);
        // RFC 1122 section 4.2.2.13: what was received and not read is lost, and the peer must know.
        // What is being shown right now is judged when the application has said how much it has read.
        let has_unread = !self.receive.readable(connection.receive.as_ref()).is_empty();
        connection.flags.set(Flag::Closed);
        connection.flags.take(Flag::EndUntold);
        if has_unread || !self.linger(id.index) {
            self.doom(id.index, Doom { reason: CloseReason::Aborted, farewell: Farewell::Reset });
        } else {
            self.end_stream(id);
        }
    }

    fn abort(&mut self, id: ConnectionId) {
        if self.connections.get(id).is_some() {
            self.doom(id.index, Doom { reason: CloseReason::Aborted, farewell: Farewell::Reset });
        }
    }

    fn pause_reading(&mut self, id: ConnectionId) {
        if let Some(connection) = self.connections.get_mut(id) {
            connection.flags.set(Flag::Paused);
        }
    }

    fn resume_reading(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        if !connection.flags.has(Flag::ReadShut) && connection.flags.take(Flag::Paused) {
            if self.receive.buffered(connection.receive.as_ref()) > 0 {
                connection.flags.set(Flag::Unshown);
            }
            self.pend(id.index);
        }
    }

    #[inline]
    fn reading(&self, id: ConnectionId) -> Reading {
        self.connections.get(id).map_or(Reading::Closed, |connection| self.reading_of(connection, id.index))
    }

    fn pause_accepting(&mut self) {
        self.accepting = Accepting::Paused;
    }

    fn resume_accepting(&mut self) {
        self.accepting = Accepting::Open;
    }

    fn set_timer(&mut self, id: ConnectionId, at: Option<Instant>) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        connection.warm_deadlines = WarmDeadlines::Possible;
        self.warm[id.index as usize].timer_at = at;
        if let Some(at) = at {
            self.arm(id.index, self.timer_tick(at));
        }
    }

    fn info(&self, id: ConnectionId) -> Option<ConnectionInfo> {
        self.connections.get(id)?;
        let tuple = self.tuple_of(id.index);
        Some(ConnectionInfo {
            local: SocketAddr::new(tuple.local.into(), tuple.local_port),
            remote: SocketAddr::new(tuple.remote.into(), tuple.remote_port),
        })
    }

    fn tcp_info(&self, id: ConnectionId) -> Option<TcpInfo> {
        self.tcp_info(id)
    }

    fn set_option(&mut self, id: ConnectionId, option: SocketOption) -> Result<(), OptionError> {
        self.set_option(id, option)
    }

    fn option(&self, id: ConnectionId, name: OptionName) -> Result<SocketOption, OptionError> {
        self.option(id, name)
    }

    fn connect(
        &mut self,
        remote: SocketAddr,
        timeout: Option<Duration>,
    ) -> Result<ConnectionId, ConnectError> {
        self.open(remote, &ConnectOptions { timeout, ..ConnectOptions::default() })
    }
}

impl Stack {
    /// The tick of an application's timer; one that is days away is looked at in between.
    pub(super) fn timer_tick(&self, at: Instant) -> Tick {
        Tick::at(at.min(self.now + Duration::from_secs(24 * 3600)))
    }
}
