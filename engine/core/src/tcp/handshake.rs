//! Opening: what a half-open connection keeps, and what two SYNs agree on (RFC 9293 section 3.5, RFC 7323).

use crate::base::slab::Key;
use crate::base::time::Instant;
use crate::table::FamilyPlace;
use crate::wire::tcp::{SackPermitted, SynOptions, Timestamps};
use crate::wire::{Address, MacAddress};

use super::config::TcpConfig;
use super::connection::{Agreement, Scales};
use super::ecn::EcnSetup;
use super::segment::Segment;
use super::seq::SequenceNumber;
use super::state::{Flag, Flags};
use super::tick::Tick;

/// Payload octets that every host must take when it does not say more (RFC 9293 section 3.7.1).
const DEFAULT_MSS_V4: u16 = 536;
const DEFAULT_MSS_V6: u16 = 1220;

/// What the peer's SYN says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerSyn {
    /// Its initial sequence number.
    pub irs: SequenceNumber,
    /// Largest segment that it takes, octets of payload without options.
    pub mss: u16,
    /// Its window scale; `None`: it does none.
    pub window_scale: Option<u8>,
    /// Whether it takes SACK.
    pub sack_permitted: SackPermitted,
    /// The value of its timestamp; `None`: it does none.
    pub timestamp: Option<u32>,
    /// Its window; never scaled in a SYN.
    pub window: u16,
    /// Whether it asks for ECN or agrees to it.
    pub ecn: EcnSetup,
}

impl PeerSyn {
    /// Reads a SYN or SYN+ACK from `remote`.
    pub fn read(segment: &Segment<'_>, remote: Address, config: &TcpConfig) -> Self {
        let options = SynOptions::parse(segment.options);
        let default = if remote.is_v4() { DEFAULT_MSS_V4 } else { DEFAULT_MSS_V6 };
        Self {
            irs: segment.seq,
            mss: options.mss.unwrap_or(default).max(config.tcp_min_snd_mss + TIMESTAMPS_LEN),
            window_scale: options.window_scale.filter(|_| config.tcp_window_scaling),
            sack_permitted: if config.tcp_sack { options.sack_permitted } else { SackPermitted::Absent },
            timestamp: options.timestamps.filter(|_| config.tcp_timestamps).map(|sent| sent.value),
            window: segment.window,
            ecn: EcnSetup::of_syn(segment, config.tcp_ecn),
        }
    }

    /// The options of our SYN+ACK: only what the peer offered (RFC 7323 sections 2.2 and 3.2, RFC 2018 section 2).
    pub fn reply_options(&self, own_mss: u16, clock: u32, config: &TcpConfig) -> SynOptions {
        let value = clock;
        SynOptions {
            mss: Some(own_mss),
            window_scale: self.window_scale.map(|_| config.window_scale()),
            sack_permitted: self.sack_permitted,
            timestamps: self.timestamp.map(|echo| Timestamps { value, echo }),
        }
    }

    /// What both ends do from now on.
    #[inline]
    pub fn agree(&self, path_mss: u16, ts_offset: u32, config: &TcpConfig) -> Agreement {
        let mut flags = Flags::default();
        let mut mss = self.mss.min(path_mss);
        if self.timestamp.is_some() {
            flags.set(Flag::Timestamps);
            mss -= TIMESTAMPS_LEN;
        }
        if matches!(self.sack_permitted, SackPermitted::Present) {
            flags.set(Flag::Sack);
        }
        if self.ecn == EcnSetup::Present {
            flags.set(Flag::Ecn);
        }
        let scales = match self.window_scale {
            Some(scale) => Scales::new(scale, config.window_scale()),
            None => Scales::default(),
        };
        Agreement {
            rcv_nxt: self.irs + 1,
            snd_wnd: u32::from(self.window),
            rcv_adv: self.irs + 1 + u32::from(syn_window(config)),
            mss,
            scales,
            flags,
            ts_recent: self.timestamp.unwrap_or(0),
            ts_offset,
            rtt_us: None,
            resent: 0,
        }
    }
}

/// Octets of the timestamps option with its padding.
pub const TIMESTAMPS_LEN: u16 = 12;

