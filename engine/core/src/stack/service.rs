//! What a connection has to tell or send once the burst is in: events first, then segments, the ACK on board.

use crate::port::Transmit;
use crate::shard::{CloseReason, Events, Reading};
use crate::table::{Entry, Kind};
use crate::tcp::connection::{Connection, Farewell};
use crate::tcp::input::{Fin, end_recovery};
use crate::tcp::output::{self, Novelty, Piece, Push};
use crate::tcp::state::{Flag, SendSide, State};
use crate::tcp::tick::Tick;
use crate::tcp::time_wait::TimeWait;
use crate::tcp::window;
use crate::wire::tcp::{Flags as Control, Options, SackBlock, TcpRepr, Timestamps};
use crate::wire::{Address, Parity, Sum, Tuple};

use super::counters::DropReason;
use super::egress::{NoFrame, Route, send_tcp};
use super::neighbour::Resolution;
use super::tables::Hashed;
use super::{END, Stack};

/// How far a connection was served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Served {
    /// All that can be done now is done.
    Done,
    /// No frame was free: it goes on in the next turn.
    NoFrame,
    /// It was removed; its place may hold another connection by now.
    Gone,
}

impl Stack {
    /// Serves every connection that has something to do, each once; those that run out of frames stay on the list.
    pub(super) fn service_pending<T: Transmit, E: Events<Self>>(
        &mut self,
        transmit: &mut T,
        events: &mut E,
    ) -> bool {
        let (mut index, _) = core::mem::replace(&mut self.pending, (END, END));
        let mut is_exhausted = false;
        while index != END {
            // It stays marked while it is served: what its events ask for is done here, and a connection that is
            // removed must not be on the list.
            let next = self.connections.at(index).pending_next;
            match self.service(transmit, events, index) {
                Served::Gone => {}
                Served::Done => {
                    self.connections.at_mut(index).flags.take(Flag::Pending);
                    if self.has_to_tell(index) {
                        self.pend(index);
                    }
                }
                Served::NoFrame => {
                    is_exhausted = true;
                    self.connections.at_mut(index).flags.take(Flag::Pending);
                    self.pend(index);
                }
            }
            index = next;
        }
        if is_exhausted {
            self.counters.drop(DropReason::NoTransmitFrame);
        }
        self.pending.0 != END
    }

    fn service<T: Transmit, E: Events<Self>>(
        &mut self,
        transmit: &mut T,
        events: &mut E,
        index: u32,
    ) -> Served {
        self.tell(events, index);
        let connection = self.connections.at(index);
        if connection.flags.has(Flag::Doomed) {
            return self.bury(transmit, events, index);
        }
        if connection.mss == 0 || self.is_opening(index) {
            return Served::Done;
        }
        if self.owes_sack(index) && self.send_ack_if_owed(transmit, index).is_err() {
            return Served::NoFrame;
        }
        if self.send_pieces(transmit, index).is_err() {
            return Served::NoFrame;
        }
        if self.send_ack_if_owed(transmit, index).is_err() {
            return Served::NoFrame;
        }
        let connection = self.connections.at_mut(index);
        output::persist(connection, &self.config.tcp, self.now);
        self.settle(events, index)
    }

    /// Whether an ACK is owed that must say what has come out of order: a segment with data would not count as a
    /// duplicate ACK (RFC 5681 section 2) and has no room for SACK blocks.
    fn owes_sack(&self, index: u32) -> bool {
        let connection = self.connections.at(index);
        connection.flags.has(Flag::AckNow)
            && connection.receive.is_some()
            && self.receive.ranges(connection.receive.as_ref()).next().is_some()
    }

    /// Whether octets can be shown that were not when the connection was served: reading went on in an event.
    fn has_to_tell(&self, index: u32) -> bool {
        let connection = self.connections.at(index);
        let flags = connection.flags;
        flags.has(Flag::Unshown) && flags.has(Flag::Known) && self.reading_of(connection) == Reading::Open
    }

    /// Whether the connection is one that we are still opening.
    pub(super) fn is_opening(&self, index: u32) -> bool {
        let connection = self.connections.at(index);
        !connection.flags.has(Flag::Known) && self.warm[index as usize].listener.is_none()
    }

