//! Opening: what a half-open connection keeps, and what two SYNs agree on (RFC 9293 section 3.5, RFC 7323).

use crate::base::slab::Key;
use crate::base::time::Instant;
use crate::wire::tcp::{Options, SackPermitted, Timestamps};
use crate::wire::{Address, MacAddress, Tuple};

use super::config::TcpConfig;
use super::connection::{Agreement, Scales};
use super::segment::Segment;
use super::seq::SequenceNumber;
use super::state::{Flag, Flags};
use super::tick::Tick;

/// Payload octets that every host must take when it does not say more (RFC 9293 section 3.7.1).
const DEFAULT_MSS_V4: u16 = 536;
const DEFAULT_MSS_V6: u16 = 1220;

/// What the peer's SYN says.
#[derive(Clone, Copy, Debug)]
pub struct PeerSyn {
    /// Its initial sequence number.
    pub irs: SequenceNumber,
    /// Largest segment that it takes, octets of payload without options.
    pub mss: u16,
    /// Its window scale; `None`: it does none.
    pub window_scale: Option<u8>,
    /// Whether it takes SACK.
    pub sack_permitted: SackPermitted,
    /// Its timestamp.
    pub timestamps: Option<Timestamps>,
    /// Its window; never scaled in a SYN.
    pub window: u16,
}

impl PeerSyn {
    /// Reads a SYN or SYN+ACK from `remote`.
    pub fn read(segment: &Segment<'_>, remote: Address, config: &TcpConfig) -> Self {
        let options = Options::parse(segment.options);
        let default = if remote.is_v4() { DEFAULT_MSS_V4 } else { DEFAULT_MSS_V6 };
        Self {
            irs: segment.seq,
            mss: options.mss.unwrap_or(default).max(config.tcp_min_snd_mss + TIMESTAMPS_LEN),
            window_scale: options.window_scale.filter(|_| config.tcp_window_scaling),
            sack_permitted: if config.tcp_sack { options.sack_permitted } else { SackPermitted::Absent },
            timestamps: options.timestamps.filter(|_| config.tcp_timestamps),
            window: segment.window,
        }
    }

    /// The options of our SYN+ACK: only what the peer offered (RFC 7323 sections 2.2 and 3.2, RFC 2018 section 2).
    pub fn reply_options(&self, own_mss: u16, clock: u32, config: &TcpConfig) -> Options {
        let value = clock;
        Options {
            mss: Some(own_mss),
            window_scale: self.window_scale.map(|_| config.window_scale()),
            sack_permitted: self.sack_permitted,
            timestamps: self.timestamps.map(|peer| Timestamps { value, echo: peer.value }),
            ..Options::NONE
        }
    }

    /// What both ends do from now on.
    pub fn agree(&self, own: &OwnSyn, config: &TcpConfig) -> Agreement {
        let mut flags = Flags::default();
        let mut mss = self.mss.min(own.path_mss);
        if self.timestamps.is_some() {
            flags.set(Flag::Timestamps);
            mss -= TIMESTAMPS_LEN;
        }
        if matches!(self.sack_permitted, SackPermitted::Present) {
            flags.set(Flag::Sack);
        }
        let scales = match self.window_scale {
            Some(scale) => Scales::new(scale, config.window_scale()),
            None => Scales::default(),
        };
        Agreement {
            rcv_nxt: self.irs + 1,
            snd_nxt: own.iss + 1,
            snd_wnd: u32::from(self.window),
            rcv_adv: self.irs + 1 + u32::from(syn_window(config)),
            mss,
            scales,
            flags,
            ts_recent: self.timestamps.map_or(0, |timestamps| timestamps.value),
            ts_offset: own.ts_offset,
            rtt_us: None,
            resent: 0,
        }
    }
}

/// Octets of the timestamps option with its padding.
pub const TIMESTAMPS_LEN: u16 = 12;

/// What our SYN or SYN+ACK said.
#[derive(Clone, Copy, Debug)]
pub struct OwnSyn {
    /// Our initial sequence number.
    pub iss: SequenceNumber,
    /// Payload octets of a segment without options that the path takes.
    pub path_mss: u16,
    /// Offset of our timestamps.
    pub ts_offset: u32,
}

/// The window field of a SYN, never scaled.
pub fn syn_window(config: &TcpConfig) -> u16 {
    config.receive_buffer.min(0xffff) as u16
}

/// A half-open connection that the peer began: SYN-RECEIVED.
#[derive(Clone, Copy, Debug)]
pub struct SynReceived {
    /// Who is at the two ends.
    pub tuple: Tuple,
    /// What the peer's SYN said.
    pub peer: PeerSyn,
    /// What our SYN+ACK said.
    pub own: OwnSyn,
    /// Where the SYN came from on the link.
    pub mac: MacAddress,
    /// The table's hash.
    pub hash: u32,
    /// When the first SYN+ACK was sent, µs, wrapping.
    pub sent_us: u32,
    /// When the next one is due.
    pub retransmit_at: Tick,
    /// How many were sent again.
    pub retries: u8,
    /// Index of the listener.
    pub listener: u8,
    /// Index of our address.
    pub local: u8,
}

impl SynReceived {
    /// Round trip of the handshake in µs, when the SYN+ACK was sent once.
    pub fn rtt_us(&self, now: Instant) -> Option<u32> {
        (self.retries == 0).then(|| (now.as_micros() as u32).wrapping_sub(self.sent_us))
    }
}

/// A half-open connection that we began: SYN-SENT.
#[derive(Clone, Copy, Debug)]
pub struct SynSent {
    /// Who is at the two ends.
    pub tuple: Tuple,
    /// What our SYN said.
    pub own: OwnSyn,
    /// The connection that it becomes.
    pub connection: Key,
    /// The table's hash.
    pub hash: u32,
    /// When the first SYN was sent, µs, wrapping.
    pub sent_us: u32,
    /// When the next one is due.
    pub retransmit_at: Tick,
    /// When the application's timeout ends it.
    pub timeout_at: Option<Instant>,
    /// How many were sent again.
    pub retries: u8,
    /// Index of our address.
    pub local: u8,
    /// Index of the next hop in the neighbour cache.
    pub neighbour: u16,
}
