//! A host: its shards, each with a stack, a port and an application; or a scripted peer.

use std::rc::Rc;

use bywash_core::base::random::Random;
use bywash_core::base::time::Instant;
use bywash_core::stack::{Engine, ListenOptions, Stack};

use crate::ledger::SharedLedger;
use crate::mesh::SimPeers;
use crate::peer::Peer;
use crate::plan::{EnginePlan, HostPlan, LISTEN_PORT};
use crate::port::SimPort;
use crate::program::Program;

/// One host of either kind.
pub(super) enum Node {
    Engine(Box<EngineHost>),
    Peer(Box<Peer>),
}

impl Node {
    pub(super) fn new(
        plan: HostPlan,
        start: Instant,
        random: &mut Random,
        ledger: &SharedLedger,
    ) -> Result<Self, String> {
        match plan {
            HostPlan::Peer(plan) => Ok(Self::Peer(Box::new(Peer::new(plan, ledger)))),
            HostPlan::Engine(plan) => {
                let mut host = EngineHost { plan: *plan, shards: Vec::new() };
                host.boot(start, random, ledger)?;
                Ok(Self::Engine(Box::new(host)))
            }
        }
    }

    pub(super) fn engine(&self) -> Option<&EngineHost> {
        match self {
            Self::Engine(host) => Some(host),
            Self::Peer(_) => None,
        }
    }

    /// Shards that are on.
    pub(super) fn shards(&self) -> usize {
        self.engine().map_or(0, |host| host.shards.len())
    }

    /// When it wants a turn.
    pub(super) fn wake_at(&self) -> Option<Instant> {
        match self {
            Self::Engine(host) => host.shards.iter().map(|shard| shard.wake_at).min(),
            Self::Peer(peer) => peer.deadline(),
        }
    }
}

/// One shard with its application.
pub(super) struct SimShard {
    pub(super) engine: Engine<SimPort, SimPeers>,
    pub(super) mesh: SimPeers,
    pub(super) program: Program,
    pub(super) wake_at: Instant,
    /// It gets no turn before.
    pub(super) stalled_until: Instant,
    pub(super) idle_turns: u32,
}

impl SimShard {
    /// Frames that it has not looked at yet.
    pub(super) fn waiting(&self) -> usize {
        self.engine.port().waiting() + self.mesh.waiting()
    }

    /// What it still holds, when nothing should be held any more.
    pub(super) fn leak(&self) -> Option<String> {
        let report = self.engine.report();
        if !report.is_idle() {
            Some(format!("not idle: {report:?}"))
        } else if self.waiting() > 0 {
            Some(format!("{} frames that nobody has looked at", self.waiting()))
        } else if !self.program.open().is_empty() {
            Some("connections whose end the application was not told".to_owned())
        } else {
            None
        }
    }
}

/// One host with our engine; without shards it is off.
pub(super) struct EngineHost {
    pub(super) plan: EnginePlan,
    pub(super) shards: Vec<SimShard>,
}

impl EngineHost {
    /// Comes up with nothing remembered, and secrets of its own.
    pub(super) fn boot(
        &mut self,
        now: Instant,
        random: &mut Random,
        ledger: &SharedLedger,
    ) -> Result<(), String> {
        let plan = &self.plan;
        let mut seed = [0; 32];
        random.fill(&mut seed);
        let mut stacks = Vec::new();
        for number in 0..plan.shards {
            let mut config = plan.stack.clone();
            // Shards that open connections need ports of their own.
            let first = 32_768 + number as u16 * 4_096;
            config.port_range = (first, first + plan.ports - 1);
            let mut stack =
                Stack::new(config, plan.capabilities, seed, now).map_err(|error| error.to_string())?;
            let options =
                ListenOptions { port: LISTEN_PORT, backlog: plan.backlog, ..ListenOptions::default() };
            stack.listen(options).map_err(|error| error.to_string())?;
            stacks.push(stack);
        }
        let tables: Vec<_> = stacks.iter().enumerate().map(|(at, stack)| stack.published(at)).collect();
        let meshes = SimPeers::mesh(plan.shards, plan.ring_max);
        let shards = stacks.into_iter().zip(meshes).enumerate().map(|(number, (stack, mesh))| {
            let port = SimPort::new(plan.capabilities, plan.received_max, plan.frames_max);
            let others = tables.iter().filter(|table| table.shard != number).cloned().collect();
            let engine = Engine::new(port, stack, mesh.clone(), others);
            let program = Program::new(Rc::clone(ledger));
            SimShard {
                engine,
                mesh,
                program,
                wake_at: Instant::FAR_FUTURE,
                stalled_until: Instant::ZERO,
                idle_turns: 0,
            }
        });
        self.shards = shards.collect();
        Ok(())
    }
}
