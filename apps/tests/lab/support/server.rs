//! The real programs, as child processes.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Command, ExitStatus};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use bywash_xdp::lab::{Lab, SERVER_INTERFACE, SERVER_IPV4, Side};
use rustix::process::{Pid, Signal, kill_process};

use super::report::{LAST_LINE, Report};
use super::tools::Guarded;

/// The port that the tests listen on.
pub(crate) const PORT: u16 = 8080;
/// Where the tests reach the server.
pub(crate) const ADDRESS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(SERVER_IPV4), PORT);
/// `target/…/http`.
pub(crate) const HTTP: &str = env!("CARGO_BIN_EXE_http");
/// `target/…/echo`.
pub(crate) const ECHO: &str = env!("CARGO_BIN_EXE_echo");

const START_MAX: Duration = Duration::from_secs(20);
const REPORT_MAX: Duration = Duration::from_secs(10);
const END_MAX: Duration = Duration::from_secs(20);

/// A command that serves over `AF_XDP` on the lab's server end, with an address of its own.
pub(crate) fn command(lab: &Lab, program: &str, more: &[&str]) -> Command {
    let mut command = bare_command(lab, program);
    command.args(["--address", "198.18.0.1/24"]).args(more);
    command
}

/// The same without an address.
pub(crate) fn bare_command(lab: &Lab, program: &str) -> Command {
    let mut command = lab.command(Side::Server, program).expect("the server's namespace");
    let port = PORT.to_string();
    command.args(["--backend", "xdp", "--lab", "off", "--interface", SERVER_INTERFACE, "--port", &port]);
    command
}

/// A running server; killed when dropped.
pub(crate) struct Server {
    child: Guarded,
    lines: Receiver<String>,
    errors: thread::JoinHandle<String>,
    /// Everything that it has printed so far.
    pub(crate) said: String,
}

/// A server that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    /// Everything that it printed.
    pub(crate) said: String,
    pub(crate) errors: String,
}

impl Server {
    /// Starts `program` on `lab` and waits until it serves.
    #[track_caller]
    pub(crate) fn start(lab: &Lab, program: &str, more: &[&str]) -> Self {
        Self::spawn(&mut command(lab, program, more))
    }

    /// Starts a command and waits until it serves.
    #[track_caller]
    pub(crate) fn spawn(command: &mut Command) -> Self {
        let mut child = Guarded::spawn(command);
        let out = child.0.stdout.take().expect("piped");
        let mut err = child.0.stderr.take().expect("piped");
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let errors = thread::spawn(move || {
            let mut text = String::new();
            err.read_to_string(&mut text).map_or_else(|error| error.to_string(), |_| text)
        });
        let mut server = Self { child, lines, errors, said: String::new() };
        match server.read_until("try: ", START_MAX) {
            Ok(_) => server,
            Err(why) => {
                let ended = server.end(Duration::from_secs(1));
                panic!("{command:?} does not serve ({why}): {ended:#?}")
            }
        }
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.0.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child.0), signal).expect("the server is there");
    }

    /// Asks for a report.
    #[track_caller]
    pub(crate) fn report(&mut self) -> Report {
        self.signal(Signal::USR1);
        match self.read_until(LAST_LINE, REPORT_MAX) {
            Ok(text) => Report::parse(&text),
            Err(why) => panic!("no report ({why}) after:\n{}", self.said),
        }
    }

    /// Asks for reports until one says that everything is back.
    #[track_caller]
    pub(crate) fn await_rest(&mut self, limit: Duration) -> Report {
        let end = Instant::now() + limit;
        loop {
            let report = self.report();
            if report.at_rest() {
                return report;
            }
            assert!(Instant::now() < end, "still in use after {limit:?}:\n{}", report.text);
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// Ends it in order, which must succeed; answers its last report.
    #[track_caller]
    pub(crate) fn stop(self) -> Report {
        self.signal(Signal::TERM);
        let ended = self.end(END_MAX);
        assert_eq!(ended.status.code(), Some(0), "{ended:#?}");
        assert_eq!(ended.errors, "", "{}", ended.said);
        Report::parse(&ended.said)
    }

    /// Waits for its end, at most `limit`; kills it then.
    pub(crate) fn end(mut self, limit: Duration) -> Ended {
        let until = Instant::now() + limit;
        while Instant::now() < until && self.child.0.try_wait().expect("wait").is_none() {
            thread::sleep(Duration::from_millis(5));
        }
        // Without effect on one that has ended.
        let _ = self.child.0.kill();
        let status = self.child.0.wait().expect("wait");
        while let Ok(line) = self.lines.recv() {
            self.keep(&line);
        }
        Ended { status, said: self.said, errors: self.errors.join().expect("reader") }
    }

    fn read_until(&mut self, wanted: &str, limit: Duration) -> Result<String, RecvTimeoutError> {
        let until = Instant::now() + limit;
        let from = self.said.len();
        loop {
            let line = self.lines.recv_timeout(until.saturating_duration_since(Instant::now()))?;
            self.keep(&line);
            if line.starts_with(wanted) {
                return Ok(self.said[from..].to_owned());
            }
        }
    }

    fn keep(&mut self, line: &str) {
        self.said.push_str(line);
        self.said.push('\n');
    }
}
