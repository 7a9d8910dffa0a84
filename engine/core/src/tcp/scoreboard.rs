//! What the peer holds beyond the cumulative acknowledgment (RFC 2018, RFC 6675 section 3).

use super::seq::SequenceNumber;

/// Most separate ranges that are remembered; what does not fit is sent again, which is only wasteful.
const RANGES_MAX: usize = 32;

/// One range of octets that the peer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Range {
    /// First octet.
    pub start: SequenceNumber,
    /// After the last octet.
    pub end: SequenceNumber,
}

impl Range {
    /// Octets in it.
    pub const fn len(self) -> u32 {
        self.end.since(self.start)
    }
}

/// SACKed ranges between `snd_una` and `snd_nxt`: sorted, disjoint, not touching.
#[derive(Clone, Debug, Default)]
pub struct Scoreboard {
    ranges: [Range; RANGES_MAX],
    count: usize,
    sacked: u32,
}

impl Scoreboard {
    /// Octets that the peer holds.
    pub const fn sacked(&self) -> u32 {
        self.sacked
    }

    /// The ranges, lowest first.
    pub fn ranges(&self) -> &[Range] {
        &self.ranges[..self.count]
    }

    /// Takes one SACK block and says how many octets are new. A block that is empty, turned round, or not wholly
    /// within `una..=nxt` is ignored (it is a D-SACK or nonsense).
    pub fn add(&mut self, block: Range, una: SequenceNumber, nxt: SequenceNumber) -> u32 {
        let window = nxt.since(una);
        let (start, end) = (block.start.since(una), block.end.since(una));
        if start >= end || end > window {
            return 0;
        }
        let first = self.ranges().iter().take_while(|r| r.end.since(una) < start).count();
        let merged = self.ranges()[first..].iter().take_while(|r| r.start.since(una) <= end).count();
        if merged == 0 {
            return self.insert(first, block);
        }
        let touched = &self.ranges[first..first + merged];
        let before: u32 = touched.iter().map(|r| r.len()).sum();
        let union = Range {
            start: touched[0].start.earliest(block.start),
            end: touched[merged - 1].end.latest(block.end),
        };
        self.ranges[first] = union;
        self.ranges.copy_within(first + merged..self.count, first + 1);
        self.count -= merged - 1;
        self.sacked += union.len() - before;
        union.len() - before
    }

    fn insert(&mut self, at: usize, block: Range) -> u32 {
        if self.count == RANGES_MAX {
            return 0;
        }
        self.ranges.copy_within(at..self.count, at + 1);
        self.ranges[at] = block;
        self.count += 1;
        self.sacked += block.len();
        block.len()
    }

    /// The peer has acknowledged everything before `una`.
    pub fn acknowledge(&mut self, una: SequenceNumber) {
        let mut kept = 0;
        self.sacked = 0;
        for i in 0..self.count {
            let mut range = self.ranges[i];
            if !range.end.is_after(una) {
                continue;
            }
            range.start = range.start.latest(una);
            self.sacked += range.len();
            self.ranges[kept] = range;
            kept += 1;
        }
        self.count = kept;
    }

    /// Forgets everything: after a timeout the peer may have dropped what it held (RFC 2018 section 8).
    pub fn clear(&mut self) {
        self.count = 0;
        self.sacked = 0;
    }

    /// The first octets from `from` on that the peer does not hold, up to `to`.
    pub fn hole(&self, from: SequenceNumber, to: SequenceNumber) -> Option<Range> {
        let mut start = from;
        for range in self.ranges() {
            if !range.end.is_after(start) {
                continue;
            }
            if range.start.is_after(start) {
                let end = range.start.earliest(to);
                return end.is_after(start).then_some(Range { start, end });
            }
            start = range.end;
        }
        to.is_after(start).then_some(Range { start, end: to })
    }

    /// Below this point everything not SACKed counts as lost: more than `threshold` octets above it are SACKed
    /// (`IsLost` of RFC 6675 section 4). `una` when nothing is.
    pub fn lost_below(&self, una: SequenceNumber, threshold: u32) -> SequenceNumber {
        let mut above = 0;
        for range in self.ranges().iter().rev() {
            above += range.len();
            if above > threshold {
                return range.start;
            }
        }
        una
    }

    /// Octets held in `from..to`.
    pub fn sacked_in(&self, from: SequenceNumber, to: SequenceNumber) -> u32 {
        let in_range = |r: &Range| {
            let (start, end) = (r.start.latest(from), r.end.earliest(to));
            if end.is_after(start) { end.since(start) } else { 0 }
        };
        self.ranges().iter().map(in_range).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    fn range(start: u32, end: u32) -> Range {
        Range { start: SequenceNumber(start), end: SequenceNumber(end) }
    }

    proptest! {
        #[test]
        fn agrees_with_a_bitmap(base in any::<u32>(), blocks in proptest::collection::vec((0u32..120, 0u32..120), 0..40), una in 0u32..100) {
            let at = |offset: u32| SequenceNumber(base.wrapping_add(offset));
            let mut board = Scoreboard::default();
            let mut held = [false; 100];
            for (start, end) in blocks {
                let before = held.iter().filter(|h| **h).count() as u32;
                let added = board.add(Range { start: at(start), end: at(end) }, at(0), at(100));
                if start < end && end <= 100 {
                    held[start as usize..end as usize].fill(true);
                }
                prop_assert_eq!(added, held.iter().filter(|h| **h).count() as u32 - before);
            }
            board.acknowledge(at(una));
            held[..una as usize].fill(false);
            prop_assert_eq!(board.sacked(), held.iter().filter(|h| **h).count() as u32);
            let listed: Vec<u32> = board.ranges().iter().flat_map(|r| (0..r.len()).map(|i| (r.start + i).since(at(0)))).collect();
            let naive: Vec<u32> = (0..100).filter(|i| held[*i as usize]).collect();
            prop_assert_eq!(listed, naive);
            let hole = board.hole(at(una), at(100)).map(|r| r.start.since(at(0)));
            prop_assert_eq!(hole, (una..100).find(|i| !held[*i as usize]));
        }
    }

    #[test]
    fn holes_are_bounded_by_the_next_held_range() {
        let mut board = Scoreboard::default();
        let (una, nxt) = (SequenceNumber(0), SequenceNumber(100));
        board.add(range(10, 20), una, nxt);
        board.add(range(40, 50), una, nxt);
        assert_eq!(board.hole(una, nxt), Some(range(0, 10)));
        assert_eq!(board.hole(SequenceNumber(10), nxt), Some(range(20, 40)));
        assert_eq!(board.hole(SequenceNumber(45), SequenceNumber(50)), None);
        assert_eq!(board.lost_below(una, 10), SequenceNumber(10));
        assert_eq!(board.lost_below(una, 9), SequenceNumber(40));
        assert_eq!(board.lost_below(una, 30), una);
    }
}
