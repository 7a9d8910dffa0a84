//! Bits that flip on the way.

use bywash_core::base::random::Random;

/// Link headers are the frame check sequence's to protect.
const LINK_HEADER_LEN: usize = 14;

/// Whether anything was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// It was.
    Done,
    /// There was nothing to change: ARP has no checksum of its own, other frames may be too short.
    None,
}

/// Flips up to 15 bits in a row, which a 16-bit sum always finds.
pub fn damage(frame: &mut [u8], random: &mut Random) -> Damage {
    let behind = frame.len().saturating_sub(LINK_HEADER_LEN);
    if behind <= 2 || is_arp(frame) {
        return Damage::None;
    }
    let pattern = 1 + random.below(0x7fff) as u16;
    let place = LINK_HEADER_LEN + random.below(behind as u64 - 1) as usize;
    let [high, low] = pattern.to_be_bytes();
    frame[place] ^= high;
    frame[place + 1] ^= low;
    Damage::Done
}

fn is_arp(frame: &[u8]) -> bool {
    frame.get(12..14) == Some(&[0x08, 0x06])
}