/// The window field of a SYN, never scaled.
pub fn syn_window(config: &TcpConfig) -> u16 {
    config.receive_buffer.min(0xffff) as u16
}

/// A half-open connection that the peer began: SYN-RECEIVED. Small, because a flood of SYNs makes many: what follows
/// from the tuple is not kept, and the tuple is in the connection table.
#[derive(Clone, Copy, Debug)]
pub struct SynReceived {
    /// Where the table has it.
    pub place: FamilyPlace,
    /// Our initial sequence number.
    pub iss: SequenceNumber,
    /// Where our timestamps of this tuple begin: kept, for it takes a keyed hash.
    pub ts_offset: u32,
    irs: SequenceNumber,
    /// The peer's timestamp, if it does any.
    ts_recent: u32,
    /// When the first SYN+ACK was sent, in µs, the lower 24 bits: it is sent again before they wrap.
    sent_us: [u8; 3],
    mss: u16,
    window: u16,
    /// Where the SYN came from on the link.
    pub mac: MacAddress,
    offered: Offered,
    /// How many SYN+ACKs were sent again.
    pub retries: u8,
    /// Index of the listener.
    pub listener: u8,
}

impl SynReceived {
    /// The answer to the peer's SYN, as it is sent for the first time.
    pub fn new(
        place: FamilyPlace,
        peer: &PeerSyn,
        iss: SequenceNumber,
        ts_offset: u32,
        mac: MacAddress,
        listener: u8,
        now: Instant,
    ) -> Self {
        let PeerSyn { irs, mss, window_scale: _, sack_permitted: _, timestamp, window, ecn: _ } = *peer;
        Self {
            place,
            iss,
            ts_offset,
            irs,
            ts_recent: timestamp.unwrap_or(0),
            sent_us: low_us(now),
            mss,
            window,
            mac,
            offered: Offered::by(peer),
            retries: 0,
            listener,
        }
    }

    /// What the peer's SYN said.
    pub fn peer(&self) -> PeerSyn {
        PeerSyn {
            irs: self.irs,
            mss: self.mss,
            window_scale: self.offered.window_scale(),
            sack_permitted: self.offered.sack_permitted(),
            timestamp: self.offered.timestamps().then_some(self.ts_recent),
            window: self.window,
            ecn: self.offered.ecn(),
        }
    }

    /// The SYN came again and does not ask for ECN any more (RFC 3168 section 6.1.1).
    pub fn forget_ecn(&mut self) {
        self.offered.0 &= !Offered::ECN;
    }

    /// Next octet expected.
    pub fn rcv_nxt(&self) -> SequenceNumber {
        self.irs + 1
    }

    /// Round trip of the handshake in µs, when the SYN+ACK was sent once, and no longer than 16 s ago by `config`.
    pub fn rtt_us(&self, now: Instant, config: &TcpConfig) -> Option<u32> {
        let [a, b, c] = self.sent_us;
        let passed = (now.as_micros() as u32).wrapping_sub(u32::from_le_bytes([a, b, c, 0])) & US_MAX;
        (self.retries == 0 && config.tcp_rto_initial_us < US_MAX).then_some(passed)
    }
}

/// The longest time that 24 bits hold, in µs.
const US_MAX: u32 = (1 << 24) - 1;

/// The lower 24 bits of a time in µs.
const fn low_us(now: Instant) -> [u8; 3] {
    let [a, b, c, _] = (now.as_micros() as u32).to_le_bytes();
    [a, b, c]
}

/// Which options a SYN has, in a byte.
#[derive(Clone, Copy, Debug)]
struct Offered(u8);

impl Offered {
    /// The window scale's bits.
    const SCALE: u8 = 15;
    /// In place of a window scale: none. The largest one is 14 (RFC 7323 section 2.3).
    const NO_SCALE: u8 = 15;
    const SACK: u8 = 16;
    const TIMESTAMPS: u8 = 32;
    const ECN: u8 = 64;

