//! What a connection may send next: lost octets first, then new ones (RFC 9293 section 3.8, RFC 5681, RFC 6675).

use crate::base::time::Instant;

use super::config::TcpConfig;
use super::connection::{Connection, Warm};
use super::input::Fin;
use super::recovery::frto::Frto;
use super::recovery::tlp::Probe;
use super::recovery::{DUP_THRESH, Recovery, RecoveryPool};
use super::scoreboard::Range;
use super::seq::SequenceNumber;
use super::state::{Flag, SendSide};
use super::tick::Tick;

/// Whether octets were sent before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Novelty {
    /// Never.
    New,
    /// They were, and count as lost.
    Again,
}

/// Octets to go into one segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The first one's sequence number.
    pub seq: SequenceNumber,
    /// How many, FIN not counted; at most the MSS.
    pub len: u32,
    /// Whether FIN follows them.
    pub fin: Fin,
    /// Whether they were sent before.
    pub novelty: Novelty,
    /// Whether nothing more is queued after them, so that PSH is set.
    pub push: Push,
}

/// Whether a segment ends what the application has written so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Push {
    /// More follows.
    MoreFollows,
    /// It does: the peer is asked to hand it over (RFC 9293 section 3.9.1.2).
    Last,
}

/// The next octets to send, or `None` when nothing may be sent now.
#[inline]
pub fn next_piece(connection: &Connection, warm: &Warm, pool: &RecoveryPool) -> Option<Piece> {
    let mut budget = connection.cwnd.saturating_sub(connection.flight());
    if connection.flags.has(Flag::Recovering) {
        let recovery = pool.at(warm.recovery?.get() - 1);
        return recovery_piece(connection, warm, recovery);
    } else if connection.flags.has(Flag::Probe) && connection.flight() > 0 {
        // A timeout that found no recovery record: the head alone.
        return Some(again(connection, connection.snd_una, connection.flight()));
    } else if connection.dup_acks > 0 && connection.dup_acks < DUP_THRESH {
        // Limited transmit (RFC 3042): up to two segments beyond the window, one for each duplicate.
        let limit = connection.cwnd + u32::from(connection.dup_acks) * u32::from(connection.mss);
        budget = limit.saturating_sub(connection.flight());
    }
    new_piece(connection, warm, budget)
}

/// The same of a connection with a recovery record. What is SACKed counts as gone, so that each SACK lets a new segment leave
/// (RFC 3042 section 2).
fn recovery_piece(connection: &Connection, warm: &Warm, recovery: &Recovery) -> Option<Piece> {
    let mss = u32::from(connection.mss);
    if recovery.probe == Some(Probe::Owed) && connection.flight() > 0 {
        return Some(probe_piece(connection, warm));
    }
    let budget = connection.cwnd.saturating_sub(recovery.pipe(connection));
    if recovery.frto == Frto::Probing {
        // RFC 5682 section 2.1 step 2b: up to two new segments, whatever the window says.
        let sent = connection.snd_nxt.since(recovery.recover);
        let piece = new_piece(connection, warm, (2 * mss).saturating_sub(sent));
        if piece.is_some() || sent > 0 {
            return piece;
        }
    }
    if let Some(lost) = recovery.next_lost(connection) {
        return (budget >= lost.len().min(mss)).then(|| again(connection, lost.start, lost.len()));
    }
    new_piece(connection, warm, budget)
}

/// The probe for a lost tail: a new segment, or the last one again (RFC 8985 section 7.3).
fn probe_piece(connection: &Connection, warm: &Warm) -> Piece {
    let mss = u32::from(connection.mss);
    new_piece(connection, warm, mss).unwrap_or_else(|| {
        // Where segments begin is not remembered; of a stream of full ones this is the last.
        let len = match connection.flight() % mss {
            0 => mss.min(connection.flight()),
            rest => rest,
        };
        again(connection, connection.snd_nxt - len, len)
    })
}

/// A lost piece from `seq` on, of at most `len` sequence numbers.
fn again(connection: &Connection, seq: SequenceNumber, len: u32) -> Piece {
    let left = connection.data_end().since(seq);
    let data = len.min(left).min(u32::from(connection.mss));
    let fin_sent = matches!(connection.sides.send(), SendSide::FinSent);
    // FIN rides on the last octets again, or goes alone.
    let fin = if fin_sent && data == left { Fin::Present } else { Fin::Absent };
    let push = if data == left { Push::Last } else { Push::MoreFollows };
    Piece { seq, len: data, fin, novelty: Novelty::Again, push }
}

