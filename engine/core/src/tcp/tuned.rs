//! A connection whose options are not those of the configuration: the options, and what they wait for.

use crate::base::time::{Duration, Instant};

use super::config::TcpConfig;
use super::connection::{Connection, coarse, coarse_span};
use super::socket_options::{Linger, Linger2, SocketOptions, Switch};
use super::state::Flag;

/// How long `TCP_CORK` holds a segment that is not full, as on Linux.
const CORK_MAX: Duration = Duration::from_millis(200);

/// Options of one connection and their deadlines.
#[derive(Clone, Copy, Debug)]
pub struct Tuned {
    /// The options.
    pub options: SocketOptions,
    /// When what `TCP_CORK` holds is let go.
    pub cork_until: Option<Instant>,
    /// When the peer is asked next if it is still there, or its silence is looked at.
    pub keepalive_at: Option<Instant>,
    /// When a close that lingers is reported.
    pub linger_until: Option<Instant>,
    /// Since when nothing was acknowledged, or the peer's window is closed; for `TCP_USER_TIMEOUT`.
    unanswered_since: Option<Instant>,
}

/// What a keepalive's look at a connection has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alive {
    /// The peer was heard of, or is busy: look again then.
    LookAgain(Instant),
    /// It must be asked; the next look is then.
    Ask(Instant),
    /// It was asked often enough.
    Dead,
}

impl Tuned {
    /// Nothing waits yet.
    pub fn new(options: SocketOptions) -> Self {
        Self { options, cork_until: None, keepalive_at: None, linger_until: None, unanswered_since: None }
    }

    /// The earliest of its deadlines.
    pub fn deadline(&self) -> Option<Instant> {
        [self.cork_until, self.keepalive_at, self.linger_until].into_iter().flatten().min()
    }

    /// Octets were queued: `TCP_CORK` holds what is not a full segment, counted from the first of them.
    pub fn hold(&mut self, connection: &mut Connection, now: Instant) {
        if self.options.tcp_cork == Switch::On && !connection.flags.has(Flag::Corked) {
            connection.flags.set(Flag::Corked);
            self.cork_until = Some(now + CORK_MAX);
        }
    }

    /// What `TCP_CORK` holds is let go, up to the next write.
    pub fn let_go(&mut self, connection: &mut Connection) {
        connection.flags.take(Flag::Corked);
        self.cork_until = None;
    }

    /// When the peer is looked at first.
    pub fn start_keepalive(&mut self, now: Instant) {
        self.keepalive_at = match self.options.so_keepalive {
            Switch::On => Some(now + self.idle()),
            Switch::Off => None,
        };
    }

    /// RFC 9293 section 3.8.4: a silent connection is probed only when nothing is in flight, and one lost probe is not
    /// the end of it (MUST-26).
    pub fn look(&mut self, connection: &Connection, now: Instant) -> Alive {
        let interval = Duration::from_secs(self.options.tcp_keepintvl.into());
        let silence = coarse_span(coarse(now).wrapping_sub(connection.heard_at));
        let found = if connection.flight() > 0 || connection.unsent() > 0 {
            // The retransmission or persist timer asks already.
            Alive::LookAgain(now + self.idle())
        } else if connection.probes == 0 && silence < self.idle() {
            Alive::LookAgain(now + Duration::from_nanos(self.idle().as_nanos() - silence.as_nanos()))
        } else if self.has_asked_enough(connection, silence) {
            Alive::Dead
        } else {
            Alive::Ask(now + interval)
        };
        self.keepalive_at = match found {
            Alive::LookAgain(at) | Alive::Ask(at) => Some(at),
            Alive::Dead => None,
        };
        found
    }

    /// As on Linux, `TCP_USER_TIMEOUT` takes the place of the count.
    fn has_asked_enough(&self, connection: &Connection, silence: Duration) -> bool {
        match self.options.tcp_user_timeout_ms {
            0 => connection.probes >= self.options.tcp_keepcnt,
            timeout => connection.probes > 0 && silence >= Duration::from_millis(timeout.into()),
        }
    }

    /// The retransmission or persist timer has expired. Whether `TCP_USER_TIMEOUT` (RFC 793 section 3.8, RFC 5482) is
    /// over with it.
    pub fn is_given_up(&mut self, connection: &Connection, config: &TcpConfig, now: Instant) -> bool {
        let timeout = Duration::from_millis(self.options.tcp_user_timeout_ms.into());
        if timeout.is_zero() {
            self.unanswered_since = None;
            return false;
        }
        if connection.backoff == 0 || self.unanswered_since.is_none() {
            // It was sent, or first held back, one timeout ago, and each one since has lasted twice as long.
            let rto_us = u64::from(connection.round_trip.rto_us(config));
            let timeouts = (2 << connection.backoff.min(31)) - 1;
            self.unanswered_since = Some(now - Duration::from_micros(rto_us * timeouts));
        }
        self.unanswered_since.is_some_and(|since| now.since(since) >= timeout)
    }

    /// When the timer, which is set for `at`, must expire at the latest.
    pub fn clamp(&self, at: Instant) -> Instant {
        let timeout = Duration::from_millis(self.options.tcp_user_timeout_ms.into());
        match self.unanswered_since {
            Some(since) if !timeout.is_zero() => at.min(since + timeout),
            Some(_) | None => at,
        }
    }

    /// How long FIN-WAIT-2 lasts once the application has closed.
    pub fn fin_wait_2(&self, config: &TcpConfig) -> Duration {
        match self.options.tcp_linger2 {
            Linger2::Default => Duration::from_millis(config.tcp_fin_timeout_ms.into()),
            Linger2::None => Duration::ZERO,
            Linger2::Seconds(seconds) => Duration::from_secs(seconds.into()),
        }
    }

    /// The application has closed; says whether the end is reported.
    pub fn begin_linger(&mut self, now: Instant) -> bool {
        self.linger_until = match self.options.so_linger {
            Linger::Off | Linger::Seconds(0) => None,
            Linger::Seconds(seconds) => Some(now + Duration::from_secs(seconds.into())),
        };
        self.linger_until.is_some()
    }

    fn idle(&self) -> Duration {
        Duration::from_secs(self.options.tcp_keepidle.into())
    }
}
