//! Which octets of a stream have arrived.

use std::collections::BTreeMap;

/// Octets in order, and pieces beyond them.
#[derive(Clone, Debug, Default)]
pub(super) struct Ranges {
    next: u64,
    /// First octet of each piece, and the one after its last; disjoint and not touching.
    beyond: BTreeMap<u64, u64>,
}

impl Ranges {
    /// The first octet that is missing.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// Pieces beyond it.
    pub(super) fn beyond(&self) -> impl DoubleEndedIterator<Item = (u64, u64)> {
        self.beyond.iter().map(|(start, end)| (*start, *end))
    }

    /// Takes `start..end`.
    pub(super) fn add(&mut self, start: u64, end: u64) {
        if end <= self.next || start >= end {
            return;
        }
        let (mut start, mut end) = (start.max(self.next), end);
        let touching: Vec<_> = self.beyond().filter(|(s, e)| *s <= end && *e >= start).collect();
        for (s, e) in touching {
            self.beyond.remove(&s);
            (start, end) = (start.min(s), end.max(e));
        }
        if start <= self.next {
            self.next = end;
        } else {
            self.beyond.insert(start, end);
        }
    }

    /// Drops all that is not in order; true: there was some.
    pub(super) fn renege(&mut self) -> bool {
        let had_some = !self.beyond.is_empty();
        self.beyond.clear();
        had_some
    }
}

#[cfg(test)]
mod tests {
    use super::Ranges;

    #[test]
    fn pieces_join() {
        let mut ranges = Ranges::default();
        ranges.add(10, 20);
        ranges.add(30, 40);
        ranges.add(20, 30);
        assert_eq!(ranges.beyond().collect::<Vec<_>>(), [(10, 40)]);
        ranges.add(0, 5);
        assert_eq!(ranges.next(), 5);
        ranges.add(3, 12);
        assert_eq!((ranges.next(), ranges.beyond().count()), (40, 0));
        ranges.add(50, 60);
        assert!(ranges.renege());
        assert!(!ranges.renege());
    }
}
