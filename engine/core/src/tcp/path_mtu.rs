//! The path takes other segments than before (RFC 1191 section 6.4, RFC 8201 section 5.4).

use super::connection::{Connection, Warm};
use super::recovery::RecoveryPool;
use super::recovery::acks::recovery;
use super::state::Flag;

/// The path takes segments of `mss` octets only: larger ones that are out were dropped, which says nothing about
/// congestion. They are sent again in smaller pieces, and the congestion window stays.
pub fn lower_mss(connection: &mut Connection, warm: &mut Warm, pool: &mut RecoveryPool, mss: u16) {
    connection.mss = mss;
    if connection.flight() == 0 {
        return;
    }
    match recovery(connection, warm, pool) {
        Some(recovery) => recovery.resegment(connection),
        // Without a record the head alone is sent again; the rest follows by timeout.
        None => connection.flags.set(Flag::Probe),
    }
}

/// The path may take segments of `mss` octets again.
pub fn raise_mss(connection: &mut Connection, mss: u16) {
    connection.mss = mss;
    connection.cwnd = connection.cwnd.max(mss.into());
}
