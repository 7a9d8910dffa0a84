use super::*;
use alloc::vec;
use alloc::vec::Vec;

struct Owned {
    slots: Vec<Filled>,
    len: u16,
    stamp: u32,
}

impl Owned {
    fn new(slots: usize) -> Self {
        Self { slots: Filled::new_vec_zeroed(slots).unwrap(), len: 0, stamp: 0 }
    }

    fn view(&mut self) -> Reassembly<'_> {
        Reassembly { slots: &mut self.slots, len: &mut self.len, stamp: &mut self.stamp }
    }

    /// Fills `start..end` and returns the holes that it closed.
    fn fill(&mut self, start: u32, end: u32) -> Vec<(u32, u32)> {
        let mut holes = Vec::new();
        let covered = self.view().cover(start, end, |from, until| holes.push((from, until)));
        assert_eq!(covered.new_bytes, holes.iter().map(|(from, until)| until - from).sum::<u32>());
        self.view().join(start, end, &covered);
        holes
    }

    fn spans(&mut self) -> Vec<(u32, u32)> {
        self.view().ranges().iter().map(|range| (range.start, range.end)).collect()
    }
}

#[test]
fn a_segment_over_several_ranges_closes_only_the_holes() {
    let mut owned = Owned::new(4);
    owned.fill(10, 20);
    owned.fill(30, 40);
    owned.fill(50, 60);
    assert_eq!(owned.fill(5, 55), vec![(5, 10), (20, 30), (40, 50)]);
    assert_eq!(owned.spans(), vec![(5, 60)]);
}

#[test]
fn adjoining_segments_merge_on_both_sides() {
    let mut owned = Owned::new(4);
    owned.fill(10, 20);
    owned.fill(30, 40);
    assert_eq!(owned.fill(20, 30), vec![(20, 30)]);
    assert_eq!(owned.spans(), vec![(10, 40)]);
}

#[test]
fn the_first_duplicate_part_is_reported() {
    let mut owned = Owned::new(4);
    owned.fill(10, 20);
    owned.fill(30, 40);
    let covered = owned.view().cover(15, 45, |_, _| {});
    assert_eq!(covered.duplicate, Some(Span { start: 15, end: 20 }));
    assert_eq!(covered.new_bytes, 15);
}

#[test]
fn full_slots_take_no_range_of_its_own_but_still_merge() {
    let mut owned = Owned::new(2);
    owned.fill(10, 20);
    owned.fill(30, 40);
    assert!(touched(&owned.slots, 50, 60).is_empty());
    owned.fill(50, 60);
    assert_eq!(owned.spans(), vec![(10, 20), (30, 40)]);
    owned.fill(20, 25);
    assert_eq!(owned.spans(), vec![(10, 25), (30, 40)]);
}

#[test]
fn absorbing_takes_what_the_in_order_end_reaches() {
    let mut owned = Owned::new(4);
    owned.fill(10, 20);
    owned.fill(30, 40);
    owned.fill(50, 60);
    assert_eq!(owned.view().absorb(9), 9);
    assert_eq!(owned.view().absorb(10), 20);
    assert_eq!(owned.view().absorb(45), 45);
    assert_eq!(owned.spans(), vec![(50, 60)]);
}

#[test]
fn recent_changes_come_first_also_when_the_stamp_wraps() {
    let mut owned = Owned::new(4);
    owned.stamp = u32::MAX - 1;
    for start in [10, 30, 50] {
        owned.fill(start, start + 10);
    }
    owned.fill(12, 14);
    let recent: Vec<_> = RecentSpans::new(&owned.slots[..3], 5, owned.stamp).collect();
    let span = |start| Span { start, end: start + 10 };
    assert_eq!(recent, vec![span(5), span(45), span(25)]);
}
