//! Fuzz targets: a function for each parser, and two for the whole stack. Each takes any bytes and panics when a promise
//! is broken.
//!
//! | module | what is in it |
//! |---|---|
//! | [`wire`] | Ethernet, VLAN, ARP, IPv4, IPv6, ICMP, ND, TCP and its options |
//! | [`text`] | the codecs, HTTP requests, the configuration file |
//! | [`stack`] | an engine with an open connection, and a peer that does as the bytes say |
//!
//! `fuzz/run` builds and runs them under libFuzzer on the stable toolchain; `cargo test` replays the corpora.
#![forbid(unsafe_code)]

pub mod stack;
pub mod text;
pub mod wire;

/// A target: its name, which is its corpus's folder too, and what it does.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: &[Target] = &[
    ("ethernet", wire::ethernet),
    ("arp", wire::arp),
    ("ipv4", wire::ipv4),
    ("ipv6", wire::ipv6),
    ("icmpv4", wire::icmpv4),
    ("icmpv6", wire::icmpv6),
    ("ndp", wire::ndp),
    ("tcp", wire::tcp),
    ("packet", wire::packet),
    ("length", text::length),
    ("lines", text::lines),
    ("http", text::http),
    ("config", text::config),
    ("stack", stack::hostile_peer),
    ("frames", stack::any_frames),
];

/// The target of that name.
pub fn target(name: &str) -> Option<fn(&[u8])> {
    TARGETS.iter().find(|(known, _)| *known == name).map(|(_, target)| *target)
}
