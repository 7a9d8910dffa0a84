//! The control plane: starts the shards, hears signals, collects reports, drains and ends.

use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use bywash_core::shard::Application;

use super::ShardInfo;
use super::shard_loop::{Clock, Order, Orders};
use super::shard_thread::{Event, Start};
use crate::backends::{Backend, Waker};
use crate::config::Config;
use crate::error::Error;
use crate::os::cores;
use crate::os::privileges::{self, After};
use crate::os::signals::{Listener, Request};
use crate::report::{Report, ShardReport};
use crate::say::say;

/// Makes a shard's backend, on the shard's own thread and core.
pub(crate) type Seed<B> = Box<dyn FnOnce() -> Result<B, Error> + Send>;

/// What lives beside the shards: a lab, a program, threads of the control plane.
pub(crate) trait Supervisor {
    /// Adds what is counted once for the process.
    fn report(&self, report: &mut ShardReport);

    /// Takes everything down.
    fn finish(self: Box<Self>) -> Result<(), Error>;
}

/// Everything that is set up and waits for its shards.
pub(crate) struct Launch<B> {
    /// One for each shard.
    pub(crate) seeds: Vec<Seed<B>>,
    /// What was taken, for the person at the terminal; cores are added.
    pub(crate) lines: Vec<String>,
    /// The line to try next.
    pub(crate) hint: String,
    /// What this thread must still be allowed to do at the end.
    pub(crate) after: After,
    /// The clock that all shards read.
    pub(crate) clock: Clock,
    /// What lives beside the shards.
    pub(crate) supervisor: Box<dyn Supervisor>,
}

/// Runs the shards until they have ended.
pub(crate) fn serve<B, A, F>(launch: Launch<B>, config: &Config, make: &F) -> Result<(), Error>
where
    B: Backend,
    A: Application,
    F: Fn(ShardInfo) -> (A, A::Codec) + Sync,
{
    let Launch { seeds, mut lines, hint, after, clock, supervisor } = launch;
    let shards = seeds.len();
    let allowed = cores::allowed()?;
    let assigned = cores::assign(&config.cores, shards, &allowed)?;
    let spin_us = cores::spin_us(config.spin_us, &assigned, &allowed);
    lines.push(cores_line(&assigned, spin_us));
    lines.push(format!("try: {hint}"));
    privileges::drop_unneeded(after)?;

    let (sender, events) = channel();
    let tell_signal = sender.clone();
    // A send fails only when nobody receives any more, and then nobody needs to know.
    let _listener = Listener::start(move |request| drop(tell_signal.send(Event::Signal(request))))?;
    let orders: Vec<Orders> = (0..shards).map(|_| Orders::default()).collect();
    let mut control = Control::new(&orders, events, lines, supervisor, config);
    let spin = bywash_core::base::time::Duration::from_micros(u64::from(spin_us));
    thread::scope(|scope| {
        let mut threads = Vec::with_capacity(shards);
        for (index, seed) in seeds.into_iter().enumerate() {
            let info = ShardInfo { index, shards, core: assigned[index] };
            let start = Start {
                info,
                clock,
                spin,
                connections_max: config.connections_max,
                huge_pages: config.huge_pages,
                orders: &orders[index],
            };
            let sender = sender.clone();
            let named = thread::Builder::new().name(format!("shard {index}"));
            match named.spawn_scoped(scope, move || start.run(seed, make, &sender)) {
                Ok(thread) => threads.push(thread),
                Err(source) => {
                    control.fail(index, Error::Os { what: "cannot start a shard's thread", source });
                }
            }
        }
        control.watch();
        // A panic has been told as an event; to join its thread keeps it from going on here.
        for thread in threads {
            drop(thread.join());
        }
    });
    control.finish()
}

fn cores_line(assigned: &[Option<u32>], spin_us: u32) -> String {
    let pinned: Vec<String> = assigned.iter().flatten().map(ToString::to_string).collect();
    let cores = match pinned.len() {
        0 => "not pinned".to_owned(),
        1 => format!("core {}", pinned[0]),
        _ => format!("cores {}", pinned.join(", ")),
    };
    let shards = assigned.len();
    let plural = if shards == 1 { "" } else { "s" };
    let idle =
        if spin_us == 0 { "sleeps at once".to_owned() } else { format!("polls {spin_us} µs, then sleeps") };
    format!("{shards} shard{plural}, {cores}; an idle shard {idle}")
}

/// How far a shard has come.
enum Stage {
    Starting,
    Running(Waker),
    Ended,
}

/// How far the server has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Serving,
    Draining { until: Instant },
    Ending,
}

struct Control<'a> {
    orders: &'a [Orders],
    stages: Vec<Stage>,
    events: Receiver<Event>,
    /// Printed once all shards are up.
    lines: Vec<String>,
    supervisor: Box<dyn Supervisor>,
    drain_timeout: Duration,
    phase: Phase,
    report: Report,
    reports_due: usize,
    cut_off: usize,
    failure: Option<Error>,
}

