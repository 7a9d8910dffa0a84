//! `HyStart++` (RFC 9406): slow start ends before the path's queue overflows, when round trips become longer.
//!
//! Round trips are measured here, and not with timestamps, whose clock is too slow: an octet sent in the turn in which an
//! acknowledgment came is timed from that moment on.

use crate::tcp::seq::SequenceNumber;

use super::Acked;

/// `MIN_RTT_THRESH` and `MAX_RTT_THRESH`, µs (RFC 9406 section 4.3).
const RTT_THRESH_MIN_US: u32 = 4_000;
const RTT_THRESH_MAX_US: u32 = 16_000;
/// `MIN_RTT_DIVISOR`.
const RTT_DIVISOR: u32 = 8;
/// `N_RTT_SAMPLE`: samples that a round must have to say anything.
const SAMPLES_MIN: u8 = 8;
/// `CSS_GROWTH_DIVISOR`.
const GROWTH_DIVISOR: u32 = 4;
/// `CSS_ROUNDS`.
const CSS_ROUNDS: u8 = 5;
/// Marks of one round: as many samples as it must have, and one that ends the last.
const MARKS_PER_ROUND: u8 = SAMPLES_MIN + 1;
/// Marks at a time: those of the round before are looked for while this one's are made.
const MARKS_MAX: usize = 2 * MARKS_PER_ROUND as usize;

/// What `HyStart++` remembers of a connection in its first slow start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HyStart {
    /// The round ends when this is acknowledged (`windowEnd`).
    window_end: SequenceNumber,
    /// Shortest round trip of the round before, µs; `u32::MAX`: not known.
    last_round_min_us: u32,
    /// The same of this round.
    current_round_min_us: u32,
    /// Round trips measured in this round.
    samples: u8,
    growth: Growth,
    marks: Marks,
}

/// How fast the window grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Growth {
    /// As in any slow start.
    Fast,
    /// Conservative Slow Start: round trips have become longer than `baseline_us`.
    Conservative { baseline_us: u32, rounds: u8 },
}

/// How slow start goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    /// The window grows by so many octets.
    Grow(u32),
    /// It has reached what the path carries: congestion avoidance follows.
    Over(u32),
}

impl HyStart {
    /// Slow start begins, with `snd_nxt` to be sent next.
    pub(super) fn new(snd_nxt: SequenceNumber) -> Self {
        Self {
            window_end: snd_nxt,
            last_round_min_us: u32::MAX,
            current_round_min_us: u32::MAX,
            samples: 0,
            growth: Growth::Fast,
            marks: Marks::default(),
        }
    }

    /// All before `una` is acknowledged, `nxt` is sent next, and `credit` octets count.
    pub(super) fn on_ack(
        &mut self,
        una: SequenceNumber,
        nxt: SequenceNumber,
        credit: u32,
        acked: &Acked,
    ) -> Pace {
        let Acked { octets, now, .. } = *acked;
        let now_us = now.as_micros() as u32;
        if credit != octets {
            // Acknowledgments have passed unseen, and what they let go is not known.
            self.marks.len = 0;
        }
        if let Some(rtt_us) = self.marks.measure(una, nxt, now_us) {
            self.current_round_min_us = self.current_round_min_us.min(rtt_us);
            self.samples = self.samples.saturating_add(1);
        }
        self.marks.add(nxt, now_us);
        let ended = !una.is_before(self.window_end);
        self.judge();
        let grow = match self.growth {
            Growth::Fast => credit,
            Growth::Conservative { .. } => credit / GROWTH_DIVISOR,
        };
        if ended && self.end_round(nxt) { Pace::Over(grow) } else { Pace::Grow(grow) }
    }

    /// RFC 9406 section 4.2, after each sample.
    fn judge(&mut self) {
        if self.samples < SAMPLES_MIN || self.last_round_min_us == u32::MAX {
            return;
        }
        let (last, current) = (self.last_round_min_us, self.current_round_min_us);
        self.growth = match self.growth {
            Growth::Fast => {
                let thresh = (last / RTT_DIVISOR).clamp(RTT_THRESH_MIN_US, RTT_THRESH_MAX_US);
                if current >= last.saturating_add(thresh) {
                    Growth::Conservative { baseline_us: current, rounds: 0 }
                } else {
                    Growth::Fast
                }
            }
            // It was an error: the path is not full.
            Growth::Conservative { baseline_us, .. } if current < baseline_us => Growth::Fast,
            same @ Growth::Conservative { .. } => same,
        };
    }

    /// Begins the next round; says whether slow start is over.
    fn end_round(&mut self, nxt: SequenceNumber) -> bool {
        self.window_end = nxt;
        self.last_round_min_us = self.current_round_min_us;
        self.current_round_min_us = u32::MAX;
        self.samples = 0;
        self.marks.made = 0;
        match &mut self.growth {
            Growth::Fast => false,
            Growth::Conservative { rounds, .. } => {
                *rounds += 1;
                *rounds >= CSS_ROUNDS
            }
        }
    }
}

