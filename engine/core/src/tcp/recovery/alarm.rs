//! The one timer of a connection stands for the timeout, or for the moment at which what was overtaken counts as lost.

use crate::base::time::{Duration, Instant};
use crate::tcp::config::TcpConfig;
use crate::tcp::congestion::CongestionPool;
use crate::tcp::connection::{Connection, Warm};
use crate::tcp::tick::Tick;

use super::rack::Window;
use super::{Phase, Recovery, Reneging};

/// How long a peer that reneges is given to prove the opposite, at least.
const RENEGING_WAIT_MIN_US: u32 = 10_000;

/// What the connection's retransmission timer stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Timer {
    /// The timeout.
    Rto,
    /// The moment at which what was overtaken counts as lost; the timeout is due at `rto_at`.
    Reorder { at: Tick, rto_at: Tick },
}

impl Recovery {
    /// What was overtaken counts as lost by now.
    pub fn handle_reorder_timeout(
        &mut self,
        connection: &mut Connection,
        warm: &mut Warm,
        congestion: &mut CongestionPool,
        config: &TcpConfig,
        now_us: u32,
    ) {
        if self.find_lost(connection, warm, config, now_us)
            && self.phase == Phase::Disorder
            && self.rack.lost_below.is_after(connection.snd_una)
        {
            self.enter_fast(connection, warm, congestion, 0);
        }
    }

    /// The timeout is what the connection's timer stands for again. Says whether it stood for something else.
    pub fn restore_timer(&mut self, connection: &mut Connection) -> bool {
        match core::mem::replace(&mut self.timer, Timer::Rto) {
            Timer::Reorder { at, rto_at } if connection.retransmit_at == at => {
                connection.retransmit_at = rto_at;
                true
            }
            // Another timeout was set meanwhile.
            Timer::Rto | Timer::Reorder { .. } => false,
        }
    }

    /// Sets the connection's timer to the moment at which more counts as lost, if that is before the timeout.
    pub fn schedule(&mut self, connection: &mut Connection, warm: &Warm, config: &TcpConfig, now: Instant) {
        let now_us = now.as_micros() as u32;
        if self.reneging == Reneging::Seen {
            // As Linux: the timeout comes early, and believes nothing that was SACKed.
            let wait_us = (connection.round_trip.srtt_us() / 2).max(RENEGING_WAIT_MIN_US);
            let at = Tick::at(now + Duration::from_micros(u64::from(wait_us)));
            connection.retransmit_at = connection.retransmit_at.earliest(at);
            return;
        }
        let window = Window::of(connection, warm, config, self.phase, &self.scoreboard);
        let once = self.rack.next_at_us(connection.snd_una, window);
        let again = self.resent.next_at_us(window, now_us);
        let due = [once, again].into_iter().flatten().map(|at| at.wrapping_sub(now_us) as i32).min();
        let Some(wait) = due else { return };
        // Not below what a timer can be trusted with.
        let wait_us = (wait.max(0) as u32).max(config.tcp_timeout_min_us);
        let at = Tick::at(now + Duration::from_micros(u64::from(wait_us)));
        if connection.retransmit_at.is_set() && !connection.retransmit_at.is_set_before(at) {
            self.timer = Timer::Reorder { at, rto_at: connection.retransmit_at };
            connection.retransmit_at = at;
        }
    }
}
