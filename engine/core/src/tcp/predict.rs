//! Header prediction: the segment that a quiet connection expects next, taken in without the questions that
//! [`super::input`] asks of any other.
//!
//! Whatever is not as predicted is left untouched for the general path, which decides the same about a predicted
//! segment; only the work differs.

use crate::wire::parse::PlainSegment;
use crate::wire::tcp::Flags as Control;

use super::clock::Clock;
use super::config::TcpConfig;
use super::congestion::{self, Acked, CongestionPool, may_grow};
use super::connection::{Connection, Warm};
use super::input::Fin;
use super::seq::SequenceNumber;
use super::state::{Flag, Flags, ReceiveSide, SendSide, Sides};
use super::tick::Tick;

/// Flags that a quiet connection has as in [`PREDICTABLE`].
const LOOKED_AT: Flags = Flags::of(&[
    Flag::Known,
    Flag::Timestamps,
    Flag::Closed,
    Flag::Paused,
    Flag::SendFull,
    Flag::Doomed,
    Flag::Unshown,
    Flag::EndUntold,
    Flag::FinAhead,
    Flag::Probe,
    Flag::Recovering,
    Flag::Reduced,
    Flag::Duplicate,
    Flag::EcnEcho,
    Flag::EcnReduced,
    Flag::Tuned,
]);
const PREDICTABLE: Flags = Flags::of(&[Flag::Known, Flag::Timestamps]);

/// Flags of which a calm connection has [`Flag::Timestamps`] alone.
const DISTURBANCES: Flags = Flags::of(&[
    Flag::Timestamps,
    Flag::SendFull,
    Flag::Doomed,
    Flag::Unshown,
    Flag::FinAhead,
    Flag::Probe,
    Flag::Recovering,
    Flag::Reduced,
    Flag::Duplicate,
    Flag::EcnEcho,
    Flag::EcnReduced,
    Flag::Tuned,
]);

impl Connection {
    /// ESTABLISHED, nothing lost, nothing waiting, nothing asked for: what the in-order path may take for granted.
    #[inline(always)]
    pub fn is_quiet(&self) -> bool {
        // Four bytes side by side: one comparison.
        const OPEN: u32 = u32::from_ne_bytes([Sides::OPEN.bits(), 0, 0, 0]);
        let state = u32::from_ne_bytes([self.sides.bits(), self.dup_acks, self.backoff, self.probes]);
        self.flags.matches(LOOKED_AT, PREDICTABLE) && state == OPEN && self.receive.is_none()
    }

    /// As [quiet](Connection::is_quiet), but for the end of either stream, which the application may know of or not.
    #[inline(always)]
    pub fn is_calm(&self) -> bool {
        let troubles = self.dup_acks | self.backoff | self.probes;
        self.flags.matches(DISTURBANCES, Flags::of(&[Flag::Timestamps]))
            && troubles == 0
            && self.receive.is_none()
    }
}

/// Takes in the acknowledgment, window and timestamp of a segment, if it is the predicted one, and says how many queued
/// octets it acknowledges. `None`: not predicted, nothing was touched.
///
/// The connection [is quiet](Connection::is_quiet); its warm block is `warm[index]`, and touched only when it must be.
#[inline(always)]
pub fn take_predicted(
    connection: &mut Connection,
    warm: &mut [Warm],
    index: u32,
    pool: &mut CongestionPool,
    config: &TcpConfig,
    clock: &Clock,
    segment: &PlainSegment,
) -> Option<u32> {
    let (seq, ack) = (SequenceNumber(segment.seq), SequenceNumber(segment.ack));
    let len = u32::from(segment.len);
    let acked = ack.since(connection.snd_una);
    let flight = connection.flight();
    let window = u32::from(segment.window) << connection.scales.send();
    let is_older = (segment.ts_value.wrapping_sub(connection.ts_recent) as i32) < 0;
    let is_predicted = segment.flags.without(Control::PSH) == Control::ACK
        && seq == connection.rcv_nxt
        && len <= connection.rcv_adv.since(connection.rcv_nxt)
        && acked <= flight
        // With neither it may be a duplicate ACK.
        && acked + len > 0
        && !is_older
        && window > 0
        && connection.snd_wnd > 0
        // Else the persist timer runs.
        && (flight > 0 || !connection.retransmit_at.is_set());
    if !is_predicted {
        return None;
    }
    take_numbers(connection, warm, index, pool, config, clock, segment);
    Some(acked)
}

/// What [`take_closing`] has taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closing {
    /// Queued octets that are acknowledged now and can be freed.
    pub acked: u32,
    /// Whether the peer's stream ends here.
    pub fin: Fin,
}

