//! Segments of open connections: what they acknowledge, deliver and end.

use crate::buffer::Refusal;
use crate::shard::{CloseReason, ConnectionId, Events, Host, Reading, Waiting};
use crate::tcp::connection::{Doom, Farewell};
use crate::tcp::input::{self, Accepted, Fin, Refused, Verdict};
use crate::tcp::segment::Segment;
use crate::tcp::seq::SequenceNumber;
use crate::tcp::state::{Flag, Flags, ReceiveSide};
use crate::tcp::window;
use crate::wire::tcp::SackBlock;

use super::Stack;
use super::counters::DropReason;
use super::transmit::receive_window;

/// Octets have come that nobody will read: the peer must know (RFC 1122 section 4.2.2.13).
const UNREAD: Doom = Doom { reason: CloseReason::Aborted, farewell: Farewell::Reset };

/// The application waits for more than the receive buffer holds.
const TOO_LONG: Doom = Doom { reason: CloseReason::MessageTooLong, farewell: Farewell::Reset };

impl Stack {
    /// A segment for a synchronized connection.
    #[inline]
    pub(super) fn handle_synchronized<E: Events<Self>>(
        &mut self,
        events: &mut E,
        index: u32,
        segment: &Segment<'_>,
    ) {
        let connection = self.connections.at_mut(index);
        if connection.flags.has(Flag::Doomed) {
            return;
        }
        let rcv_nxt = connection.rcv_nxt;
        let warm = &mut self.warm[index as usize];
        let verdict =
            input::handle_segment(connection, warm, &mut self.pools, &self.config.tcp, self.now, segment);
        match verdict {
            Verdict::Accept(accepted) => self.take_in(events, index, &accepted, segment),
            Verdict::Drop(refused) => self.counters.drop(reason_of(refused)),
            Verdict::Acknowledge(refused) => {
                self.counters.drop(reason_of(refused));
                // What takes a number is no answer to ours: no two ends go round in circles over it.
                if segment.len() > 0 || self.may_answer_invalid(index) {
                    let end = segment.seq + segment.payload.len() as u32;
                    self.note_duplicate(index, segment.seq, end.earliest(rcv_nxt));
                    self.connections.at_mut(index).flags.set(Flag::AckNow);
                    self.pend(index);
                }
            }
            Verdict::Challenge(refused) => {
                self.counters.drop(reason_of(refused));
                self.challenge(index);
            }
            Verdict::Reset => {
                self.counters.resets_received += 1;
                if connection.sides.has_ended() {
                    // Both streams are whole; only the application has not seen the end of this one yet.
                    return;
                }
                self.doom(index, Doom { reason: CloseReason::ConnectionReset, farewell: Farewell::Silence });
            }
        }
    }

    /// Whether the connection may answer one more segment that should not have come; counted if not.
    #[cold]
    fn may_answer_invalid(&mut self, index: u32) -> bool {
        let interval_ms = self.config.tcp.tcp_invalid_ratelimit_ms;
        let is_allowed = self.warm[index as usize].invalid.allow(self.clock.ms, interval_ms);
        if !is_allowed {
            self.counters.drop(DropReason::RateLimited);
        }
        is_allowed
    }

    /// The octets from `left` to `right` came a second time: the next ACK says so (RFC 2883).
    fn note_duplicate(&mut self, index: u32, left: SequenceNumber, right: SequenceNumber) {
        let connection = self.connections.at(index);
        if !right.is_after(left) || !self.config.tcp.tcp_dsack || !connection.flags.has(Flag::Sack) {
            return;
        }
        if let Some(id) = self.connections.key_at(index) {
            self.duplicates.note(id, SackBlock { left: left.0, right: right.0 });
            self.connections.at_mut(index).flags.set(Flag::Duplicate);
        }
    }

    /// A challenge ACK, within the rates (RFC 5961 section 7).
    #[cold]
    fn challenge(&mut self, index: u32) {
        if !self.may_answer_invalid(index) {
            return;
        }
        if !self.challenges.allow(self.now, &self.secrets) {
            self.counters.drop(DropReason::RateLimited);
            return;
        }
        self.counters.challenge_acks += 1;
        self.connections.at_mut(index).flags.set(Flag::AckNow);
        self.pend(index);
    }

