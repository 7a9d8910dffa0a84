//! What the connections of a server take, by two ways of counting.

use std::fmt;
use std::fs;

use anyhow::{Context, Result, ensure};
use bywash_apps::echo::Echo;
use bywash_core::codec::Raw;
use bywash_core::table::{TableWriter, WORDS_V6};

use super::{config, server};
use crate::allocation::CountingAllocator;
use crate::ends::bywash::Host;

/// What there was before the server.
pub(super) struct Memory<'a> {
    allocator: &'a CountingAllocator,
    held: u64,
    resident: u64,
    /// What a server with room for one connection holds: what all connections share.
    shared: u64,
}

/// What the connections take, in bytes for each of them.
pub(super) struct Used {
    resident: f64,
    allocated: f64,
    /// Address space of the table of IPv6 connections, of which there are none. Part of `allocated`.
    table_v6: f64,
}

impl<'a> Memory<'a> {
    /// Before the server is made.
    pub(super) fn before(allocator: &'a CountingAllocator) -> Result<Self> {
        let held = allocator.held();
        let smallest = server(1)?;
        let shared = allocator.held() - held;
        drop(smallest);
        Ok(Self { allocator, held: allocator.held(), resident: resident()?, shared })
    }

    /// Now that all connections are open.
    pub(super) fn used(&self, server: &Host<Echo<Raw>>, connections: u32) -> Result<Used> {
        let report = server.transport().report();
        ensure!(
            report.connections == connections as usize && server.connections() == connections as usize,
            "only {} of {connections} connections are open: {:?}",
            report.connections,
            report.counters
        );
        let each = |bytes: u64| bytes as f64 / f64::from(connections);
        Ok(Used {
            resident: each(resident()?.saturating_sub(self.resident)),
            allocated: each((self.allocator.held() - self.held).saturating_sub(self.shared)),
            table_v6: each(table_v6(connections)?.saturating_sub(table_v6(1)?)),
        })
    }
}

impl Used {
    /// Memory that is in use: what is resident, but no less than what was allocated and has a use.
    pub(super) fn each(&self) -> f64 {
        self.resident.max(self.allocated - self.table_v6)
    }
}

impl fmt::Display for Used {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { resident, allocated, table_v6 } = self;
        write!(
            f,
            "resident memory grew by {resident:.1} bytes each; allocated with the connections: {allocated:.1} each, of which \
             {table_v6:.1} are the table for IPv6, never touched here"
        )
    }
}

/// Bytes of the table for IPv6 of such a server.
fn table_v6(connections: u32) -> Result<u64> {
    let config = config(connections);
    let entries = config.connections_max + 2 * config.half_open_max + config.time_wait_max;
    let table = TableWriter::<WORDS_V6>::new(entries as usize)?;
    Ok(table.address_ranges().into_iter().map(|range| range.len() as u64).sum())
}

/// Resident memory of this process in bytes.
fn resident() -> Result<u64> {
    let text = fs::read_to_string("/proc/self/statm").context("cannot read /proc/self/statm")?;
    let pages: u64 = text.split_whitespace().nth(1).context("no resident size")?.parse()?;
    Ok(pages * rustix::param::page_size() as u64)
}