    /// Events that wait: room to write, octets to read, the end of the stream.
    fn tell<E: Events<Self>>(&mut self, events: &mut E, index: u32) {
        const TELLING: crate::tcp::state::Flags =
            crate::tcp::state::Flags::of(&[Flag::SendFull, Flag::Unshown, Flag::EndUntold]);
        let flags = self.connections.at(index).flags;
        if !flags.has_any(TELLING) || !flags.has(Flag::Known) || flags.has(Flag::Doomed) {
            return;
        }
        let Some(id) = self.connections.key_at(index) else { return };
        let low = self.config.tcp.send_buffer as usize / 2;
        let connection = self.connections.at_mut(index);
        if flags.has(Flag::SendFull) && connection.send.len() <= low {
            connection.flags.take(Flag::SendFull);
            if connection.sides.send() == SendSide::Open {
                events.writable(self, id);
            }
        }
        self.show_buffered(events, index);
        self.tell_end(events, index);
        if self.chunks.is_low() {
            self.starve(index);
        }
    }

    /// Sends what may be sent.
    fn send_pieces<T: Transmit>(&mut self, transmit: &mut T, index: u32) -> Result<(), NoFrame> {
        loop {
            let connection = self.connections.at(index);
            let warm = &self.warm[index as usize];
            let Some(piece) = output::next_piece(connection, warm, &self.recoveries) else { return Ok(()) };
            self.send_piece(transmit, index, &piece)?;
            let connection = self.connections.at_mut(index);
            let warm = &self.warm[index as usize];
            output::handle_sent(connection, warm, &mut self.recoveries, &self.config.tcp, self.now, &piece);
        }
    }

    /// Builds one segment in a frame, ACK on board.
    fn send_piece<T: Transmit>(
        &mut self,
        transmit: &mut T,
        index: u32,
        piece: &Piece,
    ) -> Result<(), NoFrame> {
        let mut flags = Control::ACK;
        if matches!(piece.push, Push::Last) && piece.len > 0 {
            flags |= Control::PSH;
        }
        if matches!(piece.fin, Fin::Present) {
            flags |= Control::FIN;
        }
        let (route, repr) = self.header(index, piece.seq.0, flags).ok_or(NoFrame)?;
        let connection = self.connections.at_mut(index);
        let offset = piece.seq.since(connection.snd_una);
        let is_again = matches!(piece.novelty, Novelty::Again);
        let cursor = match (is_again, self.warm[index as usize].recovery) {
            (true, Some(recovery)) => Some(&mut self.recoveries.at_mut(recovery.get() - 1).cursor),
            (_, _) => None,
        };
        let (send, chunks) = (&mut connection.send, &self.chunks);
        send_tcp(transmit, &self.capabilities, &route, &repr, piece.len as usize, |payload| {
            let mut sum = Sum::ZERO;
            let mut done = 0;
            let copy = |to: &mut [u8], from: &[u8]| {
                sum = sum.append(Sum::copy(to, from), Parity::of(done));
                done += from.len();
            };
            match cursor {
                Some(cursor) => send.gather_with(chunks, cursor, offset, payload, copy),
                None => send.gather(chunks, offset, payload, copy),
            };
            sum
        })?;
        window::handle_ack_sent(connection);
        self.counters.frames_sent += 1;
        self.counters.bytes_copied_out += u64::from(piece.len);
        self.counters.retransmits += u64::from(is_again);
        Ok(())
    }

    /// The addresses and header of a segment of this connection, with the window and timestamps of now.
    /// `None` while the next hop is not known.
    #[inline]
    fn header(&mut self, index: u32, seq: u32, flags: Control) -> Option<(Route, TcpRepr)> {
        let connection = self.connections.at_mut(index);
        let Resolution::Known(mac) = self.neighbours.resolve(connection.neighbour) else { return None };
        let local = self.config.addresses.get(usize::from(connection.local))?.cidr.address();
        let remote =
            if local.is_v4() { Address::v4(connection.remote_v4) } else { self.warm[index as usize].remote };
        let free = receive_window(&self.receive, connection, &self.config.tcp);
        let window = window::advertise(connection, &self.config.tcp, free);
        let timestamps = connection
            .flags
            .has(Flag::Timestamps)
            .then(|| Timestamps { value: connection.timestamp(self.now), echo: connection.ts_recent });
        let repr = TcpRepr {
            source_port: connection.local_port,
            destination_port: connection.remote_port,
            seq,
            ack: connection.rcv_nxt.0,
            flags,
            window,
            urgent: 0,
            options: Options { timestamps, ..Options::NONE },
        };
        Some((Route { mac, local, remote }, repr))
    }