#[inline]
fn new_piece(connection: &Connection, warm: &Warm, budget: u32) -> Option<Piece> {
    let unsent = connection.unsent();
    let fin_queued = matches!(connection.sides.send(), SendSide::FinQueued);
    if unsent == 0 {
        return fin_queued.then_some(Piece {
            seq: connection.snd_nxt,
            len: 0,
            fin: Fin::Present,
            novelty: Novelty::New,
            push: Push::Last,
        });
    }
    let window = connection.snd_wnd.saturating_sub(connection.flight());
    let mss = u32::from(connection.mss);
    let len = unsent.min(mss).min(budget).min(window);
    if len == 0 {
        return None;
    }
    if len < mss {
        if len < unsent {
            // Silly window avoidance (RFC 9293 section 3.8.6.2.1), overridden by the persist timer.
            let is_worth_it = len >= warm.snd_wnd_max / 2 && len == window;
            if !is_worth_it && !connection.flags.has(Flag::Probe) {
                return None;
            }
        } else if connection.flags.has(Flag::Corked) && !fin_queued {
            return None;
        } else if connection.flight() > 0 && !fin_queued && !connection.flags.has(Flag::NoDelay) {
            // Nagle (RFC 9293 section 3.7.4).
            return None;
        }
    }
    let is_last = len == unsent;
    Some(Piece {
        seq: connection.snd_nxt,
        len,
        fin: if fin_queued && is_last { Fin::Present } else { Fin::Absent },
        novelty: Novelty::New,
        push: if is_last { Push::Last } else { Push::MoreFollows },
    })
}

/// Times what ends at `snd_nxt`, if nothing is being timed; `us` is now in microseconds, wrapping.
#[inline(always)]
pub fn time(connection: &mut Connection, us: u32) {
    if !connection.flags.has(Flag::Timing) {
        connection.flags.set(Flag::Timing);
        connection.rtt_seq = connection.snd_nxt;
        connection.rtt_sent_us = us;
    }
}

/// `piece` has left.
#[inline]
pub fn handle_sent(
    connection: &mut Connection,
    warm: &mut Warm,
    pool: &mut RecoveryPool,
    config: &TcpConfig,
    now: Instant,
    piece: &Piece,
) {
    let end = piece.seq + piece.len + u32::from(matches!(piece.fin, Fin::Present));
    let range = Range { start: piece.seq, end };
    let recovery = warm.recovery.map(|index| pool.at_mut(index.get() - 1));
    connection.flags.take(Flag::Probe);
    match piece.novelty {
        Novelty::New => {
            if connection.flight() > 0 {
                // RFC 8985 section 7.2: a probe is put off by new data.
                warm.last_sent = Tick::at(now);
            } else if recovery.is_some() {
                // The timer waits for late reports only.
                connection.retransmit_at = Tick::NONE;
            }
            connection.snd_nxt = end;
            if piece.len > 0 {
                connection.flags.take(Flag::EcnReduced);
            }
            time(connection, now.as_micros() as u32);
            if matches!(piece.fin, Fin::Present) {
                connection.sides.set_send(SendSide::FinSent);
            }
            if let Some(recovery) = recovery {
                recovery.handle_sent(range);
            }
        }
        Novelty::Again => {
            debug_assert!(!end.is_after(connection.snd_nxt), "sent again what was never sent");
            // Karn: what was sent twice is not timed (RFC 6298 section 3).
            connection.flags.take(Flag::Timing);
            if let Some(recovery) = recovery {
                recovery.handle_resent(connection, range, now.as_micros() as u32, now.as_millis() as u32);
            }
        }
    }
    if !connection.retransmit_at.is_set() {
        connection.start_retransmit_timer(now, config);
    }
}

/// Starts the persist timer when octets wait and nothing in flight would bring a window update (RFC 9293
/// section 3.8.6.1).
#[inline]
pub fn persist(connection: &mut Connection, config: &TcpConfig, now: Instant) {
    let unsent = connection.unsent();
    let is_held = connection.flags.has(Flag::Corked) && unsent < u32::from(connection.mss);
    if unsent > 0 && !is_held && connection.flight() == 0 && !connection.retransmit_at.is_set() {
        connection.start_retransmit_timer(now, config);
    }
}
