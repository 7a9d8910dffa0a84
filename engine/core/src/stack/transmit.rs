//! Segments of a connection: data with the ACK on board, or the ACK alone.

use crate::buffer::ReceivePool;
use crate::port::Transmit;
use crate::tcp::clock::Clock;
use crate::tcp::connection::{self, Connection};
use crate::tcp::input::Fin;
use crate::tcp::output::{self, Novelty, Piece, Push};
use crate::tcp::seq::SequenceNumber;
use crate::tcp::state::Flag;
use crate::tcp::window;
use crate::tcp::{congestion, ecn};
use crate::wire::tcp::{Flags as Control, SackBlock, SackBlocks, Timestamps};
use crate::wire::{Address, Parity, Sum};

use super::Stack;
use super::counters::DropReason;
use super::egress::{Head, NoFrame, PlainHead, Route, send_segment, send_tcp};

/// Whether segments with data or FIN have left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// At least one, with the ACK and the window of now on board.
    Something,
    /// None.
    Nothing,
}

impl Stack {
    /// Sends what may be sent, and says whether that was anything.
    pub(super) fn send_pieces<T: Transmit>(&mut self, transmit: &mut T, index: u32) -> Result<Sent, NoFrame> {
        let mut sent = Sent::Nothing;
        self.restart_after_idle(index);
        loop {
            if self.send_full_run(transmit, index)? == Sent::Something {
                sent = Sent::Something;
            }
            let connection = self.connections.at(index);
            let warm = &self.warm[index as usize];
            let Some(piece) = output::next_piece(connection, warm, &self.pools.recoveries) else {
                return Ok(sent);
            };
            self.send_piece(transmit, index, &piece)?;
            sent = Sent::Something;
            let connection = self.connections.at_mut(index);
            let warm = &mut self.warm[index as usize];
            output::handle_sent(
                connection,
                warm,
                &mut self.pools.recoveries,
                &self.config.tcp,
                self.now,
                &piece,
            );
        }
    }

    /// Nothing was sent for a while: slow start, if the configuration asks for it.
    #[inline]
    pub(super) fn restart_after_idle(&mut self, index: u32) {
        let connection = self.connections.at_mut(index);
        if connection.flight() == 0 && connection.unsent() > 0 {
            let warm = &mut self.warm[index as usize];
            let pool = &mut self.pools.congestion;
            congestion::restart_after_idle(connection, warm, pool, &self.config.tcp, self.now);
        }
    }

    /// Builds one segment in a frame, ACK on board.
    fn send_piece<T: Transmit>(
        &mut self,
        transmit: &mut T,
        index: u32,
        piece: &Piece,
    ) -> Result<(), NoFrame> {
        let held = self.connections.at(index).flags;
        let mut flags = Control::ACK | ecn::echo(held);
        if matches!(piece.push, Push::Last) && piece.len > 0 {
            flags |= Control::PSH;
        }
        if matches!(piece.fin, Fin::Present) {
            flags |= Control::FIN;
        }
        let is_again = matches!(piece.novelty, Novelty::Again);
        if !is_again && piece.len > 0 && held.has(Flag::EcnReduced) {
            flags |= Control::CWR;
        }
        let mut sent = Sent::Something;
        if is_again || !self.send_plain(transmit, index, piece.seq, flags, piece.len)? {
            sent = self.gather_piece(transmit, index, piece, flags)?;
        }
        window::handle_ack_sent(self.connections.at_mut(index));
        if sent == Sent::Nothing {
            // As good as lost on the way: the retransmission timer brings it back.
            self.counters.drop(DropReason::NoNextHop);
            return Ok(());
        }
        self.counters.frames_sent += 1;
        self.counters.bytes_copied_out += u64::from(piece.len);
        self.counters.retransmits += u64::from(is_again);
        Ok(())
    }

