//! The pure engine of Bywash: frames and the time go in, frames and events come out.
//!
//! Nothing here sees an operating system: no clock, no thread, no socket. Time and randomness are
//! arguments, so that the same code runs on a NIC's queue and in a simulator's virtual time.
//!
//! | module | what is in it |
//! |---|---|
//! | [`base`] | time, seeded randomness, slabs, the timing wheel |
//! | [`wire`] | headers as views and values, checksums, the first pass over a frame |
//! | [`port`] | what the engine asks of a frame device: bursts in, reserved frames out |
//! | [`table`] | the connection table: one writer, readers on any thread |
//! | [`buffer`] | send chunks and receive buffers |
//! | [`tcp`] | one connection as a state machine |
//! | [`stack`] | one shard's host: connections, listeners, neighbours, timers |
//! | [`codec`] | what turns a stream of bytes into messages and back |
//! | [`shard`] | one core's turn: a transport, an application, a budget |
//! | [`endpoint`] | the whole stack behind calls like those of sockets, for whoever brings frames and time |
#![no_std]
#![deny(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod base;
pub mod buffer;
pub mod codec;
pub mod endpoint;
pub mod port;
pub mod shard;
pub mod stack;
pub mod table;
pub mod tcp;
pub mod wire;
