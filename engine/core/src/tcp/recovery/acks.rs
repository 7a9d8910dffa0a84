//! An acknowledgment taken in: the queue's numbers move, losses are found, and recovery begins, goes on or ends.

use crate::base::time::Instant;
use crate::tcp::config::TcpConfig;
use crate::tcp::congestion::{self, Acked};
use crate::tcp::connection::{Connection, Warm};
use crate::tcp::pools::Pools;
use crate::tcp::scoreboard::Range;
use crate::tcp::segment::Segment;
use crate::tcp::seq::SequenceNumber;
use crate::tcp::state::{Flag, SendSide};
use crate::tcp::tick::Tick;
use crate::wire::tcp::{Options, SackBlock, SackBlocks};

use super::undo::Echo;
use super::{DUP_THRESH, Phase, Progress, Recovery, RecoveryPool};

/// An acknowledgment, as recovery sees it.
#[expect(clippy::struct_excessive_bools, reason = "facts that are independent of each other")]
pub(super) struct News {
    pub(super) now: Instant,
    pub(super) now_us: u32,
    /// `snd_una` has moved.
    pub(super) has_advanced: bool,
    /// It repeats an earlier one (RFC 5681 section 2).
    pub(super) is_duplicate: bool,
    /// It has no SACK blocks.
    pub(super) is_bare: bool,
    /// Octets that have arrived, in order or not (`DeliveredData` of RFC 9937).
    pub(super) delivered: u32,
    /// Something came late that was sent once only.
    pub(super) is_reordered: bool,
    /// Something came that was sent before this recovery, and not again.
    pub(super) original_delivered: bool,
    /// What the peer has received twice.
    pub(super) duplicate: Option<Range>,
    /// What its timestamp answers.
    pub(super) echo: Echo,
}

/// Takes in what `segment` acknowledges. Returns how many queued octets can be freed.
#[inline]
pub fn take_ack(
    connection: &mut Connection,
    warm: &mut Warm,
    pools: &mut Pools,
    config: &TcpConfig,
    now: Instant,
    segment: &Segment<'_>,
    is_pure: bool,
) -> u32 {
    let has_advanced = segment.ack.is_after(connection.snd_una);
    let sack = sack_of(connection, segment);
    if brings_news(connection, segment.ack, &sack) {
        // Without a record only the timeout is left.
        let _ = recovery(connection, warm, &mut pools.recoveries);
    }
    let is_duplicate = is_pure && segment.ack == connection.snd_una && connection.flight() > 0;
    if is_duplicate {
        connection.dup_acks = connection.dup_acks.saturating_add(1);
    }
    if connection.flags.has(Flag::Recovering) {
        let is_duplicate = is_pure && segment.ack == connection.snd_una;
        return take_with_record(connection, warm, pools, config, now, segment, &sack, is_duplicate);
    }
    if has_advanced {
        let flight = connection.flight();
        let octets = segment.ack.since(connection.snd_una);
        let freed = advance(connection, warm, now, segment.ack);
        connection.dup_acks = 0;
        congestion::on_ack(connection, warm, &mut pools.congestion, Acked { octets, flight, now });
        if connection.flight() == 0 {
            connection.retransmit_at = Tick::NONE;
        } else {
            connection.start_retransmit_timer(now, config);
        }
        return freed;
    }
    if is_duplicate && connection.dup_acks >= DUP_THRESH {
        count_duplicates(connection, warm, pools, config, now);
    }
    0
}

/// The segment's SACK blocks, if SACK was agreed.
#[inline]
fn sack_of(connection: &Connection, segment: &Segment<'_>) -> SackBlocks {
    if segment.options.is_empty() || !connection.flags.has(Flag::Sack) {
        return SackBlocks::NONE;
    }
    Options::parse(segment.options).sack
}

/// Whether SACK blocks speak of octets that are in flight.
fn brings_news(connection: &Connection, ack: SequenceNumber, sack: &SackBlocks) -> bool {
    let una = connection.snd_una.latest(ack);
    let is_in_flight = |block: &SackBlock| {
        SequenceNumber(block.left).is_after(una) && !SequenceNumber(block.right).is_after(connection.snd_nxt)
    };
    connection.flight() > 0 && sack.as_slice().iter().any(is_in_flight)
}

