//! What a report must say about the machine, and what its cores did in an interval.

use std::fmt;
use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::param::clock_ticks_per_second;
use rustix::thread::{CpuSet, sched_setaffinity};

/// What the figures were measured on.
#[derive(Clone, Debug)]
pub struct Machine {
    kernel: String,
    cpu: String,
    cores: usize,
}

impl Machine {
    /// This machine.
    ///
    /// # Errors
    /// Without `/proc`.
    pub fn read() -> Result<Self> {
        let kernel = read("/proc/sys/kernel/osrelease")?.trim().to_owned();
        let info = read("/proc/cpuinfo")?;
        let model = info.lines().find(|line| line.starts_with("model name"));
        let cpu = model.and_then(|line| line.split_once(": ")).map_or("unknown CPU", |(_, name)| name);
        Ok(Self { kernel, cpu: cpu.to_owned(), cores: Snapshot::take()?.idle.len() })
    }

    /// Cores that are online.
    pub fn cores(&self) -> usize {
        self.cores
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Linux {}, {} cores of {}", self.kernel, self.cores, self.cpu)
    }
}

/// The cores' clocks at one moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    at: Instant,
    /// Time idle since boot, by core; waiting for a disk is idle.
    idle: Vec<Duration>,
    /// Time that the hypervisor took, all cores together.
    steal: Duration,
}

impl Snapshot {
    /// Reads `/proc/stat`, whose unit is the clock tick (10 ms): intervals should be seconds long.
    ///
    /// # Errors
    /// Without `/proc`.
    pub fn take() -> Result<Self> {
        let text = read("/proc/stat")?;
        let at = Instant::now();
        let (idle, steal) = parse_stat(&text);
        Ok(Self { at, idle, steal })
    }

    /// What happened since.
    ///
    /// # Errors
    /// Without `/proc`.
    pub fn elapsed(&self) -> Result<Interval> {
        let now = Self::take()?;
        let wall = now.at - self.at;
        let busy = now.idle.iter().zip(&self.idle).map(|(now, then)| {
            // A tick may end on either side of the moment.
            wall.saturating_sub(now.saturating_sub(*then))
        });
        Ok(Interval { wall, busy: busy.collect(), steal: now.steal.saturating_sub(self.steal) })
    }
}

/// Idle time by core and steal of all.
fn parse_stat(text: &str) -> (Vec<Duration>, Duration) {
    // user nice system idle iowait irq softirq steal; proc_stat(5).
    let fields = |line: &str| -> Vec<u64> {
        line.split_whitespace().skip(1).map(|field| field.parse().unwrap_or(0)).collect()
    };
    let tick = |fields: &[u64], index: usize| {
        let ticks = fields.get(index).copied().unwrap_or(0);
        Duration::from_nanos(ticks * (1_000_000_000 / clock_ticks_per_second().max(1)))
    };
    let is_core = |line: &&str| line.strip_prefix("cpu").is_some_and(|rest| !rest.starts_with(' '));
    let idle = text.lines().filter(is_core).map(fields).map(|core| tick(&core, 3) + tick(&core, 4)).collect();
    let all = text.lines().next().map(fields).unwrap_or_default();
    (idle, tick(&all, 7))
}

/// What the cores did between two moments.
#[derive(Clone, Debug)]
pub struct Interval {
    /// Its length.
    pub wall: Duration,
    /// Wall time less idle time, by core.
    pub busy: Vec<Duration>,
    /// What the hypervisor took from all cores.
    pub steal: Duration,
}

impl Interval {
    /// Busy time of all cores.
    pub fn busy_all(&self) -> Duration {
        self.busy.iter().sum()
    }

    /// Steal as a share of all cores' time, 0 to 1.
    pub fn steal_share(&self) -> f64 {
        self.steal.as_secs_f64() / (self.wall.as_secs_f64() * self.busy.len().max(1) as f64)
    }
}

/// CPU time that all threads of a process have used, or `None` if the kernel does not say.
pub fn process_cpu(pid: u32) -> Option<Duration> {
    let mut nanoseconds = 0;
    for thread in fs::read_dir(format!("/proc/{pid}/task")).ok()? {
        // A thread may end meanwhile.
        let Ok(text) = fs::read_to_string(thread.ok()?.path().join("schedstat")) else { continue };
        nanoseconds += text.split_whitespace().next()?.parse::<u64>().ok()?;
    }
    Some(Duration::from_nanos(nanoseconds))
}

/// Keeps the calling thread, and processes that it starts, on one core.
///
/// # Errors
/// When there is no such core, or the process may not use it.
pub fn pin(core: usize) -> Result<()> {
    let mut set = CpuSet::new();
    set.set(core);
    sched_setaffinity(None, &set).with_context(|| format!("cannot stay on core {core}"))
}

/// The middle one of `values`, or 0 of none.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

fn read(path: &str) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_and_steal_are_found() {
        let text = "cpu  10 0 5 300 20 0 7 9 0 0\ncpu0 4 0 2 100 10 0 3 4 0 0\ncpu1 6 0 3 200 10 0 4 5 0 0\nintr 1\n";
        let (idle, steal) = parse_stat(text);
        assert_eq!(idle, [Duration::from_millis(1100), Duration::from_millis(2100)]);
        assert_eq!(steal, Duration::from_millis(90));
    }

    #[test]
    fn a_busy_process_is_seen() {
        let begin = Instant::now();
        let before = process_cpu(std::process::id()).unwrap();
        while begin.elapsed() < Duration::from_millis(50) {}
        assert!(process_cpu(std::process::id()).unwrap() > before);
    }

    #[test]
    fn the_median_is_the_middle() {
        assert!((median(vec![9.0, 1.0, 5.0]) - 5.0).abs() < f64::EPSILON);
    }
}
