//! What happens at its time.

use std::net::SocketAddr;

use bywash_core::base::time::Duration;
use bywash_core::shard::{ConnectError, Host as _, Transport as _};

use super::World;
use super::host::{Node, SimShard};
use crate::fault::Fault;
use crate::ledger::{Fate, Flow};
use crate::link::Weather;
use crate::plan::{LISTEN_PORT, What, address};
use crate::port::Delivery;
use crate::script::Side;

/// Something that happens at its time.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Happening {
    Arrival { host: usize, frame: Vec<u8> },
    Connect { flow: usize },
    Rehash,
    Upheaval { host: usize, what: What },
    PowerOn { host: usize },
}

/// A host that is off is asked again after this time to connect.
const PATIENCE: Duration = Duration::from_millis(500);

impl World {
    pub(super) fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Arrival { host, frame } => self.arrive(host, frame),
            Happening::Connect { flow } => self.connect(flow),
            Happening::Rehash => {
                self.count(Fault::Rehash);
                self.switch.rehash(self.random.next_u64());
                if let (Some(rehash), Weather::Stormy) = (self.rehash, self.weather()) {
                    self.at(self.now + rehash, Happening::Rehash);
                }
            }
            Happening::Upheaval { host, what: What::Stall { shard, lasts } } => {
                self.stall(host, shard, lasts);
            }
            Happening::Upheaval { host, what: What::Reboot { off } } => self.power_off(host, off),
            Happening::PowerOn { host } => self.power_on(host),
        }
    }

    fn count(&self, fault: Fault) {
        self.ledger.borrow_mut().tally.count(fault);
    }

    fn arrive(&mut self, host: usize, frame: Vec<u8>) {
        let now = self.now;
        let host = match &mut self.hosts[host] {
            Node::Peer(peer) => return peer.handle(now, &frame),
            Node::Engine(host) => host,
        };
        let mut tally = self.ledger.borrow_mut();
        let tally = &mut tally.tally;
        if host.shards.is_empty() {
            return tally.count(Fault::Dark);
        }
        let queue = self.switch.queue(&frame, host.shards.len(), &mut self.random, tally);
        let shard = &mut host.shards[queue];
        if shard.engine.port_mut().deliver(frame) == Delivery::Overflow {
            tally.count(Fault::ReceiveOverflow);
        }
        let delay = Duration::from_nanos(self.random.below(host.plan.latency.as_nanos() + 1));
        shard.wake_at = shard.wake_at.min(now + delay).max(shard.stalled_until);
    }

    fn connect(&mut self, flow: usize) {
        let ledger = self.ledger.borrow();
        let Flow { script, fates, .. } = &ledger.flows[flow];
        if matches!(fates[Side::Client as usize], Fate::Gone(_)) {
            // Its host has rebooted since it was last tried.
            return;
        }
        let script = script.clone();
        drop(ledger);
        let Node::Engine(host) = &mut self.hosts[script.client] else {
            return self.ledger.borrow_mut().fail(self.now, format!("flow {flow}: a peer cannot connect"));
        };
        if host.shards.is_empty() {
            return self.at(self.now + PATIENCE, Happening::Connect { flow });
        }
        let shard = self.random.below(host.shards.len() as u64) as usize;
        let SimShard { engine, program, wake_at, stalled_until, .. } = &mut host.shards[shard];
        let remote = SocketAddr::new(address(script.server, script.family).into(), LISTEN_PORT);
        *wake_at = self.now.max(*stalled_until);
        match engine.host().connect(remote, None) {
            Ok(id) => {
                program.connecting(id, flow);
                if let Some(info) = engine.host().info(id) {
                    self.ledger.borrow_mut().connecting(flow, info.local, info.remote);
                }
            }
            // Those that were closed are still being buried.
            Err(ConnectError::TooManyConnections { .. }) => {
                self.at(self.now + PATIENCE, Happening::Connect { flow });
            }
            Err(error) => self.ledger.borrow_mut().fail(self.now, format!("flow {flow}: {error}")),
        }
    }

    fn stall(&mut self, host: usize, shard: usize, lasts: Duration) {
        self.count(Fault::Stall);
        let until = self.now + lasts;
        if let Node::Engine(host) = &mut self.hosts[host]
            && let Some(shard) = host.shards.get_mut(shard)
        {
            shard.stalled_until = shard.stalled_until.max(until);
            shard.wake_at = shard.wake_at.max(shard.stalled_until);
        }
    }

    fn power_off(&mut self, number: usize, off: Duration) {
        let Node::Engine(host) = &mut self.hosts[number] else { return };
        if host.shards.is_empty() {
            return;
        }
        for shard in host.shards.drain(..) {
            self.counters.add(shard.engine.stack().counters());
        }
        let mut ledger = self.ledger.borrow_mut();
        ledger.tally.count(Fault::Reboot);
        ledger.forget(self.now, number);
        drop(ledger);
        self.at(self.now + off, Happening::PowerOn { host: number });
    }

    fn power_on(&mut self, number: usize) {
        let Node::Engine(host) = &mut self.hosts[number] else { return };
        if let Err(what) = host.boot(self.now, &mut self.random, &self.ledger) {
            self.ledger.borrow_mut().fail(self.now, what);
        }
    }
}
