//! The framework: shards on cores, backends, configuration, metrics.
//!
//! | module | what is in it |
//! |---|---|
//! | [`config`] | every key, for TOML files and the command line alike |
//! | [`error`] | what can go wrong, and the exit codes |
//! | [`mesh`] | what shards hand to each other |
//! | [`os`] | what is asked of Linux |
#![deny(unsafe_code)]

pub mod config;
pub mod error;
pub mod mesh;
pub mod os;

pub use config::{Arguments, Config, NoExtra};
pub use error::{Error, finish};
