//! The in-order path: predicted segments are taken in and shown to the application.

use core::ops::Range;

use crate::base::slab::Key;
use crate::port::{Burst, ReceivedChecksum, Transmit};
use crate::shard::Events;
use crate::tcp::segment::Segment;
use crate::tcp::state::Flag;
use crate::tcp::{predict, timer};
use crate::wire::parse::PlainSegment;
use crate::wire::tcp::Timestamps;

use super::Stack;
use super::burst::{Flow, InBurst, Outlook, OutlookKind, Outlooks};
use super::reply::Replied;

impl Stack {
    /// Takes in predicted segments from `place` on, and returns the place of the first frame that is none: the general path
    /// goes on there. The burst has `count` frames.
    #[inline(never)]
    pub(super) fn take_in_order<B: Burst, T: Transmit, E: Events<Self>>(
        &mut self,
        transmit: &mut T,
        events: &mut E,
        burst: &B,
        outlooks: &Outlooks,
        places: Range<usize>,
    ) -> usize {
        let end = places.end;
        for (outlook, place) in outlooks.from(places.start).iter().zip(places) {
            let Outlook { kind: OutlookKind::Expected, id, segment, .. } = outlook else { return place };
            let in_burst = || outlooks.in_burst(*id, place);
            if !self.handle_expected(transmit, events, burst.frame(place), *id, segment, in_burst) {
                return place;
            }
        }
        end
    }

    /// Takes in the only frame of a burst as [`Stack::take_in_order`] does, without a note of what is known of it. Says
    /// whether it was taken in.
    #[inline(never)]
    pub(super) fn take_alone<T: Transmit, E: Events<Self>>(
        &mut self,
        transmit: &mut T,
        events: &mut E,
        frame: &[u8],
        checksum: ReceivedChecksum,
    ) -> bool {
        let Outlook { kind, id, segment, .. } = Outlook::of(self, frame, checksum);
        if kind != OutlookKind::Expected {
            return false;
        }
        let is_met = self.handle_expected(transmit, events, frame, id, &segment, || InBurst::Last);
        if !is_met {
            // The connection may be another one by now.
            self.last_flow = Flow::NONE;
        }
        is_met
    }

    /// Takes in a plain segment of an open connection, the one that header prediction expects or any other. If the
    /// connection is not open any more, nothing is touched.
    #[inline(always)]
    fn handle_expected<T: Transmit, E: Events<Self>>(
        &mut self,
        transmit: &mut T,
        events: &mut E,
        frame: &[u8],
        id: Key,
        segment: &PlainSegment,
        in_burst: impl Fn() -> InBurst,
    ) -> bool {
        let Some(text) = segment.payload(frame) else { return false };
        if self.connections.get(id).is_none() {
            return false;
        }
        self.counters.segments_received += 1;
        if !self.take_expected(transmit, events, text, id, segment, &in_burst) {
            self.handle_plain(transmit, events, id.index, frame, segment, in_burst());
        }
        true
    }

    /// Takes in a plain segment with `text`, if it is the one that header prediction expects; otherwise nothing is touched.
    #[inline(always)]
    fn take_expected<T: Transmit, E: Events<Self>>(
        &mut self,
        transmit: &mut T,
        events: &mut E,
        text: &[u8],
        id: Key,
        segment: &PlainSegment,
        in_burst: impl FnOnce() -> InBurst,
    ) -> bool {
        let connection = self.connections.at_mut(id.index);
        if !connection.is_quiet() {
            return false;
        }
        let config = &self.config.tcp;
        let (warm, pool, clock) = (&mut self.warm, &mut self.pools.congestion, &self.clock);
        let taken = predict::take_predicted(connection, warm, id.index, pool, config, clock, segment);
        let Some(acked) = taken else { return false };
        if text.is_empty() {
            self.take_bare_ack(id, acked);
            return true;
        }
        if acked > 0 {
            connection.send.acknowledge_lazily(&mut self.chunks, acked as usize);
        }
        // Marked, so that nothing that the application does puts it on the list.
        let was_pending = connection.flags.has(Flag::Pending);
        connection.flags.set(Flag::Pending);
        if connection.send.len() < config.send_buffer as usize && !self.chunks.is_low() {
            connection.rcv_nxt += text.len() as u32;
            self.show(events, id, text);
        } else {
            self.store(events, id.index, 0, text);
        }
        if !was_pending {
            let in_burst = in_burst();
            if in_burst != InBurst::Last || self.reply(transmit, id.index) != Replied::Sent {
                self.put_off(transmit, events, id.index, in_burst);
            }
        }
        true
    }

    /// The rest of a predicted segment without text.
    #[inline(always)]
    fn take_bare_ack(&mut self, id: Key, acked: u32) {
        let connection = self.connections.at_mut(id.index);
        connection.send.acknowledge(&mut self.chunks, acked as usize);
        let is_more = connection.unsent() > 0;
        let due = timer::retransmit_due(connection, &self.warm[id.index as usize], &self.config.tcp);
        if due.is_set() {
            // The timeout may have become shorter.
            self.arm(id.index, due);
        }
        if is_more {
            // There is room in the window for what waits.
            self.pend(id.index);
        }
    }

    /// The segment that has completed the handshake of a connection, with or without text.
    #[inline(never)]
    pub(super) fn take_first<T: Transmit, E: Events<Self>>(
        &mut self,
        transmit: &mut T,
        events: &mut E,
        id: Key,
        segment: &Segment<'_>,
    ) {
        let text = segment.payload;
        // A quiet connection has timestamps: they are there, or the segment is none that it expects.
        let is_taken = segment.timestamps.is_some_and(|Timestamps { value, .. }| {
            let plain = PlainSegment {
                seq: segment.seq.0,
                ack: segment.ack.0,
                ts_value: value,
                window: segment.window,
                payload: 0,
                len: text.len() as u16,
                flags: segment.control,
            };
            self.take_expected(transmit, events, text, id, &plain, || InBurst::MoreMayFollow)
        });
        if !is_taken {
            self.handle_synchronized(events, id.index, segment);
        }
    }

    /// A plain segment of an open connection, as it was found in the table: its addresses need no questions.
    #[inline(never)]
    fn handle_plain<T: Transmit, E: Events<Self>>(
        &mut self,
        transmit: &mut T,
        events: &mut E,
        index: u32,
        frame: &[u8],
        plain: &PlainSegment,
        in_burst: InBurst,
    ) {
        if self.take_closing(transmit, events, index, plain, in_burst) {
            return;
        }
        let segment = Segment::of_plain(plain, frame);
        self.handle_synchronized(events, index, &segment);
    }

    /// A connection that is marked as pending has something to do that is no plain reply.
    #[inline(never)]
    fn put_off<T: Transmit, E: Events<Self>>(
        &mut self,
        transmit: &mut T,
        events: &mut E,
        index: u32,
        in_burst: InBurst,
    ) {
        self.connections.at_mut(index).send.trim(&mut self.chunks);
        self.serve_or_link(transmit, events, index, in_burst);
    }
}
