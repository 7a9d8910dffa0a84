//! What a quiet connection has to send: its reply with the ACK on board, in one segment or several, or the ACK alone, or nothing yet.

use crate::port::{Medium, Transmit};
use crate::tcp::clock::Clock;
use crate::tcp::config::TcpConfig;
use crate::tcp::connection::{Connection, Route};
use crate::tcp::state::{Flag, Flags};
use crate::tcp::tick::Tick;
use crate::tcp::{output, predict, timer, window};
use crate::wire::tcp::Flags as Control;

use super::Stack;
use super::egress::Template;
use super::transmit::plain_head;

/// How a quiet connection was served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Replied {
    /// All that there was to send has left; it is not pending any more.
    Sent,
    /// No frame was free.
    NoFrame,
    /// The general path must look; what has left is noted.
    No,
}

impl Stack {
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
            return if len == 0 { self.owe_quietly(transmit, index) } else { self.stream(transmit, index) };
        }
        if flight > 0 && len < mss && !connection.flags.has(Flag::NoDelay) {
            return Replied::No;
        }
        let Some(text) = connection.send.piece(&self.chunks, flight, len) else {
            return self.stream(transmit, index);
        };
        if !self.template.is_for(connection.route, self.neighbours.changes()) {
            return self.reply_elsewhere(transmit, index);
        }
        let config = &self.config.tcp;
        let window = window::advertise(connection, config.receive_buffer, config.receive_buffer);
        let flags = Control::ACK | Control::PSH;
        let plain = plain_head(connection, &self.clock, connection.snd_nxt, flags, window);
        if self.template.send(transmit, &self.capabilities, &plain, text).is_err() {
            return Replied::NoFrame;
        }
        handle_sent(connection, config, &self.clock, len);
        connection.flags.clear(Flags::of(&[Flag::AckNow, Flag::Pending]));
        let due = connection.retransmit_at;
        let is_armed = connection.armed_at.is_set_before(due);
        self.counters.frames_sent += 1;
        self.counters.bytes_copied_out += u64::from(len);
        if !is_armed {
            self.arm_earlier(index, due);
        }
        if flight > 0 {
            self.put_off_probe(index);
        }
        Replied::Sent
    }

    /// New data have left while others are in flight: the probe of the tail waits from now on.
    #[inline(never)]
    fn put_off_probe(&mut self, index: u32) {
        self.warm[index as usize].last_sent = Tick::at(self.now);
        self.arm_quietly(index);
    }

    /// Sends segments of a quiet connection's queue, one after the other, as long as each is full or the last, and the
    /// windows have room for it; what is left the general path must judge.
    #[inline(never)]
    fn stream<T: Transmit>(&mut self, transmit: &mut T, index: u32) -> Replied {
        let route = self.connections.at(index).route;
        if !self.has_template(route) {
            return Replied::No;
        }
        self.restart_after_idle(index);
        let config = &self.config.tcp;
        let connection = self.connections.at_mut(index);
        let mss = u32::from(connection.mss);
        if connection.flight() > 0 {
            self.warm[index as usize].last_sent = Tick::at(self.now);
        }
        loop {
            let flight = connection.flight();
            let unsent = connection.send.len() as u32 - flight;
            let room = connection.cwnd.min(connection.snd_wnd).saturating_sub(flight);
            let len = unsent.min(mss).min(room);
            let is_last = len == unsent;
            // Silly window avoidance (RFC 9293 section 3.8.6.2.1) and Nagle's algorithm are questions for elsewhere.
            let is_clear = len == mss || is_last && (flight == 0 || connection.flags.has(Flag::NoDelay));
            if !is_clear || len == 0 {
                return Replied::No;
            }
            let flags = if is_last { Control::ACK | Control::PSH } else { Control::ACK };
            let window = window::advertise(connection, config.receive_buffer, config.receive_buffer);
            let plain = plain_head(connection, &self.clock, connection.snd_nxt, flags, window);
            let (send, chunks) = (&connection.send, &mut self.chunks);
            let fill = |payload: &mut [u8]| send.gather_summed(chunks, flight, payload);
            if self.template.send_filled(transmit, &self.capabilities, &plain, len as usize, fill).is_err() {
                return Replied::NoFrame;
            }
            handle_sent(connection, config, &self.clock, len);
            self.counters.frames_sent += 1;
            self.counters.bytes_copied_out += u64::from(len);
            if is_last {
                break;
            }
        }
        connection.flags.clear(Flags::of(&[Flag::AckNow, Flag::Pending]));
        self.arm_quietly(index);
        Replied::Sent
    }

    /// A quiet connection has nothing to send: an ACK that is due now leaves alone, or the delayed one is timed.
    #[inline(never)]
    fn owe_quietly<T: Transmit>(&mut self, transmit: &mut T, index: u32) -> Replied {
        let config = &self.config.tcp;
        let connection = self.connections.at_mut(index);
        connection.send.trim(&mut self.chunks);
        let waiting = connection.rcv_nxt.since(connection.last_ack_sent);
        let is_due = connection.flags.has(Flag::AckNow)
            || waiting >= 2 * u32::from(connection.mss)
            || window::is_update_due(connection, config.receive_buffer, config.receive_buffer);
        if is_due {
            return self.acknowledge_quietly(transmit, index);
        }
        connection.flags.take(Flag::Pending);
        if waiting > 0 && !connection.delayed_ack_at.is_set() {
            connection.delayed_ack_at = self.clock.after_us(config.tcp_delack_us);
        }
        self.arm_quietly(index);
        Replied::Sent
    }

    /// Sends the ACK of a quiet connection alone.
    fn acknowledge_quietly<T: Transmit>(&mut self, transmit: &mut T, index: u32) -> Replied {
        let sent = self.send_bare_quietly(transmit, index, Control::ACK);
        if sent == Replied::Sent {
            self.connections.at_mut(index).flags.take(Flag::Pending);
            self.arm_quietly(index);
        }
        sent
    }

    /// Sends a segment without text for a connection with timestamps that has received all in order.
    #[inline]
    pub(super) fn send_bare_quietly<T: Transmit>(
        &mut self,
        transmit: &mut T,
        index: u32,
        flags: Control,
    ) -> Replied {
        // RFC 3168 section 6.1.4: what has no new octets is not ECN-capable.
        let route = self.connections.at(index).route.not_ect();
        if !self.has_template(route) {
            return Replied::No;
        }
        let config = &self.config.tcp;
        let connection = self.connections.at_mut(index);
        let window = window::advertise(connection, config.receive_buffer, config.receive_buffer);
        let plain = plain_head(connection, &self.clock, connection.snd_nxt, flags, window);
        if self.template.send(transmit, &self.capabilities, &plain, &[]).is_err() {
            // The window counts as told already: what was due is due again.
            connection.flags.set(Flag::AckNow);
            return Replied::NoFrame;
        }
        window::handle_ack_sent(connection);
        self.counters.frames_sent += 1;
        Replied::Sent
    }

    /// Arms the wheel for what a quiet connection waits for.
    fn arm_quietly(&mut self, index: u32) {
        let connection = self.connections.at(index);
        let retransmit_due = timer::retransmit_due(connection, &self.warm[index as usize], &self.config.tcp);
        let due = retransmit_due.earliest(connection.delayed_ack_at);
        if due.is_set() {
            self.arm(index, due);
        }
    }

    /// Makes sure that the template is the one for this route, if there can be one.
    pub(super) fn has_template(&mut self, route: Route) -> bool {
        if !self.template.is_for(route, self.neighbours.changes()) {
            let Some(template) = self.make_template(route) else { return false };
            self.template = template;
        }
        true
    }

    /// The reply goes another way than the last one.
    #[inline(never)]
    fn reply_elsewhere<T: Transmit>(&mut self, transmit: &mut T, index: u32) -> Replied {
        let route = self.connections.at(index).route;
        if self.has_template(route) { self.reply_out_of_line(transmit, index) } else { Replied::No }
    }

    /// The same as [`Stack::reply`], not inlined.
    #[inline(never)]
    pub(super) fn reply_out_of_line<T: Transmit>(&mut self, transmit: &mut T, index: u32) -> Replied {
        self.reply(transmit, index)
    }

    /// The headers of what leaves by `route`; `None` where they cannot be written in advance.
    #[cold]
    fn make_template(&mut self, route: Route) -> Option<Template> {
        if !matches!(self.capabilities.medium, Medium::Ethernet) {
            return None;
        }
        let local = self.config.addresses.get(route.local())?.cidr.address().as_v4()?;
        let mac = self.neighbours.link_to_use(route.neighbour(), self.now).copied()?;
        let changes = self.neighbours.changes();
        Some(Template::new(route, changes, &mac, &self.capabilities.mac, local))
    }
}

/// `len` octets of a quiet connection have left for the first time, with the ACK on board.
#[inline(always)]
fn handle_sent(connection: &mut Connection, config: &TcpConfig, clock: &Clock, len: u32) {
    connection.last_ack_sent = connection.rcv_nxt;
    connection.delayed_ack_at = Tick::NONE;
    connection.snd_nxt += len;
    output::time(connection, clock.us);
    if !connection.retransmit_at.is_set() {
        predict::start_timer(connection, config, clock);
    }
}
