//! What can go wrong with a lab, with the names and the `errno` that a person needs.

use std::io;
use std::path::PathBuf;

/// Why a lab could not be made, used or removed.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// The process may not make namespaces or links.
    #[error("a lab needs {capability}, which this process does not have: run as root")]
    MissingCapability {
        /// The capability as capabilities(7) spells it.
        capability: &'static str,
    },
    /// The name cannot be a file name of three namespaces.
    #[error("lab name {name:?} is not 1 to 48 letters, digits, '-' or '_'")]
    InvalidName {
        /// The name as given.
        name: String,
    },
    /// A running process holds the lab's lock.
    #[error("lab {name} is in use by {}", holder(*pid))]
    InUse {
        /// The lab's name.
        name: String,
        /// The process that holds it, if it has written its number already.
        pid: Option<u32>,
    },
    /// The side is not part of this lab.
    #[error("lab {name} has no middle namespace: ask for one when building it")]
    NoMiddle {
        /// The lab's name.
        name: String,
    },
    /// A sysctl that no namespace has for itself.
    #[error("sysctl {key:?} is not one of a network namespace: it does not begin with \"net.\"")]
    NotNetwork {
        /// The key as given.
        key: String,
    },
    /// A queue number beyond the link's.
    #[error("queue {queue} of {interface} is out of range: it has {queues}")]
    QueueOutOfRange {
        /// The link's end.
        interface: &'static str,
        /// The queue asked for, from 0.
        queue: u16,
        /// How many queues there are.
        queues: u16,
    },
    /// A file of the lab (lock, mount point, sysfs or sysctl attribute).
    #[error("cannot {action} {}: {source}", path.display())]
    File {
        /// What was tried, as a verb.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
    /// Making or entering a namespace.
    #[error("cannot {action} network namespace {namespace}: {source}")]
    Namespace {
        /// What was tried, as a verb.
        action: &'static str,
        /// The namespace's name.
        namespace: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// A request to rtnetlink(7).
    #[error("cannot {action} {interface}: {source}")]
    Netlink {
        /// What was tried, as a verb.
        action: &'static str,
        /// The link it was about.
        interface: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// A request to `SIOCETHTOOL`.
    #[error("cannot turn {feature} of {interface} off (`ethtool -K {interface} {feature} off`): {source}")]
    Offload {
        /// The link's end.
        interface: String,
        /// The feature as ethtool(8) spells it.
        feature: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The relay in the middle namespace.
    #[error("the relay cannot {action} on {interface}: {source}")]
    Relay {
        /// What was tried, as a verb.
        action: &'static str,
        /// The link's end that it listens on.
        interface: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
    /// No thread could be started.
    #[error("cannot start a thread for the lab: {source}")]
    Thread {
        /// The kernel's answer.
        #[from]
        source: io::Error,
    },
}

fn holder(pid: Option<u32>) -> String {
    pid.map_or_else(|| "a process that is just starting".to_owned(), |pid| format!("pid {pid}"))
}

impl LabError {
    pub(super) fn file(action: &'static str, path: impl Into<PathBuf>, source: impl Into<io::Error>) -> Self {
        Self::File { action, path: path.into(), source: source.into() }
    }

    pub(super) fn namespace(action: &'static str, namespace: &str, source: impl Into<io::Error>) -> Self {
        Self::Namespace { action, namespace: namespace.to_owned(), source: source.into() }
    }
}
