//! Headers and checksums.

use std::hint::black_box;

use bywash_core::wire::parse::{Kind, Medium, Packet, classify_into, verify};
use bywash_core::wire::{Sum, tcp::Flags};

use super::Stage;
use crate::forge::{ISS, Part, Peer};
use crate::memory::Frames;

/// A frame of a 64-byte request with timestamps: 130 bytes.
fn frame() -> Vec<u8> {
    let mut frames = Frames::new(1);
    let flags = Flags::ACK | Flags::PSH;
    let part = Part { seq: ISS + 1, ack: 1, flags, echo: 1, payload: &[b'q'; 64] };
    Peer::numbered(0).send(&mut frames, &part).expect("room for one frame");
    assert_eq!(frames.frame(0).len(), 130);
    frames.frame(0).to_vec()
}

pub(super) struct Parse {
    frame: Vec<u8>,
    slot: Packet,
}

impl Parse {
    pub(super) fn new() -> Self {
        Self { frame: frame(), slot: Packet::EMPTY }
    }
}

impl Stage for Parse {
    fn run(&mut self, count: u32) {
        for _ in 0..count {
            let parsed = classify_into(black_box(&self.frame), Medium::Ethernet, &mut self.slot);
            assert!(black_box(parsed).is_ok());
            black_box(&self.slot);
        }
        assert!(matches!(self.slot.kind, Kind::Tcp(_)));
    }
}

pub(super) struct Verify {
    frame: Vec<u8>,
    packet: Packet,
}

impl Verify {
    pub(super) fn new() -> Self {
        let frame = frame();
        let mut packet = Packet::EMPTY;
        classify_into(&frame, Medium::Ethernet, &mut packet).expect("a good frame");
        Self { frame, packet }
    }
}

impl Stage for Verify {
    fn run(&mut self, count: u32) {
        for _ in 0..count {
            assert!(verify(black_box(&self.frame), black_box(&self.packet)).is_ok());
        }
    }
}

pub(super) struct Checksum {
    bytes: Vec<u8>,
}

impl Checksum {
    pub(super) fn new() -> Self {
        // A sum and its complement: together they are valid.
        let mut bytes: Vec<u8> = (0..96).collect();
        bytes[94..].fill(0);
        let checksum = Sum::of(&bytes).finish();
        bytes[94..].copy_from_slice(&checksum.to_be_bytes());
        Self { bytes }
    }
}

impl Stage for Checksum {
    fn run(&mut self, count: u32) {
        let mut sum = Sum::ZERO;
        for _ in 0..count {
            sum = black_box(Sum::of(black_box(&self.bytes)));
        }
        assert!(sum.is_valid());
    }
}

pub(super) struct Copy {
    from: Vec<u8>,
    to: Vec<u8>,
}

impl Copy {
    pub(super) fn new() -> Self {
        Self { from: (0..64).collect(), to: vec![0; 64] }
    }
}

impl Stage for Copy {
    fn prepare(&mut self, _: u32) {
        self.to.fill(0);
    }

    fn run(&mut self, count: u32) {
        let mut sum = Sum::ZERO;
        for _ in 0..count {
            sum = black_box(Sum::copy(black_box(&mut self.to), black_box(&self.from)));
        }
        assert_eq!((&self.to, sum.finish()), (&self.from, Sum::of(&self.from).finish()));
    }
}
