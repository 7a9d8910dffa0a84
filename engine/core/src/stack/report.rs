//! What is in use: everything that must be back when the last connection is gone.

use crate::buffer::{CLASSES, ClassCounters, ReceiveCounters};

use super::{Counters, Stack};

/// A picture of a stack between two turns.
#[derive(Clone, Debug)]
pub struct Report {
    /// Totals since start.
    pub counters: Counters,
    /// Synchronized connections, those being opened by us included.
    pub connections: usize,
    /// Half-open connections of peers.
    pub half_open: usize,
    /// Connections in TIME_WAIT.
    pub time_wait: usize,
    /// Entries in the connection tables.
    pub table_entries: usize,
    /// Timers in the wheels.
    pub timers: usize,
    /// Connections in loss recovery.
    pub recoveries: usize,
    /// Records of congestion control.
    pub congestions: usize,
    /// Connections with socket options of their own.
    pub socket_options: usize,
    /// Send chunks by size class.
    pub send_chunks: [ClassCounters; CLASSES],
    /// Receive buffers.
    pub receive_buffers: ReceiveCounters,
}

impl Report {
    /// Whether no connection holds anything: no record, table entry, timer or buffer.
    pub fn is_idle(&self) -> bool {
        self.connections + self.half_open + self.time_wait + self.table_entries == 0
            && self.timers + self.recoveries + self.congestions + self.socket_options == 0
            && self.send_chunks.iter().all(|class| class.in_use == 0)
            && self.receive_buffers.classes.iter().all(|class| class.in_use == 0)
    }
}

impl Stack {
    /// What is in use and what happened.
    pub fn report(&self) -> Report {
        Report {
            counters: self.counters.clone(),
            connections: self.connections.len(),
            half_open: self.half_open.len(),
            time_wait: self.time_wait.len(),
            table_entries: self.tables.len(),
            timers: self.wheel.len() + self.half_open_wheel.len() + self.syn_sent_wheel.len(),
            recoveries: self.pools.recoveries.len(),
            congestions: self.pools.congestion.len(),
            socket_options: self.tuned.len(),
            send_chunks: self.chunks.counters(),
            receive_buffers: self.receive.counters(),
        }
    }
}
