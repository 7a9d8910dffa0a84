use super::*;
use crate::wire::{EtherType, IpProtocol};
use proptest::prelude::*;

const SOURCE: Address = Address::v4([198, 18, 0, 2]);
const LINK: [u8; 14] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 8, 0];

fn config(slots: u32) -> IpConfig {
    IpConfig { ipfrag_high_thresh: slots * SLOT_LEN as u32, ..IpConfig::default() }
}

fn id(identification: u32) -> DatagramId {
    DatagramId { source: SOURCE, destination: Address::v4([198, 18, 0, 1]), identification, protocol: 17 }
}

fn piece(id: DatagramId, offset: u16, more: MoreFragments, data: &[u8]) -> Piece<'_> {
    Piece {
        id,
        fragment: Fragment { identification: id.identification, offset, more },
        protocol: IpProtocol::UDP,
        traffic_class: 0,
        hops: 64,
        link: &LINK,
        network: &[0x45; 20],
        data,
    }
}

fn text(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 7 + i / 251) as u8).collect()
}

proptest! {
    /// In whatever order and however often the pieces of a datagram come, they make the datagram.
    #[test]
    fn pieces_in_any_order_make_the_datagram(
        len in 1_usize..4_000,
        cuts in prop::collection::vec(1_usize..500, 0..12),
        order in prop::collection::vec(any::<prop::sample::Index>(), 0..60),
    ) {
        let text = text(len);
        let mut edges: Vec<usize> = cuts.iter().map(|cut| cut * 8 % len / 8 * 8).collect();
        edges.extend([0, len]);
        edges.sort_unstable();
        edges.dedup();
        let pieces: Vec<_> = edges.windows(2).map(|w| (w[0], w[1])).collect();
        let mut fragments = Fragments::new(&config(1));
        let all = order.iter().map(|i| pieces[i.index(pieces.len())]).chain(pieces.iter().copied());
        let mut have = std::collections::BTreeSet::new();
        for (start, end) in all {
            let more = if end == len { MoreFragments::Last } else { MoreFragments::Follow };
            let is_new = have.insert(start);
            let taken = fragments.take(&piece(id(1), start as u16, more, &text[start..end]), Instant::ZERO);
            let expected = match (is_new, have.len() == pieces.len()) {
                (false, _) => Taken::Refused,
                (true, false) => Taken::Kept,
                (true, true) => Taken::Whole(0),
            };
            prop_assert_eq!(taken, expected);
            if taken == Taken::Whole(0) {
                break;
            }
        }
        let (memory, range) = fragments.lend(0);
        let frame = &memory[range];
        prop_assert_eq!(&frame[..12], &LINK[..12]);
        prop_assert_eq!(&frame[12..14], &EtherType::IPV4.0.to_be_bytes());
        prop_assert_eq!(&frame[34..], &text[..]);
        let total = (20 + len) as u16;
        prop_assert_eq!(&frame[16..18], &total.to_be_bytes());
        fragments.give_back(memory);
        prop_assert!(fragments.is_empty());
    }

    /// Whatever comes, memory is bounded and nothing panics.
    #[test]
    fn anything_is_survived(
        given in prop::collection::vec((0_u32..6, any::<u16>(), any::<bool>(), 0_usize..70), 0..200),
    ) {
        let mut fragments = Fragments::new(&config(3));
        for (step, (name, offset, last, len)) in given.into_iter().enumerate() {
            let more = if last { MoreFragments::Last } else { MoreFragments::Follow };
            let data = text(len);
            let now = Instant::from_secs(step as u64);
            if let Taken::Whole(slot) = fragments.take(&piece(id(name), offset % 8192 * 8, more, &data), now) {
                let (memory, range) = fragments.lend(slot);
                prop_assert!(memory.get(range).is_some());
                fragments.give_back(memory);
            }
            while let Some(overdue) = fragments.poll_overdue(now) {
                fragments.forget(overdue.slot);
            }
            prop_assert!(fragments.slots.iter().flatten().count() <= 3);
            prop_assert_eq!(fragments.slots.iter().flatten().count(), usize::from(fragments.live));
        }
    }
}

#[test]
fn an_overlap_spoils_the_datagram() {
    let mut fragments = Fragments::new(&config(2));
    let data = text(64);
    let mut take =
        |offset, more, len: usize| fragments.take(&piece(id(1), offset, more, &data[..len]), Instant::ZERO);
    assert_eq!(take(0, MoreFragments::Follow, 32), Taken::Kept);
    assert_eq!(take(24, MoreFragments::Last, 16), Taken::Refused);
    // Not even what would have made it whole is taken (RFC 5722 section 4).
    assert_eq!(take(32, MoreFragments::Last, 8), Taken::Refused);
}

#[test]
fn contradictions_about_the_end_spoil_the_datagram() {
    let data = text(64);
    for (first, second) in [
        ((40, MoreFragments::Last), (48, MoreFragments::Follow)),
        ((48, MoreFragments::Follow), (40, MoreFragments::Last)),
        ((40, MoreFragments::Last), (16, MoreFragments::Last)),
    ] {
        let mut fragments = Fragments::new(&config(2));
        let mut take =
            |(offset, more)| fragments.take(&piece(id(1), offset, more, &data[..8]), Instant::ZERO);
        assert_eq!(take(first), Taken::Kept);
        assert_eq!(take(second), Taken::Refused);
        assert_eq!(take((0, MoreFragments::Follow)), Taken::Refused);
    }
}

#[test]
fn what_cannot_be_a_fragment_takes_no_memory() {
    let mut fragments = Fragments::new(&config(2));
    let data = text(64);
    for (offset, more, len) in
        [(0, MoreFragments::Follow, 9), (8, MoreFragments::Last, 0), (65_528, MoreFragments::Last, 8)]
    {
        let taken = fragments.take(&piece(id(1), offset, more, &data[..len]), Instant::ZERO);
        assert_eq!(taken, Taken::Refused);
    }
    assert!(fragments.is_empty());
}

#[test]
fn a_source_has_its_bound_and_the_oldest_makes_room() {
    let config = IpConfig { ipfrag_source_max: 2, ..config(3) };
    let mut fragments = Fragments::new(&config);
    let data = text(8);
    let mut take = |id: DatagramId, second| {
        fragments.take(&piece(id, 8, MoreFragments::Last, &data), Instant::from_secs(second))
    };
    assert_eq!(take(id(1), 0), Taken::Kept);
    assert_eq!(take(id(2), 1), Taken::Kept);
    assert_eq!(take(id(3), 2), Taken::Refused);
    let of = |last| DatagramId { source: Address::v4([203, 0, 113, last]), ..id(1) };
    assert_eq!(take(of(1), 3), Taken::Kept);
    assert_eq!(take(of(2), 4), Taken::Kept);
    // The first of the first source is gone: it may begin another.
    assert_eq!(take(id(4), 5), Taken::Kept);
}
