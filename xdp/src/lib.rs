//! `AF_XDP` sockets and everything a program needs to use them: frame memory, the four rings, the
//! BPF program that chooses the frames, and the settings of the interface.
//!
//! | module | what it holds |
//! |---|---|
//! | [`umem`] | frame memory and the move-only [`Frame`](umem::Frame) |
//! | [`ring`] | one ring algorithm for all four rings, in kernel or plain memory |
//! | [`socket`] | [`Receiver`](socket::Receiver) and [`Transmitter`](socket::Transmitter), the two halves of a socket |
//! | [`program`] | the BPF program: which addresses and ports are ours |
//! | [`nic`] | facts and settings of an interface |
//! | [`lab`] | namespaces and links for tests, made and removed by the process itself |
//! | [`abi`] | the kernel's structures and constants that rustix does not have |
//!
//! Nothing here knows TCP. `examples/reflect.rs` shows the whole path in one page.
#![deny(unsafe_code)]

pub mod abi;
mod error;
#[cfg(not(loom))]
pub mod lab;
#[cfg(not(loom))]
pub mod nic;
#[cfg(not(loom))]
pub mod program;
pub mod ring;
#[cfg(not(loom))]
pub mod socket;
#[cfg(not(loom))]
pub mod umem;

pub use error::{Blame, Error, Result};
