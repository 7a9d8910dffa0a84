//! Round-trip time and the retransmission timeout (RFC 6298).

use super::config::TcpConfig;

/// What is known of the path's round-trip time, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoundTrip {
    /// Smoothed round-trip time, scaled by 8; 0: no sample yet.
    srtt_8: u32,
    /// Its mean deviation, scaled by 4; without a sample the timeout to begin with.
    rttvar_4: u32,
}

impl RoundTrip {
    /// No sample yet; the timeout is `rto_us` (RFC 6298 section 2.1).
    pub const fn unknown(rto_us: u32) -> Self {
        Self { srtt_8: 0, rttvar_4: rto_us }
    }

    /// Takes one sample (RFC 6298 sections 2.2 and 2.3, alpha 1/8, beta 1/4).
    #[inline(always)]
    pub fn sample(&mut self, rtt_us: u32) {
        let rtt = rtt_us.clamp(1, 1 << 27);
        if self.srtt_8 == 0 {
            self.srtt_8 = rtt << 3;
            self.rttvar_4 = rtt << 1;
        } else {
            let error = rtt as i32 - (self.srtt_8 >> 3) as i32;
            self.rttvar_4 = self.rttvar_4 - (self.rttvar_4 >> 2) + error.unsigned_abs();
            // At least 7/8 of what it was, rounded up, and 1.
            self.srtt_8 = self.srtt_8 - (self.srtt_8 >> 3) + rtt;
        }
    }

    /// The smoothed round-trip time in microseconds; 0: not known yet.
    pub const fn srtt_us(&self) -> u32 {
        self.srtt_8 >> 3
    }

    /// The mean deviation in microseconds.
    pub const fn rttvar_us(&self) -> u32 {
        if self.srtt_8 == 0 { 0 } else { self.rttvar_4 >> 2 }
    }

    /// The timeout without back-off, in microseconds: SRTT + max(4 RTTVAR, `tcp_rto_min_us`), as Linux
    /// bounds the deviation's part, or the one to begin with.
    #[inline(always)]
    pub fn rto_us(&self, config: &TcpConfig) -> u32 {
        let deviation =
            if self.srtt_8 == 0 { self.rttvar_4 } else { self.rttvar_4.max(config.tcp_rto_min_us) };
        (self.srtt_us() + deviation).min(config.tcp_rto_max_us)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_sample_sets_srtt_and_half_of_it_as_deviation() {
        let config = TcpConfig::default();
        let mut rtt = RoundTrip::unknown(config.tcp_rto_initial_us);
        assert_eq!(rtt.rto_us(&config), 1_000_000);
        rtt.sample(100_000);
        assert_eq!((rtt.srtt_us(), rtt.rttvar_us()), (100_000, 50_000));
        assert_eq!(rtt.rto_us(&config), 300_000);
    }

    #[test]
    fn steady_samples_shrink_the_deviation_to_the_floor() {
        let mut rtt = RoundTrip::unknown(1_000_000);
        for _ in 0..200 {
            rtt.sample(1_000);
        }
        assert_eq!(rtt.srtt_us(), 1_000);
        assert_eq!(rtt.rto_us(&TcpConfig::default()), 201_000);
    }

    #[test]
    fn extremes_neither_wrap_nor_pass_the_maximum() {
        let mut rtt = RoundTrip::unknown(1_000_000);
        for sample in [u32::MAX, 0, u32::MAX, 0, 1] {
            rtt.sample(sample);
            assert!(rtt.rto_us(&TcpConfig::default()) <= 120_000_000);
        }
    }
}
