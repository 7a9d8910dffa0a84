//! What a shard's thread does: turn after turn, spinning a while when idle, then sleeping.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time;

use bywash_core::base::time::{Duration, Instant};
use bywash_core::shard::{Application, Host, Shard};

use crate::backends::Backend;
use crate::report::ShardReport;

/// The clock of a process: nanoseconds since its start. All shards read the same one.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: time::Instant,
}

impl Clock {
    /// A clock that starts now.
    pub fn start() -> Self {
        Self { start: time::Instant::now() }
    }

    /// The time.
    pub fn now(&self) -> Instant {
        // 64 bits of nanoseconds are enough for 584 years.
        Instant::from_nanos(self.start.elapsed().as_nanos() as u64)
    }
}

/// What the control plane asks of a shard; read once a turn.
#[derive(Debug, Default)]
pub(super) struct Orders(AtomicU32);

/// One order; they can be given together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Order {
    /// Stop listening and close every connection in order.
    Drain = 1,
    /// Give up what is still open and end.
    End = 2,
    /// Tell what was counted.
    Report = 4,
}

impl Orders {
    /// Gives an order; wake the shard after it.
    pub(super) fn give(&self, order: Order) {
        // Pairs with the swap in `take`.
        self.0.fetch_or(order as u32, Ordering::Release);
    }

    fn take(&self) -> u32 {
        if self.0.load(Ordering::Relaxed) == 0 {
            return 0;
        }
        // Pairs with the release in `give`: what was written before the order is seen.
        self.0.swap(0, Ordering::Acquire)
    }
}

/// How the loop itself spent its turns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct LoopCounters {
    useful_turns: u64,
    idle_turns: u64,
    sleeps: u64,
}

/// Whether the shard takes part in a shutdown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Serving,
    Draining,
}

/// How a shard ended.
#[derive(Debug)]
pub(super) struct Ended {
    /// What it counted.
    pub(super) report: ShardReport,
    /// Connections that were cut off at the drain limit.
    pub(super) cut_off: usize,
}

/// Runs `shard` until it has drained or is told to end; `tell` takes its report whenever one is asked for.
pub(super) fn run<B: Backend, A: Application>(
    shard: &mut Shard<B, A>,
    clock: Clock,
    spin: Duration,
    orders: &Orders,
    mut tell: impl FnMut(ShardReport),
) -> std::io::Result<Ended> {
    let mut counters = LoopCounters::default();
    let mut phase = Phase::Serving;
    let mut idle_since = None;
    loop {
        let given = orders.take();
        if given & Order::Report as u32 != 0 {
            tell(report(shard, counters));
        }
        if given & Order::Drain as u32 != 0 && phase == Phase::Serving {
            phase = Phase::Draining;
            shard.drain();
        }
        if given & Order::End as u32 != 0 {
            return Ok(end(shard, clock, counters));
        }
        let now = clock.now();
        let turn = shard.turn(now);
        if phase == Phase::Draining && shard.transport().draining() == 0 {
            return Ok(end(shard, clock, counters));
        }
        if turn.work > 0 || turn.again {
            counters.useful_turns += 1;
            idle_since = None;
            continue;
        }
        counters.idle_turns += 1;
        if now - *idle_since.get_or_insert(now) < spin {
            std::hint::spin_loop();
            continue;
        }
        let deadline = shard.deadline();
        if deadline.is_some_and(|deadline| deadline <= now) {
            continue;
        }
        counters.sleeps += 1;
        shard.transport_mut().wait(now, deadline)?;
        idle_since = None;
    }
}

/// Resets what is still open and takes a last turn, so that the peers hear of it.
fn end<B: Backend, A: Application>(shard: &mut Shard<B, A>, clock: Clock, counters: LoopCounters) -> Ended {
    let mut open = Vec::new();
    shard.transport().open_connections(&mut open);
    let cut_off = shard.transport().draining();
    if cut_off > 0 || !open.is_empty() {
        for id in open {
            shard.transport_mut().host().abort(id);
        }
        shard.turn(clock.now());
    }
    Ended { report: report(shard, counters), cut_off }
}

fn report<B: Backend, A: Application>(shard: &Shard<B, A>, counters: LoopCounters) -> ShardReport {
    let LoopCounters { useful_turns, idle_turns, sleeps } = counters;
    let mut report = ShardReport::default();
    report.add("turns", "useful", useful_turns);
    report.add("turns", "idle", idle_turns);
    report.add("turns", "sleeps", sleeps);
    shard.transport().report(&mut report);
    report
}