    /// An ACK alone, when one is owed and no segment has carried it; or a window update or probe.
    fn send_ack_if_owed<T: Transmit>(&mut self, transmit: &mut T, index: u32) -> Result<(), NoFrame> {
        let connection = self.connections.at_mut(index);
        let free = receive_window(&self.receive, connection, &self.config.tcp);
        let is_probe = connection.flags.take(Flag::Probe);
        let is_update = window::is_update_due(connection, &self.config.tcp, free);
        if !connection.flags.has(Flag::AckNow) && !is_probe && !is_update {
            return Ok(());
        }
        // A probe lies just before the window, so that the peer has to answer (RFC 9293 section 3.8.6.1).
        let seq = if is_probe { connection.snd_una - 1 } else { connection.snd_nxt };
        let Some((route, mut repr)) = self.header(index, seq.0, Control::ACK) else { return Ok(()) };
        let connection = self.connections.at_mut(index);
        if connection.flags.has(Flag::Sack) {
            for span in self.receive.ranges(connection.receive.as_ref()) {
                let (left, right) = (connection.rcv_nxt + span.start, connection.rcv_nxt + span.end);
                if repr.options.sack.push(SackBlock { left: left.0, right: right.0 }).is_err() {
                    break;
                }
            }
        }
        if let Err(error) = send_tcp(transmit, &self.capabilities, &route, &repr, 0, |_| Sum::ZERO) {
            // The window counts as told already: what was due is due again.
            connection.flags.set(if is_probe { Flag::Probe } else { Flag::AckNow });
            return Err(error);
        }
        window::handle_ack_sent(connection);
        self.counters.frames_sent += 1;
        Ok(())
    }

    /// After output: arms the wheel, moves on to FIN_WAIT_2's clock, TIME_WAIT, or the end.
    fn settle<E: Events<Self>>(&mut self, events: &mut E, index: u32) -> Served {
        if self.is_finished(index) {
            self.retire(events, index);
            return Served::Gone;
        }
        let connection = self.connections.at_mut(index);
        if connection.sides.state() == State::FinWait2 && connection.flags.has(Flag::Closed) {
            let warm = &mut self.warm[index as usize];
            if !warm.fin_wait_2_at.is_set() {
                let timeout = u64::from(self.config.tcp.tcp_fin_timeout_ms);
                warm.fin_wait_2_at = Tick::at(self.now + crate::base::time::Duration::from_millis(timeout));
                let at = warm.fin_wait_2_at;
                self.arm(index, at);
            }
        }
        let connection = self.connections.at(index);
        let due = connection.retransmit_at.earliest(connection.delayed_ack_at);
        if due.is_set() {
            self.arm(index, due);
        }
        Served::Done
    }

    /// Makes sure that the wheel looks at the connection at `due` or before. Later deadlines cost nothing here: the
    /// wheel's look is early then, and arms again.
    #[inline]
    pub(super) fn arm(&mut self, index: u32, due: Tick) {
        let connection = self.connections.at_mut(index);
        if connection.armed_at.is_set() && connection.armed_at.earliest(due) == connection.armed_at {
            return;
        }
        connection.armed_at = due;
        self.wheel.arm(index, due.instant(self.now));
    }

    /// Both streams have ended: the connection is told off, and remembered if it must be.
    fn retire<E: Events<Self>>(&mut self, events: &mut E, index: u32) {
        let connection = self.connections.at(index);
        let needs_time_wait = connection.sides.state() == State::TimeWait;
        let (tuple, hashed) = self.tuple_of(index);
        let scale = connection.scales.receive();
        let record = TimeWait {
            tuple,
            hash: hashed.hash,
            snd_nxt: connection.snd_nxt,
            rcv_nxt: connection.rcv_nxt,
            window: (connection.rcv_adv.since(connection.rcv_nxt) >> scale).min(0xffff) as u16,
            ts_recent: connection.flags.has(Flag::Timestamps).then_some(connection.ts_recent),
            ts_offset: connection.ts_offset,
            expires_at: Tick::NONE,
        };
        self.remove(events, index, CloseReason::Finished);
        if needs_time_wait {
            self.begin_time_wait(record, &hashed);
        }
    }

