//! Neighbours and routes of shared addresses: the kernel sees ARP and ND, the shards are told what it learned.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};

use bywash_core::stack::HostFact;
use bywash_core::wire::{Address, MacAddress};

use crate::error::Error;
use crate::mesh::Mesh;
use crate::os::bell::Bell;
use crate::os::netlink::{HostTables, KernelFact};
use crate::os::privileges;
use crate::report::ShardReport;

/// What the kernel knew when it was asked.
pub(super) struct Asked {
    tables: HostTables,
    facts: Vec<KernelFact>,
}

/// The thread that follows the kernel; it ends when this is dropped.
pub(super) struct HostFacts {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    bell: Bell,
    ending: AtomicBool,
    told: AtomicU64,
    /// Counted once for each shard that had no room.
    refused: AtomicU64,
}

impl Asked {
    /// Asks about the interface of this index, in this thread's network namespace.
    pub(super) fn of(interface: u32) -> Result<Self, Error> {
        let what = "cannot ask for the kernel's neighbours and routes";
        let mut tables = HostTables::open(interface).map_err(Error::os(what))?;
        let mut facts = Vec::new();
        tables.dump(|fact| facts.push(fact)).map_err(Error::os(what))?;
        Ok(Self { tables, facts })
    }

    /// The next hops of the kernel's default routes.
    pub(super) fn gateways(&self) -> Vec<IpAddr> {
        let default = self.facts.iter().filter_map(|fact| match fact {
            KernelFact::Route { destination, gateway } if destination.prefix_length() == 0 => *gateway,
            KernelFact::Route { .. }
            | KernelFact::RouteGone { .. }
            | KernelFact::Neighbour { .. }
            | KernelFact::NeighbourGone { .. } => None,
        });
        default.collect()
    }

    /// Tells the shards what is known, and from now on what changes.
    pub(super) fn follow(self, mesh: Mesh<HostFact>) -> Result<HostFacts, Error> {
        let Self { tables, facts } = self;
        let bell = Bell::new().map_err(Error::os("cannot make an eventfd"))?;
        let shared = Arc::new(Shared {
            bell,
            ending: AtomicBool::new(false),
            told: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        });
        for fact in facts {
            shared.tell(&mesh, fact);
        }
        let theirs = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("kernel tables".to_owned())
            .spawn(move || theirs.follow(tables, &mesh))
            .map_err(Error::os("cannot start a thread"))?;
        Ok(HostFacts { shared, thread: Some(thread) })
    }
}

impl HostFacts {
    /// Adds what was counted.
    pub(super) fn report(&self, report: &mut ShardReport) {
        report.add("kernel tables", "neighbours told", self.shared.told.load(Ordering::Relaxed));
        report.add("kernel tables", "refused by a full inbox", self.shared.refused.load(Ordering::Relaxed));
    }
}

impl Drop for HostFacts {
    fn drop(&mut self) {
        self.shared.ending.store(true, Ordering::Relaxed);
        self.shared.bell.ring();
        if let Some(thread) = self.thread.take() {
            // It only passes facts on; if it panicked there is nothing left to save.
            drop(thread.join());
        }
    }
}

impl Shared {
    fn follow(&self, mut tables: HostTables, mesh: &Mesh<HostFact>) {
        // It was started before the process gave its privileges up, and needs none.
        privileges::drop_in_helper();
        while !self.ending.load(Ordering::Relaxed) {
            if tables.changes(|fact| self.tell(mesh, fact)).is_err() {
                // Changes were lost (ENOBUFS): the whole state says what they were.
                let told = tables.dump(|fact| self.tell(mesh, fact));
                if told.is_err() {
                    return;
                }
            }
            let Some(sleep) = self.bell.lie_down() else { continue };
            if sleep.wait(&[tables.descriptor()], None).is_err() {
                return;
            }
        }
    }

    fn tell(&self, mesh: &Mesh<HostFact>, fact: KernelFact) {
        match fact {
            KernelFact::Neighbour { address, mac } => {
                let fact = HostFact::Neighbour { address: Address::from(address), mac: MacAddress(mac) };
                self.told.fetch_add(1, Ordering::Relaxed);
                self.refused.fetch_add(u64::from(mesh.publish(fact)), Ordering::Relaxed);
            }
            // A neighbour that the kernel forgot is still where it was, for all that is known. Routes are read once.
            KernelFact::NeighbourGone { .. } | KernelFact::Route { .. } | KernelFact::RouteGone { .. } => {}
        }
    }
}
