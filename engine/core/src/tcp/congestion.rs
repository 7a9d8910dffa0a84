//! Congestion control: how much may be in flight (RFC 5681, NewReno).

use super::connection::{Connection, Warm};

/// Whether the sender was held back by the congestion window when the acknowledged octets were in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limited {
    /// By the congestion window: it may grow.
    ByWindow,
    /// By the application or the peer's window: growing it would prove nothing (RFC 7661).
    Otherwise,
}

impl Limited {
    /// What `flight` octets in flight say about a window of `cwnd`.
    #[inline]
    pub const fn of(flight: u32, cwnd: u32, ssthresh: u32, mss: u16) -> Self {
        let full = if cwnd < ssthresh { flight.saturating_mul(2) > cwnd } else { flight + mss as u32 > cwnd };
        if full { Self::ByWindow } else { Self::Otherwise }
    }
}

/// New data was acknowledged outside of recovery (RFC 5681 section 3.1; octets counted as RFC 3465 does).
#[inline]
pub fn on_ack(connection: &mut Connection, warm: &mut Warm, acked: u32, limited: Limited) {
    if matches!(limited, Limited::Otherwise) {
        return;
    }
    if connection.cwnd < warm.ssthresh {
        connection.cwnd = connection.cwnd.saturating_add(acked).min(CWND_MAX);
        return;
    }
    warm.bytes_acked = warm.bytes_acked.saturating_add(acked);
    if warm.bytes_acked >= connection.cwnd {
        warm.bytes_acked -= connection.cwnd;
        connection.cwnd = connection.cwnd.saturating_add(u32::from(connection.mss)).min(CWND_MAX);
    }
}

/// The largest window, octets: beyond what a scaled window can ever admit.
const CWND_MAX: u32 = 1 << 30;

/// The threshold after a loss with `flight` octets outstanding (RFC 5681 equation 4).
pub fn ssthresh_after_loss(flight: u32, mss: u16) -> u32 {
    (flight / 2).max(2 * u32::from(mss))
}
