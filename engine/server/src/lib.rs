//! The framework: shards on cores, backends, configuration, metrics.
//!
//! ```no_run
//! # use bywash::Server;
//! # fn main() -> std::process::ExitCode {
//! # use bywash::core::{codec::Raw, shard::*};
//! # struct Echo;
//! # impl Application for Echo {
//! #     type Codec = Raw;
//! #     type Connection = ();
//! #     fn on_open<H: Host>(&mut self, _: &mut Context<'_, H, Raw>, _: Origin) {}
//! #     fn on_message<H: Host>(&mut self, _: &mut Context<'_, H, Raw>, _: &mut (), _: &[u8]) {}
//! # }
//! let served = Server::from_args("echo", "Sends back what it gets")
//!     .and_then(|server| server.run(|_shard| (Echo, Raw::default())));
//! bywash::finish(served)
//! # }
//! ```
//!
//! | module | what is in it |
//! |---|---|
//! | [`config`] | every key, for TOML files and the command line alike |
//! | [`error`] | what can go wrong, and the exit codes |
//! | [`backends`] | what carries the connections |
//! | [`mesh`] | what shards hand to each other |
//! | [`report`] | what the shards counted |
//! | [`os`] | what is asked of Linux |
#![deny(unsafe_code)]

pub mod backends;
mod capture;
pub mod config;
pub mod error;
pub mod mesh;
pub mod os;
mod parcels;
pub mod report;
mod say;
mod server;

pub use bywash_core as core;
pub use config::{Arguments, Config, NoExtra};
pub use error::{Error, finish};
pub use server::{Clock, Server, ShardInfo};

/// The README's example, compiled.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
