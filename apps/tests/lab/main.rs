//! The sample servers over real `AF_XDP`, against the kernel's TCP and ordinary clients.
//!
//! Each test makes a lab of its own and runs the real programs in it, so tests could run side by side; but two cores
//! carry only one load at a time. A file lock therefore lets one loading test run alone, or several light ones
//! together, however many threads or processes the runner uses (`support::turn`).

mod connections;
mod echo;
mod expert;
mod host;
mod http;
mod impaired;
mod life;
mod queues;
mod refusals;
mod support;
