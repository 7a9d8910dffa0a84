//! A record of every frame that the engine sees and sends, as a pcapng file.
//!
//! Neither direction is visible to tcpdump on an interface with a native program. A shard copies each frame into a
//! free buffer and goes on; a thread writes them out. When the writer does not keep up, records are lost and counted: the shard
//! never waits.

#[cfg(test)]
mod tests;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use bywash_core::port::TransmitChecksum;

use crate::error::Error;
use crate::parcels::Parcels;
use crate::report::ShardReport;
use writer::Writer;

/// Records that wait for the writer, at most.
const RECORDS_MAX: usize = 8_192;
/// The longest frame in bytes: an AF_XDP frame's page.
const FRAME_LEN_MAX: usize = 4_096;

/// Which way a frame went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Received,
    Sent,
}

/// What is known of a record beside its bytes.
#[derive(Clone, Copy, Debug)]
struct Note {
    /// Since 1970 (UTC).
    time: Duration,
    queue: u32,
    direction: Direction,
    checksum: TransmitChecksum,
}

/// What taps and writer share.
struct Shared {
    records: Parcels<Note>,
    lost: AtomicU64,
}

/// The capture of a process; dropping it writes out what is left.
pub(crate) struct Recorder {
    shared: Arc<Shared>,
    writer: Writer,
}

impl Recorder {
    /// Begins the file, with an interface description for each of `queues` of `interface`.
    pub(crate) fn start(file: &Path, interface: &str, queues: &[u32]) -> Result<Self, Error> {
        let lost = AtomicU64::new(0);
        let shared = Arc::new(Shared { records: Parcels::new(RECORDS_MAX, FRAME_LEN_MAX), lost });
        let writer = Writer::start(file, interface, queues, Arc::clone(&shared))
            .map_err(|source| Error::Capture { file: file.to_owned(), source })?;
        Ok(Self { shared, writer })
    }

    /// Records one queue's frames; `queue` is its place in the list given at the start.
    pub(crate) fn tap(&self, queue: u32) -> Tap {
        Tap { shared: Arc::clone(&self.shared), queue }
    }

    /// Adds what was counted.
    pub(crate) fn report(&self, report: &mut ShardReport) {
        report.add("capture", "frames written", self.writer.written());
        report.add(
            "capture",
            "frames lost: the writer did not keep up",
            self.shared.lost.load(Ordering::Relaxed),
        );
        report.add("capture", "writes failed", self.writer.failed());
    }
}

/// One shard's way into the capture.
#[derive(Clone)]
pub(crate) struct Tap {
    shared: Arc<Shared>,
    queue: u32,
}

impl Tap {
    /// Records a frame as it arrived.
    pub(crate) fn received(&self, frame: &[u8]) {
        self.record(frame, Direction::Received, TransmitChecksum::Complete);
    }

    /// Records a frame as it will leave: the writer completes the checksum that the device would.
    pub(crate) fn sent(&self, frame: &[u8], checksum: TransmitChecksum) {
        self.record(frame, Direction::Sent, checksum);
    }

    fn record(&self, frame: &[u8], direction: Direction, checksum: TransmitChecksum) {
        let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        if self.shared.records.put(frame, Note { time, queue: self.queue, direction, checksum }).is_err() {
            self.shared.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}
