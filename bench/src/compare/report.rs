//! What the rounds gave, side by side.

use super::load::Run;
use super::{Backend, CONNECTIONS};
use crate::machine::median;

/// A core that others keep busier than this makes the figures doubtful.
const BACKGROUND_MAX: f64 = 0.05;
/// The same for time that the hypervisor takes.
const STEAL_MAX: f64 = 0.02;

/// All runs so far.
pub(super) struct Report {
    background: f64,
    runs: Vec<Entry>,
}

struct Entry {
    backend: Backend,
    connections: u32,
    round: usize,
    run: Run,
}

impl Report {
    /// `background`: how busy the server's core is with other things, 0 to 1.
    pub(super) fn new(background: f64) -> Self {
        Self { background, runs: Vec::new() }
    }

    pub(super) fn add(&mut self, backend: Backend, connections: u32, round: usize, run: Run) {
        self.runs.push(Entry { backend, connections, round, run });
    }

    /// Prints the table, the ratios and what must be known to read them.
    pub(super) fn print(&self, steal: f64) {
        println!(
            "GET /plaintext under wrk; CPU is in µs per request: the server's core, all cores, the server's process"
        );
        println!("connections backend   requests/s  server core  all cores  process    p50 µs    p99 µs");
        for connections in CONNECTIONS {
            for backend in Backend::ALL {
                self.print_row(connections, backend);
            }
            self.print_ratio(connections);
        }
        self.print_complaints();
        println!(
            "The server sleeps when idle. Server on core 0, wrk on core 1, each end's receive work steered to its core.\n\
             On veth the copy into our frame memory is charged to the sender, wrk's core: compare all cores too.\n\
             steal {:.1} %; other work on the server's core before the rounds: {:.0} %",
            steal * 100.0,
            self.background * 100.0
        );
        if steal > STEAL_MAX || self.background > BACKGROUND_MAX {
            println!("DOUBTFUL: the machine was not quiet; run it again");
        }
    }

    fn print_row(&self, connections: u32, backend: Backend) {
        let of =
            |pick: fn(&Run) -> f64| median(self.of(connections, backend).map(|e| pick(&e.run)).collect());
        println!(
            "{connections:>11} {:<7} {:>12.0} {:>12.2} {:>10.2} {:>8.2} {:>9.0} {:>9.0}",
            backend.name(),
            of(|run| run.requests_per_second),
            of(|run| run.server_core_us),
            of(|run| run.all_cores_us),
            of(|run| run.process_us),
            of(|run| run.p50_us),
            of(|run| run.p99_us),
        );
    }

    /// Medians of the ratios within a round: the machine's speed changes between rounds.
    fn print_ratio(&self, connections: u32) {
        let of = |pick: fn(&Run) -> f64| median(self.ratios(connections, pick));
        println!(
            "{connections:>11} xdp/mio {:>11.2}x {:>11.2}x {:>9.2}x {:>7.2}x {:>8.2}x {:>8.2}x",
            of(|run| run.requests_per_second),
            of(|run| run.server_core_us),
            of(|run| run.all_cores_us),
            of(|run| run.process_us),
            of(|run| run.p50_us),
            of(|run| run.p99_us),
        );
    }

    fn ratios(&self, connections: u32, pick: fn(&Run) -> f64) -> Vec<f64> {
        let pairs = self.of(connections, Backend::Xdp).filter_map(|xdp| {
            let mio = self.of(connections, Backend::Mio).find(|mio| mio.round == xdp.round)?;
            Some(pick(&xdp.run) / pick(&mio.run).max(f64::MIN_POSITIVE))
        });
        pairs.collect()
    }

    fn print_complaints(&self) {
        for Entry { backend, connections, round, run } in
            self.runs.iter().filter(|e| !e.run.complaints.is_empty())
        {
            println!(
                "{}, {connections} connections, round {}: {}",
                backend.name(),
                round + 1,
                run.complaints
            );
        }
    }

    fn of(&self, connections: u32, backend: Backend) -> impl Iterator<Item = &Entry> {
        self.runs.iter().filter(move |e| e.connections == connections && e.backend == backend)
    }
}
