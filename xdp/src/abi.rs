//! The kernel's `AF_XDP` structures and constants (`include/uapi/linux/if_xdp.h`) that rustix lacks or
//! that must lie in shared memory exactly as the kernel lays them out.

use std::mem::{offset_of, size_of};

/// Level of the `AF_XDP` socket options (`include/linux/socket.h`).
pub const SOL_XDP: i32 = 283;
/// Socket option: frames that one `sendto` may send in copy mode, 32 by default (Linux 6.17).
pub const XDP_MAX_TX_SKB_BUDGET: i32 = 9;
/// UMEM flag: `xdp_umem_reg::tx_metadata_len` is in use (Linux 6.11).
pub const XDP_UMEM_TX_METADATA_LEN: u32 = 1 << 2;
/// Descriptor option: the packet continues in the next descriptor (Linux 6.6).
pub const XDP_PKT_CONTD: u32 = 1 << 0;
/// Descriptor option: an [`XskTxMetadata`] lies right before the packet (Linux 6.8).
pub const XDP_TX_METADATA: u32 = 1 << 1;
/// Metadata flag: the device shall complete the checksum.
pub const XDP_TXMD_FLAGS_CHECKSUM: u64 = 1 << 1;
/// Ring flag: the kernel sleeps until it is woken by a system call.
pub const XDP_RING_NEED_WAKEUP: u32 = 1 << 0;
/// Bytes that the kernel keeps free before each received packet (`include/uapi/linux/bpf.h`).
pub const XDP_PACKET_HEADROOM: u32 = 256;

/// Entry of the rx and tx rings: `struct xdp_desc`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Descriptor {
    /// Offset of the packet's first byte in the UMEM.
    pub addr: u64,
    /// Length of the packet in bytes.
    pub len: u32,
    /// [`XDP_PKT_CONTD`], [`XDP_TX_METADATA`] or zero.
    pub options: u32,
}

/// What the device is asked to do with a packet: `struct xsk_tx_metadata`, the request side.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct XskTxMetadata {
    /// [`XDP_TXMD_FLAGS_CHECKSUM`] or zero.
    pub flags: u64,
    /// Byte of the packet at which the sum starts.
    pub csum_start: u16,
    /// Byte after `csum_start` at which the sum is stored.
    pub csum_offset: u16,
    /// Zero.
    pub padding: u32,
    /// Time at which the packet leaves; unused here.
    pub launch_time: u64,
}

/// Size of [`XskTxMetadata`] in bytes, as registered with the UMEM: a multiple of 8, below 256.
pub const TX_METADATA_LEN: u32 = size_of::<XskTxMetadata>() as u32;

impl XskTxMetadata {
    /// A request to sum from `csum_start` to the packet's end and store the result `csum_offset` bytes after.
    pub const fn checksum(csum_start: u16, csum_offset: u16) -> Self {
        Self { flags: XDP_TXMD_FLAGS_CHECKSUM, csum_start, csum_offset, padding: 0, launch_time: 0 }
    }

    /// The bytes as the kernel reads them.
    pub fn to_bytes(self) -> [u8; TX_METADATA_LEN as usize] {
        let Self { flags, csum_start, csum_offset, padding, launch_time } = self;
        let mut bytes = [0; TX_METADATA_LEN as usize];
        bytes[0..8].copy_from_slice(&flags.to_ne_bytes());
        bytes[8..10].copy_from_slice(&csum_start.to_ne_bytes());
        bytes[10..12].copy_from_slice(&csum_offset.to_ne_bytes());
        bytes[12..16].copy_from_slice(&padding.to_ne_bytes());
        bytes[16..24].copy_from_slice(&launch_time.to_ne_bytes());
        bytes
    }
}

const _: () = {
    assert!(size_of::<Descriptor>() == 16);
    assert!(offset_of!(Descriptor, len) == 8 && offset_of!(Descriptor, options) == 12);
    assert!(size_of::<XskTxMetadata>() == 24);
    assert!(offset_of!(XskTxMetadata, csum_start) == 8 && offset_of!(XskTxMetadata, csum_offset) == 10);
    assert!(offset_of!(XskTxMetadata, launch_time) == 16);
    assert!(TX_METADATA_LEN.is_multiple_of(8) && TX_METADATA_LEN < 256);
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_bytes_are_the_kernels_layout() {
        let bytes = XskTxMetadata::checksum(0x1234, 0x0506).to_bytes();
        assert_eq!(u64::from_ne_bytes(bytes[0..8].try_into().unwrap()), 2);
        assert_eq!(u16::from_ne_bytes([bytes[8], bytes[9]]), 0x1234);
        assert_eq!(u16::from_ne_bytes([bytes[10], bytes[11]]), 0x0506);
        assert!(bytes[12..].iter().all(|byte| *byte == 0));
    }
}
