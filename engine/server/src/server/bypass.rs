//! Serving with our own TCP over `AF_XDP`: the interface, its program, one socket and one stack for each queue.
//!
//! | file | what is in it |
//! |---|---|
//! | `addresses` | whose the addresses are, checked with the kernel |
//! | `queues` | which queues are served, and their sockets |
//! | `stacks` | the stacks and the mesh between them |
//! | `host_facts` | neighbours and routes of shared addresses, from the kernel |

mod addresses;
mod host_facts;
mod queues;
mod stacks;

use std::net::SocketAddr;
use std::num::NonZeroU16;

use bywash_xdp::lab::{LabBuilder, SERVER_INTERFACE, ServerAddress};
use bywash_xdp::nic::Interface;
use bywash_xdp::program::{self, AttachedMode, Program};

use super::choose::Place;
use super::control::{Launch, Seed, Supervisor};
use super::place::Standing;
use super::shard_loop::Clock;
use crate::backends::xdp::{XdpBackend, report_program};
use crate::capture::Recorder;
use crate::config::{AddressKind, Config, Mode, Queues};
use crate::error::Error;
use crate::os::netlink;
use crate::report::ShardReport;
use addresses::Addresses;
use host_facts::{Asked, HostFacts};
use queues::Opened;

/// Sets everything up; frames arrive from now on and wait in the rings.
pub(super) fn prepare(
    config: &Config,
    place: Place,
    hint: Option<&str>,
    clock: Clock,
) -> Result<Launch<XdpBackend>, Error> {
    let standing = Standing::enter(place, config, |lab| shape(lab, config))?;
    let name = match place {
        Place::Lab => SERVER_INTERFACE,
        Place::Host => config.interface.as_deref().unwrap_or_default(),
    };
    let interface = Interface::by_name(name)?;
    let chosen = queues::choose(config, &interface)?;
    let known =
        netlink::addresses(interface.index()).map_err(Error::os("cannot ask for the kernel's addresses"))?;
    let addresses = Addresses::settle(config, place, name, &known)?;

    let mut program = Program::load()?;
    let mode = program.attach(name, mode(config.mode))?.mode().clone();
    let opened = queues::open(config, &interface, &chosen, &mut program)?;
    let recorder = config.capture.as_deref().map(|file| Recorder::start(file, name, &chosen)).transpose()?;

    let (asked, gateways) = match addresses.kind {
        AddressKind::Owned => (None, config.gateway.clone()),
        AddressKind::Shared => {
            let asked = Asked::of(interface.index())?;
            let gateways = if config.gateway.is_empty() { asked.gateways() } else { config.gateway.clone() };
            (Some(asked), gateways)
        }
    };
    let lines = lines(config, &standing, &interface, &mode, &opened, &addresses);
    let listen = SocketAddr::new(addresses.first(), config.port);
    let built = stacks::build(config, &interface, &addresses, &gateways, opened, recorder.as_ref(), clock)?;
    let facts = asked.map(|asked| asked.follow(built.mesh)).transpose()?;
    // Last, so that no frame of ours is dropped for want of a socket.
    addresses.claim(&mut program, config.port)?;

    let seeds = built.backends.into_iter().map(|backend| Box::new(move || Ok(backend)) as Seed<_>).collect();
    let (hint, after) = (standing.hint(hint, listen), standing.after());
    let supervisor = Box::new(Bypass { facts, program, recorder, standing });
    Ok(Launch { seeds, lines, hint, after, clock, supervisor })
}

fn shape(lab: LabBuilder, config: &Config) -> LabBuilder {
    let lab = match config.address_kind {
        AddressKind::Owned => lab.server_address(ServerAddress::Stack),
        AddressKind::Shared => lab.server_address(ServerAddress::Kernel),
    };
    let wanted = match &config.queues {
        Queues::All => return lab,
        Queues::Count(count) => *count,
        Queues::List(list) => list.iter().max().map_or(1, |last| last.saturating_add(1)),
    };
    // A queue beyond what the lab can have is refused when the queues are chosen.
    u16::try_from(wanted).ok().and_then(NonZeroU16::new).map_or(lab.clone(), |count| lab.queues(count))
}

fn mode(mode: Mode) -> program::Mode {
    match mode {
        Mode::Auto => program::Mode::Auto,
        Mode::Native => program::Mode::Native,
        Mode::Generic => program::Mode::Generic,
    }
}

/// What was taken, and in one line why not better.
fn lines(
    config: &Config,
    standing: &Standing,
    interface: &Interface,
    mode: &AttachedMode,
    opened: &[Opened],
    addresses: &Addresses,
) -> Vec<String> {
    let mut reasons = Vec::new();
    let attached = match mode {
        AttachedMode::Native { .. } => "native mode",
        AttachedMode::Generic { why_not_native } => {
            reasons.extend(why_not_native.as_ref().map(|why| format!("not native: {why}")));
            "generic mode"
        }
    };
    let copy = queues::describe(opened, &mut reasons);
    let list: Vec<String> = opened.iter().map(|opened| opened.queue.to_string()).collect();
    let plural = if list.len() == 1 { "" } else { "s" };
    let mut lines: Vec<String> = standing.line().into_iter().collect();
    lines.push(format!(
        "backend xdp on {}: {attached}, {copy}, queue{plural} {}, {addresses}, port {}",
        interface.name(),
        list.join(", "),
        config.port,
    ));
    if !reasons.is_empty() {
        lines.push(format!("why not better: {}", reasons.join("; ")));
    }
    if let Some(file) = &config.capture {
        lines.push(format!("capture: every frame goes to {}", file.display()));
    }
    lines
}

/// What lives beside the shards; fields are dropped in this order.
struct Bypass {
    facts: Option<HostFacts>,
    program: Program,
    recorder: Option<Recorder>,
    standing: Standing,
}

impl Supervisor for Bypass {
    fn report(&self, report: &mut ShardReport) {
        report_program(&self.program, report);
        if let Some(facts) = &self.facts {
            facts.report(report);
        }
        if let Some(recorder) = &self.recorder {
            recorder.report(report);
        }
    }

    fn finish(self: Box<Self>) -> Result<(), Error> {
        let Self { facts, program, recorder, standing } = *self;
        drop(facts);
        drop(program);
        drop(recorder);
        standing.leave()
    }
}
