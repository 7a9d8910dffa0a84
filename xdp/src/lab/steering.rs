//! Which CPU does the receive work of an end (RPS), and which queue a CPU sends on (XPS).
//! Documentation/networking/scaling.rst of the kernel tells the rest.

use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::thread;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use super::error::LabError;

/// A set of the CPUs 0 to 63.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CpuMask(u64);

impl CpuMask {
    /// No CPU: for RPS "stay on the CPU of the interrupt", for XPS "no preference".
    pub const NONE: Self = Self(0);

    /// Bit `n` stands for CPU `n`.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The CPU with this number alone, or `None` if it is above 63.
    pub fn single(cpu: u32) -> Option<Self> {
        1_u64.checked_shl(cpu).map(Self)
    }
}

impl fmt::Display for CpuMask {
    /// The form that sysfs reads: hexadecimal, a comma between groups of 32 bits, no group more than needed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 >> 32 {
            0 => write!(f, "{:x}", self.0),
            high => write!(f, "{high:x},{:08x}", self.0 & 0xffff_ffff),
        }
    }
}

/// Where each end's receive work runs. On veth it would otherwise run on the CPU of the sender and be charged to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReceiveSteering {
    /// The server's end on the lower half of the CPUs, the client's on the upper half; nothing on a machine with one.
    #[default]
    Split,
    /// Left as the kernel has it.
    Untouched,
    /// As told.
    Masks {
        /// RPS mask of all receive queues of the server's end.
        server: CpuMask,
        /// RPS mask of all receive queues of the client's end.
        client: CpuMask,
    },
}

impl ReceiveSteering {
    /// The masks for the server's and the client's end.
    pub(super) fn masks(self) -> Option<EndMasks> {
        match self {
            Self::Split => split(online_cpus()),
            Self::Untouched => None,
            Self::Masks { server, client } => Some(EndMasks { server, client }),
        }
    }
}

/// One mask for each end.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct EndMasks {
    pub(super) server: CpuMask,
    pub(super) client: CpuMask,
}

/// How many CPUs are online, 64 at most. The caller's own affinity does not matter: the receive work is the kernel's.
fn online_cpus() -> u32 {
    let list = fs::read_to_string("/sys/devices/system/cpu/online").unwrap_or_default();
    let last = list.trim().rsplit([',', '-']).next().and_then(|n| n.parse::<u32>().ok());
    last.map_or(1, |n| n.saturating_add(1).min(64))
}

fn split(cpus: u32) -> Option<EndMasks> {
    if cpus < 2 {
        return None;
    }
    let all = u64::MAX >> (64 - cpus);
    let lower = u64::MAX >> (64 - cpus / 2);
    Some(EndMasks { server: CpuMask(lower), client: CpuMask(all & !lower) })
}

/// One CPU for each queue, from those that the process may run on; `None` if there are fewer of them.
pub(super) fn lane_cpus(queues: u16) -> Result<Option<Vec<usize>>, LabError> {
    // A thread of its own, because asking for every CPU would undo the caller's pinning.
    let allowed = thread::Builder::new()
        .spawn(|| {
            let mut all = CpuSet::new();
            (0..CpuSet::MAX_CPU).for_each(|cpu| all.set(cpu));
            sched_setaffinity(None, &all).and_then(|()| sched_getaffinity(None))
        })?
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        .map_err(std::io::Error::from)?;
    let cpus: Vec<usize> = (0..64).filter(|&cpu| allowed.is_set(cpu)).take(usize::from(queues)).collect();
    Ok((cpus.len() == usize::from(queues)).then_some(cpus))
}

/// A per-queue attribute of an interface.
#[derive(Debug, Clone, Copy)]
pub(super) enum QueueAttribute {
    /// `rx-N/rps_cpus`.
    ReceiveCpus,
    /// `tx-N/xps_cpus`.
    TransmitCpus,
}

/// Writes the attribute of one queue. The thread's `/sys` must be that of the interface's namespace.
pub(super) fn write_mask(
    interface: &str,
    attribute: QueueAttribute,
    queue: u16,
    mask: CpuMask,
) -> Result<(), LabError> {
    let file = match attribute {
        QueueAttribute::ReceiveCpus => format!("rx-{queue}/rps_cpus"),
        QueueAttribute::TransmitCpus => format!("tx-{queue}/xps_cpus"),
    };
    let path = PathBuf::from("/sys/class/net").join(interface).join("queues").join(file);
    fs::write(&path, mask.to_string()).map_err(|e| LabError::file("write", path, e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_read_as_sysfs_wants_them() {
        assert_eq!(CpuMask::from_bits(3).to_string(), "3");
        assert_eq!(CpuMask::NONE.to_string(), "0");
        assert_eq!(CpuMask::single(32).map(|m| m.to_string()).as_deref(), Some("1,00000000"));
        assert_eq!(CpuMask::from_bits(0x8000_0001_0000_00f0).to_string(), "80000001,000000f0");
        assert_eq!(CpuMask::single(64), None);
    }

    #[test]
    fn the_split_covers_every_cpu_once() {
        assert_eq!(split(1), None);
        for cpus in 2..=64 {
            let EndMasks { server, client } = split(cpus).expect("two or more");
            assert_eq!(server.0 & client.0, 0);
            assert_eq!(server.0 | client.0, u64::MAX >> (64 - cpus));
            assert!(server.0 != 0 && client.0 != 0);
        }
        assert_eq!(split(2), Some(EndMasks { server: CpuMask(1), client: CpuMask(2) }));
    }
}