/// `snd_una` moves to `ack`; a round trip may have been timed. Returns how many queued octets can be freed.
#[inline]
fn advance(connection: &mut Connection, warm: &mut Warm, now: Instant, ack: SequenceNumber) -> u32 {
    let data = ack.since(connection.snd_una).min(connection.send.len() as u32);
    if matches!(connection.sides.send(), SendSide::FinSent) && ack == connection.snd_nxt {
        connection.sides.set_send(SendSide::FinAcked);
    }
    if connection.flags.has(Flag::Timing) && !ack.is_before(connection.rtt_seq) {
        connection.flags.take(Flag::Timing);
        let rtt_us = (now.as_micros() as u32).wrapping_sub(connection.rtt_sent_us);
        connection.round_trip.sample(rtt_us);
        warm.min_rtt_us = warm.min_rtt_us.min(rtt_us.max(1));
    }
    connection.snd_una = ack;
    connection.backoff = 0;
    data
}

/// Enough duplicate ACKs have come for a connection that has no record.
#[cold]
fn count_duplicates(
    connection: &mut Connection,
    warm: &mut Warm,
    pools: &mut Pools,
    config: &TcpConfig,
    now: Instant,
) {
    // RFC 6582 section 3.2 step 2: without SACK, echoes of an earlier recovery do not begin another.
    if !connection.flags.has(Flag::Sack) && !connection.snd_una.is_after(warm.recover) {
        return;
    }
    let Some(recovery) = recovery(connection, warm, &mut pools.recoveries) else { return };
    recovery.enter_fast(connection, warm, &mut pools.congestion, u32::from(connection.mss));
    connection.start_retransmit_timer(now, config);
}

/// The same for a connection with something out of order, or in recovery.
#[cold]
#[expect(clippy::too_many_arguments, reason = "one step of `take_ack`")]
fn take_with_record(
    connection: &mut Connection,
    warm: &mut Warm,
    pools: &mut Pools,
    config: &TcpConfig,
    now: Instant,
    segment: &Segment<'_>,
    sack: &SackBlocks,
    is_duplicate: bool,
) -> u32 {
    let Some(index) = warm.recovery else { return 0 };
    let Pools { recoveries, congestion } = pools;
    let recovery = recoveries.at_mut(index.get() - 1);
    recovery.restore_timer(connection);
    let (flight, una) = (connection.flight(), connection.snd_una);
    let before = Before::of(recovery, una);
    let has_advanced = segment.ack.is_after(una);
    let was_timed = connection.flags.has(Flag::Timing);
    let freed = if has_advanced { advance(connection, warm, now, segment.ack) } else { 0 };
    let duplicate = duplicate_of(segment.ack, sack);
    recovery.take_blocks(connection, sack);
    let news = News {
        now,
        now_us: now.as_micros() as u32,
        has_advanced,
        is_duplicate,
        is_bare: sack.as_slice().is_empty(),
        delivered: before.delivered(recovery, connection, is_duplicate),
        is_reordered: before.is_reordered(recovery, connection.snd_una),
        original_delivered: before.is_original_delivered(recovery, connection.snd_una),
        duplicate,
        echo: echo_of(connection, segment),
    };
    if has_advanced {
        if !was_timed {
            sample_by_timestamp(connection, &news);
        }
        if recovery.phase != Phase::Fast {
            // Nothing is lost yet, or slow start begins anew.
            let octets = connection.snd_una.since(una);
            congestion::on_ack(connection, warm, congestion, Acked { octets, flight, now });
        }
    }
    let progress = recovery.judge(connection, warm, congestion, config, &news);
    if has_advanced {
        connection.retransmit_at = Tick::NONE;
        if connection.flight() > 0 || progress == Progress::GoesOn {
            connection.start_retransmit_timer(now, config);
        }
    }
    match progress {
        Progress::Over => {
            end_recovery(connection, warm, recoveries);
            if connection.flight() == 0 {
                // It waited for late reports only; whoever waits for a window starts it again.
                connection.retransmit_at = Tick::NONE;
            }
        }
        Progress::GoesOn => recovery.schedule(connection, warm, config, now),
    }
    freed
}