    fn by(syn: &PeerSyn) -> Self {
        let scale = syn.window_scale.map_or(Self::NO_SCALE, |scale| scale.min(14));
        let sack = match syn.sack_permitted {
            SackPermitted::Present => Self::SACK,
            SackPermitted::Absent => 0,
        };
        let ecn = match syn.ecn {
            EcnSetup::Present => Self::ECN,
            EcnSetup::Absent => 0,
        };
        Self(scale | sack | ecn | if syn.timestamp.is_some() { Self::TIMESTAMPS } else { 0 })
    }

    const fn ecn(self) -> EcnSetup {
        if self.0 & Self::ECN == 0 { EcnSetup::Absent } else { EcnSetup::Present }
    }

    const fn window_scale(self) -> Option<u8> {
        let scale = self.0 & Self::SCALE;
        if scale == Self::NO_SCALE { None } else { Some(scale) }
    }

    const fn sack_permitted(self) -> SackPermitted {
        if self.0 & Self::SACK == 0 { SackPermitted::Absent } else { SackPermitted::Present }
    }

    const fn timestamps(self) -> bool {
        self.0 & Self::TIMESTAMPS != 0
    }
}

#[cfg(not(loom))]
const _: () = {
    use crate::base::slab::PlainSlot;
    use crate::table::{WORDS_V4, WORDS_V6, bytes_per_entry};
    // The record with its generation; the slab's free list; a timer, of which the wheel says that it takes 13.
    let all = size_of::<PlainSlot<SynReceived>>() + size_of::<u32>() + 16;
    assert!(size_of::<SynReceived>() == 36 && all == 60);
    assert!(bytes_per_entry::<WORDS_V4>() + all <= 96 && bytes_per_entry::<WORDS_V6>() + all <= 96 + 24);
};

/// A half-open connection that we began: SYN-SENT. What its SYN says is in the connection's block.
#[derive(Clone, Copy, Debug)]
pub struct SynSent {
    /// The connection that it becomes.
    pub connection: Key,
    /// When the first SYN was sent, µs, wrapping.
    pub sent_us: u32,
    /// When the next one is due.
    pub retransmit_at: Tick,
    /// When the application's timeout ends it.
    pub timeout_at: Option<Instant>,
    /// How many were sent again.
    pub retries: u8,
    /// Whether the peer's SYN has crossed ours.
    pub phase: SynPhase,
}

/// How far an active open has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SynPhase {
    /// Our SYN was sent.
    SynSent,
    /// The peer's SYN came instead of an answer to ours (RFC 9293 section 3.5): what it offers is in the connection's
    /// block.
    SynReceived,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{InFamily, Place};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_half_open_connection_keeps_what_the_syn_said(
            numbers: [u32; 2],
            fields: [u16; 2],
            window_scale in prop::option::of(0_u8..15),
            timestamp: Option<u32>,
            sack: bool,
            ecn: bool,
        ) {
            let ecn = if ecn { EcnSetup::Present } else { EcnSetup::Absent };
            let sack_permitted = if sack { SackPermitted::Present } else { SackPermitted::Absent };
            let [irs, iss] = numbers.map(SequenceNumber);
            let [mss, window] = fields;
            let peer = PeerSyn { irs, mss, window_scale, sack_permitted, timestamp, window, ecn };
            let place = FamilyPlace::new(InFamily::V6(Place::new(3, 1)));
            let now = Instant::from_nanos(u64::from(iss.0) << 12);
            let mut record = SynReceived::new(place, &peer, iss, 9, MacAddress([1, 2, 3, 4, 5, 6]), 7, now);
            prop_assert_eq!(record.peer(), peer);
            prop_assert_eq!((record.place, record.iss, record.ts_offset), (place, iss, 9));
            prop_assert_eq!(record.rcv_nxt(), irs + 1);
            let later = now + crate::base::time::Duration::from_micros(40);
            let mut config = TcpConfig::default();
            prop_assert_eq!(record.rtt_us(later, &config), Some(40));
            config.tcp_rto_initial_us = 17_000_000;
            prop_assert_eq!(record.rtt_us(later, &config), None, "24 bits could have wrapped");
            config.tcp_rto_initial_us = 1_000_000;
            record.retries = 1;
            prop_assert_eq!(record.rtt_us(later, &config), None);
        }
    }
}