    /// Frees what is acknowledged, delivers the text, follows the FIN.
    #[inline]
    fn take_in<E: Events<Self>>(
        &mut self,
        events: &mut E,
        index: u32,
        accepted: &Accepted,
        segment: &Segment<'_>,
    ) {
        let connection = self.connections.at_mut(index);
        if accepted.acked > 0 {
            connection.send.acknowledge(&mut self.chunks, accepted.acked as usize);
        }
        self.pend(index);
        let connection = self.connections.at_mut(index);
        let rcv_nxt = connection.rcv_nxt;
        if !segment.payload.is_empty() && segment.seq.is_before(rcv_nxt) {
            connection.flags.set(Flag::AckNow);
            let end = segment.seq + segment.payload.len() as u32;
            self.note_duplicate(index, segment.seq, end.earliest(rcv_nxt));
        }
        if accepted.len > 0 {
            let start = accepted.skip as usize;
            let text = &segment.payload[start..start + accepted.len as usize];
            self.take_text(events, index, accepted, text);
        } else if segment.len() > 0 && matches!(accepted.fin, Fin::Absent) {
            // Nothing of it is new or fits: the peer is told where we are.
            self.counters.drop(DropReason::Duplicate);
            self.connections.at_mut(index).flags.set(Flag::AckNow);
        }
        if matches!(accepted.fin, Fin::Present) {
            self.take_fin(index, accepted);
        }
        let connection = self.connections.at_mut(index);
        if connection.flags.has(Flag::FinAhead) && connection.rcv_nxt == self.warm[index as usize].fin_at {
            connection.flags.take(Flag::FinAhead);
            self.finish_receive(index);
        }
    }

    /// Text within the window.
    #[inline]
    fn take_text<E: Events<Self>>(&mut self, events: &mut E, index: u32, accepted: &Accepted, text: &[u8]) {
        let connection = self.connections.at_mut(index);
        if connection.sides.receive() == ReceiveSide::Finished {
            // Octets after the FIN cannot be (RFC 9293 section 3.10.7.4, seventh step).
            return self.counters.drop(DropReason::OutOfWindow);
        }
        if connection.flags.has(Flag::Closed) {
            return self.doom(index, UNREAD);
        }
        let can_show = connection.flags.has(Flag::Known);
        if accepted.ahead == 0 && connection.receive.is_none() && can_show {
            let connection = self.connections.at(index);
            if self.reading_of(connection, index) == Reading::Open {
                return self.show_in_place(events, index, text);
            }
        }
        self.store(events, index, accepted.ahead, text);
    }

    /// Nothing waits: the application reads straight from the frame, and only what it leaves is copied.
    #[inline]
    fn show_in_place<E: Events<Self>>(&mut self, events: &mut E, index: u32, text: &[u8]) {
        let Some(id) = self.connections.key_at(index) else { return };
        self.connections.at_mut(index).rcv_nxt += text.len() as u32;
        self.show(events, id, text);
    }

    /// Shows text that counts as received. The ACK is owed from the moment the connection is served.
    #[inline(always)]
    pub(super) fn show<E: Events<Self>>(&mut self, events: &mut E, id: ConnectionId, text: &[u8]) {
        let consumed = events.received(self, id, text).min(text.len());
        self.counters.bytes_in_place += consumed as u64;
        if consumed < text.len() {
            self.keep(id, &text[consumed..]);
        }
    }

    /// What the application has left of a segment's text is copied and waits for more.
    fn keep(&mut self, id: ConnectionId, rest: &[u8]) {
        let index = id.index;
        if self.reading(id) == Reading::Closed {
            return self.doom(index, UNREAD);
        }
        let is_paused = self.reading(id) == Reading::Paused;
        let connection = self.connections.at_mut(index);
        match self.receive.append_in_order(&mut connection.receive, rest) {
            Ok(_) => {
                self.counters.bytes_copied_in += rest.len() as u64;
                if is_paused {
                    connection.flags.set(Flag::Unshown);
                } else {
                    self.end_standstill(index);
                }
            }
            Err(_) => {
                // It was acknowledged by what the application saw of it: it cannot be asked for again.
                self.counters.drop(DropReason::ReceiveMemory);
                self.doom(index, Doom { reason: CloseReason::OutOfMemory, farewell: Farewell::Reset });
            }
        }
    }