/// What is being timed, in order: the octets from one mark to the next left when the first was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
struct Marks {
    marks: [Mark; MARKS_MAX],
    len: u8,
    /// Made in this round.
    made: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
struct Mark {
    seq: SequenceNumber,
    /// When it was made, µs, wrapping, never 0; 0: it only ends the one before.
    sent_us: u32,
}

impl Marks {
    /// `seq` is sent next, in this turn.
    fn add(&mut self, seq: SequenceNumber, now_us: u32) {
        if self.made >= MARKS_PER_ROUND {
            return;
        }
        if let Some(place) = self.marks.get_mut(usize::from(self.len)) {
            self.made += 1;
            let sent_us = if self.made == MARKS_PER_ROUND { 0 } else { now_us.max(1) };
            *place = Mark { seq, sent_us };
            self.len += 1;
        }
    }

    /// The round trip of the octet before `una`, if it was timed.
    fn measure(&mut self, una: SequenceNumber, nxt: SequenceNumber, now_us: u32) -> Option<u32> {
        let marks = self.marks.get(..usize::from(self.len)).unwrap_or_default();
        if marks.last().is_some_and(|mark| mark.seq == nxt) {
            // Nothing was sent then; when it will be, nobody knows.
            self.len -= 1;
            self.made = self.made.saturating_sub(1);
        }
        let marks = self.marks.get(..usize::from(self.len)).unwrap_or_default();
        let begun = marks.iter().take_while(|mark| mark.seq.is_before(una)).count();
        let latest = begun.checked_sub(1)?;
        let sent_us = marks.get(latest)?.sent_us;
        let is_last = begun == marks.len();
        // Its other octets may be acknowledged by the next.
        self.marks.copy_within(latest..usize::from(self.len), 0);
        self.len -= latest as u8;
        (sent_us != 0 && !is_last).then(|| now_us.wrapping_sub(sent_us))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::{Duration, Instant};

    const MSS: u32 = 1000;

    /// A sender whose window is acknowledged octet for octet, one ACK for each segment.
    struct Sender {
        hystart: HyStart,
        una: SequenceNumber,
        nxt: SequenceNumber,
        cwnd: u32,
        now: Instant,
    }

    impl Sender {
        fn new(segments: u32) -> Self {
            let una = SequenceNumber(u32::MAX - 30 * MSS);
            let nxt = una + segments * MSS;
            Self { hystart: HyStart::new(nxt), una, nxt, cwnd: segments * MSS, now: Instant::from_secs(9) }
        }

        /// One round of so many microseconds; says whether slow start is over.
        fn round(&mut self, rtt_us: u32) -> bool {
            let segments = self.nxt.since(self.una) / MSS;
            let begin = self.now + Duration::from_micros(rtt_us.into());
            for i in 0..segments {
                // All left together; they come back 1 µs apart.
                self.now = begin + Duration::from_micros(i.into());
                self.una += MSS;
                let acked = Acked { octets: MSS, flight: self.cwnd, now: self.now };
                match self.hystart.on_ack(self.una, self.nxt, MSS, &acked) {
                    Pace::Grow(octets) => self.cwnd += octets,
                    Pace::Over(_) => return true,
                }
                self.nxt = self.una + self.cwnd / MSS * MSS;
            }
            false
        }
    }

    #[test]
    fn steady_round_trips_double_the_window() {
        let mut sender = Sender::new(10);
        for expected in [20, 40, 80, 160] {
            assert!(!sender.round(10_000));
            assert_eq!(sender.cwnd, expected * MSS);
        }
    }

    #[test]
    fn longer_round_trips_slow_it_down_and_five_rounds_end_it() {
        let mut sender = Sender::new(16);
        assert!(!sender.round(40_000) && !sender.round(40_000));
        assert_eq!(sender.cwnd, 64 * MSS);
        // 5 ms more are an eighth of 40 ms.
        assert!(!sender.round(46_000));
        let grown = sender.cwnd - 64 * MSS;
        // Seven at full pace, the rest at a quarter.
        assert_eq!(grown, 7 * MSS + 57 * MSS / 4);
        let mut rounds = 1;
        while !sender.round(46_000) {
            rounds += 1;
        }
        // The one in which it began counts.
        assert_eq!(rounds + 1, 5);
    }

    #[test]
    fn a_shorter_round_trip_takes_it_back() {
        let mut sender = Sender::new(16);
        assert!(!sender.round(40_000) && !sender.round(40_000) && !sender.round(46_000));
        let before = sender.cwnd;
        assert!(!sender.round(40_000));
        assert!(sender.cwnd > before * 3 / 2, "fast again: {before} {}", sender.cwnd);
    }

    #[test]
    fn what_was_not_sent_at_once_is_not_timed() {
        let mut marks = Marks::default();
        let seq = SequenceNumber(5);
        marks.add(seq, 10);
        assert_eq!(marks.measure(seq, seq, 20), None, "nothing was sent since");
        marks.add(seq, 20);
        assert_eq!(marks.measure(seq, seq + 3, 25), None);
        marks.add(seq + 3, 25);
        assert_eq!(marks.measure(seq + 1, seq + 6, 50), Some(30));
        assert_eq!(marks.measure(seq + 3, seq + 6, 52), Some(32));
        assert_eq!(marks.measure(seq + 4, seq + 6, 53), None, "its end is not known");
    }
}
