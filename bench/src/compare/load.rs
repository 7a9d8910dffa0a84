//! One run of wrk against one server.

use std::io::Read as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use bywash_xdp::lab::{SERVER_IPV4, Side};

use super::server::Server;
use crate::interrupt::Interrupt;
use crate::machine::{Snapshot, process_cpu};

/// How long wrk may run over its time.
const PATIENCE: Duration = Duration::from_secs(10);

/// What wrk is told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    pub(super) connections: u32,
    pub(super) duration: Duration,
}

/// What one run gave.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub(super) requests_per_second: f64,
    /// Busy time of the server's core for each request, in microseconds.
    pub(super) server_core_us: f64,
    /// The same of all cores.
    pub(super) all_cores_us: f64,
    /// CPU time of the server's process alone, without what interrupts do for it; NaN where the kernel does not say.
    pub(super) process_us: f64,
    /// Latency in microseconds as wrk sees it.
    pub(super) p50_us: f64,
    pub(super) p99_us: f64,
    /// What wrk says about errors; empty if nothing.
    pub(super) complaints: String,
}

/// Says how to get wrk if it is not there.
pub(super) fn check_wrk() -> Result<()> {
    // wrk without arguments prints its usage and ends with 1.
    let found = Command::new("wrk").arg("-v").stdout(Stdio::null()).stderr(Stdio::null()).status();
    found.map(drop).context("cannot run wrk; on Debian: apt-get install wrk")
}

/// Runs wrk in the client's namespace, on the core that the caller is pinned to.
pub(super) fn run(server: &Server, load: Load, server_core: usize, interrupt: &Interrupt) -> Result<Run> {
    let url = format!("http://{SERVER_IPV4}:8080/plaintext");
    let cpu_before = process_cpu(server.pid());
    let before = Snapshot::take()?;
    let output = run_wrk(server, load, &url, interrupt)?;
    let interval = before.elapsed()?;
    let cpu = process_cpu(server.pid()).zip(cpu_before).map(|(now, then)| now.saturating_sub(then));
    let said = parse(&output).with_context(|| format!("cannot read what wrk says:\n{output}"))?;
    if said.requests == 0 {
        bail!("wrk got no answer from the {} server:\n{output}", server.backend().name());
    }
    let each = |time: Duration| time.as_secs_f64() * 1e6 / said.requests as f64;
    Ok(Run {
        requests_per_second: said.requests as f64 / load.duration.as_secs_f64(),
        server_core_us: each(interval.busy[server_core]),
        all_cores_us: each(interval.busy_all()),
        process_us: cpu.map_or(f64::NAN, each),
        p50_us: said.p50_us,
        p99_us: said.p99_us,
        complaints: said.complaints,
    })
}

fn run_wrk(server: &Server, load: Load, url: &str, interrupt: &Interrupt) -> Result<String> {
    let Load { connections, duration } = load;
    let mut command = server.lab().command(Side::Client, "wrk")?;
    command.args(["-t1", "--latency", "--timeout", "5s"]);
    command.args([format!("-c{connections}"), format!("-d{}s", duration.as_secs()), url.to_owned()]);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let begin = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        let wanted = interrupt.check();
        if wanted.is_err() || begin.elapsed() > duration + PATIENCE {
            child.kill()?;
            child.wait()?;
            wanted?;
            bail!("wrk did not end in time");
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    // A page of text: the pipe holds it all.
    let mut output = String::new();
    child.stdout.take().context("wrk has no output")?.read_to_string(&mut output)?;
    child.stderr.take().context("wrk has no output")?.read_to_string(&mut output)?;
    if !status.success() {
        bail!("wrk ended with {status}:\n{output}");
    }
    Ok(output)
}

#[derive(Debug, PartialEq)]
struct Said {
    requests: u64,
    p50_us: f64,
    p99_us: f64,
    complaints: String,
}

fn parse(output: &str) -> Option<Said> {
    let lines = || output.lines().map(str::trim);
    let requests = lines().find_map(|line| line.split_once(" requests in ")?.0.parse().ok())?;
    let percentile = |name: &str| lines().find_map(|line| micros(line.strip_prefix(name)?.trim()));
    let complaints = lines().filter(|line| line.starts_with("Socket errors") || line.starts_with("Non-2xx"));
    Some(Said {
        requests,
        p50_us: percentile("50%")?,
        p99_us: percentile("99%")?,
        complaints: complaints.collect::<Vec<_>>().join("; "),
    })
}

/// `"12.5ms"` in microseconds.
fn micros(text: &str) -> Option<f64> {
    let unit = text.find(|c: char| c.is_ascii_alphabetic())?;
    let factor = match &text[unit..] {
        "us" => 1.0,
        "ms" => 1e3,
        "s" => 1e6,
        "m" => 60e6,
        _ => return None,
    };
    Some(text[..unit].parse::<f64>().ok()? * factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "Running 2s test @ http://198.18.0.1:8080/plaintext
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   512.33us  100.00us   3.00ms   90.00%
    Req/Sec   120.00k     3.00k  125.00k    60.00%
  Latency Distribution
     50%  498.00us
     75%  530.00us
     90%  600.00us
     99%    1.20ms
  240123 requests in 2.00s, 30.00MB read
  Socket errors: connect 0, read 3, write 0, timeout 0
Requests/sec: 120061.50
";

    #[test]
    fn what_wrk_says_is_read() {
        let said = parse(OUTPUT).unwrap();
        assert_eq!(said.requests, 240_123);
        assert!((said.p50_us - 498.0).abs() < 1e-9 && (said.p99_us - 1200.0).abs() < 1e-9);
        assert_eq!(said.complaints, "Socket errors: connect 0, read 3, write 0, timeout 0");
    }

    #[test]
    fn other_text_is_no_result() {
        assert_eq!(parse("unable to connect to 198.18.0.1:8080 Connection refused"), None);
        assert_eq!(micros("7parsecs"), None);
    }
}
