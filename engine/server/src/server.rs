//! The three calls of a server: read the arguments, make an application for each shard, run.
//!
//! | file | what is in it |
//! |---|---|
//! | `choose` | which backend, and why not the better one |
//! | `place` | the host, or a lab made for the server |
//! | `start`, `kernel`, `bypass` | set-up, on the kernel's TCP and on ours |
//! | `control` | the control plane: start, signals, reports, drain |
//! | `shard_thread`, `shard_loop` | what a shard's thread does |

mod bypass;
mod choose;
mod control;
mod kernel;
mod place;
mod shard_loop;
mod shard_thread;
mod start;

use crate::config::{Arguments, Config, NoExtra};
use crate::error::Error;
use bywash_core::shard::Application;

pub use shard_loop::Clock;

/// Which shard an application is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardInfo {
    /// Its number, from 0.
    pub index: usize,
    /// How many there are.
    pub shards: usize,
    /// The core that it is pinned to, if it is.
    pub core: Option<u32>,
}

/// A server that is configured and not running yet.
#[derive(Clone, Debug)]
pub struct Server {
    config: Config,
    hint: Option<&'static str>,
}

impl Server {
    /// A server of this configuration.
    pub fn new(config: Config) -> Self {
        Self { config, hint: None }
    }

    /// A server configured by this process's command line and the file that it names. `name` and `about` are for
    /// `--help`.
    ///
    /// # Errors
    /// [`Error::Arguments`] and [`Error::Config`], for [`finish`](crate::finish) to print.
    pub fn from_args(name: &'static str, about: &'static str) -> Result<Self, Error> {
        let (server, NoExtra {}) = Self::from_args_with(name, about)?;
        Ok(server)
    }

    /// The same, for a program that has options of its own beside the server's.
    ///
    /// # Errors
    /// As [`Server::from_args`].
    pub fn from_args_with<X: clap::Args>(
        name: &'static str,
        about: &'static str,
    ) -> Result<(Self, X), Error> {
        let Arguments { config, extra } = Arguments::parse(name, about)?;
        Ok((Self::new(config), extra))
    }

    /// What the start-up lines suggest to try: a command in which `{address}` stands for address and port,
    /// `{host}` and `{port}` for each alone.
    pub fn hint(mut self, command: &'static str) -> Self {
        self.hint = Some(command);
        self
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Serves until SIGTERM or SIGINT, with one application for each shard, made on the shard's own thread.
    ///
    /// The process gives up the privileges that set-up needed before the first application is made.
    ///
    /// # Errors
    /// [`Error`], whose text is for the person at the terminal and whose exit code is for scripts.
    pub fn run<A, F>(self, make: F) -> Result<(), Error>
    where
        A: Application,
        F: Fn(ShardInfo) -> (A, A::Codec) + Sync,
    {
        start::start(&self.config, self.hint, &make)
    }
}
