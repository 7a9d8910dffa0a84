//! Serving on the kernel's TCP: no privileges, and the fair baseline.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bywash_core::base::time::Instant;
use bywash_xdp::lab::{SERVER_IPV4, ServerAddress};

use super::choose::Place;
use super::control::{Launch, Seed, Supervisor};
use super::place::Standing;
use super::shard_loop::Clock;
use crate::backends::mio::{Counters, MioConfig, MioError, MioTransport, ReusePort};
use crate::backends::{Backend, Waker};
use crate::config::{Cidr, Config, ReuseSwitch};
use crate::error::Error;
use crate::os::cores;
use crate::report::ShardReport;

/// Listens, with as many shards as the configuration says.
pub(super) fn prepare(
    config: &Config,
    place: Place,
    why: &str,
    hint: Option<&str>,
    clock: Clock,
) -> Result<Launch<MioTransport>, Error> {
    let standing = Standing::enter(place, config, |lab| lab.server_address(ServerAddress::Kernel))?;
    let shards = match config.shards {
        0 => cores::allowed()?.len().max(1),
        count => count as usize,
    };
    let listen = addresses(config, place);
    let settings = MioConfig {
        listen: listen.clone(),
        backlog: config.tcp.somaxconn,
        reuse_addr: config.reuse_addr.into(),
        reuse_port: match config.reuse_port {
            ReuseSwitch::Off if shards == 1 => ReusePort::Exclusive,
            ReuseSwitch::On | ReuseSwitch::Off => ReusePort::Shared,
        },
        connections_max: config.connections_max,
        send_buffer_max: config.tcp.tcp_wmem_max as usize,
        ..MioConfig::default()
    };
    match config.reuse_port {
        ReuseSwitch::On => {}
        ReuseSwitch::Off => listen.iter().try_for_each(|address| refuse_if_taken(*address))?,
    }
    let mut seeds: Vec<Seed<MioTransport>> = Vec::with_capacity(shards);
    for _ in 0..shards {
        // Here and not on the shard's thread: a port below 1024 needs a privilege that is given up before.
        let transport = MioTransport::new(&settings, clock.now())?;
        seeds.push(Box::new(move || Ok(transport)));
    }
    let names: Vec<String> = listen.iter().map(ToString::to_string).collect();
    let mut lines = vec![format!("backend mio (the kernel's TCP) on {}: {why}", names.join(", "))];
    lines.extend(unused(config));
    lines.extend(standing.line());
    let hint = standing.hint(hint, listen[0]);
    let after = standing.after();
    Ok(Launch { seeds, lines, hint, after, clock, supervisor: Box::new(Kernel { standing }) })
}

/// Shards share their port, and the kernel would let another server of the same user share it as well: a socket that
/// does not share tells whether somebody listens.
fn refuse_if_taken(address: SocketAddr) -> Result<(), Error> {
    match std::net::TcpListener::bind(address) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(Error::PortTaken { address }),
        // Whatever else is wrong is said when it is listened on.
        Ok(_) | Err(_) => Ok(()),
    }
}

/// What was asked for and has no meaning here.
fn unused(config: &Config) -> Option<String> {
    let default = Config::default();
    let keys = [
        ("capture", config.capture.is_some()),
        ("interface", config.interface.is_some()),
        ("queues", config.queues != default.queues),
        ("mode", config.mode != default.mode),
        ("zero_copy", config.zero_copy != default.zero_copy),
    ];
    let keys: Vec<&str> = keys.into_iter().filter(|(_, is_set)| *is_set).map(|(key, _)| key).collect();
    (!keys.is_empty()).then(|| format!("not used by backend mio: {}", keys.join(", ")))
}

/// At least one address.
fn addresses(config: &Config, place: Place) -> Vec<SocketAddr> {
    let default = match place {
        Place::Lab => SERVER_IPV4,
        Place::Host => Ipv4Addr::LOCALHOST,
    };
    let mut addresses: Vec<IpAddr> = config.address.iter().map(Cidr::address).collect();
    if addresses.is_empty() {
        addresses.push(default.into());
    }
    addresses.into_iter().map(|address| SocketAddr::new(address, config.port)).collect()
}

impl From<MioError> for Error {
    fn from(error: MioError) -> Self {
        match error {
            MioError::Listen { address, source } => match source.kind() {
                io::ErrorKind::AddrInUse => Self::PortTaken { address },
                io::ErrorKind::AddrNotAvailable => Self::NotOurAddress { address: address.ip() },
                _ => Self::Os { what: "cannot listen", source },
            },
            MioError::Poll(source) => Self::Os { what: "cannot set up epoll", source },
            MioError::OutOfMemory(error) => Self::OutOfMemory(error),
        }
    }
}

struct Kernel {
    standing: Standing,
}

impl Supervisor for Kernel {
    fn report(&self, _report: &mut ShardReport) {}

    fn finish(self: Box<Self>) -> Result<(), Error> {
        self.standing.leave()
    }
}

impl Backend for MioTransport {
    fn wait(&mut self, now: Instant, until: Option<Instant>) -> io::Result<()> {
        Self::wait(self, now, until)
    }

    fn waker(&self) -> Waker {
        let waker = Self::waker(self);
        // Writing to an eventfd fails only when it is full, and then it is readable: awake anyway.
        Arc::new(move || drop(waker.wake()))
    }

    fn report(&self, report: &mut ShardReport) {
        let Counters {
            accepted,
            connected,
            accept_paused_connections,
            accept_paused_descriptors,
            accept_failed,
            polls,
            polls_failed,
            reads,
            writes,
            writes_short,
            received_bytes,
            copied_bytes,
            sent_bytes,
        } = *self.counters();
        report.add("connections", "accepted", accepted);
        report.add("connections", "connected", connected);
        report.add("connections", "accept paused at connections_max", accept_paused_connections);
        report.add("connections", "accept paused: no descriptors", accept_paused_descriptors);
        report.add("connections", "accept failed", accept_failed);
        report.add("system calls", "epoll_wait", polls);
        report.add("system calls", "epoll_wait failed", polls_failed);
        report.add("system calls", "read", reads);
        report.add("system calls", "write", writes);
        report.add("system calls", "write cut short", writes_short);
        report.add("bytes", "received", received_bytes);
        report.add("bytes", "copied because unread", copied_bytes);
        report.add("bytes", "sent", sent_bytes);
    }
}
