//! The pure engine: bytes in, bytes out; time and randomness are arguments.

pub mod wire;
