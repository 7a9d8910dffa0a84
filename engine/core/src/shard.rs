//! One core's turn: a transport, an application, a budget.
//!
//! Three owners that never overlap: the transport's burst of received bytes, the application with its
//! connection states, and the host that keeps the connections. A callback borrows one of each, so nothing
//! is cloned, locked or put off.

mod application;
mod context;
mod host;
mod transport;

pub use application::Application;
pub use context::{Context, SendError};
pub use host::{CloseReason, ConnectError, ConnectionId, ConnectionInfo, Host, Reading, WriteError};
pub use transport::{Events, Origin, Transport, Turn};
