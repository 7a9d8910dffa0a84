//! Reno's congestion avoidance: one segment more for each window of acknowledged octets (RFC 5681 section 3.1).

/// How far the window has come to its next segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) struct Reno {
    /// Octets acknowledged since the window last grew.
    bytes_acked: u32,
}

impl Reno {
    /// The window after `acked` more octets (RFC 3465 section 2.1: octets are counted, not ACKs).
    pub(super) fn grow(&mut self, cwnd: u32, mss: u32, acked: u32) -> u32 {
        self.bytes_acked = self.bytes_acked.saturating_add(acked);
        if self.bytes_acked < cwnd {
            return cwnd;
        }
        self.bytes_acked -= cwnd;
        cwnd.saturating_add(mss)
    }

    /// The threshold after a loss with `flight` octets outstanding (RFC 5681 equation 4).
    pub(super) fn ssthresh(flight: u32, mss: u32) -> u32 {
        (flight / 2).max(2 * mss)
    }
}
