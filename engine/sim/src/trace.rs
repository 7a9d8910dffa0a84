//! What happened, as a hash and, if asked for, as lines to read.

use std::fmt::Arguments;

use bywash_core::base::time::Instant;
use bywash_core::port::Medium;
use bywash_core::wire::{Kind, classify};

use crate::fault::{Fault, Faults};

/// Whether the trace is also printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speech {
    /// Each event is a line on standard output.
    Verbose,
    /// Only the hash is kept.
    Silent,
}

/// Everything that happened so far.
#[derive(Clone, Debug)]
pub struct Trace {
    hash: u64,
    speech: Speech,
    start: Instant,
}

impl Trace {
    /// Nothing happened yet; times are printed relative to `start`.
    pub fn new(speech: Speech, start: Instant) -> Self {
        Self { hash: 0xcbf2_9ce4_8422_2325, speech, start }
    }

    /// The hash of all so far.
    pub const fn hash(&self) -> u64 {
        self.hash
    }

    /// A frame was sent from host `from` to host `to`.
    pub fn frame(&mut self, now: Instant, (from, to): (usize, usize), frame: &[u8], faults: Faults) {
        self.word(now.as_nanos());
        self.word((from << 8 | to) as u64 | u64::from(faults.bits()) << 32);
        self.octets(frame);
        if self.speech == Speech::Verbose {
            let faults: Vec<_> = faults.iter().map(Fault::name).collect();
            self.print(now, format_args!("{from} > {to}  {}  {}", describe(frame), faults.join(", ")));
        }
    }

    /// Something else happened: `words` go into the hash, `what` is for the reader.
    pub fn note(&mut self, now: Instant, words: &[u64], what: Arguments<'_>) {
        self.word(now.as_nanos());
        for word in words {
            self.word(*word);
        }
        if self.speech == Speech::Verbose {
            self.print(now, what);
        }
    }

    fn print(&self, now: Instant, what: Arguments<'_>) {
        let micros = now.since(self.start).as_micros();
        println!("{:6}.{:06} {what}", micros / 1_000_000, micros % 1_000_000);
    }

    fn octets(&mut self, bytes: &[u8]) {
        self.word(bytes.len() as u64);
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.word(u64::from_le_bytes(word));
        }
    }

    fn word(&mut self, word: u64) {
        let mixed = (self.hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.hash = mixed ^ (mixed >> 32);
    }
}

/// One line about a frame.
fn describe(frame: &[u8]) -> String {
    let Ok(packet) = classify(frame, Medium::Ethernet) else {
        return format!("{} octets of something", frame.len());
    };
    match packet.kind {
        Kind::Tcp(tcp) => {
            let sack = packet.options(frame).sack;
            let blocks: Vec<_> = sack.as_slice().iter().map(|b| (b.left, b.right)).collect();
            let sack = if blocks.is_empty() { String::new() } else { format!(" sack {blocks:?}") };
            format!(
                "{} > {} {:?} seq {} ack {} win {} len {}{sack}",
                tcp.source_port,
                tcp.destination_port,
                tcp.flags,
                tcp.seq,
                tcp.ack,
                tcp.window,
                packet.payload_len(),
            )
        }
        Kind::Arp => "ARP".to_owned(),
        Kind::Icmpv4 | Kind::Icmpv6 => {
            format!("ICMP type {}", packet.transport(frame).first().copied().unwrap_or(0))
        }
        Kind::Fragment(_) => "fragment".to_owned(),
        Kind::OtherProtocol => format!("protocol {}", packet.protocol.0),
    }
}
