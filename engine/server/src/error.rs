//! What can go wrong, in one sentence each, and the exit code that says so to a script.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;

use bywash_core::base::OutOfMemory;
use bywash_core::stack::{ListenError, StackError};
use bywash_xdp::lab::LabError;

use crate::config::ConfigError;

/// The table of exit codes at the end of `--help`.
pub const EXIT_CODES: &str = "\
Exit codes:
    0  ended in order after SIGTERM or SIGINT
    1  the operating system refused something else
    2  wrong command line or configuration
    3  missing privileges
    4  the kernel has no AF_XDP
    5  no such interface
    6  a queue is taken, out of range, or left unserved
    7  the MTU is too large for the mode
    8  the address is the kernel's, or is not
    9  the port is taken
   10  the lab could not be made
   11  a shard ended unexpectedly
  130  ended at once by a second SIGINT (143: SIGTERM)";

/// Why a server cannot start or go on. The text is one sentence for the person at the terminal.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The command line is wrong, or asks for help.
    #[error(transparent)]
    Arguments(#[from] clap::Error),
    /// A file or value is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The kernel lacks what `AF_XDP` needs.
    #[error(
        "backend xdp needs a kernel with AF_XDP (CONFIG_XDP_SOCKETS), which this one does not have: choose --backend mio"
    )]
    NoAfXdp,
    /// `AF_XDP` was asked for without the privileges.
    #[error("backend xdp needs root or {missing}; run it with sudo, or choose --backend mio")]
    NoPrivileges {
        /// The capabilities that are missing.
        missing: String,
    },
    /// Frames to an owned address would be answered twice.
    #[error(
        "{address} is one of the kernel's own addresses on {interface}, so it cannot be owned as well: \
         add --address-kind shared, or remove it with: ip addr del {address} dev {interface}"
    )]
    AddressUsedByKernel {
        /// The address, with its prefix length.
        address: String,
        /// The interface that has it.
        interface: String,
    },
    /// An address to be shared is not the host's.
    #[error(
        "{address} is not one of the kernel's addresses on {interface}, so there is no host to share it with: \
         add --address-kind owned"
    )]
    AddressNotShared {
        /// The address.
        address: IpAddr,
        /// The interface.
        interface: String,
    },
    /// There is nothing to serve on.
    #[error("{interface} has no address to serve on: give one with --address")]
    NoAddress {
        /// The interface.
        interface: String,
    },
    /// As many queues as the interface spreads to, but not the same.
    #[error("{interface} spreads frames to queues 0 to {}, and nobody would serve queue {queue}: choose --queues all", spread - 1)]
    QueueUnserved {
        /// The interface.
        interface: String,
        /// The first queue that would not be served.
        queue: u32,
        /// How many queues frames are spread to, from 0.
        spread: u32,
    },
    /// The interface, a queue or the program.
    #[error(transparent)]
    Xdp(#[from] bywash_xdp::Error),
    /// The stack does not fit or contradicts itself.
    #[error("the stack cannot be made: {0}")]
    Stack(#[from] StackError),
    /// The stack does not listen.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// Another program listens there.
    #[error("{address} is taken: another program listens there; choose another --port")]
    PortTaken {
        /// Address and port.
        address: SocketAddr,
    },
    /// The capture file cannot be made.
    #[error("cannot write the capture file {file}: {source}", file = file.display())]
    Capture {
        /// The file.
        file: PathBuf,
        /// What the kernel says.
        source: io::Error,
    },
    /// Nobody here has the address that the kernel's TCP is to listen on.
    #[error("{address} is not an address of this host, so the kernel's TCP cannot listen on it")]
    NotOurAddress {
        /// The address.
        address: IpAddr,
    },
    /// The tables that `connections_max` asks for do not fit.
    #[error("{0}; ask for fewer connections_max")]
    OutOfMemory(#[from] OutOfMemory),
    /// The lab cannot be made or removed.
    #[error(transparent)]
    Lab(#[from] LabError),
    /// A core that does not exist or may not be used.
    #[error("core {core} cannot be used; this process may use {allowed}")]
    NoSuchCore {
        /// The core asked for.
        core: u32,
        /// The cores that there are.
        allowed: String,
    },
    /// A shard's thread ended by a panic, which has been printed.
    #[error("shard {shard} ended unexpectedly; the message above says where")]
    ShardPanicked {
        /// The shard.
        shard: usize,
    },
    /// The kernel refused something that is not the caller's fault.
    #[error("{what}: {source}")]
    Os {
        /// What was tried.
        what: &'static str,
        /// What the kernel says.
        source: io::Error,
    },
}

impl Error {
    /// For `map_err`: an error of the operating system while doing `what`.
    pub(crate) fn os<E: Into<io::Error>>(what: &'static str) -> impl FnOnce(E) -> Self {
        move |source| Self::Os { what, source: source.into() }
    }

    /// The process's exit code for it (see [`EXIT_CODES`]).
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Arguments(error) => u8::try_from(error.exit_code()).unwrap_or(2),
            Self::Config(_) | Self::NoAddress { .. } | Self::NoSuchCore { .. } | Self::Capture { .. } => 2,
            Self::NoPrivileges { .. } | Self::Lab(LabError::MissingCapability { .. }) => 3,
            Self::NoAfXdp => 4,
            Self::AddressUsedByKernel { .. } | Self::AddressNotShared { .. } | Self::NotOurAddress { .. } => {
                8
            }
            Self::PortTaken { .. } => 9,
            Self::Lab(_) => 10,
            Self::OutOfMemory(_) | Self::Stack(_) | Self::Listen(_) => 1,
            Self::QueueUnserved { .. } => 6,
            Self::Xdp(error) => xdp_exit_code(error),
            Self::ShardPanicked { .. } => 11,
            Self::Os { source, .. } => match source.kind() {
                io::ErrorKind::PermissionDenied => 3,
                io::ErrorKind::AddrInUse => 9,
                _ => 1,
            },
        }
    }
}

fn xdp_exit_code(error: &bywash_xdp::Error) -> u8 {
    use bywash_xdp::Error as Xdp;
    match error {
        Xdp::Config { .. } => 2,
        Xdp::NotPermitted { .. } => 3,
        Xdp::NoAfXdp => 4,
        Xdp::NoSuchInterface { .. } => 5,
        Xdp::QueueOutOfRange { .. }
        | Xdp::QueueBusy { .. }
        | Xdp::ProgramBusy { .. }
        | Xdp::FewerQueuesServed { .. } => 6,
        Xdp::MtuTooLarge { .. } => 7,
        Xdp::ZeroCopyRefused { .. } | Xdp::TableFull { .. } | Xdp::Program { .. } | Xdp::Os { .. } => 1,
    }
}

/// Ends a program: prints what went wrong, if something did, and gives its exit code.
///
/// ```no_run
/// fn main() -> std::process::ExitCode {
///     bywash::finish(bywash::Arguments::<bywash::NoExtra>::parse("echo", "An echo server").map(|_| ()))
/// }
/// ```
pub fn finish(result: Result<(), Error>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if let Error::Arguments(error) = &error {
                // `--help` goes to standard output and is no error; a closed output is nobody's to tell.
                let _ = error.print();
            } else {
                eprintln!("error: {error}");
            }
            ExitCode::from(error.exit_code())
        }
    }
}
