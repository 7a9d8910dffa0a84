//! The pure engine: bytes in, bytes out; time and randomness are arguments.
#![no_std]
#![deny(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod base;
pub mod table;
