//! A segment for a synchronized connection (RFC 9293 section 3.10.7.4), with RFC 5961 and RFC 7323.
//!
//! Nothing is sent, delivered or freed here: the connection's numbers move, and the verdict says the rest.

use crate::base::slab::PlainSlab;
use crate::base::time::Instant;
use crate::wire::tcp::{Flags as Control, Options};

use super::config::TcpConfig;
use super::congestion::{self, Acked};
use super::connection::{Connection, Warm, seconds};
use super::pools::Pools;
use super::recovery::{Phase, Progress, Recovery};
use super::scoreboard::Range;
use super::segment::Segment;
use super::seq::SequenceNumber;
use super::state::{Flag, SendSide};
use super::tick::Tick;

/// The recovery states of a shard, taken by connections while they need one.
pub type RecoveryPool = PlainSlab<Recovery>;

/// The age at which the peer's last timestamp says nothing any more (RFC 7323 section 5.5: 24 days), as [`seconds`] counts.
const TS_RECENT_AGE_MAX_S: u32 = ((24 * 24 * 3600 * 1_000_000_000_u64) >> 30) as u32;

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
    let acked = acknowledge(connection, warm, pools, config, now, segment);
    connection.probes = 0;
    let text = place(connection, segment);
    Verdict::Accept(Accepted { acked, ..text })
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
            connection.ts_recent_at = seconds(now);
        }
    }
    None
}

/// Whether so much time has passed that `TS.Recent` says nothing.
fn is_outdated(connection: &Connection, now: Instant) -> bool {
    seconds(now).wrapping_sub(connection.ts_recent_at) > TS_RECENT_AGE_MAX_S
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
    if connection.flags.has(Flag::Sack) && !segment.options.is_empty() && connection.flight() > 0 {
        take_sack(connection, warm, &mut pools.recoveries, segment);
    }
    if is_new {
        return take_new_ack(connection, warm, pools, config, now, ack);
    }
    // RFC 5681 section 2: nothing but a repeated acknowledgment.
    let is_duplicate =
        ack == connection.snd_una && segment.len() == 0 && same_window && connection.flight() > 0;
    if is_duplicate {
        connection.dup_acks = connection.dup_acks.saturating_add(1);
    }
    if (is_duplicate || connection.flags.has(Flag::Recovering)) && connection.flight() > 0 {
        detect_loss(connection, warm, pools, config, now);
    }
    0
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

/// RFC 2018 section 8; an old ACK's SACK counts as well.
fn take_sack(connection: &mut Connection, warm: &mut Warm, pool: &mut RecoveryPool, segment: &Segment<'_>) {
    let sack = Options::parse(segment.options).sack;
    let blocks = sack.as_slice();
    if blocks.is_empty() {
        return;
    }
    let una = connection.snd_una.latest(segment.ack.earliest(connection.snd_nxt));
    let is_news = |left: u32| SequenceNumber(left).is_after(una);
    if !connection.flags.has(Flag::Recovering) && !blocks.iter().any(|b| is_news(b.left)) {
        return;
    }
    let Some(recovery) = recovery(connection, warm, pool) else { return };
    // The ranges are ordered by their distance from `una`: none may lie before it.
    recovery.scoreboard.acknowledge(una);
    for block in blocks {
        let range = Range { start: SequenceNumber(block.left), end: SequenceNumber(block.right) };
        recovery.scoreboard.add(range, una, connection.snd_nxt);
    }
}

/// The connection's recovery state, taken from the pool if it has none; `None` when the pool is empty, and
/// only the retransmission timer is left.
pub fn recovery<'p>(
    connection: &mut Connection,
    warm: &mut Warm,
    pool: &'p mut RecoveryPool,
) -> Option<&'p mut Recovery> {
    if !connection.flags.has(Flag::Recovering) {
        let key = pool.insert(Recovery::new(connection.snd_una)).ok()?;
        warm.recovery = core::num::NonZeroU32::new(key.index + 1);
        connection.flags.set(Flag::Recovering);
    }
    Some(pool.at_mut(warm.recovery?.get() - 1))
}

/// Gives the recovery state back to the pool.
pub fn end_recovery(connection: &mut Connection, warm: &mut Warm, pool: &mut RecoveryPool) {
    if let Some(index) = warm.recovery.take() {
        connection.flags.take(Flag::Recovering);
        connection.dup_acks = 0;
        if let Some(key) = pool.key_at(index.get() - 1) {
            pool.remove(key);
        }
    }
}

/// `ack` acknowledges something new.
#[inline]
fn take_new_ack(
    connection: &mut Connection,
    warm: &mut Warm,
    pools: &mut Pools,
    config: &TcpConfig,
    now: Instant,
    ack: SequenceNumber,
) -> u32 {
    let flight = connection.flight();
    let data = ack.since(connection.snd_una).min(connection.send.len() as u32);
    let acked = ack.since(connection.snd_una);
    if matches!(connection.sides.send(), SendSide::FinSent) && ack == connection.snd_nxt {
        connection.sides.set_send(SendSide::FinAcked);
    }
    if connection.flags.has(Flag::Timing) && !ack.is_before(connection.rtt_seq) {
        connection.flags.take(Flag::Timing);
        let sent = connection.rtt_sent_us;
        connection.round_trip.sample((now.as_micros() as u32).wrapping_sub(sent));
    }
    connection.snd_una = ack;
    connection.backoff = 0;
    let news = Acked { octets: acked, flight, now };
    if connection.flags.has(Flag::Recovering) {
        let index = warm.recovery.map_or(0, |index| index.get() - 1);
        let recovery = pools.recoveries.at_mut(index);
        if !matches!(recovery.phase, Phase::Fast) {
            // Nothing is lost yet, or slow start begins anew.
            congestion::on_ack(connection, warm, &mut pools.congestion, news);
        }
        if recovery.on_ack(connection, warm, acked) == Progress::Over {
            warm.recover = ack;
            end_recovery(connection, warm, &mut pools.recoveries);
        } else {
            detect_loss(connection, warm, pools, config, now);
        }
    } else {
        connection.dup_acks = 0;
        congestion::on_ack(connection, warm, &mut pools.congestion, news);
    }
    if connection.flight() == 0 {
        connection.retransmit_at = Tick::NONE;
    } else {
        connection.start_retransmit_timer(now, config);
    }
    data
}

/// Enters fast recovery when enough has arrived out of order.
fn detect_loss(
    connection: &mut Connection,
    warm: &mut Warm,
    pools: &mut Pools,
    config: &TcpConfig,
    now: Instant,
) {
    let has_state = connection.flags.has(Flag::Recovering);
    if !has_state && connection.dup_acks < 3 {
        return;
    }
    // RFC 6582 section 3.2 step 2: without SACK, echoes of an earlier recovery do not begin another.
    if !has_state && !connection.flags.has(Flag::Sack) && !connection.snd_una.is_after(warm.recover) {
        return;
    }
    let Some(recovery) = recovery(connection, warm, &mut pools.recoveries) else { return };
    if recovery.should_enter_fast(connection) {
        recovery.enter_fast(connection, warm, &mut pools.congestion);
        connection.flags.take(Flag::Timing);
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
