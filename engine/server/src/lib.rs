//! The framework: shards on cores, backends, configuration, metrics.

pub mod backends;
