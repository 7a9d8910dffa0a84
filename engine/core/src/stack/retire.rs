//! The end of a connection: RST if one is due, TIME_WAIT if it must be, and everything given back.

use crate::port::Transmit;
use crate::shard::{CloseReason, Events, Lingered};
use crate::table::{Entry, Kind};
use crate::tcp::congestion;
use crate::tcp::connection::Farewell;
use crate::tcp::recovery::acks::end_recovery;
use crate::tcp::state::Flag;
use crate::tcp::time_wait::{self, TimeWait};
use crate::wire::Sum;
use crate::wire::tcp::{Flags as Control, Options, TcpRepr, Timestamps};

use super::Stack;
use super::counters::DropReason;
use super::egress::send_segment;
use super::ingress::Arrival;
use super::service::Served;

/// What happens to the table entry of a connection that is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TableEntry {
    /// It is removed, too.
    Goes,
    /// It belongs to a record in `TIME_WAIT` now.
    Stays,
}

impl Stack {
    /// Both streams have ended: the connection is told off, and remembered if it must be.
    pub(super) fn retire<E: Events<Self>>(&mut self, events: &mut E, index: u32) {
        let connection = self.connections.at(index);
        // TIME_WAIT, or CLOSED.
        let needs_time_wait = connection.sides.closed_first();
        let scale = connection.scales.receive();
        let record = TimeWait {
            place: self.warm[index as usize].place,
            snd_nxt: connection.snd_nxt,
            rcv_nxt: connection.rcv_nxt,
            window: (connection.rcv_adv.since(connection.rcv_nxt) >> scale).min(0xffff) as u16,
            ts_recent: connection.flags.has(Flag::Timestamps).then_some(connection.ts_recent),
            expires_at: TimeWait::expiry(&self.config.tcp, self.now),
        };
        // Before the application is told: what it opens in answer must not take this tuple.
        let entry = if needs_time_wait { self.begin_time_wait(&record) } else { TableEntry::Goes };
        self.remove(events, index, CloseReason::Finished, entry);
    }

    /// The connection's table entry changes hands, so that other shards never miss it.
    fn begin_time_wait(&mut self, record: &TimeWait) -> TableEntry {
        if self.time_wait.len() == self.time_wait.capacity() {
            self.evict_time_wait();
        }
        let Some(key) = self.time_wait.insert(record) else { return TableEntry::Goes };
        let Ok(entry) = Entry::new(Kind::TimeWait, key) else {
            self.time_wait.remove(key.index);
            return TableEntry::Goes;
        };
        self.tables.set_entry(record.place, entry);
        TableEntry::Stays
    }

    /// As `tcp_max_tw_buckets`: the one that ends first makes room.
    #[cold]
    fn evict_time_wait(&mut self) {
        if let Some((index, _)) = self.time_wait.first() {
            self.counters.time_wait_evicted += 1;
            self.end_time_wait(index);
        }
    }

    /// A segment for a connection in TIME_WAIT.
    pub(super) fn handle_time_wait<T: Transmit>(
        &mut self,
        transmit: &mut T,
        entry: Entry,
        arrival: &Arrival<'_>,
    ) {
        let record = self.time_wait.at(entry.index());
        let verdict = record.handle_segment(&arrival.segment, &self.config.tcp);
        if !matches!(verdict, time_wait::Verdict::Reopen(_)) {
            self.counters.drop(DropReason::TimeWait);
        }
        match verdict {
            time_wait::Verdict::Drop => {}
            time_wait::Verdict::Acknowledge => self.acknowledge_time_wait(transmit, &record, arrival),
            time_wait::Verdict::Restart => {
                let expires_at = time_wait::TimeWait::expiry(&self.config.tcp, self.now);
                self.time_wait.restart(entry.index(), expires_at);
                self.acknowledge_time_wait(transmit, &record, arrival);
            }
            time_wait::Verdict::Over => self.end_time_wait(entry.index()),
            time_wait::Verdict::Reopen(above) => match self.listener_for(arrival) {
                // Dropped for want of room, it comes again and finds the old connection as it was.
                Some(listener) if self.has_room_to_reopen(listener) => {
                    self.end_time_wait(entry.index());
                    self.handle_syn(transmit, listener, arrival, Some(above));
                }
                Some(_) => {}
                None => self.acknowledge_time_wait(transmit, &record, arrival),
            },
        }
    }

    fn acknowledge_time_wait<T: Transmit>(
        &mut self,
        transmit: &mut T,
        record: &time_wait::TimeWait,
        arrival: &Arrival<'_>,
    ) {
        if !self.answers.allow(self.now) {
            self.counters.drop(DropReason::RateLimited);
            return;
        }
        let timestamps = record.ts_recent.map(|echo| {
            let offset = arrival.hashed.flow(&self.secrets).ts_offset;
            Timestamps { value: (self.now.as_millis() as u32).wrapping_add(offset), echo }
        });
        let repr = TcpRepr {
            source_port: arrival.tuple.local_port,
            destination_port: arrival.tuple.remote_port,
            seq: record.snd_nxt.0,
            ack: record.rcv_nxt.0,
            flags: Control::ACK,
            window: record.window,
            urgent: 0,
            options: Options { timestamps, ..Options::NONE },
        };
        self.answer(transmit, arrival, &repr);
    }

    /// Ends a TIME_WAIT, by its index.
    pub(super) fn end_time_wait(&mut self, index: u32) {
        let record = self.time_wait.remove(index);
        self.tables.remove(record.place, &self.hasher);
    }

    /// Sends the RST of a doomed connection, if one is due, and removes it.
    #[cold]
    pub(super) fn bury<T: Transmit, E: Events<Self>>(
        &mut self,
        transmit: &mut T,
        events: &mut E,
        index: u32,
    ) -> Served {
        let Some(doom) = self.warm[index as usize].doom else { return Served::Done };
        let is_answered = !self.is_opening(index) || self.is_crossed(index);
        if matches!(doom.farewell, Farewell::Reset) && is_answered {
            let seq = self.connections.at(index).snd_nxt;
            if let Some((route, mut head)) = self.head(index, seq, Control::RST | Control::ACK) {
                head.timestamps = None;
                if send_segment(transmit, &self.capabilities, &route, &head, 0, |_| Sum::ZERO).is_err() {
                    return Served::NoFrame;
                }
                self.counters.frames_sent += 1;
                self.counters.resets_sent += 1;
            }
        }
        self.remove(events, index, doom.reason, TableEntry::Goes);
        Served::Gone
    }

    /// Gives everything back that a connection holds, and tells the application.
    fn remove<E: Events<Self>>(
        &mut self,
        events: &mut E,
        index: u32,
        reason: CloseReason,
        entry: TableEntry,
    ) {
        let Some(id) = self.connections.key_at(index) else { return };
        if self.is_tuned(index) {
            if reason == CloseReason::Finished {
                self.end_linger(events, index, Lingered::Acknowledged);
            }
            self.forget_options(index);
        }
        let was_opening = self.is_opening(index);
        if was_opening {
            self.remove_syn_sent(index);
        }
        match entry {
            TableEntry::Goes => self.tables.remove(self.warm[index as usize].place, &self.hasher),
            TableEntry::Stays => {}
        }
        let connection = self.connections.at_mut(index);
        let warm = &mut self.warm[index as usize];
        end_recovery(connection, warm, &mut self.pools.recoveries);
        congestion::release(warm, &mut self.pools.congestion);
        connection.send.clear(&mut self.chunks);
        self.receive.release(&mut connection.receive);
        self.neighbours.release(connection.route.neighbour());
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
}
