//! The transports that touch the world.

pub mod mio;
