//! SYN cookies (RFC 4987 section 3.6): a handshake whose state the peer carries. Our initial sequence number says which
//! of a few segment sizes the peer takes, and proves with a keyed hash that we sent it; the low bits of our timestamp say
//! the rest of its options.

use crate::base::time::Instant;
use crate::wire::Tuple;
use crate::wire::tcp::SackPermitted;

use super::config::TcpConfig;
use super::ecn::{EcnMode, EcnSetup};
use super::handshake::{PeerSyn, TIMESTAMPS_LEN};
use super::isn::{Secrets, siphash_2_4};
use super::segment::Segment;
use super::seq::SequenceNumber;

/// How long one hash is given out. It is taken for as long again: a cookie is good for 64 to 128 s.
const EPOCH_NANOS: u64 = 64_000_000_000;

/// The segment sizes that a cookie can say; a peer's is rounded down. The first stands for all that are below the
/// second: the smallest that a peer can make us use.
const MSS: [u16; 8] = [0, 536, 1220, 1300, 1380, 1440, 1460, 8960];
const MSS_BITS: u32 = 7;
const _: () = assert!(MSS.len() == MSS_BITS as usize + 1);

impl Secrets {
    /// The initial sequence number that answers the SYN `peer` of the connection `tuple`.
    pub fn cookie(&self, tuple: &Tuple, peer: &PeerSyn, now: Instant) -> SequenceNumber {
        let below = MSS.iter().filter(|mss| **mss <= peer.mss).count();
        let index = below.saturating_sub(1) as u32;
        SequenceNumber(self.cookie_of(tuple, peer.irs, epoch(now), index))
    }

    /// Reads the cookie that `segment` acknowledges: what the peer's SYN said, as far as we could make it remember.
    /// `None`: it is none of ours, or too old. `ts_offset` is what is added to the clock in our timestamps.
    pub fn read_cookie(
        &self,
        tuple: &Tuple,
        segment: &Segment<'_>,
        ts_offset: u32,
        config: &TcpConfig,
        now: Instant,
    ) -> Option<PeerSyn> {
        let (irs, cookie) = (segment.seq - 1, (segment.ack - 1).0);
        let (index, epoch) = (cookie & MSS_BITS, epoch(now));
        let is_of = |epoch| self.cookie_of(tuple, irs, epoch, index) == cookie;
        if !is_of(epoch) && !is_of(epoch.wrapping_sub(1)) {
            return None;
        }
        let mss = MSS[index as usize].max(config.tcp_min_snd_mss + TIMESTAMPS_LEN);
        let timestamps = segment.timestamps.filter(|_| config.tcp_timestamps);
        let offered = timestamps.map_or(Offered::NOTHING, |ts| Offered(ts.echo.wrapping_sub(ts_offset)));
        Some(PeerSyn {
            irs,
            mss,
            window_scale: offered.window_scale().filter(|_| config.tcp_window_scaling),
            sack_permitted: if config.tcp_sack { offered.sack_permitted() } else { SackPermitted::Absent },
            timestamp: timestamps.map(|timestamps| timestamps.value),
            window: segment.window,
            ecn: offered.ecn(config.tcp_ecn),
        })
    }

    fn cookie_of(&self, tuple: &Tuple, irs: SequenceNumber, epoch: u32, index: u32) -> u32 {
        let hash = match tuple.words_v4() {
            Some([local, remote, ports]) => {
                siphash_2_4(self.cookies, &[local, remote, ports, irs.0, epoch, index])
            }
            None => {
                let mut words = [0; 12];
                words[..9].copy_from_slice(&tuple.words_v6());
                words[9..].copy_from_slice(&[irs.0, epoch, index]);
                siphash_2_4(self.cookies, &words)
            }
        };
        hash as u32 & !MSS_BITS | index
    }
}

fn epoch(now: Instant) -> u32 {
    (now.as_nanos() / EPOCH_NANOS) as u32
}

/// The clock of a cookie's timestamp, whose low bits say what the SYN offers. It is never ahead of the clock itself, and
/// less than 64 ms behind.
pub fn clock_with_options(clock: u32, peer: &PeerSyn) -> u32 {
    let Offered(options) = Offered::by(peer);
    // What the low bits are raised by is taken from the high ones.
    let borrowed = if options > clock & Offered::MASK { Offered::MASK + 1 } else { 0 };
    (clock & !Offered::MASK | options).wrapping_sub(borrowed)
}

/// What a SYN offers, in the low bits of a timestamp.
#[derive(Clone, Copy)]
struct Offered(u32);

impl Offered {
    const MASK: u32 = 0x3f;
    /// The window scale; 15 stands for none, as the largest one is 14 (RFC 7323 section 2.3).
    const SCALE: u32 = 0xf;
    const SACK: u32 = 0x10;
    const ECN: u32 = 0x20;
    const NOTHING: Self = Self(Self::SCALE);

