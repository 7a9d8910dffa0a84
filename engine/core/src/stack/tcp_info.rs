//! `TCP_INFO`: what is known of a connection at one moment.

use crate::shard::ConnectionId;
use crate::tcp::connection::{Connection, coarse, coarse_span};
use crate::tcp::info::{TcpInfo, TcpInfoOptions};
use crate::tcp::state::{Flag, State};

use super::Stack;

/// What Linux shows for a threshold that was never set.
const NO_THRESHOLD: u32 = 0x7fff_ffff;

impl Stack {
    /// What is known of a connection now; `None` when it is gone.
    pub fn tcp_info(&self, id: ConnectionId) -> Option<TcpInfo> {
        let connection = self.connections.get(id)?;
        let warm = &self.warm[id.index as usize];
        let mss = u32::from(connection.mss).max(1);
        let heard = coarse_span(coarse(self.now).wrapping_sub(connection.heard_at));
        let is_open = !self.is_opening(id.index);
        Some(TcpInfo {
            tcpi_state: self.state_of(connection, id.index),
            tcpi_retransmits: connection.backoff,
            tcpi_probes: connection.probes,
            tcpi_backoff: connection.backoff,
            tcpi_options: TcpInfoOptions {
                timestamps: connection.flags.has(Flag::Timestamps),
                sack: connection.flags.has(Flag::Sack),
                wscale: connection.scales.send() | connection.scales.receive() != 0,
            },
            tcpi_snd_wscale: connection.scales.send(),
            tcpi_rcv_wscale: connection.scales.receive(),
            tcpi_rto: connection.round_trip.rto_us(&self.config.tcp),
            tcpi_ato: self.config.tcp.tcp_delack_us,
            tcpi_snd_mss: connection.mss.into(),
            tcpi_advmss: self.own_mss(self.options_at(id.index).tcp_maxseg, warm.remote).into(),
            tcpi_unacked: connection.flight().div_ceil(mss),
            tcpi_sacked: self.sacked(connection, id.index).div_ceil(mss),
            tcpi_last_ack_recv: if is_open { heard.as_millis() as u32 } else { 0 },
            tcpi_pmtu: self.path_mtu(warm.remote).into(),
            tcpi_rtt: connection.round_trip.srtt_us(),
            tcpi_rttvar: connection.round_trip.rttvar_us(),
            tcpi_snd_ssthresh: if warm.ssthresh == u32::MAX { NO_THRESHOLD } else { warm.ssthresh / mss },
            tcpi_snd_cwnd: connection.cwnd / mss,
            tcpi_notsent_bytes: connection.unsent(),
            tcpi_snd_wnd: connection.snd_wnd,
            tcpi_rcv_wnd: connection.rcv_adv.since(connection.rcv_nxt),
        })
    }

    fn state_of(&self, connection: &Connection, index: u32) -> State {
        if self.is_crossed(index) {
            State::SynReceived
        } else if self.is_opening(index) {
            State::SynSent
        } else {
            connection.sides.state()
        }
    }

    fn sacked(&self, connection: &Connection, index: u32) -> u32 {
        self.warm[index as usize].recovery.map_or(0, |place| {
            let recovery = self.pools.recoveries.at(place.get() - 1);
            recovery.scoreboard.sacked_in(connection.snd_una, connection.snd_nxt)
        })
    }
}
