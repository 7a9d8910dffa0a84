//! The thread that writes the file.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bywash_core::port::TransmitChecksum;
use bywash_core::wire::Sum;
use pcap_file::pcapng::PcapNgWriter;
use pcap_file::pcapng::blocks::enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption};
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};
use pcap_file::{DataLink, PcapError};

use super::{Direction, Note, Shared};
use crate::os::privileges;

/// How long an idle writer sleeps. Shards do not wake it, since that would cost them a system call.
const IDLE: Duration = Duration::from_millis(2);
/// `if_tsresol`: ten to the power of minus nine seconds.
const NANOSECONDS: u8 = 9;

/// The writer's side, seen from the control plane.
pub(super) struct Writer {
    tally: Arc<Tally>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Tally {
    written: AtomicU64,
    failed: AtomicU64,
    ending: AtomicBool,
}

impl Writer {
    pub(super) fn start(
        file: &Path,
        interface: &str,
        queues: &[u32],
        shared: Arc<Shared>,
    ) -> io::Result<Self> {
        let mut output = PcapNgWriter::new(BufWriter::new(File::create(file)?)).map_err(io_error)?;
        for queue in queues {
            output.write_pcapng_block(description(interface, *queue)).map_err(io_error)?;
        }
        output.get_mut().flush()?;
        let tally = Arc::new(Tally::default());
        let theirs = Arc::clone(&tally);
        let thread = thread::Builder::new()
            .name("capture".to_owned())
            .spawn(move || write_all(output, &shared, &theirs))?;
        Ok(Self { tally, thread: Some(thread) })
    }

    /// Frames in the file, or on their way there from a buffer.
    pub(super) fn written(&self) -> u64 {
        self.tally.written.load(Ordering::Relaxed)
    }

    /// Frames that could not be written: the disk is full, for one.
    pub(super) fn failed(&self) -> u64 {
        self.tally.failed.load(Ordering::Relaxed)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // Pairs with the acquire in `write_all`: records put before this are written.
        self.tally.ending.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            // It only writes; if it panicked there is nothing left to save.
            drop(thread.join());
        }
    }
}

fn write_all(mut output: PcapNgWriter<BufWriter<File>>, shared: &Shared, tally: &Tally) {
    // The file is open: nothing more is needed.
    privileges::drop_in_helper();
    loop {
        let ending = tally.ending.load(Ordering::Acquire);
        while let Some(result) = shared.records.take(|frame, note| write_one(&mut output, frame, &note)) {
            match result {
                Ok(()) => tally.written.fetch_add(1, Ordering::Relaxed),
                Err(_) => tally.failed.fetch_add(1, Ordering::Relaxed),
            };
        }
        // So that the file is whole at any time, also when the process is killed.
        if output.get_mut().flush().is_err() {
            tally.failed.fetch_add(1, Ordering::Relaxed);
        }
        if ending {
            return;
        }
        thread::sleep(IDLE);
    }
}

fn write_one(
    output: &mut PcapNgWriter<BufWriter<File>>,
    frame: &mut [u8],
    note: &Note,
) -> Result<(), PcapError> {
    let Note { time, queue, direction, checksum } = *note;
    complete(frame, checksum);
    // epb_flags: bits 0 and 1 are 1 for inbound, 2 for outbound (pcapng draft, section 4.3.1).
    let flags = match direction {
        Direction::Received => 1,
        Direction::Sent => 2,
    };
    let block = EnhancedPacketBlock {
        interface_id: queue,
        timestamp: time,
        original_len: frame.len() as u32,
        data: Cow::Borrowed(&*frame),
        options: vec![EnhancedPacketOption::Flags(flags)],
    };
    output.write_pcapng_block(block).map(|_| ())
}

/// Does what the device will do to the frame on the wire.
fn complete(frame: &mut [u8], checksum: TransmitChecksum) {
    let TransmitChecksum::Partial { start, offset } = checksum else { return };
    let (start, field) = (usize::from(start), usize::from(start) + usize::from(offset));
    if field + 2 > frame.len() {
        return;
    }
    let sum = Sum::of(&frame[start..]).finish();
    frame[field..field + 2].copy_from_slice(&sum.to_be_bytes());
}

fn description(interface: &str, queue: u32) -> InterfaceDescriptionBlock<'static> {
    InterfaceDescriptionBlock {
        linktype: DataLink::ETHERNET,
        snaplen: 0,
        options: vec![
            InterfaceDescriptionOption::IfName(Cow::Owned(format!("{interface} queue {queue}"))),
            InterfaceDescriptionOption::IfTsResol(NANOSECONDS),
        ],
    }
}

fn io_error(error: PcapError) -> io::Error {
    match error {
        PcapError::IoError(error) => error,
        other => io::Error::other(other.to_string()),
    }
}
