//! A segment for a synchronized connection (RFC 9293 section 3.10.7.4), with RFC 5961 and RFC 7323.
//!
//! Nothing is sent, delivered or freed here: the connection's numbers move, and the verdict says the rest.

use crate::base::time::{Duration, Instant};
use crate::wire::tcp::Flags as Control;

use super::config::TcpConfig;
use super::congestion::{self, Signal};
use super::connection::{Connection, Warm, coarse, coarse_span};
use super::ecn;
use super::pools::Pools;
use super::recovery::acks::take_ack;
use super::segment::Segment;
use super::seq::SequenceNumber;
use super::state::Flag;
use super::tick::Tick;

/// The age at which the peer's last timestamp says nothing any more (RFC 7323 section 5.5).
const TS_RECENT_AGE_MAX: Duration = Duration::from_secs(24 * 24 * 3600);

/// Why a segment was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Its timestamp is older than one seen before (PAWS).
    Paws,
    /// It lies outside the window.
    OutOfWindow,
    /// It acknowledges what was never sent, or is too old to be true (RFC 5961 section 5.2).
    UnacceptableAck,
    /// SYN on a synchronized connection (RFC 5961 section 4.2).
    Syn,
    /// RST in the window but not at its left edge (RFC 5961 section 3.2).
    InexactReset,
    /// RST outside the window.
    BlindReset,
    /// No ACK bit.
    NoAck,
}

/// What is to be done about a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing.
    Drop(Refused),
    /// Answer with an ACK and drop it.
    Acknowledge(Refused),
    /// Answer with a rate-limited challenge ACK and drop it.
    Challenge(Refused),
    /// The peer has reset the connection.
    Reset,
    /// Go on with its acknowledgment and text.
    Accept(Accepted),
}

/// What an accepted segment brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Accepted {
    /// Queued octets that are acknowledged now and can be freed.
    pub acked: u32,
    /// First octets of the payload that lie before `rcv_nxt`.
    pub skip: u32,
    /// Payload octets within the window, after `skip`.
    pub len: u32,
    /// How far after `rcv_nxt` they begin.
    pub ahead: u32,
    /// Whether FIN follows them, within the window.
    pub fin: Fin,
    /// Where that FIN lies.
    pub fin_at: SequenceNumber,
}

/// Whether a segment ends the peer's stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Fin {
    /// It does not.
    #[default]
    Absent,
    /// It does.
    Present,
}

/// Checks `segment` and takes in everything but its text.
#[inline]
pub fn handle_segment(
    connection: &mut Connection,
    warm: &mut Warm,
    pools: &mut Pools,
    config: &TcpConfig,
    now: Instant,
    segment: &Segment<'_>,
) -> Verdict {
    if let Some(verdict) = check(connection, warm, now, segment) {
        return verdict;
    }
    if connection.flags.has(Flag::Ecn) {
        ecn::receive(connection, segment);
        take_echo(connection, warm, pools, segment);
    }
    let acked = acknowledge(connection, warm, pools, config, now, segment);
    connection.probes = 0;
    connection.heard_at = coarse(now);
    let text = place(connection, segment);
    Verdict::Accept(Accepted { acked, ..text })
}

/// RFC 3168 section 6.1.2: the peer tells of congestion on our way to it.
fn take_echo(connection: &mut Connection, warm: &mut Warm, pools: &mut Pools, segment: &Segment<'_>) {
    let is_news = !segment.ack.is_before(connection.snd_una) && connection.flight() > 0;
    if is_news && segment.control.intersects(Control::ECE) {
        let flight = connection.flight();
        congestion::enter_recovery(connection, warm, &mut pools.congestion, Signal::Echo, flight);
    }
}

/// The checks before the acknowledgment counts; `None` when all pass.
#[inline]
fn check(
    connection: &mut Connection,
    warm: &mut Warm,
    now: Instant,
    segment: &Segment<'_>,
) -> Option<Verdict> {
    let control = segment.control;
    if let (true, Some(timestamps)) = (connection.flags.has(Flag::Timestamps), segment.timestamps) {
        let older = (timestamps.value.wrapping_sub(connection.ts_recent) as i32) < 0;
        if older && !control.intersects(Control::RST) && !is_outdated(connection, now) {
            return Some(Verdict::Acknowledge(Refused::Paws));
        }
    }
    let in_order = segment.seq == connection.rcv_nxt;
    if !in_order && !is_acceptable(connection, segment) {
        return Some(if control.intersects(Control::RST) {
            Verdict::Drop(Refused::BlindReset)
        } else {
            Verdict::Acknowledge(Refused::OutOfWindow)
        });
    }
    if control.intersects(Control::RST | Control::SYN) || !control.contains(Control::ACK) {
        return Some(check_control(connection, segment));
    }
    // RFC 5961 section 5.2: SND.UNA - MAX.SND.WND <= SEG.ACK <= SND.NXT.
    let oldest = connection.snd_una - warm.snd_wnd_max;
    if segment.ack.is_after(connection.snd_nxt) || segment.ack.is_before(oldest) {
        return Some(Verdict::Challenge(Refused::UnacceptableAck));
    }
    if let (true, Some(timestamps)) = (connection.flags.has(Flag::Timestamps), segment.timestamps) {
        // RFC 7323 section 4.3 (2): only a segment that spans the last ACK sent moves TS.Recent.
        if !segment.seq.is_after(connection.last_ack_sent) {
            connection.ts_recent = timestamps.value;
        }
    }
    None
}

