//! Our own TCP over `AF_XDP` sockets: one queue of one interface for each shard.
//!
//! | file | what is in it |
//! |---|---|
//! | `port` | a socket's two halves as the engine's port |
//! | `peers` | the mesh as the engine sees it |
//! | `counted` | the counters of socket, port and stack, named for a person |

mod counted;
mod peers;
mod port;

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time;

use bywash_core::base::time::Instant;
use bywash_core::shard::{ConnectionId, Events, Transport, Turn};
use bywash_core::stack::{Engine, HostFact, PublishedTables, Stack};

use super::{Backend, Waker};
use crate::mesh::Mesh;
use crate::report::ShardReport;

pub(crate) use counted::program as report_program;
pub use port::{XdpBurst, XdpPort, XdpReservation, XdpTransmit};

use peers::ShardPeers;

/// One shard's engine on its socket.
pub struct XdpBackend {
    engine: Engine<XdpPort, ShardPeers>,
    mesh: Mesh<HostFact>,
    index: usize,
}

impl XdpBackend {
    /// Joins shard `index`'s stack to its port and to the shards whose tables are `others`.
    pub(crate) fn new(
        index: usize,
        port: XdpPort,
        stack: Stack,
        mesh: &Mesh<HostFact>,
        others: Vec<PublishedTables>,
    ) -> Self {
        let peers = ShardPeers::new(mesh.link(index));
        Self { engine: Engine::new(port, stack, peers, others), mesh: mesh.clone(), index }
    }
}

impl Transport for XdpBackend {
    type Host = Stack;

    #[inline]
    fn turn<E: Events<Stack>>(&mut self, now: Instant, events: &mut E) -> Turn {
        self.engine.turn(now, events)
    }

    fn deadline(&self) -> Option<Instant> {
        self.engine.deadline()
    }

    fn host(&mut self) -> &mut Stack {
        self.engine.host()
    }

    fn stop_listening(&mut self) {
        self.engine.stop_listening();
    }

    fn open_connections(&self, into: &mut Vec<ConnectionId>) {
        self.engine.open_connections(into);
    }

    fn draining(&self) -> usize {
        self.engine.draining()
    }
}

impl Backend for XdpBackend {
    fn wait(&mut self, now: Instant, until: Option<Instant>) -> io::Result<()> {
        let Some(bell) = self.mesh.bell(self.index) else { return Ok(()) };
        let Some(sleep) = bell.lie_down() else { return Ok(()) };
        if self.mesh.has_work(self.index) {
            return Ok(());
        }
        let timeout = until.map(|until| time::Duration::from_nanos((until - now).as_nanos()));
        sleep.wait(&[self.engine.port().as_fd()], timeout).map(drop)
    }

    fn waker(&self) -> Waker {
        let (mesh, index) = (self.mesh.clone(), self.index);
        Arc::new(move || {
            if let Some(bell) = mesh.bell(index) {
                bell.ring();
            }
        })
    }

    fn report(&self, report: &mut ShardReport) {
        counted::stack(&self.engine.report(), report);
        counted::port(self.engine.port(), report);
    }
}
