//! A host: its shards, each with a stack, a port and an application.

use std::rc::Rc;

use bywash_core::base::random::Random;
use bywash_core::base::time::{Duration, Instant};
use bywash_core::stack::{Engine, ListenOptions, Stack};

use crate::ledger::SharedLedger;
use crate::mesh::SimPeers;
use crate::plan::{HostPlan, LISTEN_PORT};
use crate::port::SimPort;
use crate::program::Program;

/// One shard with its application.
pub(super) struct SimShard {
    pub(super) engine: Engine<SimPort, SimPeers>,
    pub(super) mesh: SimPeers,
    pub(super) program: Program,
    pub(super) wake_at: Instant,
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

/// One host.
pub(super) struct SimHost {
    pub(super) shards: Vec<SimShard>,
    pub(super) latency: Duration,
}

impl SimHost {
    pub(super) fn new(
        plan: &HostPlan,
        start: Instant,
        random: &mut Random,
        ledger: &SharedLedger,
    ) -> Result<Self, String> {
        let mut seed = [0; 32];
        random.fill(&mut seed);
        let mut stacks = Vec::new();
        for number in 0..plan.shards {
            let mut config = plan.stack.clone();
            // Shards that open connections need ports of their own.
            let first = 32_768 + number as u16 * 8_192;
            config.port_range = (first, first + plan.ports - 1);
            let mut stack =
                Stack::new(config, plan.capabilities, seed, start).map_err(|error| error.to_string())?;
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
            SimShard { engine, mesh, program, wake_at: Instant::FAR_FUTURE, idle_turns: 0 }
        });
        Ok(Self { shards: shards.collect(), latency: plan.latency })
    }
}
