//! Proportional Rate Reduction: how much may be sent for each acknowledgment of a recovery (RFC 9937).

/// What one recovery has delivered and sent.
#[derive(Clone, Copy, Debug, Default)]
pub struct Prr {
    /// Octets delivered since it began (`prr_delivered`).
    delivered: u32,
    /// Octets sent since it began (`prr_out`).
    out: u32,
    /// Octets in flight when it began (`RecoverFS`).
    recover_fs: u32,
}

/// Whether an acknowledgment is a sign that all goes well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Safety {
    /// `snd_una` has moved and nothing more was found lost (`SafeACK`).
    Safe,
    /// It has not, or something was.
    Doubtful,
}

impl Prr {
    /// A recovery begins with so many octets in flight (RFC 9937 section 6: without those delivered out of order before).
    pub fn begin(recover_fs: u32) -> Self {
        Self { delivered: 0, out: 0, recover_fs: recover_fs.max(1) }
    }

    /// Octets have left, new ones or others once more.
    pub fn handle_sent(&mut self, len: u32) {
        self.out = self.out.saturating_add(len);
    }

    /// The congestion window for what an acknowledgment allows: it has delivered `delivered` octets and left `pipe` in flight.
    pub fn window(&mut self, delivered: u32, pipe: u32, ssthresh: u32, mss: u32, safety: Safety) -> u32 {
        self.delivered = self.delivered.saturating_add(delivered);
        let mut count = if pipe > ssthresh {
            let wanted = u64::from(self.delivered) * u64::from(ssthresh);
            let wanted = wanted.div_ceil(u64::from(self.recover_fs)).min(u64::from(u32::MAX)) as u32;
            wanted.saturating_sub(self.out)
        } else {
            // PRR-CRB, and PRR-SSRB while all goes well.
            let bound = self.delivered.saturating_sub(self.out).max(delivered);
            let bound = if safety == Safety::Safe { bound.saturating_add(mss) } else { bound };
            bound.min(ssthresh - pipe)
        };
        if self.out == 0 {
            // The fast retransmission itself always leaves.
            count = count.max(mss);
        }
        pipe.saturating_add(count).max(mss)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Acknowledges a flight of 20 of which the first was lost; returns the sends for each ACK.
    fn sends(ssthresh: u32, delivered: u32) -> std::vec::Vec<u32> {
        let mut prr = Prr::begin(20);
        let mut pipe = 19;
        let mut sends = std::vec::Vec::new();
        for _ in 0..19 / delivered {
            pipe -= delivered;
            let window = prr.window(delivered, pipe, ssthresh, 1, Safety::Doubtful);
            let count = window.saturating_sub(pipe);
            prr.handle_sent(count);
            pipe += count;
            sends.push(count);
        }
        sends
    }

    #[test]
    fn half_the_window_is_one_send_for_two_acknowledgments() {
        let sends = sends(10, 1);
        assert_eq!(sends[0], 1, "the retransmission");
        assert!(sends.windows(2).all(|two| two[0] + two[1] <= 2));
        assert_eq!(sends.iter().sum::<u32>(), 10);
    }

    #[test]
    fn seven_tenths_are_kept() {
        assert_eq!(sends(14, 1).iter().sum::<u32>(), 14);
        assert_eq!(sends(14, 2).iter().sum::<u32>(), 14 - 1);
    }

    #[test]
    fn after_heavy_losses_as_much_leaves_as_arrives_and_one_more_when_safe() {
        let mut prr = Prr::begin(20);
        assert_eq!(prr.window(1, 2, 10, 1, Safety::Doubtful), 3);
        prr.handle_sent(1);
        assert_eq!(prr.window(1, 2, 10, 1, Safety::Safe), 4);
        prr.handle_sent(2);
        // Never beyond the threshold.
        assert_eq!(prr.window(9, 9, 10, 1, Safety::Safe), 10);
    }
}
