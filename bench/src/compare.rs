//! The same server on `AF_XDP` and on the kernel's TCP, under the same client, in turns.
//!
//! Each backend has a lab of its own. Both servers live all the time, one thread each, pinned to the same core; the one
//! whose turn it is not sleeps. wrk runs in the client's namespace on the other core, and each end's receive work is
//! steered to that end's core. A round gives every backend one run of each load, so that a slow episode of the machine
//! hits both.

mod load;
mod report;
mod server;

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail};

use crate::interrupt::Interrupt;
use crate::machine::{Machine, Snapshot, pin};
use crate::progress::Progress;

use load::Load;
use report::Report;
use server::Server;

/// The core of every server.
const SERVER_CORE: usize = 0;
/// The core of every client.
const CLIENT_CORE: usize = 1;

/// What carries the server's connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Backend {
    Xdp,
    Mio,
}

impl Backend {
    const ALL: [Self; 2] = [Self::Xdp, Self::Mio];

    const fn name(self) -> &'static str {
        match self {
            Self::Xdp => "xdp",
            Self::Mio => "mio",
        }
    }
}

/// How long a comparison takes.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Rounds, each with one run for each backend and number of connections.
    pub rounds: usize,
    /// Length of one run.
    pub run: Duration,
}

impl Plan {
    /// Ends within two minutes.
    pub const QUICK: Self = Self { rounds: 5, run: Duration::from_secs(2) };
    /// For figures that are to be kept.
    pub const THOROUGH: Self = Self { rounds: 11, run: Duration::from_secs(5) };
}

/// The loads: wrk's connections.
const CONNECTIONS: [u32; 3] = [1, 64, 256];

/// Compares `http` (the server's program) on both backends and prints the report.
///
/// # Errors
/// Without root, two cores or wrk; or when a server or a client fails.
pub fn compare(http: &Path, plan: Plan) -> Result<()> {
    let machine = Machine::read()?;
    if machine.cores() < 2 {
        bail!("server and client need a core each, and this machine has one");
    }
    load::check_wrk()?;
    println!("{machine}");
    let interrupt = Interrupt::catch()?;
    let servers = [Server::start(Backend::Xdp, http)?, Server::start(Backend::Mio, http)?];
    // After the servers have started: what they start may use any core.
    pin(CLIENT_CORE)?;
    let quiet = background()?;
    let mut report = Report::new(quiet);
    let begin = Snapshot::take()?;
    let mut progress = Progress::new();
    for round in 0..plan.rounds {
        for connections in CONNECTIONS {
            for server in in_turns(&servers, round) {
                let backend = server.backend();
                progress.show(&format!(
                    "round {} of {}: {}, {connections} connections",
                    round + 1,
                    plan.rounds,
                    backend.name()
                ));
                let load = Load { connections, duration: plan.run };
                let run = load::run(server, load, SERVER_CORE, &interrupt)?;
                report.add(backend, connections, round, run);
            }
        }
    }
    drop(progress);
    println!("{} rounds of {} s runs, medians", plan.rounds, plan.run.as_secs());
    report.print(begin.elapsed()?.steal_share());
    for server in servers {
        server.stop()?;
    }
    Ok(())
}

/// Who goes first changes from round to round.
fn in_turns(servers: &[Server; 2], round: usize) -> [&Server; 2] {
    let [first, second] = servers;
    if round.is_multiple_of(2) { [first, second] } else { [second, first] }
}

/// How busy the server's core is while both servers sleep, 0 to 1: what others take falsifies everything below.
fn background() -> Result<f64> {
    let before = Snapshot::take()?;
    std::thread::sleep(Duration::from_secs(1));
    let interval = before.elapsed()?;
    Ok(interval.busy[SERVER_CORE].as_secs_f64() / interval.wall.as_secs_f64())
}