    /// Keeps the text at its place; what is in order by that is shown.
    pub(super) fn store<E: Events<Self>>(&mut self, events: &mut E, index: u32, ahead: u32, text: &[u8]) {
        let connection = self.connections.at_mut(index);
        let had_holes = self.receive.ranges(connection.receive.as_ref()).next().is_some();
        let stored = match self.receive.insert(&mut connection.receive, ahead, text) {
            Ok(stored) => stored,
            Err(refusal) => {
                // Not acknowledged: the peer sends it again.
                debug_assert!(!matches!(refusal, Refusal::Taken | Refusal::Unread));
                self.counters.drop(DropReason::ReceiveMemory);
                connection.flags.set(Flag::AckNow);
                return;
            }
        };
        self.counters.bytes_copied_in += u64::from(stored.new_bytes);
        let rcv_nxt = connection.rcv_nxt;
        if let Some(span) = stored.duplicate {
            self.note_duplicate(index, rcv_nxt + span.start, rcv_nxt + span.end);
        }
        let connection = self.connections.at_mut(index);
        if stored.new_bytes == 0 {
            self.counters.drop(DropReason::Duplicate);
        }
        connection.rcv_nxt += stored.in_order;
        if ahead > 0 || had_holes {
            // RFC 5681 section 4.2: out of order, or a hole filled.
            connection.flags.set(Flag::AckNow);
        } else {
            window::owe_ack(connection, &self.config.tcp, self.now);
        }
        if stored.in_order > 0 && connection.flags.has(Flag::ReadShut) {
            self.receive.consume(&mut connection.receive, stored.in_order);
        } else if stored.in_order > 0 {
            connection.flags.set(Flag::Unshown);
            self.show_buffered(events, index);
            self.tell_unread(events, index, Waiting::Octets);
        }
    }

    /// Tells a paused reader that more waits.
    fn tell_unread<E: Events<Self>>(&mut self, events: &mut E, index: u32, waiting: Waiting) {
        let connection = self.connections.at(index);
        if connection.flags.has(Flag::Known)
            && self.reading_of(connection, index) == Reading::Paused
            && let Some(id) = self.connections.key_at(index)
        {
            events.unread(self, id, waiting);
        }
    }

    /// Shows what waits in the receive buffer, if the application reads.
    pub(super) fn show_buffered<E: Events<Self>>(&mut self, events: &mut E, index: u32) {
        let Some(id) = self.connections.key_at(index) else { return };
        let connection = self.connections.at(index);
        if !connection.flags.has(Flag::Unshown) || !connection.flags.has(Flag::Known) {
            return;
        }
        if self.reading(id) != Reading::Open {
            return;
        }
        let connection = self.connections.at_mut(index);
        connection.flags.take(Flag::Unshown);
        let Some(buffer) = self.receive.take(connection.receive.as_ref()) else { return };
        let consumed = events.received(self, id, &buffer);
        let is_unread = consumed < buffer.len();
        self.receive.put(buffer);
        let reading = self.reading(id);
        let connection = self.connections.at_mut(index);
        match reading {
            Reading::Closed => {
                self.receive.release(&mut connection.receive);
                if is_unread {
                    self.doom(index, UNREAD);
                }
            }
            Reading::Paused | Reading::Open => {
                self.receive.consume(&mut connection.receive, consumed as u32);
                if self.receive.buffered(connection.receive.as_ref()) == 0 {
                    return;
                }
                match reading {
                    Reading::Paused => connection.flags.set(Flag::Unshown),
                    Reading::Open | Reading::Closed => self.end_standstill(index),
                }
            }
        }
    }

