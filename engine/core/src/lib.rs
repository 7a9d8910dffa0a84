//! The pure engine: bytes in, bytes out; time and randomness are arguments.
#![no_std]

extern crate alloc;

pub mod buffer;
