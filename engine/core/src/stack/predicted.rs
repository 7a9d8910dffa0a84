//! The in-order path: predicted segments are taken in, and what the application answers leaves at once.

use core::ops::Range;

use crate::port::{Burst, Medium, Transmit};
use crate::shard::Events;
use crate::tcp::state::{Flag, Flags};
use crate::tcp::tick::Tick;
use crate::tcp::{output, predict, window};

use super::Stack;
use super::burst::{InBurst, Outlook, OutlookKind, Outlooks};
use super::egress::{PlainHead, Template};

/// Whether what was queued has left in one segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Replied {
    /// It has.
    Sent,
    /// No frame was free.
    NoFrame,
    /// The general path must look; nothing was touched.
    No,
}

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
        let Range { start, end } = places;
        for place in start..end {
            let outlook = outlooks.at(place);
            let is_expected = outlook.kind == OutlookKind::Expected;
            if !is_expected || !self.handle_expected(transmit, events, burst.frame(place), outlooks, place) {
                return place;
            }
        }
        end
    }

    /// Takes in a plain segment, if it is the one that header prediction expects; otherwise nothing is touched.
    #[inline(always)]
    fn handle_expected<T: Transmit, E: Events<Self>>(
        &mut self,
        transmit: &mut T,
        events: &mut E,
        frame: &[u8],
        outlooks: &Outlooks,
        place: usize,
    ) -> bool {
        let Outlook { id, segment, .. } = outlooks.at(place);
        let id = *id;
        let Some(text) = segment.payload(frame) else { return false };
        let Some(connection) = self.connections.get_mut(id) else { return false };
        if !connection.is_quiet() {
            return false;
        }
        let config = &self.config.tcp;
        let (warm, clock) = (&mut self.warm, &self.clock);
        let Some(acked) = predict::take_predicted(connection, warm, id.index, config, clock, segment) else {
            return false;
        };
        self.counters.segments_received += 1;
        if text.is_empty() {
            connection.send.acknowledge(&mut self.chunks, acked as usize);
            if connection.unsent() > 0 {
                // There is room in the window for what waits.
                self.pend(id.index);
            }
            return true;
        }
        connection.send.acknowledge_lazily(&mut self.chunks, acked as usize);
        // Marked, so that nothing that the application does puts it on the list.
        let was_pending = connection.flags.has(Flag::Pending);
        connection.flags.set(Flag::Pending);
        if connection.send.len() < config.send_buffer as usize && !self.chunks.is_low() {
            connection.rcv_nxt += text.len() as u32;
            self.show(events, id, text);
        } else {
            self.store(events, id.index, 0, text);
        }
        if !was_pending
            && (outlooks.in_burst(id, place) != InBurst::Last
                || self.reply(transmit, id.index) != Replied::Sent)
        {
            self.put_off(id.index);
        }
        true
    }

    /// A connection that is marked as pending has something to do after the burst.
    #[inline(never)]
    fn put_off(&mut self, index: u32) {
        self.connections.at_mut(index).send.trim(&mut self.chunks);
        self.link_pending(index);
    }

    /// Sends what a quiet connection has queued, if it is one segment, with the ACK on board; the connection is not
    /// pending any more.
    #[inline(always)]
    pub(super) fn reply<T: Transmit>(&mut self, transmit: &mut T, index: u32) -> Replied {
        let connection = self.connections.at_mut(index);
        if !connection.is_quiet() {
            return Replied::No;
        }
        let flight = connection.flight();
        let len = (connection.send.len() as u32).wrapping_sub(flight);
        let mss = u32::from(connection.mss);
        let room = connection.cwnd.min(connection.snd_wnd).saturating_sub(flight);
        // None at all is more than the limit, too.
        if len.wrapping_sub(1) >= mss.min(room) {
            return Replied::No;
        }
        if flight > 0 && len < mss && !connection.flags.has(Flag::NoDelay) {
            return Replied::No;
        }
        let Some(text) = connection.send.piece(&self.chunks, flight, len) else { return Replied::No };
        if !self.template.is_for(connection.route, self.neighbours.changes()) {
            return self.reply_elsewhere(transmit, index);
        }
        let config = &self.config.tcp;
        let plain = PlainHead {
            remote: connection.remote_v4,
            ports: connection.ports.octets(),
            seq: connection.snd_nxt.0,
            ack: connection.rcv_nxt.0,
            window: window::advertise(connection, config, config.receive_buffer),
            ts_value: self.clock.ms.wrapping_add(connection.ts_offset),
            ts_echo: connection.ts_recent,
        };
        if self.template.send(transmit, &self.capabilities, &plain, text).is_err() {
            return Replied::NoFrame;
        }
        connection.last_ack_sent = connection.rcv_nxt;
        connection.delayed_ack_at = Tick::NONE;
        connection.flags.clear(Flags::of(&[Flag::AckNow, Flag::Pending]));
        connection.snd_nxt += len;
        output::time(connection, self.clock.us);
        if !connection.retransmit_at.is_set() {
            predict::start_timer(connection, config, &self.clock);
        }
        let due = connection.retransmit_at;
        let is_armed = connection.armed_at.is_set_before(due);
        self.counters.frames_sent += 1;
        self.counters.bytes_copied_out += u64::from(len);
        if !is_armed {
            self.arm_earlier(index, due);
        }
        Replied::Sent
    }

    /// The reply goes another way than the last one.
    #[inline(never)]
    fn reply_elsewhere<T: Transmit>(&mut self, transmit: &mut T, index: u32) -> Replied {
        match self.make_template(index) {
            Some(template) => {
                self.template = template;
                self.reply_out_of_line(transmit, index)
            }
            None => Replied::No,
        }
    }

    /// The same as [`Stack::reply`], not inlined.
    #[inline(never)]
    pub(super) fn reply_out_of_line<T: Transmit>(&mut self, transmit: &mut T, index: u32) -> Replied {
        self.reply(transmit, index)
    }

    /// The headers towards a connection's peer; `None` where they cannot be written in advance.
    #[cold]
    fn make_template(&self, index: u32) -> Option<Template> {
        let connection = self.connections.at(index);
        if !matches!(self.capabilities.medium, Medium::Ethernet) {
            return None;
        }
        let local = self.config.addresses.get(connection.route.local())?.cidr.address().as_v4()?;
        let mac = self.neighbours.link(connection.route.neighbour())?;
        let changes = self.neighbours.changes();
        Some(Template::new(connection.route, changes, mac, &self.capabilities.mac, local))
    }
}