impl<'a> Control<'a> {
    fn new(
        orders: &'a [Orders],
        events: Receiver<Event>,
        lines: Vec<String>,
        supervisor: Box<dyn Supervisor>,
        config: &Config,
    ) -> Self {
        Self {
            orders,
            stages: orders.iter().map(|_| Stage::Starting).collect(),
            events,
            lines,
            supervisor,
            drain_timeout: Duration::from_millis(u64::from(config.drain_timeout_ms)),
            phase: Phase::Serving,
            report: Report::default(),
            reports_due: 0,
            cut_off: 0,
            failure: None,
        }
    }

    /// Handles events until every shard has ended.
    fn watch(&mut self) {
        while self.stages.iter().any(|stage| !matches!(stage, Stage::Ended)) {
            match self.next() {
                Some(event) => self.handle(event),
                None => self.give_up_draining(),
            }
        }
    }

    /// The next event, or `None` when the drain limit has passed.
    fn next(&self) -> Option<Event> {
        let received = match self.phase {
            Phase::Serving | Phase::Ending => self.events.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Phase::Draining { until } => {
                self.events.recv_timeout(until.saturating_duration_since(Instant::now()))
            }
        };
        // The signal listener holds a sender for as long as this lives, so the channel is never disconnected.
        received.ok()
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Signal(Request::Report) => self.ask_for_reports(),
            Event::Signal(Request::End { exit_code }) => match self.phase {
                Phase::Serving => self.drain(),
                Phase::Draining { .. } | Phase::Ending => self.end_at_once(exit_code),
            },
            Event::Ready { shard, waker } => {
                self.stages[shard] = Stage::Running(waker);
                if self.stages.iter().all(|stage| matches!(stage, Stage::Running(_))) {
                    self.lines.iter().for_each(|line| say(line));
                }
            }
            Event::Told { shard, report } => {
                self.report.insert(shard, report);
                self.one_report_less();
            }
            Event::Ended { shard, report, cut_off } => {
                self.report.insert(shard, report);
                self.cut_off += cut_off;
                self.stages[shard] = Stage::Ended;
            }
            Event::Failed { shard, error } => self.fail(shard, error),
        }
    }

    fn ask_for_reports(&mut self) {
        self.reports_due = self.stages.iter().filter(|stage| matches!(stage, Stage::Running(_))).count();
        self.order_all(Order::Report);
    }

    fn one_report_less(&mut self) {
        self.reports_due = self.reports_due.saturating_sub(1);
        if self.reports_due == 0 {
            self.print_report();
        }
    }

    fn drain(&mut self) {
        let limit = self.drain_timeout;
        say(&format!(
            "ending: connections have {} ms to close; a second signal ends at once",
            limit.as_millis()
        ));
        self.phase = Phase::Draining { until: Instant::now() + limit };
        self.order_all(Order::Drain);
    }

    fn give_up_draining(&mut self) {
        self.phase = Phase::Ending;
        self.order_all(Order::End);
    }

    /// A shard is gone: the others end too, since its queue is served by nobody.
    fn fail(&mut self, shard: usize, error: Error) {
        self.stages[shard] = Stage::Ended;
        self.failure.get_or_insert(error);
        self.give_up_draining();
    }

    /// Leaves the shards where they are; what would outlive the process is taken down.
    fn end_at_once(&mut self, exit_code: u8) {
        let supervisor = std::mem::replace(&mut self.supervisor, Box::new(Nothing));
        if let Err(error) = supervisor.finish() {
            say(&format!("warning: {error}"));
        }
        std::process::exit(i32::from(exit_code));
    }

    fn order_all(&self, order: Order) {
        for (orders, stage) in self.orders.iter().zip(&self.stages) {
            orders.give(order);
            match stage {
                Stage::Running(waker) => waker(),
                // It finds the order before its first turn.
                Stage::Starting | Stage::Ended => {}
            }
        }
    }

    fn print_report(&mut self) {
        let process = self.report.process_mut();
        *process = ShardReport::default();
        self.supervisor.report(process);
        say(&self.report.to_string());
    }

    fn finish(mut self) -> Result<(), Error> {
        if let Some(error) = self.failure {
            // The failure is what the person must hear of, not what follows from it.
            drop(self.supervisor.finish());
            return Err(error);
        }
        self.print_report();
        if self.cut_off > 0 {
            say(&format!("{} connections were cut off at the drain limit (drain_timeout_ms)", self.cut_off));
        }
        self.supervisor.finish()
    }
}

/// Stands in for a supervisor that has been taken down, and for servers that need none.
pub(crate) struct Nothing;

impl Supervisor for Nothing {
    fn report(&self, _report: &mut ShardReport) {}

    fn finish(self: Box<Self>) -> Result<(), Error> {
        Ok(())
    }
}
