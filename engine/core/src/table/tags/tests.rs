//! A group's word beside an array.

use super::{FarCount, GROUP, Place, Tag, Tags, Word};
use proptest::prelude::*;
use std::vec::Vec;

/// The word of a group: an array says the same.
fn word(tags: &[Tag]) -> Word {
    let groups = Tags::new(3).unwrap();
    for (offset, tag) in tags.iter().enumerate() {
        groups.set(Place::new(1, offset), Tag::of(99));
        groups.set(Place::new(1, offset), *tag);
    }
    assert_eq!((groups.load(0), groups.load(2)), (Word(0), Word(0)));
    groups.load(1)
}

#[test]
fn counts_are_kept_apart_and_stick_at_their_maximum() {
    let groups = Tags::new(1).unwrap();
    groups.set(Place::new(0, GROUP - 1), Tag::of(0x7f));
    let [first, second] = [FarCount::of(0), FarCount::of(0x100)];
    let counts = || (groups.load(0).far(first), groups.load(0).far(second));
    for expected in 1..15 {
        groups.count_far(0, first);
        assert_eq!(counts(), (expected, 0));
        groups.count_far(0, second);
        groups.count_far(0, second);
        groups.uncount_far(0, second);
        assert_eq!(counts(), (expected, 1));
        groups.uncount_far(0, second);
    }
    (0..14).for_each(|_| groups.uncount_far(0, first));
    assert_eq!((counts(), groups.load(0).has_far(first)), ((0, 0), false));
    (0..16).for_each(|_| groups.count_far(0, second));
    (0..16).for_each(|_| groups.uncount_far(0, second));
    assert_eq!((counts(), groups.load(0).has_far(second)), ((0, 15), true));
    assert_eq!((groups.load(0).room(), groups.load(0).tag(GROUP - 1)), (6, Tag::of(0x7f)));
}

proptest! {
    #[test]
    fn a_word_is_an_array(
        bits in prop::collection::vec(prop::option::weighted(0.8, 0_u32..4), GROUP),
        sought in 0_u32..4,
        other in 0_u32..4,
        strays in 0..4,
    ) {
        let expected: Vec<Tag> = bits.iter().map(|bits| bits.map_or(Tag::EMPTY, Tag::of)).collect();
        let word = (0..strays).fold(word(&expected), |word, _| word.with_one_more(FarCount::of(sought << 8)));
        prop_assert!((0..GROUP).all(|offset| word.tag(offset) == expected[offset]));
        let empty = |offset: &usize| expected[*offset] == Tag::EMPTY;
        prop_assert_eq!(word.room() as usize, (0..GROUP).filter(empty).count());
        prop_assert_eq!(word.empty_slot(), (0..GROUP).find(empty));
        let candidates: Vec<usize> = word.candidates(Tag::of(sought)).collect();
        let same = |offset: &usize| expected[*offset] == Tag::of(sought);
        prop_assert!((0..GROUP).filter(same).all(|offset| candidates.contains(&offset)));
        // The first candidate is never wrong.
        prop_assert_eq!(candidates.first().copied(), (0..GROUP).find(same));
        let of_two: Vec<(usize, bool)> = word
            .candidates(Tag::of(sought))
            .and(word.candidates(Tag::of(other)))
            .map(|slot| (slot.offset, slot.is_of_first))
            .collect();
        let others = word.candidates(Tag::of(other)).map(|offset| (offset, false));
        let mut both: Vec<_> = candidates.iter().map(|offset| (*offset, true)).chain(others).collect();
        both.sort_by_key(|(offset, is_of_first)| (*offset, !is_of_first));
        prop_assert_eq!(of_two, both);
    }
}
