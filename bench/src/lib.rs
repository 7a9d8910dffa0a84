//! Instruments: what a request costs in memory, over `AF_XDP`, and beside the kernel's TCP.
//!
//! | module | what is in it |
//! |---|---|
//! | [`round_trip`] | 64-byte requests and replies in memory, ours and smoltcp's |
//! | [`cycle`] | connections that are opened, asked one thing, and closed |
//! | [`bulk`] | one connection that carries as much as it can |
//! | [`shards`] | two shards on two cores beside one |
//! | [`stages`] | the stages of a request, each by itself |
//! | [`scale`] | idle connections in memory: bytes per connection |
//! | [`limit`] | what raw `AF_XDP` allows: sink, reflector, round trip |
//! | [`compare`] | HTTP on `AF_XDP` and on the kernel's TCP, under wrk, in turns |
//! | [`ends`] | the two ends of a link, ours and smoltcp's, to which each workload adds its application |
//! | [`turns`] | ratios from samples that are taken in turns |
//! | [`forge`] | clients of which only the frames exist |
//! | [`memory`] | frames, ports and devices that are nothing but memory |
//! | [`machine`] | facts about the machine, and what its cores did |
//! | [`progress`] | where a long measurement stands |
//! | [`interrupt`] | Ctrl-C and SIGTERM |
//! | [`allocation`] | an allocator that counts |
#![deny(unsafe_code)]

pub mod allocation;
pub mod bulk;
pub mod compare;
pub mod cycle;
pub mod ends;
pub mod forge;
pub mod interrupt;
pub mod limit;
pub mod machine;
pub mod memory;
pub mod progress;
pub mod round_trip;
pub mod scale;
pub mod shards;
pub mod stages;
pub mod turns;