/// What the scoreboard said before an acknowledgment.
struct Before {
    una: SequenceNumber,
    sacked: u32,
    /// From here on nothing was sent again.
    virgin: SequenceNumber,
    fack: SequenceNumber,
    /// Octets delivered from `virgin` to `fack`.
    below_fack: u32,
    /// Octets delivered from `virgin` to `recover`.
    below_recover: u32,
}

impl Before {
    fn of(recovery: &Recovery, una: SequenceNumber) -> Self {
        let virgin = recovery.high_rxt.latest(una);
        let fack = recovery.rack.fack;
        Self {
            una,
            sacked: recovery.scoreboard.sacked(),
            virgin,
            fack,
            below_fack: recovery.delivered_in(una, virgin, fack),
            below_recover: recovery.delivered_in(una, virgin, recovery.recover),
        }
    }

    /// RFC 9937 section 6.
    fn delivered(&self, recovery: &Recovery, connection: &mut Connection, is_duplicate: bool) -> u32 {
        let acked = connection.snd_una.since(self.una);
        if connection.flags.has(Flag::Sack) {
            return (acked + recovery.scoreboard.sacked()).saturating_sub(self.sacked);
        }
        let mss = u32::from(connection.mss);
        if acked == 0 {
            return if is_duplicate { mss } else { 0 };
        }
        // The segments beyond the hole that this ACK covers were delivered by duplicate ACKs.
        let gone = (acked / mss.max(1)).saturating_sub(1).min(u32::from(connection.dup_acks));
        connection.dup_acks -= gone as u8;
        acked - (gone * mss).min(acked)
    }

    fn is_reordered(&self, recovery: &Recovery, una: SequenceNumber) -> bool {
        recovery.delivered_in(una, self.virgin, self.fack) > self.below_fack
    }

    fn is_original_delivered(&self, recovery: &Recovery, una: SequenceNumber) -> bool {
        recovery.delivered_in(una, self.virgin, recovery.recover) > self.below_recover
    }
}

/// The block that reports a duplicate (RFC 2883 section 4): what it says is acknowledged, or lies in the second block.
fn duplicate_of(ack: SequenceNumber, sack: &SackBlocks) -> Option<Range> {
    let range =
        |block: &SackBlock| Range { start: SequenceNumber(block.left), end: SequenceNumber(block.right) };
    let first = range(sack.as_slice().first()?);
    if !first.end.is_after(first.start) {
        return None;
    }
    let is_within = |second: Range| {
        !first.start.is_before(second.start)
            && !first.end.is_after(second.end)
            && second.end.is_after(second.start)
    };
    let is_old = !first.end.is_after(ack);
    let is_duplicate = is_old || sack.as_slice().get(1).is_some_and(|second| is_within(range(second)));
    is_duplicate.then_some(first)
}

/// When the segment left that this one answers, by its timestamp.
fn echo_of(connection: &Connection, segment: &Segment<'_>) -> Echo {
    match segment.timestamps {
        Some(timestamps) if connection.flags.has(Flag::Timestamps) => {
            Echo::Of(timestamps.echo.wrapping_sub(connection.ts_offset))
        }
        Some(_) | None => Echo::Unknown,
    }
}

/// Times a round trip by timestamps where segments were sent twice (RFC 7323 section 4.1, RFC 6298 section 3).
fn sample_by_timestamp(connection: &mut Connection, news: &News) {
    /// Older answers than this say nothing.
    const AGE_MAX_MS: u32 = 60_000;
    if let Echo::Of(ms) = news.echo {
        let age_ms = (news.now.as_millis() as u32).wrapping_sub(ms);
        if age_ms <= AGE_MAX_MS {
            connection.round_trip.sample(age_ms.max(1) * 1_000);
        }
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
