//! The end of a connection: RST if one is due, TIME_WAIT if it must be, and everything given back.

use crate::base::slab::Key;
use crate::port::Transmit;
use crate::shard::{CloseReason, Events};
use crate::table::{Entry, Kind};
use crate::tcp::connection::Farewell;
use crate::tcp::input::end_recovery;
use crate::tcp::state::{Flag, State};
use crate::tcp::tick::Tick;
use crate::tcp::time_wait::TimeWait;
use crate::wire::Sum;
use crate::wire::tcp::Flags as Control;

use super::Stack;
use super::egress::send_segment;
use super::service::Served;
use super::tables::Hashed;

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
        // Before the application is told: what it opens in answer must not take this tuple.
        let entry = if needs_time_wait { self.begin_time_wait(record, &hashed) } else { TableEntry::Goes };
        self.remove(events, index, CloseReason::Finished, entry);
    }

    /// The connection's table entry changes hands, so that other shards never miss it.
    fn begin_time_wait(&mut self, mut record: TimeWait, hashed: &Hashed) -> TableEntry {
        record.restart(&self.config.tcp, self.now);
        if self.time_wait.len() == self.time_wait.capacity() {
            self.evict_time_wait();
        }
        let Ok(key) = self.time_wait.insert(record) else { return TableEntry::Goes };
        let Ok(entry) = Entry::new(Kind::TimeWait, key) else {
            self.time_wait.remove(key);
            return TableEntry::Goes;
        };
        self.tables.set_entry(hashed, entry);
        if self.time_wait_queue.len() == 2 * self.time_wait.capacity() {
            // Those that ended early are still in it: at least half.
            let Self { time_wait_queue, time_wait, .. } = self;
            time_wait_queue.retain(|key| time_wait.get(*key).is_some());
        }
        self.time_wait_queue.push_back(key);
        TableEntry::Stays
    }

    /// As `tcp_max_tw_buckets`: the oldest makes room. Some of the queue have ended already.
    #[cold]
    fn evict_time_wait(&mut self) {
        while let Some(oldest) = self.time_wait_queue.pop_front() {
            if self.time_wait.get(oldest).is_some() {
                self.counters.time_wait_evicted += 1;
                return self.end_time_wait(oldest);
            }
        }
    }

    /// Ends a TIME_WAIT.
    pub(super) fn end_time_wait(&mut self, key: Key) {
        let Some(record) = self.time_wait.remove(key).copied() else { return };
        self.tables.remove(&Hashed::of(&record.tuple, &self.hasher));
        if self.time_wait_queue.front() == Some(&key) {
            self.time_wait_queue.pop_front();
        }
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
        if matches!(doom.farewell, Farewell::Reset) && !self.is_opening(index) {
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
        let (_, hashed) = self.tuple_of(index);
        let Some(id) = self.connections.key_at(index) else { return };
        let was_opening = self.is_opening(index);
        if was_opening {
            self.remove_syn_sent(&hashed);
        }
        match entry {
            TableEntry::Goes => self.tables.remove(&hashed),
            TableEntry::Stays => {}
        }
        let connection = self.connections.at_mut(index);
        let warm = &mut self.warm[index as usize];
        end_recovery(connection, warm, &mut self.recoveries);
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
