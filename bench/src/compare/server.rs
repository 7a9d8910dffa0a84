//! The server's process in a lab of its own.

use std::io::{BufRead, BufReader};
use std::num::NonZeroU16;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use bywash_xdp::lab::{Lab, SERVER_INTERFACE, SERVER_IPV4, ServerAddress, Side};
use rustix::process::{Pid, Signal, kill_process};

use super::{Backend, SERVER_CORE};

/// How long a server may take to start, and to end.
const PATIENCE: Duration = Duration::from_secs(10);
/// What a server prints last when it is ready.
const READY: &str = "try: ";

/// A running server. Dropping it kills the process and removes the lab.
pub(super) struct Server {
    backend: Backend,
    child: Child,
    lab: Lab,
}

impl Server {
    /// Makes a lab and starts the program in it; prints what the server says of itself.
    pub(super) fn start(backend: Backend, program: &Path) -> Result<Self> {
        let owner = match backend {
            Backend::Xdp => ServerAddress::Stack,
            Backend::Mio => ServerAddress::Kernel,
        };
        // One queue, one shard: a server is one core.
        let builder = Lab::builder(&format!("bywash-bench-{}", backend.name())).queues(NonZeroU16::MIN);
        let lab = builder.server_address(owner).build()?;
        let mut command = lab.command(Side::Server, program)?;
        command.args(["--backend", backend.name(), "--lab", "off", "--spin-us", "0"]);
        command.args(["--address", &format!("{SERVER_IPV4}/24"), "--cores", &SERVER_CORE.to_string()]);
        match backend {
            Backend::Xdp => command.args(["--interface", SERVER_INTERFACE]),
            Backend::Mio => command.args(["--shards", "1"]),
        };
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        let child = child.with_context(|| format!("cannot start {}", program.display()))?;
        let mut server = Self { backend, child, lab };
        server.wait_until_ready()?;
        Ok(server)
    }

    pub(super) fn backend(&self) -> Backend {
        self.backend
    }

    pub(super) fn lab(&self) -> &Lab {
        &self.lab
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends the process in order and removes the lab.
    pub(super) fn stop(mut self) -> Result<()> {
        kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        let begin = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait()? {
                break status;
            }
            if begin.elapsed() > PATIENCE {
                bail!("the {} server does not end at SIGTERM", self.backend.name());
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        if !status.success() {
            bail!("the {} server ended with {status}", self.backend.name());
        }
        Ok(())
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        let stdout = self.child.stdout.take().context("the server has no output")?;
        let (say, hear) = mpsc::channel();
        // Reads to the end, so that what the server prints when it ends finds a reader.
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                // Nobody listens any more once the server is ready.
                let _ = say.send(line);
            }
        });
        let begin = Instant::now();
        loop {
            match hear.recv_timeout(PATIENCE.saturating_sub(begin.elapsed())) {
                Ok(line) if line.starts_with(READY) => return Ok(()),
                Ok(line) => println!("{line}"),
                Err(RecvTimeoutError::Timeout) => bail!("the {} server does not start", self.backend.name()),
                Err(RecvTimeoutError::Disconnected) => {
                    bail!("the {} server ended at once", self.backend.name())
                }
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Already gone after `stop`.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
