//! What the two halves count: events since the socket was opened, and frames by owner now.

/// Events of a receiving half since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReceiveCounters {
    /// Packets handed out in bursts.
    pub packets: u64,
    /// Bursts with at least one packet; `packets / bursts` is the mean burst.
    pub bursts: u64,
    /// Packets dropped because they span several buffers.
    pub multi_buffer_dropped: u64,
    /// Descriptors that name no frame of ours or leave their frame: a fault of the driver.
    pub invalid_descriptors: u64,
    /// Frames that waited one turn because the fill ring seemed full.
    pub fill_ring_full: u64,
    /// System calls made to wake the device.
    pub wakeups: u64,
}

/// A receiving half's frames by owner. The parts always add up to [`total`](Self::total).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReceiveFrames {
    /// In the fill ring, waiting for the kernel.
    pub fill_ring: u32,
    /// Taken by the kernel and not yet filled.
    pub kernel: u32,
    /// In the rx ring, waiting for us.
    pub rx_ring: u32,
    /// In the current burst.
    pub burst: u32,
    /// Ours, waiting for room in the fill ring.
    pub spare: u32,
}

impl ReceiveFrames {
    /// The sum of all owners: `rx_frames` of the configuration, at any time.
    pub fn total(&self) -> u32 {
        let Self { fill_ring, kernel, rx_ring, burst, spare } = *self;
        fill_ring + kernel + rx_ring + burst + spare
    }
}

/// Events of a transmitting half since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TransmitCounters {
    /// Packets committed.
    pub packets: u64,
    /// Flushes that published at least one packet; `packets / flushes` is the mean burst.
    pub flushes: u64,
    /// Packets reflected without a copy; also in `packets`.
    pub reflected: u64,
    /// Reservations refused because every frame was in flight.
    pub no_frame: u64,
    /// Reservations refused because the tx ring was full.
    pub ring_full: u64,
    /// System calls made to wake the device.
    pub wakeups: u64,
    /// Wake-ups answered with EAGAIN.
    pub again: u64,
    /// Checksums completed in software.
    pub software_checksums: u64,
    /// Completions that name no frame of ours: a fault of the driver.
    pub invalid_completions: u64,
}

/// A transmitting half's frames by owner. The parts always add up to [`total`](Self::total).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TransmitFrames {
    /// Ours, unused.
    pub free: u32,
    /// Committed and not yet flushed.
    pub staged: u32,
    /// In the tx ring, waiting for the device.
    pub tx_ring: u32,
    /// Taken by the kernel and not yet sent.
    pub kernel: u32,
    /// Sent, waiting to be reclaimed.
    pub completion_ring: u32,
}

impl TransmitFrames {
    /// The sum of all owners: `tx_frames` of the configuration, at any time.
    pub fn total(&self) -> u32 {
        let Self { free, staged, tx_ring, kernel, completion_ring } = *self;
        free + staged + tx_ring + kernel + completion_ring
    }
}
