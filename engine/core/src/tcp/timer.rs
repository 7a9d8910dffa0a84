//! A connection's timers: retransmission, persist, delayed ACK, FIN_WAIT_2.

use crate::base::time::Instant;

use super::config::TcpConfig;
use super::congestion::{self, Signal};
use super::connection::{Connection, Warm};
use super::input::recovery;
use super::pools::Pools;
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
    if connection.retransmit_at.is_due(now) {
        connection.retransmit_at = Tick::NONE;
        expired = if connection.flight() > 0 {
            retransmit(connection, warm, pools, config, now)
        } else if connection.unsent() > 0 {
            probe(connection, config, now)
        } else {
            expired
        };
    }
    expired
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
            recovery.enter_loss(connection, warm, &mut pools.congestion);
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
