//! Instruments: what a request costs in memory, over AF_XDP, and beside the kernel's TCP.
//!
//! | module | what is in it |
//! |---|---|
//! | [`allocation`] | an allocator that counts |
//! | [`memory`] | frames, ports and devices that are nothing but memory |
//! | [`round_trip`] | 64-byte requests and replies in memory, ours and smoltcp's |
#![deny(unsafe_code)]

pub mod allocation;
pub mod memory;
pub mod round_trip;