    /// Sends a segment by the template, if that can be: its octets lie in one piece, and timestamps are its options. The
    /// answer is whether it was.
    #[inline]
    pub(super) fn send_plain<T: Transmit>(
        &mut self,
        transmit: &mut T,
        index: u32,
        seq: SequenceNumber,
        flags: Control,
        len: u32,
    ) -> Result<bool, NoFrame> {
        let connection = self.connections.at(index);
        let route = route_of(connection, len);
        if !connection.flags.has(Flag::Timestamps) || !self.has_template(route) {
            return Ok(false);
        }
        let buffer = self.receive_limit(index);
        let connection = self.connections.at_mut(index);
        let text = match len {
            0 => &[],
            _ => match connection.send.piece(&self.chunks, seq.since(connection.snd_una), len) {
                Some(text) => text,
                None => return Ok(false),
            },
        };
        let free = receive_window(&self.receive, connection, buffer);
        let window = window::advertise(connection, buffer, free);
        let plain = plain_head(connection, &self.clock, seq, flags, window);
        self.template.send(transmit, &self.capabilities, &plain, text)?;
        Ok(true)
    }

    /// The same for any piece: its octets are gathered from all chunks. Nothing is sent while the next hop is not known.
    fn gather_piece<T: Transmit>(
        &mut self,
        transmit: &mut T,
        index: u32,
        piece: &Piece,
        flags: Control,
    ) -> Result<Sent, NoFrame> {
        let Some((mut route, head)) = self.head(index, piece.seq, flags) else { return Ok(Sent::Nothing) };
        if matches!(piece.novelty, Novelty::New) {
            route.traffic_class = route_of(self.connections.at(index), piece.len).traffic_class();
        }
        let connection = self.connections.at_mut(index);
        let offset = piece.seq.since(connection.snd_una);
        let is_again = matches!(piece.novelty, Novelty::Again);
        let cursor = match (is_again, self.warm[index as usize].recovery) {
            (true, Some(recovery)) => Some(&mut self.pools.recoveries.at_mut(recovery.get() - 1).cursor),
            (_, _) => None,
        };
        let (send, chunks) = (&connection.send, &mut self.chunks);
        send_segment(transmit, &self.capabilities, &route, &head, piece.len as usize, |payload| {
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
        Ok(Sent::Something)
    }

    /// The way and the head of a segment without new octets of this connection, with the window and timestamps of now.
    /// `None` while the next hop is not known.
    #[inline]
    pub(super) fn head(&mut self, index: u32, seq: SequenceNumber, flags: Control) -> Option<(Route, Head)> {
        let buffer = self.receive_limit(index);
        let connection = self.connections.at_mut(index);
        let mac = *self.neighbours.link_to_use(connection.route.neighbour(), self.now)?;
        let local = self.config.addresses.get(connection.route.local())?.cidr.address();
        let remote =
            if local.is_v4() { Address::v4(connection.remote_v4) } else { self.warm[index as usize].remote };
        let free = receive_window(&self.receive, connection, buffer);
        let window = window::advertise(connection, buffer, free);
        let timestamps = connection
            .flags
            .has(Flag::Timestamps)
            .then(|| Timestamps { value: connection.timestamp(self.now), echo: connection.ts_recent });
        let head = Head {
            local_port: connection.ports.local(),
            remote_port: connection.ports.remote(),
            seq,
            ack: connection.rcv_nxt,
            flags,
            window,
            timestamps,
        };
        let traffic_class = connection.route.not_ect().traffic_class();
        Some((Route { mac, local, remote, traffic_class }, head))
    }

    /// An ACK alone, when one is owed and no segment has carried it; or a window update or probe.
    pub(super) fn send_ack_if_owed<T: Transmit>(
        &mut self,
        transmit: &mut T,
        index: u32,
    ) -> Result<(), NoFrame> {
        let buffer = self.receive_limit(index);
        let connection = self.connections.at_mut(index);
        let free = receive_window(&self.receive, connection, buffer);
        let is_probe = connection.flags.take(Flag::Probe);
        let is_update = window::is_update_due(connection, buffer, free);
        if !connection.flags.has(Flag::AckNow) && !is_probe && !is_update {
            return Ok(());
        }
        // A probe lies just before the window, so that the peer has to answer (RFC 9293 section 3.8.6.1).
        let seq = if is_probe { connection.snd_una - 1 } else { connection.snd_nxt };
        let flags = Control::ACK | ecn::echo(connection.flags);
        let is_plain = connection.receive.is_none() && self.duplicate_of(index).is_none();
        let sent = if is_plain { self.send_plain(transmit, index, seq, flags, 0) } else { Ok(false) };
        let sent = match sent {
            Ok(false) => self.send_sack(transmit, index, seq),
            Ok(true) | Err(NoFrame) => sent,
        };
        let connection = self.connections.at_mut(index);
        match sent {
            Ok(true) => {
                window::handle_ack_sent(connection);
                self.counters.frames_sent += 1;
            }
            Ok(false) => {
                window::handle_ack_sent(connection);
                self.counters.drop(DropReason::NoNextHop);
            }
            Err(NoFrame) => {
                // The window counts as told already: what was due is due again.
                connection.flags.set(if is_probe { Flag::Probe } else { Flag::AckNow });
                return Err(NoFrame);
            }
        }
        Ok(())
    }

    /// Sends an ACK with whatever has come out of order, unless the next hop is not known. The answer is whether it did.
    fn send_sack<T: Transmit>(
        &mut self,
        transmit: &mut T,
        index: u32,
        seq: SequenceNumber,
    ) -> Result<bool, NoFrame> {
        let flags = Control::ACK | ecn::echo(self.connections.at(index).flags);
        let Some((route, head)) = self.head(index, seq, flags) else { return Ok(false) };
        let connection = self.connections.at(index);
        let mut sack = SackBlocks::NONE;
        if let Some(duplicate) = self.duplicate_of(index) {
            // RFC 2883 section 4: the duplicate is the first block, what contains it the second.
            let _ = sack.push(duplicate);
        }
        if connection.flags.has(Flag::Sack) && connection.receive.is_some() {
            for span in self.receive.ranges(connection.receive.as_ref()) {
                let (left, right) = (connection.rcv_nxt + span.start, connection.rcv_nxt + span.end);
                if sack.push(SackBlock { left: left.0, right: right.0 }).is_err() {
                    break;
                }
            }
        }
        if sack.as_slice().is_empty() {
            send_segment(transmit, &self.capabilities, &route, &head, 0, |_| Sum::ZERO)?;
        } else {
            let repr = head.with_sack(sack);
            send_tcp(transmit, &self.capabilities, &route, &repr, 0, |_| Sum::ZERO)?;
            if self.connections.at_mut(index).flags.take(Flag::Duplicate)
                && let Some(id) = self.connections.key_at(index)
            {
                self.duplicates.reported(id);
            }
        }
        Ok(true)
    }

    /// What the peer of this connection is to be told that it has sent twice.
    #[inline]
    pub(super) fn duplicate_of(&self, index: u32) -> Option<SackBlock> {
        let is_noted = self.connections.at(index).flags.has(Flag::Duplicate);
        if is_noted { self.duplicates.of(self.connections.key_at(index)?) } else { None }
    }
}

/// The way of a segment with `len` new octets. RFC 3168 sections 6.1.4 to 6.1.6: only they are ECN-capable, and not when
/// they probe a window.
#[inline]
fn route_of(connection: &Connection, len: u32) -> connection::Route {
    if len == 0 || connection.flags.has(Flag::Probe) { connection.route.not_ect() } else { connection.route }
}

/// The head of a plain segment of a connection with timestamps.
#[inline(always)]
pub(super) fn plain_head(
    connection: &Connection,
    clock: &Clock,
    seq: SequenceNumber,
    flags: Control,
    window: u16,
) -> PlainHead {
    PlainHead {
        remote: connection.remote_v4,
        ports: connection.ports.octets(),
        seq: seq.0,
        ack: connection.rcv_nxt.0,
        window,
        ts_value: clock.ms.wrapping_add(connection.ts_offset),
        ts_echo: connection.ts_recent,
        flags,
    }
}

/// Octets that the connection may still receive.
#[inline]
pub(super) fn receive_window(pool: &ReceivePool, connection: &Connection, buffer: u32) -> u32 {
    match &connection.receive {
        None => buffer,
        held @ Some(_) => buffer.saturating_sub(pool.buffered(held.as_ref())),
    }
}
