//! Sample servers: echo and http.
//!
//! Both are written against the engine's contracts alone and do not know what carries them: the same program
//! runs over `AF_XDP`, over the kernel's TCP and in the simulator.
#![forbid(unsafe_code)]

pub mod echo;
pub mod http;
