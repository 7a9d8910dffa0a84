//! A deterministic world around the engine: virtual clock, hostile links, checkers, seed runner.
//!
//! Everything that happens follows from one number, the seed: how many hosts and shards there are, what the
//! links do to frames, which connections are opened and what is said over them. First the weather is stormy and
//! only safety is asked for; then it is calm and everything must come to its end.
//!
//! | module | what is in it |
//! |---|---|
//! | [`run`](mod@run) | a seed, run twice and judged |
//! | [`plan`], [`script`] | what a seed stands for: hosts and links; what is said over each connection |
//! | [`world`] | the clock, the switch, the turns |
//! | [`link`], [`port`], [`mesh`] | what happens to frames: between hosts, at a queue, between shards |
//! | [`fault`] | what goes wrong, and how often it did |
//! | [`peer`] | a host with a TCP of its own that checks the engine's, and behaves badly |
//! | [`goodput`] | what a bulk transfer gets out of a path |
//! | [`coverage`] | what many worlds have seen |
//! | [`program`], [`ledger`] | the application at both ends, and the book in which both write |
//! | [`stream`] | octets that know their place |
//! | [`trace`] | what happened, as a hash and as lines to read |
#![forbid(unsafe_code)]

pub mod coverage;
pub mod fault;
pub mod goodput;
pub mod ledger;
pub mod link;
pub mod mesh;
pub mod peer;
pub mod plan;
pub mod port;
pub mod program;
pub mod run;
pub mod script;
pub mod stream;
pub mod trace;
pub mod world;

pub use run::{Failure, Outcome, Speech, run};