    /// An application that reads and leaves octets unread waits for more of the same message. With the window closed
    /// and no room to open it again, that can never come, and neither end would learn of it.
    fn end_standstill(&mut self, index: u32) {
        let connection = self.connections.at(index);
        // What is open in units of the window field: the peer sees no fraction of one.
        let open = connection.rcv_adv.since(connection.rcv_nxt) >> connection.scales.receive();
        if open > 0 || connection.sides.receive() == ReceiveSide::Finished {
            return;
        }
        let buffer = self.receive_limit(index);
        let free = receive_window(&self.receive, connection, buffer);
        if free < u32::from(connection.mss).min(buffer / 2) {
            self.counters.drop(DropReason::ReceiveMemory);
            self.doom(index, TOO_LONG);
        }
    }

    /// The segment ends the peer's stream, here or beyond a hole.
    fn take_fin(&mut self, index: u32, accepted: &Accepted) {
        let connection = self.connections.at_mut(index);
        if connection.sides.receive() == ReceiveSide::Finished || connection.flags.has(Flag::FinAhead) {
            connection.flags.set(Flag::AckNow);
            return;
        }
        // Where it lay when the segment was judged; `rcv_nxt` may have moved over its text since.
        let connection = self.connections.at_mut(index);
        let fin_at = accepted.fin_at;
        if connection.rcv_nxt == fin_at {
            self.finish_receive(index);
        } else if fin_at.is_after(connection.rcv_nxt) {
            self.warm[index as usize].fin_at = fin_at;
            connection.flags.set(Flag::FinAhead);
            connection.flags.set(Flag::AckNow);
        }
    }

    /// Everything before the FIN is here.
    #[inline]
    pub(super) fn finish_receive(&mut self, index: u32) {
        let connection = self.connections.at_mut(index);
        connection.rcv_nxt += 1;
        // A FIN is taken though the window is closed; the edge then moves with it.
        connection.rcv_adv = connection.rcv_adv.latest(connection.rcv_nxt);
        connection.sides.finish_receive();
        connection.flags.set(Flag::AckNow);
        if !connection.flags.has_any(Flags::of(&[Flag::Closed, Flag::ReadShut])) {
            connection.flags.set(Flag::EndUntold);
        }
        self.warm[index as usize].fin_wait_2_at = crate::tcp::tick::Tick::NONE;
    }

    /// Tells the application that the peer's stream has ended, once it has seen all of it.
    pub(super) fn tell_end<E: Events<Self>>(&mut self, events: &mut E, index: u32) {
        let Some(id) = self.connections.key_at(index) else { return };
        let connection = self.connections.at_mut(index);
        let flags = connection.flags;
        if !flags.has(Flag::EndUntold) || !flags.has(Flag::Known) {
            return;
        }
        if self.reading(id) != Reading::Open {
            return self.tell_unread(events, index, Waiting::End);
        }
        if flags.has(Flag::Unshown) {
            return;
        }
        let connection = self.connections.at_mut(index);
        connection.flags.take(Flag::EndUntold);
        match self.receive.take(connection.receive.as_ref()) {
            Some(buffer) => {
                events.end_of_stream(self, id, &buffer);
                self.receive.put(buffer);
            }
            None => events.end_of_stream(self, id, &[]),
        }
        let connection = self.connections.at_mut(index);
        self.receive.release(&mut connection.receive);
    }

    /// Whether both streams have ended and the application knows.
    pub(super) fn is_finished(&self, index: u32) -> bool {
        let connection = self.connections.at(index);
        connection.sides.has_ended() && !connection.flags.has(Flag::EndUntold)
    }

    /// The connection is to be removed when it is served; the first reason counts.
    pub(super) fn doom(&mut self, index: u32, doom: Doom) {
        let connection = self.connections.at_mut(index);
        if !connection.flags.has(Flag::Doomed) {
            connection.flags.set(Flag::Doomed);
            self.warm[index as usize].doom = Some(doom);
            self.pend(index);
        }
    }
}

const fn reason_of(refused: Refused) -> DropReason {
    match refused {
        Refused::Paws => DropReason::Paws,
        Refused::OutOfWindow | Refused::BlindReset => DropReason::OutOfWindow,
        Refused::UnacceptableAck => DropReason::UnacceptableAck,
        Refused::Syn => DropReason::UnexpectedSyn,
        Refused::InexactReset => DropReason::InexactReset,
        Refused::NoAck => DropReason::NoAck,
    }
}