/// Takes in a segment without text that ends the peer's stream, or acknowledges ours, or both. `None`: it does neither, and
/// nothing was touched.
///
/// The connection [is calm](Connection::is_calm).
#[inline]
pub fn take_closing(
    connection: &mut Connection,
    warm: &mut [Warm],
    index: u32,
    pool: &mut CongestionPool,
    config: &TcpConfig,
    clock: &Clock,
    segment: &PlainSegment,
) -> Option<Closing> {
    let acked = SequenceNumber(segment.ack).since(connection.snd_una);
    let flight = connection.flight();
    let is_older = (segment.ts_value.wrapping_sub(connection.ts_recent) as i32) < 0;
    let fin = if segment.flags.intersects(Control::FIN) { Fin::Present } else { Fin::Absent };
    let is_news = match fin {
        Fin::Absent => acked > 0,
        Fin::Present => connection.sides.receive() == ReceiveSide::Open,
    };
    let is_closing = segment.flags.without(Control::PSH).without(Control::FIN) == Control::ACK
        && segment.len == 0
        && SequenceNumber(segment.seq) == connection.rcv_nxt
        && acked <= flight
        && is_news
        && !is_older
        && segment.window > 0
        && connection.snd_wnd > 0
        // Else the persist timer runs.
        && (flight > 0 || !connection.retransmit_at.is_set());
    if !is_closing {
        return None;
    }
    // Of the octets in flight one may be our FIN.
    let queued = connection.send.len() as u32;
    take_numbers(connection, warm, index, pool, config, clock, segment);
    if acked > 0 && acked == flight && connection.sides.send() == SendSide::FinSent {
        connection.sides.set_send(SendSide::FinAcked);
    }
    Some(Closing { acked: acked.min(queued), fin })
}

/// Takes in the timestamp, window and acknowledgment of a segment that is known to be in order and to acknowledge nothing
/// but what is in flight.
#[inline(always)]
fn take_numbers(
    connection: &mut Connection,
    warm: &mut [Warm],
    index: u32,
    pool: &mut CongestionPool,
    config: &TcpConfig,
    clock: &Clock,
    segment: &PlainSegment,
) {
    let seq = SequenceNumber(segment.seq);
    let acked = SequenceNumber(segment.ack).since(connection.snd_una);
    let window = u32::from(segment.window) << connection.scales.send();
    if seq == connection.last_ack_sent {
        // RFC 7323 section 4.3 (2): only a segment that spans the last ACK sent moves TS.Recent.
        connection.ts_recent = segment.ts_value;
    }
    connection.heard_at = clock.coarse;
    if window > connection.snd_wnd {
        connection.snd_wnd = window;
        note_window(warm, index, window);
    } else if acked > 0 || seq != connection.snd_wl1 {
        // RFC 9293 section 3.10.7.4, fifth step.
        connection.snd_wnd = window;
    }
    connection.snd_wl1 = seq;
    if acked > 0 {
        take_ack(connection, warm, index, pool, config, clock, acked);
    }
}

/// The first `acked` octets in flight are acknowledged.
#[inline(always)]
fn take_ack(
    connection: &mut Connection,
    warm: &mut [Warm],
    index: u32,
    pool: &mut CongestionPool,
    config: &TcpConfig,
    clock: &Clock,
    acked: u32,
) {
    let flight = connection.flight();
    connection.snd_una += acked;
    if connection.flags.has(Flag::Timing) && !connection.snd_una.is_before(connection.rtt_seq) {
        connection.flags.take(Flag::Timing);
        connection.round_trip.sample(clock.us.wrapping_sub(connection.rtt_sent_us));
    }
    // Half a window and less never makes it grow: the warm block stays cold.
    if may_grow(connection, flight) {
        let acked = Acked { octets: acked, flight, now: clock.now };
        grow_window(connection, warm, index, pool, acked);
    }
    if acked == flight {
        connection.retransmit_at = Tick::NONE;
    } else {
        start_timer(connection, config, clock);
    }
}

/// The peer has opened its window further than before.
#[inline]
fn note_window(warm: &mut [Warm], index: u32, window: u32) {
    let warm = &mut warm[index as usize];
    warm.snd_wnd_max = warm.snd_wnd_max.max(window);
}

#[inline(never)]
fn grow_window(
    connection: &mut Connection,
    warm: &mut [Warm],
    index: u32,
    pool: &mut CongestionPool,
    acked: Acked,
) {
    congestion::on_ack(connection, &mut warm[index as usize], pool, acked);
}

/// Starts the retransmission timer of a quiet connection over (RFC 6298 section 5).
#[inline(always)]
pub fn start_timer(connection: &mut Connection, config: &TcpConfig, clock: &Clock) {
    connection.retransmit_at = clock.after_us(connection.round_trip.rto_us(config));
}

#[cfg(test)]
mod tests;
