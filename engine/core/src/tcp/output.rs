//! What a connection may send next: lost octets first, then new ones (RFC 9293 section 3.8, RFC 5681, RFC 6675).

use crate::base::time::Instant;

use super::config::TcpConfig;
use super::connection::{Connection, Warm};
use super::input::{Fin, RecoveryPool};
use super::recovery::Phase;
use super::seq::SequenceNumber;
use super::state::{Flag, SendSide};

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
        let pipe = recovery.pipe(connection);
        budget = connection.cwnd.saturating_sub(pipe);
        if !matches!(recovery.phase, Phase::Disorder)
            && let Some(hole) = recovery.next_lost(connection)
        {
            // The first hole leaves whatever the window says (RFC 5681 section 3.2 step 2).
            let is_first = recovery.high_rxt == connection.snd_una;
            return (is_first || budget > 0).then(|| again(connection, hole.start, hole.len()));
        }
    } else if connection.flags.has(Flag::Probe) && connection.flight() > 0 {
        // A timeout that found no recovery record: the head alone.
        return Some(again(connection, connection.snd_una, connection.flight()));
    } else if connection.dup_acks > 0 && connection.dup_acks < 3 {
        // Limited transmit (RFC 3042): up to two segments beyond the window, one for each duplicate.
        let limit = connection.cwnd + u32::from(connection.dup_acks) * u32::from(connection.mss);
        budget = limit.saturating_sub(connection.flight());
    }
    new_piece(connection, warm, budget)
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
    warm: &Warm,
    pool: &mut RecoveryPool,
    config: &TcpConfig,
    now: Instant,
    piece: &Piece,
) {
    let end = piece.seq + piece.len + u32::from(matches!(piece.fin, Fin::Present));
    match piece.novelty {
        Novelty::New => {
            connection.snd_nxt = end;
            connection.flags.take(Flag::Probe);
            time(connection, now.as_micros() as u32);
            if matches!(piece.fin, Fin::Present) {
                connection.sides.set_send(SendSide::FinSent);
            }
        }
        Novelty::Again => {
            debug_assert!(!end.is_after(connection.snd_nxt), "sent again what was never sent");
            // Karn: what was sent twice is not timed (RFC 6298 section 3).
            connection.flags.take(Flag::Timing);
            connection.flags.take(Flag::Probe);
            if let Some(index) = warm.recovery {
                pool.at_mut(index.get() - 1).high_rxt = end;
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
    if connection.unsent() > 0 && connection.flight() == 0 && !connection.retransmit_at.is_set() {
        connection.start_retransmit_timer(now, config);
    }
}
