//! Full segments of a stream, one behind the other: what they have in common is asked and written down once.

use crate::port::Transmit;
use crate::tcp::connection::Connection;
use crate::tcp::state::{Flag, Flags};
use crate::tcp::tick::Tick;
use crate::tcp::{output, window};
use crate::wire::tcp::Flags as Control;

use super::Stack;
use super::egress::NoFrame;
use super::transmit::{Sent, plain_head, receive_window};

/// Flags that a connection has as in [`STREAMING`] while nothing but new octets is to be sent.
const LOOKED_AT: Flags =
    Flags::of(&[Flag::Timestamps, Flag::Probe, Flag::Recovering, Flag::EcnEcho, Flag::EcnReduced]);
const STREAMING: Flags = Flags::of(&[Flag::Timestamps]);

impl Stack {
    /// Sends the new segments that are full and lie in one chunk, all but the last of what is queued: that one, with PSH
    /// or FIN or Nagle's question, is for [`Stack::send_pieces`], like every one that lies in two chunks.
    ///
    /// # Errors
    /// [`NoFrame`] when there was none for the first, or for one of the others: what has left is noted.
    #[inline(always)]
    pub(super) fn send_full_run<T: Transmit>(
        &mut self,
        transmit: &mut T,
        index: u32,
    ) -> Result<Sent, NoFrame> {
        let count = full_segments(self.connections.at(index));
        // One is not worth the preparation.
        if count < 2 { Ok(Sent::Nothing) } else { self.send_run(transmit, index, count) }
    }

    /// Sends up to `count` full segments out of one chunk.
    #[inline(never)]
    fn send_run<T: Transmit>(&mut self, transmit: &mut T, index: u32, count: u32) -> Result<Sent, NoFrame> {
        let route = self.connections.at(index).route;
        if !self.has_template(route) {
            return Ok(Sent::Nothing);
        }
        let buffer = self.receive_limit(index);
        let config = &self.config.tcp;
        let connection = self.connections.at_mut(index);
        let mss = connection.mss;
        let text = connection.send.run(&self.chunks, connection.flight());
        let mut pieces = text.chunks_exact(usize::from(mss)).take(count as usize).peekable();
        if pieces.peek().is_none() {
            return Ok(Sent::Nothing);
        }
        let free = receive_window(&self.receive, connection, buffer);
        let window = window::advertise(connection, buffer, free);
        let mut plain = plain_head(connection, &self.clock, connection.snd_nxt, Control::ACK, window);
        let (template, capabilities) = (&self.template, &self.capabilities);
        let sent = pieces.try_for_each(|piece| {
            template.send(transmit, capabilities, &plain, piece)?;
            plain.seq = plain.seq.wrapping_add(mss.into());
            Ok(())
        });
        let len = plain.seq.wrapping_sub(connection.snd_nxt.0);
        if len > 0 {
            if connection.flight() > 0 {
                self.warm[index as usize].last_sent = Tick::at(self.now);
            }
            // The first of them is timed.
            connection.snd_nxt += u32::from(mss);
            output::time(connection, self.clock.us);
            connection.snd_nxt += len - u32::from(mss);
            window::handle_ack_sent(connection);
            if !connection.retransmit_at.is_set() {
                connection.start_retransmit_timer(self.now, config);
            }
            self.counters.frames_sent += u64::from(len / u32::from(mss));
            self.counters.bytes_copied_out += u64::from(len);
        }
        sent.map(|()| Sent::Something)
    }
}

/// How many full segments may leave now with more octets behind them, if nothing but new octets is to be sent.
#[inline]
fn full_segments(connection: &Connection) -> u32 {
    // With one or two duplicate ACKs the limit is another (RFC 3042).
    if !connection.flags.matches(LOOKED_AT, STREAMING) || connection.dup_acks > 0 {
        return 0;
    }
    let room = connection.cwnd.min(connection.snd_wnd).saturating_sub(connection.flight());
    room.min(connection.unsent().saturating_sub(1)) / u32::from(connection.mss)
}
