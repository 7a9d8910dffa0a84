//! The rows of docs/conformance.md's scenarios over real `AF_XDP` sockets: one engine on one queue, steered between its
//! turns, against the kernel's TCP, or against forged segments where the kernel cannot be made to misbehave. Long
//! times are scaled down by their keys.
//!
//! Each test makes a lab of its own; what the lab's tests of the sample servers lock out, waits here as well.
#![forbid(unsafe_code)]

#[expect(dead_code, unused_imports, reason = "one harness serves three test programs")]
#[path = "../../../core/tests/scenario/harness/mod.rs"]
mod harness;
mod support;

mod closing;
mod data;
mod keepalive;
mod listeners;
mod opening;
mod time_wait;
