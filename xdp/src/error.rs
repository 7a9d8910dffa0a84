//! What can go wrong at set-up, who is to blame for it, and the fix where there is one.

use std::io;

/// Result of a set-up call of this package.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a socket, program or interface could not be set up. The text of each error is one sentence for
/// the person at the terminal; [`Error::blame`] says where to look.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The interface's name or index is unknown in this network namespace.
    #[error("no interface {name}; this network namespace has: {}", known.join(", "))]
    NoSuchInterface {
        /// The name or index asked for.
        name: String,
        /// The names that exist.
        known: Vec<String>,
    },
    /// The queue number is beyond the interface's last receive queue.
    #[error("queue {queue} of {interface} does not exist; its queues are 0 to {}", queues - 1)]
    QueueOutOfRange {
        /// Interface name or index.
        interface: String,
        /// The queue asked for.
        queue: u32,
        /// How many receive queues there are, at least 1.
        queues: u32,
    },
    /// Another `AF_XDP` socket has the queue.
    #[error("queue {queue} of {interface} is taken by another AF_XDP socket (waited {waited_ms} ms for it)")]
    QueueBusy {
        /// Interface name or index.
        interface: String,
        /// The queue asked for.
        queue: u32,
        /// How long the bind was repeated, in milliseconds.
        waited_ms: u64,
    },
    /// Another XDP program is attached to the interface.
    #[error("{interface} already has an XDP program; see it with: ip link show {interface}")]
    ProgramBusy {
        /// Interface name.
        interface: String,
    },
    /// Frames of this MTU do not fit.
    #[error("MTU {mtu} of {interface} is too large for {mode}; fix: ip link set {interface} mtu {max}")]
    MtuTooLarge {
        /// Interface name.
        interface: String,
        /// The interface's MTU in bytes.
        mtu: u32,
        /// The largest MTU that works, in bytes.
        max: u32,
        /// What limits it: the frame size or the attach mode.
        mode: String,
    },
    /// The process lacks a privilege.
    #[error("{what} is not permitted: the process lacks {missing}; run as root or grant it with setcap")]
    NotPermitted {
        /// The operation.
        what: &'static str,
        /// Names of the missing capabilities.
        missing: &'static str,
    },
    /// The kernel has no `AF_XDP`.
    #[error("this kernel has no AF_XDP (CONFIG_XDP_SOCKETS)")]
    NoAfXdp,
    /// The interface spreads frames to queues that nobody reads.
    #[error("{served} queue(s) served but {interface} spreads frames to {spread}; fix: {fix}")]
    FewerQueuesServed {
        /// Interface name.
        interface: String,
        /// Queues with a socket.
        served: u32,
        /// Queues that the interface may choose.
        spread: u32,
        /// The command that mends it.
        fix: String,
    },
    /// Zero-copy was required and the driver does not offer it.
    #[error("zero-copy was required but queue {queue} of {interface} refuses it: {reason}")]
    ZeroCopyRefused {
        /// Interface name or index.
        interface: String,
        /// The queue asked for.
        queue: u32,
        /// The kernel's answer.
        reason: io::Error,
    },
    /// A configuration value is out of its bounds or breaks a relation with another.
    #[error("{field} is {value}, but must be {rule}")]
    Config {
        /// Name of the field.
        field: &'static str,
        /// Its value.
        value: u64,
        /// The rule that it breaks.
        rule: &'static str,
    },
    /// A table of the BPF program is full.
    #[error("the BPF program's table of {what} is full ({max} entries)")]
    TableFull {
        /// What the table holds.
        what: &'static str,
        /// Its size.
        max: u32,
    },
    /// The BPF object does not load or lacks a part.
    #[error("BPF: {what}: {reason}")]
    Program {
        /// The step that failed.
        what: &'static str,
        /// The loader's or verifier's words.
        reason: String,
    },
    /// Any other refusal of the kernel.
    #[error("{call}: {source}")]
    Os {
        /// The system call and option.
        call: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
}

/// Who must act on an [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The caller: a wrong name, number or combination.
    Misuse,
    /// The machine's set-up: something is taken, too small or needs another setting.
    Resource,
    /// The privileges of the process.
    Privilege,
    /// The kernel or driver, which lacks something or refused unexpectedly.
    Os,
}

impl Error {
    /// Who must act.
    pub fn blame(&self) -> Blame {
        match self {
            Self::NoSuchInterface { .. } | Self::QueueOutOfRange { .. } | Self::Config { .. } => {
                Blame::Misuse
            }
            Self::QueueBusy { .. }
            | Self::ProgramBusy { .. }
            | Self::MtuTooLarge { .. }
            | Self::FewerQueuesServed { .. }
            | Self::TableFull { .. } => Blame::Resource,
            Self::NotPermitted { .. } => Blame::Privilege,
            Self::NoAfXdp | Self::ZeroCopyRefused { .. } | Self::Program { .. } | Self::Os { .. } => {
                Blame::Os
            }
        }
    }

    #[cfg(not(loom))]
    pub(crate) fn os(call: &'static str) -> impl FnOnce(rustix::io::Errno) -> Self {
        move |errno| Self::Os { call, source: errno.into() }
    }
}
