//! The transports that touch the world, and what the framework asks of each.

pub mod mio;
pub mod xdp;

use std::io;
use std::sync::Arc;

use bywash_core::base::time::Instant;
use bywash_core::shard::Transport;

use crate::report::ShardReport;

/// Ends a backend's sleep from any thread; a wake-up that comes before the sleep prevents it.
pub type Waker = Arc<dyn Fn() + Send + Sync>;

/// A transport that can sleep and tell what it counted.
pub trait Backend: Transport {
    /// Sleeps until something arrives, the waker is used, or `until` has come (none: without end). May end sooner.
    /// `now` is the time of the call.
    ///
    /// # Errors
    /// The kernel refuses to wait: the shard cannot go on.
    fn wait(&mut self, now: Instant, until: Option<Instant>) -> io::Result<()>;

    /// What ends a [`Backend::wait`].
    fn waker(&self) -> Waker;

    /// Adds what was counted since the start.
    fn report(&self, report: &mut ShardReport);
}
