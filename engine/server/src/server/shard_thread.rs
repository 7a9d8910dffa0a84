//! One shard's thread from its first instruction to its last word.

use std::sync::mpsc::Sender;
use std::thread;

use bywash_core::base::time::Duration;
use bywash_core::shard::{Application, Shard};

use super::ShardInfo;
use super::control::Seed;
use super::shard_loop::{self, Clock, Orders};
use crate::backends::{Backend, Waker};
use crate::config::HugePages;
use crate::error::Error;
use crate::os::privileges::{self, After};
use crate::os::signals::Request;
use crate::os::{self, cores};
use crate::report::ShardReport;

/// What the control plane waits for.
pub(super) enum Event {
    Signal(Request),
    Ready { shard: usize, waker: Waker },
    Told { shard: usize, report: ShardReport },
    Ended { shard: usize, report: ShardReport, cut_off: usize },
    Failed { shard: usize, error: Error },
}

/// What a shard's thread is started with.
pub(super) struct Start<'a> {
    pub(super) info: ShardInfo,
    pub(super) clock: Clock,
    pub(super) spin: Duration,
    pub(super) connections_max: u32,
    pub(super) huge_pages: HugePages,
    pub(super) orders: &'a Orders,
}

impl Start<'_> {
    /// Runs the shard; the last event that it sends is [`Event::Ended`] or [`Event::Failed`].
    pub(super) fn run<B, A, F>(self, seed: Seed<B>, make: &F, events: &Sender<Event>)
    where
        B: Backend,
        A: Application,
        F: Fn(ShardInfo) -> (A, A::Codec),
    {
        let shard = self.info.index;
        let _farewell = Farewell { shard, events };
        let last = self.serve(seed, make, events).unwrap_or_else(|error| Event::Failed { shard, error });
        tell(events, last);
    }

    fn serve<B, A, F>(self, seed: Seed<B>, make: &F, events: &Sender<Event>) -> Result<Event, Error>
    where
        B: Backend,
        A: Application,
        F: Fn(ShardInfo) -> (A, A::Codec),
    {
        let Self { info, clock, spin, connections_max, huge_pages, orders } = self;
        let index = info.index;
        // Before anything is allocated, so that memory is touched first on its own node.
        info.core.map_or(Ok(()), cores::pin)?;
        // Capabilities belong to threads: a shard needs none, whatever the control plane keeps.
        privileges::drop_unneeded(After::Serve)?;
        let backend = seed()?;
        let waker = backend.waker();
        let (application, codec) = make(info);
        let mut shard = Shard::new(backend, application, codec, connections_max);
        if huge_pages == HugePages::On {
            os::huge_pages::advise([shard.address_range()]);
        }
        tell(events, Event::Ready { shard: index, waker });
        let told = |report| tell(events, Event::Told { shard: index, report });
        let ended = shard_loop::run(&mut shard, clock, spin, orders, told)
            .map_err(Error::os("a shard cannot wait for its descriptors"))?;
        Ok(Event::Ended { shard: index, report: ended.report, cut_off: ended.cut_off })
    }
}

/// Tells of a panic, which has no other way to reach the control plane.
struct Farewell<'a> {
    shard: usize,
    events: &'a Sender<Event>,
}

impl Drop for Farewell<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            tell(
                self.events,
                Event::Failed { shard: self.shard, error: Error::ShardPanicked { shard: self.shard } },
            );
        }
    }
}

fn tell(events: &Sender<Event>, event: Event) {
    // The control plane outlives the shards; if it is gone, so is the process.
    drop(events.send(event));
}
