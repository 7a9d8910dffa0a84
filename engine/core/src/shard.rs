//! One core's turn: a transport, an application, a budget.
//!
//! Three owners that never overlap: the transport's burst of received bytes, the application with its
//! connection states, and the host that keeps the connections. A callback borrows one of each, so nothing
//! is cloned, locked or put off.

mod application;
mod context;
mod driver;
mod host;
#[cfg(test)]
mod tests;
mod transport;

use alloc::vec::Vec;

use crate::base::time::Instant;
use driver::Driver;

pub use application::Application;
pub use context::{Context, SendError};
pub use host::{CloseReason, ConnectError, ConnectionId, ConnectionInfo, Host, Reading, WriteError};
pub use transport::{Events, Lingered, Origin, Transport, Turn, Waiting};

/// A transport and the application that it serves: all that one core runs.
pub struct Shard<T: Transport, A: Application> {
    transport: T,
    driver: Driver<A>,
}

impl<T: Transport, A: Application> Shard<T, A> {
    /// `application` over `transport`, with room for the state of `connections_max` connections (the limit that
    /// the transport keeps).
    pub fn new(transport: T, application: A, codec: A::Codec, connections_max: u32) -> Self {
        Self { transport, driver: Driver::new(application, codec, connections_max) }
    }

    /// Takes in what arrived, lets the application handle it, and sends what is to be sent.
    pub fn turn(&mut self, now: Instant) -> Turn {
        self.transport.turn(now, &mut self.driver)
    }

    /// When the next turn is due though nothing has arrived; see [`Transport::deadline`].
    pub fn deadline(&self) -> Option<Instant> {
        self.transport.deadline()
    }

    /// Begins a shutdown: nothing is accepted from now on, and the application is told for each open
    /// connection. Go on taking turns until [`Transport::draining`] is 0 or patience ends.
    pub fn drain(&mut self) {
        self.transport.stop_listening();
        let mut open = Vec::new();
        self.transport.open_connections(&mut open);
        for id in open {
            self.driver.drain(self.transport.host(), id);
        }
    }

    /// What carries the connections.
    pub fn transport(&self) -> &T {
        &self.transport
    }

    /// What carries the connections, between turns: to sleep until something arrives, or to connect.
    pub fn transport_mut(&mut self) -> &mut T {
        &mut self.transport
    }

    /// What handles the connections.
    pub fn application(&self) -> &A {
        self.driver.application()
    }

    /// What handles the connections, between turns.
    pub fn application_mut(&mut self) -> &mut A {
        self.driver.application_mut()
    }

    /// Where the array of the application's connection states lies, used or not: for advice about huge pages. It does
    /// not move while the transport keeps its limit. The transport's own arrays are not part of it.
    pub fn address_range(&self) -> core::ops::Range<usize> {
        self.driver.address_range()
    }

    /// How many connections the application keeps state for.
    pub fn connections(&self) -> usize {
        self.driver.sessions()
    }
}
