//! Scenarios and conformance rows: segments in, segments out, in virtual time.
//!
//! Tests are named after the rows: `s07` of the scenarios, `c046` of the conformance list.
#![forbid(unsafe_code)]

mod harness;

mod active;
mod answers;
mod application;
mod backlog;
mod closing;
mod congestion;
mod cookies;
mod cubic;
mod duplicates;
mod ecn;
mod ending;
mod endpoint;
mod half_close;
mod hostile;
mod icmp;
mod keepalive;
mod listeners;
mod listening;
mod loss_detection;
mod neighbours;
mod opening;
mod options;
mod persist;
mod receiving;
mod recovery;
mod reset;
mod rfc;
mod sending;
mod shards;
mod simulated;
mod simultaneous;
mod sizes;
mod socket_options;
mod spurious;
mod time_wait;
mod timeout;
mod timestamps;
mod windows;