/// Whether so much time has passed that `TS.Recent` says nothing.
fn is_outdated(connection: &Connection, now: Instant) -> bool {
    coarse_span(coarse(now).wrapping_sub(connection.heard_at)) > TS_RECENT_AGE_MAX
}

/// The four cases of RFC 9293 section 3.10.7.4, first step, and text that came before and is not acknowledged yet: the peer
/// cannot know that we have it, and what it acknowledges counts also when the window has closed behind it.
fn is_acceptable(connection: &Connection, segment: &Segment<'_>) -> bool {
    let window = connection.rcv_adv.since(connection.rcv_nxt);
    let len = segment.len();
    if len > 0
        && segment.seq.is_before(connection.rcv_nxt)
        && !segment.end().is_before(connection.last_ack_sent)
    {
        return true;
    }
    if len == 0 {
        return if window == 0 {
            segment.seq == connection.rcv_nxt
        } else {
            segment.seq.is_within(connection.rcv_nxt, window)
        };
    }
    let last = segment.end() - 1;
    window != 0
        && (segment.seq.is_within(connection.rcv_nxt, window) || last.is_within(connection.rcv_nxt, window))
}

/// RST, SYN, or no ACK within the window.
#[cold]
fn check_control(connection: &Connection, segment: &Segment<'_>) -> Verdict {
    if segment.control.intersects(Control::RST) {
        // RFC 5961 section 3.2: only an exact RST resets.
        return if segment.seq == connection.rcv_nxt {
            Verdict::Reset
        } else {
            Verdict::Challenge(Refused::InexactReset)
        };
    }
    if segment.control.intersects(Control::SYN) {
        return Verdict::Challenge(Refused::Syn);
    }
    Verdict::Drop(Refused::NoAck)
}

/// Takes in the acknowledgment, the window and SACK. Returns how many queued octets can be freed.
#[inline]
fn acknowledge(
    connection: &mut Connection,
    warm: &mut Warm,
    pools: &mut Pools,
    config: &TcpConfig,
    now: Instant,
    segment: &Segment<'_>,
) -> u32 {
    let ack = segment.ack;
    let is_new = ack.is_after(connection.snd_una);
    let window = u32::from(segment.window) << connection.scales.send();
    let same_window = window == connection.snd_wnd;
    let was_closed = connection.snd_wnd == 0;
    if is_new
        || segment.seq.is_after(connection.snd_wl1)
        || (segment.seq == connection.snd_wl1 && (window > connection.snd_wnd || window == 0))
    {
        // RFC 9293 section 3.10.7.4, fifth step: an old segment does not set the window.
        if !ack.is_before(connection.snd_una) {
            update_window(connection, warm, segment.seq, window);
            if was_closed && window > 0 {
                end_persist(connection, config, now);
            }
        }
    }
    // RFC 5681 section 2: nothing but an acknowledgment.
    let is_pure = segment.len() == 0 && same_window;
    take_ack(connection, warm, pools, config, now, segment, is_pure)
}

#[inline]
fn update_window(connection: &mut Connection, warm: &mut Warm, seq: SequenceNumber, window: u32) {
    let opened = connection.snd_wnd < window;
    connection.snd_wnd = window;
    connection.snd_wl1 = seq;
    if window > warm.snd_wnd_max {
        warm.snd_wnd_max = window;
    }
    if opened && connection.flight() == 0 {
        // The persist timer has done its work.
        connection.backoff = 0;
        connection.retransmit_at = Tick::NONE;
    }
}

/// The peer has opened its window: what was in flight when it closed is due after an ordinary timeout.
#[cold]
fn end_persist(connection: &mut Connection, config: &TcpConfig, now: Instant) {
    connection.backoff = 0;
    if connection.flight() > 0 {
        connection.start_retransmit_timer(now, config);
    }
}

/// Where the text lies relative to the window (RFC 9293 section 3.10.7.4, seventh and eighth step).
#[inline]
fn place(connection: &Connection, segment: &Segment<'_>) -> Accepted {
    let window = connection.rcv_adv.since(connection.rcv_nxt);
    let mut len = segment.payload.len() as u32;
    let mut fin = if segment.control.intersects(Control::FIN) { Fin::Present } else { Fin::Absent };
    let (skip, ahead) = if segment.seq.is_before(connection.rcv_nxt) {
        (connection.rcv_nxt.since(segment.seq), 0)
    } else {
        (0, segment.seq.since(connection.rcv_nxt))
    };
    if skip > len {
        // Even its FIN is an old one.
        return Accepted::default();
    }
    len -= skip;
    if ahead + len > window {
        len = window.saturating_sub(ahead);
        fin = Fin::Absent;
    }
    Accepted { acked: 0, skip, len, ahead, fin, fin_at: connection.rcv_nxt + ahead + len }
}
