//! The receive window and when an ACK is owed (RFC 9293 sections 3.8.6.2.2 and 3.8.6.3).

use crate::base::time::{Duration, Instant};

use super::config::TcpConfig;
use super::connection::Connection;
use super::state::{Flag, ReceiveSide};
use super::tick::Tick;

/// The window field to send with `free` octets of a receive `buffer` left, and the right edge that goes with it.
///
/// The edge never moves left, and to the right only by a segment or half the buffer at a time.
#[inline(always)]
pub fn advertise(connection: &mut Connection, buffer: u32, free: u32) -> u16 {
    let open = connection.rcv_adv.since(connection.rcv_nxt);
    let step = u32::from(connection.mss).min(buffer / 2);
    if free >= open + step {
        return raise(connection, free);
    }
    // What the field cannot say of an edge further right is said when the window has come nearer.
    (open >> connection.scales.receive()).min(0xffff) as u16
}

/// Moves the right edge to where `free` octets allow it.
#[inline(never)]
fn raise(connection: &mut Connection, free: u32) -> u16 {
    let scale = connection.scales.receive();
    // Rounded down: the peer may see the edge a unit to the left of where it was, and what it has sent up to there is
    // still taken (RFC 7323 section 2.4). Rounded up, each ACK would give more than there is.
    let field = (free >> scale).min(0xffff);
    connection.rcv_adv = connection.rcv_adv.latest(connection.rcv_nxt + (field << scale));
    field as u16
}

/// Half of the largest window that a SYN can show.
const HALF_SYN_WINDOW: u32 = 0x8000;

/// Whether the window that `free` octets allow has grown enough to tell the peer at once: by a segment when it sees
/// less than two, by half the buffer when it sees little. A peer that sees more hears of it with the next ACK.
#[inline]
pub fn is_update_due(connection: &Connection, buffer: u32, free: u32) -> bool {
    if connection.sides.receive() == ReceiveSide::Finished {
        // Nothing will come any more.
        return false;
    }
    // What the field cannot say is no gain.
    let free = free.min(0xffff << connection.scales.receive());
    let open = connection.rcv_adv.since(connection.rcv_nxt);
    let half = buffer / 2;
    let step = u32::from(connection.mss).min(half);
    let gain = free.saturating_sub(open);
    (open < 2 * step && gain >= step) || (open < half.min(HALF_SYN_WINDOW) && gain >= half)
}

/// In-order octets have arrived: an ACK is owed at once for every second full segment, else after the delay.
#[inline]
pub fn owe_ack(connection: &mut Connection, config: &TcpConfig, now: Instant) {
    let unacknowledged = connection.rcv_nxt.since(connection.last_ack_sent);
    if unacknowledged >= 2 * u32::from(connection.mss) || connection.flags.has(Flag::QuickAck) {
        connection.flags.set(Flag::AckNow);
    } else if !connection.delayed_ack_at.is_set() {
        connection.delayed_ack_at = Tick::at(now + Duration::from_micros(u64::from(config.tcp_delack_us)));
    }
}

/// An ACK is leaving, alone or on board of a segment.
#[inline]
pub fn handle_ack_sent(connection: &mut Connection) {
    connection.last_ack_sent = connection.rcv_nxt;
    connection.flags.take(Flag::AckNow);
    connection.delayed_ack_at = Tick::NONE;
}
