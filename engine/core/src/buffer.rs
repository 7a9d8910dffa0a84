//! Where payload waits: sent bytes for their acknowledgement, received bytes for the application.
//!
//! Both pools reserve their memory once, at construction, as zeroed pages that the system hands out when they are
//! first touched. Nothing here allocates after that. A connection with nothing in flight owns nothing.

mod chunk;
mod class;
mod reassembly;
mod receive;
mod send_queue;

pub use chunk::{ChunkPool, SendConfig};
pub use class::{CLASSES, ClassCounters, ConfigError, SizeClass};
pub use reassembly::{RecentSpans, Span};
pub use receive::{
    Inserted, ReceiveBuffer, ReceiveBufferId, ReceiveConfig, ReceiveCounters, ReceivePool, Refusal,
};
pub use send_queue::{Cursor, Room, SendQueue};
