//! What a connection has to tell or send once the burst is in: events first, then segments, the ACK on board.

use crate::port::Transmit;
use crate::shard::{Events, Lingered, Reading};
use crate::tcp::connection::{Connection, WarmDeadlines};
use crate::tcp::output;
use crate::tcp::state::{Flag, Flags, SendSide};
use crate::tcp::tick::Tick;
use crate::tcp::timer;
use crate::tcp::window;
use crate::wire::Tuple;

use super::counters::DropReason;
use super::reply::Replied;
use super::transmit::Sent;
use super::{END, Stack};

/// How far a connection was served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Served {
    /// All that can be done now is done.
    Done,
    /// No frame was free: it goes on in the next turn.
    NoFrame,
    /// It was removed; its place may hold another connection by now.
    Gone,
}

impl Stack {
    /// Serves every connection that has something to do, each once; those that run out of frames stay on the list, and
    /// then the answer is yes.
    #[inline]
    pub(super) fn service_pending<T: Transmit, E: Events<Self>>(
        &mut self,
        transmit: &mut T,
        events: &mut E,
    ) -> bool {
        self.pending.0 != END && self.service_some(transmit, events)
    }

    fn service_some<T: Transmit, E: Events<Self>>(&mut self, transmit: &mut T, events: &mut E) -> bool {
        let (mut index, _) = core::mem::replace(&mut self.pending, (END, END));
        let mut is_exhausted = false;
        while index != END {
            // It stays marked while it is served: what its events ask for is done here, and a connection that is
            // removed must not be on the list.
            let next = self.connections.at(index).pending_next;
            let served = match self.reply_out_of_line(transmit, index) {
                Replied::Sent => {
                    index = next;
                    continue;
                }
                Replied::NoFrame => Served::NoFrame,
                Replied::No => match self.serve_closing(transmit, events, index) {
                    Some(served) => served,
                    None => self.service(transmit, events, index),
                },
            };
            match served {
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
        if self.pools.congestion.has_refused() {
            self.reclaim_congestion_records();
        }
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
        let Ok(sent) = self.send_pieces(transmit, index) else { return Served::NoFrame };
        let connection = self.connections.at_mut(index);
        if sent == Sent::Nothing && connection.rcv_nxt != connection.last_ack_sent {
            window::owe_ack(connection, &self.config.tcp, self.now);
        }
        // What has just left carried the ACK and the window.
        let owed = Flags::of(&[Flag::AckNow, Flag::Probe]);
        let may_owe = sent == Sent::Nothing || self.connections.at(index).flags.has_any(owed);
        if may_owe && self.send_ack_if_owed(transmit, index).is_err() {
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
        let has_ranges = || {
            connection.receive.is_some() && self.receive.ranges(connection.receive.as_ref()).next().is_some()
        };
        connection.flags.has(Flag::AckNow) && (has_ranges() || self.duplicate_of(index).is_some())
    }

    /// Whether octets can be shown that were not when the connection was served: reading went on in an event.
    fn has_to_tell(&self, index: u32) -> bool {
        let connection = self.connections.at(index);
        let flags = connection.flags;
        flags.has(Flag::Unshown)
            && flags.has(Flag::Known)
            && self.reading_of(connection, index) == Reading::Open
    }

    /// Whether the connection is one that we are still opening.
    pub(super) fn is_opening(&self, index: u32) -> bool {
        let connection = self.connections.at(index);
        !connection.flags.has(Flag::Known) && self.warm[index as usize].listener.is_none()
    }

    /// Events that wait: room to write, octets to read, the end of the stream.
    fn tell<E: Events<Self>>(&mut self, events: &mut E, index: u32) {
        const TELLING: Flags = Flags::of(&[Flag::SendFull, Flag::Unshown, Flag::EndUntold]);
        let flags = self.connections.at(index).flags;
        if !flags.has_any(TELLING) || !flags.has(Flag::Known) || flags.has(Flag::Doomed) {
            return;
        }
        let Some(id) = self.connections.key_at(index) else { return };
        let has_room = self.has_room_again(index);
        let connection = self.connections.at_mut(index);
        if flags.has(Flag::SendFull) && has_room {
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

    /// After output: arms the wheel, moves on to FIN_WAIT_2's clock, TIME_WAIT, or the end.
    pub(super) fn settle<E: Events<Self>>(&mut self, events: &mut E, index: u32) -> Served {
        if self.is_finished(index) {
            self.retire(events, index);
            return Served::Gone;
        }
        let connection = self.connections.at_mut(index);
        connection.send.trim(&mut self.chunks);
        if connection.sides.is_fin_wait_2()
            && connection.flags.has(Flag::Closed)
            && !self.warm[index as usize].fin_wait_2_at.is_set()
        {
            connection.warm_deadlines = WarmDeadlines::Possible;
            let at = Tick::at(self.now + self.fin_wait_2(index));
            self.warm[index as usize].fin_wait_2_at = at;
            self.arm(index, at);
            if self.is_tuned(index) {
                self.end_linger(events, index, Lingered::Acknowledged);
            }
        }
        let connection = self.connections.at(index);
        let retransmit_due = timer::retransmit_due(connection, &self.warm[index as usize], &self.config.tcp);
        let due = retransmit_due.earliest(connection.delayed_ack_at);
        if due.is_set() {
            self.arm(index, due);
        }
        Served::Done
    }

    /// Makes sure that the wheel looks at the connection at `due` or before. Later deadlines cost nothing here: the
    /// wheel's look is early then, and arms again.
    #[inline(always)]
    pub(super) fn arm(&mut self, index: u32, due: Tick) {
        if !self.connections.at(index).armed_at.is_set_before(due) {
            self.arm_earlier(index, due);
        }
    }

    #[inline(never)]
    pub(super) fn arm_earlier(&mut self, index: u32, due: Tick) {
        self.connections.at_mut(index).armed_at = due;
        self.wheel.arm(index, due.instant(self.now));
    }

    /// The tuple of a connection.
    pub(super) fn tuple_of(&self, index: u32) -> Tuple {
        let connection = self.connections.at(index);
        let local = self.config.addresses[connection.route.local()].cidr.address();
        Tuple {
            local,
            remote: self.warm[index as usize].remote,
            local_port: connection.ports.local(),
            remote_port: connection.ports.remote(),
        }
    }

    /// Whether a connection's received octets are shown, as `Host::reading` says it.
    #[inline]
    pub(super) fn reading_of(&self, connection: &Connection, index: u32) -> Reading {
        const CLOSED: Flags = Flags::of(&[Flag::Closed, Flag::Doomed]);
        if connection.flags.has_any(CLOSED) {
            Reading::Closed
        } else if connection.flags.has(Flag::Paused)
            || connection.send.len() >= self.send_limit_of(connection, index)
            || self.chunks.is_low()
        {
            // Whoever is not shown anything writes no replies: what is left of the pool is for those on their way.
            Reading::Paused
        } else {
            Reading::Open
        }
    }
}
