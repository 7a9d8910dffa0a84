//! What a socket is asked to be.

use crate::{
    Error, Result,
    abi::XDP_PACKET_HEADROOM,
    umem::{FRAMES_MAX, FrameSize},
};

/// Entries of the four rings; each a power of two from 1 to [`RING_SIZE_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingSizes {
    /// Fill ring; at least `rx_frames`, so that every receive frame fits.
    pub fill: u32,
    /// Rx ring: frames that wait for us before the kernel drops.
    pub rx: u32,
    /// Tx ring: frames that wait for the device.
    pub tx: u32,
    /// Completion ring; at least `tx_frames`, so that the kernel never waits for us.
    pub completion: u32,
}

/// Most entries of one ring.
pub const RING_SIZE_MAX: u32 = 1 << 20;
/// Most frames of one burst.
pub const BURST_MAX: u32 = 1024;
/// Most frames that one wake-up may be asked to send; the kernel bounds it by the tx ring's size too.
pub const TX_BUDGET_MAX: u32 = RING_SIZE_MAX;
/// Bytes for an Ethernet header and two VLAN tags.
const LINK_HEADER_MAX: u32 = 14 + 8;

/// Whether the device shall read and write frames itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ZeroCopy {
    /// Zero-copy where the driver offers it, else copy.
    #[default]
    Preferred,
    /// Zero-copy or an error.
    Required,
    /// Always copy.
    Never,
}

/// When to make the system call that wakes the device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NeedWakeup {
    /// When the ring's flag asks (`XDP_USE_NEED_WAKEUP`).
    #[default]
    Use,
    /// For each flush.
    Always,
}

/// Who completes checksums of sent frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ChecksumPolicy {
    /// The device or the kernel where it can (`XDP_UMEM_TX_METADATA_LEN`).
    #[default]
    Offload,
    /// Always software.
    Software,
}

/// Configuration of one socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketConfig {
    /// Interface index in the calling thread's network namespace.
    pub interface: u32,
    /// Queue number from 0.
    pub queue: u32,
    /// Ring sizes.
    pub rings: RingSizes,
    /// Size of each frame.
    pub frame_size: FrameSize,
    /// Bytes kept free before each received packet, beyond the kernel's 256; below a quarter of the frame.
    pub headroom: u32,
    /// Frames that circulate through the fill and rx rings; at least 1.
    pub rx_frames: u32,
    /// Frames that circulate through the tx and completion rings; at least 1.
    pub tx_frames: u32,
    /// Most frames of one [`Burst`](super::Burst); 1 to 1024.
    pub burst_max: u32,
    /// Zero-copy policy.
    pub zero_copy: ZeroCopy,
    /// Wake-up policy.
    pub need_wakeup: NeedWakeup,
    /// Frames that one wake-up may send in copy mode, where the kernel lets it be raised; at least 32.
    pub tx_budget: u32,
    /// System calls that one [`flush`](super::Transmitter::flush) may make while the kernel says EAGAIN; 1 to 64.
    pub wake_repeats_max: u32,
    /// Checksum policy.
    pub checksum: ChecksumPolicy,
}

impl SocketConfig {
    /// Defaults for a queue of an interface: 2048 frames of 2048 bytes for each half, bursts of 64.
    pub fn new(interface: u32, queue: u32) -> Self {
        Self {
            interface,
            queue,
            // Twice the frames: the kernel publishes a received frame before it frees the fill entry.
            rings: RingSizes { fill: 4096, rx: 2048, tx: 2048, completion: 2048 },
            frame_size: FrameSize::Two,
            headroom: 0,
            rx_frames: 2048,
            tx_frames: 2048,
            burst_max: 64,
            zero_copy: ZeroCopy::Preferred,
            need_wakeup: NeedWakeup::Use,
            tx_budget: 256,
            wake_repeats_max: 8,
            checksum: ChecksumPolicy::Offload,
        }
    }

    /// The largest MTU in bytes whose frames, with two VLAN tags, fit a receive frame.
    pub fn mtu_max(&self) -> u32 {
        self.frame_size.bytes().saturating_sub(XDP_PACKET_HEADROOM + self.headroom + LINK_HEADER_MAX)
    }

    /// Checks every bound and relation.
    pub(super) fn check(&self) -> Result<()> {
        let RingSizes { fill, rx, tx, completion } = self.rings;
        for (field, size) in
            [("rings.fill", fill), ("rings.rx", rx), ("rings.tx", tx), ("rings.completion", completion)]
        {
            require(
                field,
                size,
                size.is_power_of_two() && size <= RING_SIZE_MAX,
                "a power of two of at most 1048576",
            )?;
        }
        for (field, frames) in [("rx_frames", self.rx_frames), ("tx_frames", self.tx_frames)] {
            require(field, frames, (1..=FRAMES_MAX / 2).contains(&frames), "1 to 524288")?;
        }
        require("rings.fill", fill, fill >= self.rx_frames, "at least rx_frames")?;
        require("rings.completion", completion, completion >= self.tx_frames, "at least tx_frames")?;
        require(
            "headroom",
            self.headroom,
            self.headroom <= self.frame_size.bytes() / 4,
            "at most a quarter of the frame",
        )?;
        require("burst_max", self.burst_max, (1..=BURST_MAX).contains(&self.burst_max), "1 to 1024")?;
        require(
            "tx_budget",
            self.tx_budget,
            (32..=TX_BUDGET_MAX).contains(&self.tx_budget),
            "32 to 1048576",
        )?;
        require(
            "wake_repeats_max",
            self.wake_repeats_max,
            (1..=64).contains(&self.wake_repeats_max),
            "1 to 64",
        )
    }
}

fn require(field: &'static str, value: u32, holds: bool, rule: &'static str) -> Result<()> {
    if holds { Ok(()) } else { Err(Error::Config { field, value: u64::from(value), rule }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_hold_their_own_rules() {
        SocketConfig::new(1, 0).check().unwrap();
        assert!(SocketConfig::new(1, 0).mtu_max() >= 1500);
    }

    #[test]
    fn each_broken_rule_names_its_field() {
        let broken = |change: fn(&mut SocketConfig), expected: &str| {
            let mut config = SocketConfig::new(1, 0);
            change(&mut config);
            match config.check() {
                Err(Error::Config { field, .. }) => assert_eq!(field, expected),
                answer => panic!("{expected}: {answer:?}"),
            }
        };
        broken(|config| config.rings.fill = 3000, "rings.fill");
        broken(|config| config.rings.fill = 1024, "rings.fill");
        broken(|config| config.rings.rx = 0, "rings.rx");
        broken(|config| config.rings.tx = 1 << 21, "rings.tx");
        broken(|config| config.rings.completion = 1024, "rings.completion");
        broken(|config| config.rx_frames = 0, "rx_frames");
        broken(|config| config.tx_frames = FRAMES_MAX, "tx_frames");
        broken(|config| config.headroom = 513, "headroom");
        broken(|config| config.burst_max = 0, "burst_max");
        broken(|config| config.tx_budget = 31, "tx_budget");
        broken(|config| config.wake_repeats_max = 65, "wake_repeats_max");
    }
}