    fn by(syn: &PeerSyn) -> Self {
        let scale = syn.window_scale.map_or(Self::SCALE, |scale| u32::from(scale.min(14)));
        let sack = if syn.sack_permitted == SackPermitted::Present { Self::SACK } else { 0 };
        Self(scale | sack | if syn.ecn == EcnSetup::Present { Self::ECN } else { 0 })
    }

    fn ecn(self, mode: EcnMode) -> EcnSetup {
        match mode {
            EcnMode::Request | EcnMode::Accept if self.0 & Self::ECN != 0 => EcnSetup::Present,
            EcnMode::Off | EcnMode::Request | EcnMode::Accept => EcnSetup::Absent,
        }
    }

    fn window_scale(self) -> Option<u8> {
        let scale = self.0 & Self::SCALE;
        (scale != Self::SCALE).then_some(scale as u8)
    }

    fn sack_permitted(self) -> SackPermitted {
        if self.0 & Self::SACK == 0 { SackPermitted::Absent } else { SackPermitted::Present }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::Duration;
    use crate::wire::Address;
    use crate::wire::tcp::{Flags, Timestamps};
    use proptest::prelude::*;

    fn segment(seq: SequenceNumber, ack: SequenceNumber, timestamps: Option<Timestamps>) -> Segment<'static> {
        Segment {
            seq,
            ack,
            window: 9,
            control: Flags::ACK,
            timestamps,
            options: &[],
            ecn: crate::wire::Ecn::NotEct,
            payload: &[],
        }
    }

    proptest! {
        #[test]
        fn a_cookie_brings_back_what_it_can_carry(
            seed: [u8; 32],
            octets: ([u8; 16], [u8; 16]),
            ports: (u16, u16),
            is_v4: bool,
            numbers: (u32, u32, u32),
            mss in 60_u16..,
            window_scale in prop::option::of(0_u8..15),
            sack: bool,
            ecn: bool,
            has_timestamps: bool,
            now in 0_u64..1 << 60,
            age in 0_u64..64_000_000_000,
        ) {
            let address = |o: [u8; 16]| if is_v4 { Address::v4([o[0], o[1], o[2], o[3]]) } else { Address::v6(o) };
            let (local, remote) = (address(octets.0), address(octets.1));
            let tuple = Tuple { local, remote, local_port: ports.0, remote_port: ports.1 };
            let sack_permitted = if sack { SackPermitted::Present } else { SackPermitted::Absent };
            let (irs, clock, ts_offset) = (SequenceNumber(numbers.0), numbers.1, numbers.2);
            let timestamp = has_timestamps.then_some(77);
            let ecn = if ecn { EcnSetup::Present } else { EcnSetup::Absent };
            let syn = PeerSyn { irs, mss, window_scale, sack_permitted, timestamp, window: 5, ecn };
            let (secrets, config) = (Secrets::from_seed(seed), TcpConfig::default());
            let now = Instant::from_nanos(now);
            let iss = secrets.cookie(&tuple, &syn, now);
            let sent = clock_with_options(clock, &syn);
            // Not ahead of the clock, and not far behind.
            prop_assert!(clock.wrapping_sub(sent) < 64);
            let echo = sent.wrapping_add(ts_offset);
            let timestamps = has_timestamps.then_some(Timestamps { value: 78, echo });
            let later = now + Duration::from_nanos(age);
            let ack = segment(irs + 1, iss + 1, timestamps);
            let read = secrets.read_cookie(&tuple, &ack, ts_offset, &config, later);
            let rounded = MSS.into_iter().filter(|known| *known <= mss).max().map(|mss| mss.max(60));
            prop_assert_eq!(read.map(|syn| syn.mss), rounded);
            let Some(read) = read else { return Ok(()) };
            prop_assert_eq!((read.irs, read.window), (irs, 9));
            if has_timestamps {
                let kept = (read.window_scale, read.sack_permitted, read.timestamp, read.ecn);
                prop_assert_eq!(kept, (window_scale, sack_permitted, Some(78), ecn));
            } else {
                let kept = (read.window_scale, read.sack_permitted, read.timestamp, read.ecn);
                prop_assert_eq!(kept, (None, SackPermitted::Absent, None, EcnSetup::Absent));
            }
            // Any other number, connection, secret or time is refused.
            let refused = |tuple: &Tuple, segment: &Segment<'_>, at: Instant| {
                secrets.read_cookie(tuple, segment, ts_offset, &config, at).is_none()
            };
            prop_assert!(refused(&tuple, &segment(irs + 1, iss + 2, timestamps), later));
            prop_assert!(refused(&tuple, &segment(irs + 1, iss, timestamps), later));
            prop_assert!(refused(&tuple, &segment(irs + 2, iss + 1, timestamps), later));
            let elsewhere = Tuple { remote_port: !ports.1, ..tuple };
            prop_assert!(refused(&elsewhere, &ack, later));
            prop_assert!(refused(&tuple, &ack, now + Duration::from_secs(128)));
            let mut other = seed;
            other[0] ^= 1;
            prop_assert!(Secrets::from_seed(other).read_cookie(&tuple, &ack, ts_offset, &config, later).is_none());
        }
    }
}