    fn begin_time_wait(&mut self, mut record: TimeWait, hashed: &Hashed) {
        record.restart(&self.config.tcp, self.now);
        if self.time_wait.len() == self.time_wait.capacity() {
            // As tcp_max_tw_buckets: the oldest makes room.
            if let Some(oldest) = self.time_wait_queue.front().copied() {
                self.counters.time_wait_evicted += 1;
                self.end_time_wait(oldest);
            }
        }
        let Ok(key) = self.time_wait.insert(record) else { return };
        let inserted =
            Entry::new(Kind::TimeWait, key).is_ok_and(|entry| self.tables.insert(hashed, entry).is_ok());
        if inserted {
            self.time_wait_queue.push_back(key);
        } else {
            self.time_wait.remove(key);
        }
    }

    /// Ends a TIME_WAIT.
    pub(super) fn end_time_wait(&mut self, key: crate::base::slab::Key) {
        let Some(record) = self.time_wait.remove(key).copied() else { return };
        self.tables.remove(&Hashed::of(&record.tuple, &self.hasher));
        if self.time_wait_queue.front() == Some(&key) {
            self.time_wait_queue.pop_front();
        }
    }

    /// Sends the RST of a doomed connection, if one is due, and removes it.
    #[cold]
    fn bury<T: Transmit, E: Events<Self>>(&mut self, transmit: &mut T, events: &mut E, index: u32) -> Served {
        let Some(doom) = self.warm[index as usize].doom else { return Served::Done };
        if matches!(doom.farewell, Farewell::Reset) && !self.is_opening(index) {
            let seq = self.connections.at(index).snd_nxt;
            if let Some((route, mut repr)) = self.header(index, seq.0, Control::RST | Control::ACK) {
                repr.options = Options::NONE;
                if send_tcp(transmit, &self.capabilities, &route, &repr, 0, |_| Sum::ZERO).is_err() {
                    return Served::NoFrame;
                }
                self.counters.frames_sent += 1;
                self.counters.resets_sent += 1;
            }
        }
        self.remove(events, index, doom.reason);
        Served::Gone
    }

    /// Gives everything back that a connection holds, and tells the application.
    fn remove<E: Events<Self>>(&mut self, events: &mut E, index: u32, reason: CloseReason) {
        let (_, hashed) = self.tuple_of(index);
        let Some(id) = self.connections.key_at(index) else { return };
        let was_opening = self.is_opening(index);
        if was_opening {
            self.remove_syn_sent(&hashed);
        }
        self.tables.remove(&hashed);
        let connection = self.connections.at_mut(index);
        let warm = &mut self.warm[index as usize];
        end_recovery(connection, warm, &mut self.recoveries);
        connection.send.clear(&mut self.chunks);
        self.receive.release(&mut connection.receive);
        self.neighbours.release(connection.neighbour);
        let is_known = connection.flags.has(Flag::Known) || was_opening;
        if connection.armed_at.is_set() {
            self.wheel.disarm(index);
        }
        self.connections.remove(id);
        self.counters.closed += 1;
        if is_known {
            events.closed(self, id, reason);
        }
    }

    /// The tuple of a connection.
    pub(super) fn tuple_of(&self, index: u32) -> (Tuple, Hashed) {
        let connection = self.connections.at(index);
        let local = self.config.addresses[usize::from(connection.local)].cidr.address();
        let tuple = Tuple {
            local,
            remote: self.warm[index as usize].remote,
            local_port: connection.local_port,
            remote_port: connection.remote_port,
        };
        (tuple, Hashed::of(&tuple, &self.hasher))
    }

    /// Whether a connection's received octets are shown, as `Host::reading` says it.
    #[inline]
    pub(super) fn reading_of(&self, connection: &Connection) -> Reading {
        const CLOSED: crate::tcp::state::Flags = crate::tcp::state::Flags::of(&[Flag::Closed, Flag::Doomed]);
        if connection.flags.has_any(CLOSED) {
            Reading::Closed
        } else if connection.flags.has(Flag::Paused)
            || connection.send.len() >= self.config.tcp.send_buffer as usize
            || self.chunks.is_low()
        {
            // Whoever is not shown anything writes no replies: what is left of the pool is for those on their way.
            Reading::Paused
        } else {
            Reading::Open
        }
    }
}

/// Octets that the connection may still receive.
#[inline]
pub(super) fn receive_window(
    pool: &crate::buffer::ReceivePool,
    connection: &Connection,
    config: &crate::tcp::config::TcpConfig,
) -> u32 {
    match &connection.receive {
        None => config.receive_buffer,
        held @ Some(_) => config.receive_buffer.saturating_sub(pool.buffered(held.as_ref())),
    }
}
