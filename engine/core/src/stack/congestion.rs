//! Congestion control as the application chooses it, and its records when they run out.

use crate::shard::ConnectionId;
use crate::tcp::congestion::{self, CongestionControl};
use crate::tcp::socket_options::SocketOption;

use super::{ListenerId, Stack};

/// Connections that are looked at for a record to take back, each time that one was missing.
const LOOKED_AT_MAX: u32 = 64;

impl Stack {
    /// How the window of a connection grows from now on (`TCP_CONGESTION`). Says whether there is such a connection.
    pub fn set_congestion_control(&mut self, id: ConnectionId, algorithm: CongestionControl) -> bool {
        let is_live = self.connections.get(id).is_some();
        if is_live {
            self.warm[id.index as usize].congestion_control = algorithm;
        }
        is_live
    }

    /// How it grows; `None`: there is no such connection.
    pub fn congestion_control(&self, id: ConnectionId) -> Option<CongestionControl> {
        self.connections.get(id)?;
        Some(self.warm[id.index as usize].congestion_control)
    }

    /// The same for connections that a listener accepts from now on. Says whether it is open.
    pub fn set_listener_congestion_control(&mut self, id: ListenerId, algorithm: CongestionControl) -> bool {
        self.set_listener_option(id, SocketOption::TcpCongestion(algorithm)).is_ok()
    }

    /// Connections with nothing in flight give their records back: what these say of the path is old, and is learned again.
    #[cold]
    pub(super) fn reclaim_congestion_records(&mut self) {
        self.counters.congestion_records_refused += self.pools.congestion.take_refused();
        let count = self.warm.len() as u32;
        for _ in 0..LOOKED_AT_MAX.min(count) {
            let index = self.congestion_hand % count;
            self.congestion_hand = (index + 1) % count;
            if self.connections.key_at(index).is_some() && self.connections.at(index).flight() == 0 {
                congestion::release(&mut self.warm[index as usize], &mut self.pools.congestion);
            }
        }
    }
}
