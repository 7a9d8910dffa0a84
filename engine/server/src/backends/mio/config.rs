//! Settings, counters and errors of the mio backend.

use std::io;
use std::net::SocketAddr;

use bywash_core::base::OutOfMemory;
use bywash_core::stack::Reuse;

/// Settings of a [`MioTransport`](super::MioTransport).
#[derive(Clone, Debug)]
pub struct MioConfig {
    /// Where to listen; port 0 lets the kernel choose. None: only active opens.
    pub listen: Vec<SocketAddr>,
    /// Length of each accept queue (`listen(2)`; the kernel caps it at `net.core.somaxconn`).
    pub backlog: u32,
    /// Whether connections of the port that are left over may be there (`SO_REUSEADDR`).
    pub reuse_addr: Reuse,
    /// Whether several shards listen on the same addresses (`SO_REUSEPORT`).
    pub reuse_port: ReusePort,
    /// Connections at a time, at most. Beyond it connections wait in the accept queue.
    pub connections_max: u32,
    /// Connections accepted in one turn, at most (at least 1).
    pub accept_budget_max: u32,
    /// Bytes queued on a connection at which its send buffer counts as full (`SO_SNDBUF`, at least 1).
    pub send_buffer_max: usize,
    /// Bytes that may be reserved in one piece, at most.
    pub message_max: usize,
}

/// Whether several sockets may listen on one address and port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReusePort {
    /// They may, and the kernel spreads new connections over them by hash.
    Shared,
    /// Only one may: a second listener is refused.
    Exclusive,
}

impl Default for MioConfig {
    fn default() -> Self {
        Self {
            listen: Vec::new(),
            backlog: 4096,
            reuse_addr: Reuse::On,
            reuse_port: ReusePort::Exclusive,
            connections_max: 16_384,
            accept_budget_max: 64,
            send_buffer_max: 256 * 1024,
            message_max: 2 * 1024 * 1024,
        }
    }
}

/// What a [`MioTransport`](super::MioTransport) has done since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Connections accepted.
    pub accepted: u64,
    /// Connections that the application opened.
    pub connected: u64,
    /// Times that accepting had to wait because `connections_max` connections were open.
    pub accept_paused_connections: u64,
    /// Times that accepting had to wait because the process or the machine was out of descriptors.
    pub accept_paused_descriptors: u64,
    /// Connections that were lost between the accept queue and us.
    pub accept_failed: u64,
    /// `epoll_wait` calls.
    pub polls: u64,
    /// `epoll_wait` calls that failed.
    pub polls_failed: u64,
    /// `read` calls that brought bytes.
    pub reads: u64,
    /// `write` calls that took bytes.
    pub writes: u64,
    /// `write` calls that took less than was queued: the kernel's send buffer was full.
    pub writes_short: u64,
    /// Bytes received.
    pub received_bytes: u64,
    /// Received bytes that were copied because the application left them unread.
    pub copied_bytes: u64,
    /// Bytes sent.
    pub sent_bytes: u64,
}

/// Why a [`MioTransport`](super::MioTransport) could not be made.
#[derive(Debug, thiserror::Error)]
pub enum MioError {
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the kernel said.
        source: io::Error,
    },
    /// The kernel gave no epoll instance or eventfd.
    #[error("cannot set up epoll: {0}")]
    Poll(#[source] io::Error),
    /// The tables for `connections_max` connections do not fit.
    #[error(transparent)]
    OutOfMemory(#[from] OutOfMemory),
}
