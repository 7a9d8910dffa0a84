//! The counters of stack, socket and program as rows of the report.

use bywash_core::stack::{DropReason, Report};
use bywash_xdp::program::{Program, Verdict};
use bywash_xdp::socket::{ReceiveCounters, ReceiveFrames, TransmitCounters, TransmitFrames};

use super::port::XdpPort;
use crate::report::ShardReport;

/// What the stack has in use, did and dropped.
pub(super) fn stack(stack: &Report, report: &mut ShardReport) {
    report.add_in_use("in use", "connections", stack.connections as u64);
    report.add_in_use("in use", "half-open connections", stack.half_open as u64);
    report.add_in_use("in use", "TIME_WAIT records", stack.time_wait as u64);
    report.add_in_use("in use", "table entries", stack.table_entries as u64);
    report.add_in_use("in use", "timers", stack.timers as u64);
    report.add_in_use("in use", "loss recoveries", stack.recoveries as u64);
    report.add_in_use("in use", "congestion records", stack.congestions as u64);
    let chunks: u64 = stack.send_chunks.iter().map(|class| u64::from(class.in_use)).sum();
    let buffers: u64 = stack.receive_buffers.classes.iter().map(|class| u64::from(class.in_use)).sum();
    report.add_in_use("in use", "send chunks", chunks);
    report.add_in_use("in use", "receive buffers", buffers);
    let refused: u64 = stack.send_chunks.iter().map(|class| class.refusals).sum();
    report.add("refused", "send chunks: the pool is spent", refused);
    let refused: u64 = stack.receive_buffers.classes.iter().map(|class| class.refusals).sum();
    report.add("refused", "receive buffers: the pool is spent", refused);
    for (name, value) in stack.counters.named() {
        report.add("stack", name, value);
    }
    for reason in DropReason::ALL {
        report.add("dropped", reason.name(), stack.counters.dropped(*reason));
    }
}

/// What the socket did, and its frames by owner.
pub(super) fn port(port: &XdpPort, report: &mut ShardReport) {
    let ReceiveCounters {
        packets,
        bursts,
        multi_buffer_dropped,
        invalid_descriptors,
        fill_ring_full,
        wakeups,
    } = port.receiver().counters();
    report.add("receive", "frames", packets);
    report.add("receive", "bursts", bursts);
    report.add("receive", "dropped: several buffers", multi_buffer_dropped);
    report.add("receive", "invalid descriptors", invalid_descriptors);
    report.add("receive", "frames that waited for the fill ring", fill_ring_full);
    report.add("receive", "wake-ups", wakeups);
    let ReceiveFrames { fill_ring, kernel, rx_ring, burst, spare } = port.receiver().frames();
    report.add("receive frames", "in the fill ring", fill_ring.into());
    report.add("receive frames", "with the kernel", kernel.into());
    report.add("receive frames", "in the rx ring", rx_ring.into());
    report.add_in_use("receive frames", "in a burst", burst.into());
    report.add("receive frames", "spare", spare.into());
    let sent = port.transmitter().counters();
    transmit(&sent, report);
    let TransmitFrames { free, staged, tx_ring, kernel, completion_ring } = port.transmitter().frames();
    report.add("transmit frames", "free", free.into());
    report.add_in_use("transmit frames", "committed", staged.into());
    report.add_in_use("transmit frames", "in the tx ring", tx_ring.into());
    report.add_in_use("transmit frames", "with the kernel", kernel.into());
    report.add("transmit frames", "in the completion ring", completion_ring.into());
    if let Ok(kernel) = port.receiver().statistics() {
        report.add("kernel", "rx dropped", kernel.rx_dropped);
        report.add("kernel", "rx invalid descriptors", kernel.rx_invalid_descs);
        report.add("kernel", "tx invalid descriptors", kernel.tx_invalid_descs);
        report.add("kernel", "rx ring full", kernel.rx_ring_full.unwrap_or_default());
        report.add("kernel", "fill ring empty", kernel.rx_fill_ring_empty_descs.unwrap_or_default());
        report.add("kernel", "tx ring empty", kernel.tx_ring_empty_descs.unwrap_or_default());
    }
}

fn transmit(counters: &TransmitCounters, report: &mut ShardReport) {
    let TransmitCounters {
        packets,
        flushes,
        reflected,
        no_frame,
        ring_full,
        wakeups,
        again,
        software_checksums,
        invalid_completions,
    } = *counters;
    report.add("transmit", "frames", packets);
    report.add("transmit", "bursts", flushes);
    report.add("transmit", "reflected", reflected);
    report.add("transmit", "refused: no free frame", no_frame);
    report.add("transmit", "refused: tx ring full", ring_full);
    report.add("transmit", "wake-ups", wakeups);
    report.add("transmit", "wake-ups repeated", again);
    report.add("transmit", "checksums in a second pass", software_checksums);
    report.add("transmit", "invalid completions", invalid_completions);
}

/// What the program decided about frames.
pub(crate) fn program(program: &Program, report: &mut ShardReport) {
    // A kernel that wants CAP_BPF for this does not tell: the rows are absent.
    let Ok(counters) = program.counters() else { return };
    for verdict in Verdict::ALL {
        report.add("program", name(verdict), counters.of(verdict));
    }
}

fn name(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::PassNotIp => "passed: not IP",
        Verdict::PassNotOurs => "passed: not for us",
        Verdict::PassSharedOther => "passed: the host's part of a shared address",
        Verdict::PassMalformed => "passed: malformed",
        Verdict::RedirectOwnedTcp => "taken: TCP, owned address",
        Verdict::RedirectOwnedIcmp => "taken: ICMP, owned address",
        Verdict::RedirectOwnedArp => "taken: ARP, owned address",
        Verdict::RedirectOwnedNd => "taken: ND, owned address",
        Verdict::RedirectOwnedOther => "taken: other, owned address",
        Verdict::RedirectSharedTcp => "taken: TCP, shared address",
        Verdict::RedirectSharedIcmpError => "taken: ICMP error, shared address",
        Verdict::DropNoSocket => "dropped: no socket on the queue",
    }
}
