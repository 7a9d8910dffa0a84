//! A connection's timers: retransmission, persist, delayed ACK, FIN_WAIT_2.

use crate::base::time::Instant;

use super::config::TcpConfig;
use super::congestion::{self, Signal};
use super::connection::{Connection, Warm};
use super::pools::Pools;
use super::recovery::Phase;
use super::recovery::acks::{end_recovery, recovery};
use super::recovery::tlp::{Probe, probe_at};
use super::state::Flag;
use super::tick::Tick;

/// What has expired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expired {
    /// Nothing yet: look again at [`deadline`].
    Nothing,
    /// Something is to be sent now.
    Output,
    /// The peer has not answered for too long.
    TimedOut,
    /// FIN_WAIT_2 has lasted long enough.
    FinWait2,
}

/// The earliest of the connection's deadlines, the application's apart.
#[inline]
pub fn deadline(connection: &Connection, warm: &Warm) -> Tick {
    connection
        .retransmit_at
        .earliest(connection.delayed_ack_at)
        .earliest(warm.fin_wait_2_at)
        .earliest(warm.path_mtu_at)
        .earliest(warm.options_at)
}

/// The wheel has reached this connection.
pub fn handle_timeout(
    connection: &mut Connection,
    warm: &mut Warm,
    pools: &mut Pools,
    config: &TcpConfig,
    now: Instant,
) -> Expired {
    if warm.fin_wait_2_at.is_due(now) {
        return Expired::FinWait2;
    }
    let mut expired = Expired::Nothing;
    if connection.delayed_ack_at.is_due(now) {
        connection.delayed_ack_at = Tick::NONE;
        connection.flags.set(Flag::AckNow);
        expired = Expired::Output;
    }
    // Without a record for the probe, the timeout may be due as well.
    if probe_at(connection, warm, config).is_due(now)
        && probe_tail(connection, warm, pools, config, now) == Probed::Tail
    {
        return Expired::Output;
    }
    if connection.retransmit_at.is_due(now) {
        if was_reordering(connection, warm, pools, config, now) {
            return Expired::Output;
        }
        connection.retransmit_at = Tick::NONE;
        expired = if connection.flight() > 0 {
            retransmit(connection, warm, pools, config, now)
        } else {
            forget_recovery(connection, warm, pools);
            if connection.unsent() > 0 { probe(connection, config, now) } else { expired }
        };
    }
    expired
}

/// When the connection's retransmission side is to be looked at: for a probe of the tail or a timeout.
#[inline]
pub fn retransmit_due(connection: &Connection, warm: &Warm, config: &TcpConfig) -> Tick {
    connection.retransmit_at.earliest(probe_at(connection, warm, config))
}

/// No acknowledgment has come for two round trips: one segment asks for it (RFC 8985 section 7.3).
fn probe_tail(
    connection: &mut Connection,
    warm: &mut Warm,
    pools: &mut Pools,
    config: &TcpConfig,
    now: Instant,
) -> Probed {
    let Some(recovery) = recovery(connection, warm, &mut pools.recoveries) else {
        warm.last_sent = Tick::at(now);
        return Probed::Nothing;
    };
    recovery.probe = Some(Probe::Owed);
    connection.start_retransmit_timer(now, config);
    Probed::Tail
}

/// What came of a tail that was due for a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Probed {
    /// A probe is owed.
    Tail,
    /// Every recovery record is in use: the timeout is left.
    Nothing,
}

/// Whether the timer stood for octets that were overtaken. They are lost by now.
fn was_reordering(
    connection: &mut Connection,
    warm: &mut Warm,
    pools: &mut Pools,
    config: &TcpConfig,
    now: Instant,
) -> bool {
    let Some(index) = warm.recovery else { return false };
    let recovery = pools.recoveries.at_mut(index.get() - 1);
    if !recovery.restore_timer(connection) || connection.flight() == 0 {
        return false;
    }
    let us = now.as_micros() as u32;
    recovery.handle_reorder_timeout(connection, warm, &mut pools.congestion, config, us);
    if connection.retransmit_at.is_due(now) {
        return false;
    }
    recovery.schedule(connection, warm, config, now);
    true
}

/// Nothing is in flight, and no answer to what was sent twice has come: the record goes back to the pool.
#[cold]
fn forget_recovery(connection: &mut Connection, warm: &mut Warm, pools: &mut Pools) {
    let Some(index) = warm.recovery else { return };
    let recovery = pools.recoveries.at_mut(index.get() - 1);
    if matches!(recovery.probe, Some(Probe::Again { .. })) && recovery.phase == Phase::Disorder {
        // Nobody has received it twice: the first one was lost.
        recovery.pay_for_probe(connection, warm, &mut pools.congestion);
    }
    end_recovery(connection, warm, &mut pools.recoveries);
}

/// Timeouts in a row that end a connection.
fn retries_max(connection: &Connection, config: &TcpConfig) -> u8 {
    if connection.flags.has(Flag::Closed) { config.tcp_orphan_retries } else { config.tcp_retries2 }
}

/// RFC 6298 section 5.4 to 5.6.
fn retransmit(
    connection: &mut Connection,
    warm: &mut Warm,
    pools: &mut Pools,
    config: &TcpConfig,
    now: Instant,
) -> Expired {
    // A peer whose window is closed is asked for ever, as long as it answers (RFC 9293 section 3.8.6.1).
    let unanswered = if connection.snd_wnd == 0 { connection.probes } else { connection.backoff };
    if unanswered >= retries_max(connection, config) {
        return Expired::TimedOut;
    }
    connection.probes = connection.probes.saturating_add(1);
    connection.backoff = connection.backoff.saturating_add(1);
    connection.flags.take(Flag::Timing);
    connection.start_retransmit_timer(now, config);
    match recovery(connection, warm, &mut pools.recoveries) {
        Some(recovery) => {
            recovery.enter_loss(connection, warm, &mut pools.congestion, config);
            Expired::Output
        }
        // Every record is in use: without one, each timeout sends the head again, and nothing else is known.
        None => {
            let flight = connection.flight();
            congestion::enter_recovery(connection, warm, &mut pools.congestion, Signal::Timeout, flight);
            connection.flags.set(Flag::Probe);
            Expired::Output
        }
    }
}

/// The peer's window is closed: ask (RFC 9293 section 3.8.6.1). Answers keep the connection alive for ever.
fn probe(connection: &mut Connection, config: &TcpConfig, now: Instant) -> Expired {
    if connection.probes >= retries_max(connection, config) {
        return Expired::TimedOut;
    }
    connection.probes += 1;
    connection.backoff = connection.backoff.saturating_add(1);
    connection.flags.set(Flag::Probe);
    connection.start_retransmit_timer(now, config);
    Expired::Output
}
