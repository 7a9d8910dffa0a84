extern crate std;

use proptest::prelude::*;
use std::vec::Vec;

use super::*;

const CLOCKS: Timestamps = Timestamps { value: 0x0a0b_0c0d, echo: 0x1011_1213 };
const CLOCK_BYTES: [u8; 8] = [0x0a, 0x0b, 0x0c, 0x0d, 0x10, 0x11, 0x12, 0x13];

/// Options as an endpoint emits them: SACK blocks only as many as there is room for.
pub(in crate::wire::tcp) fn any_options() -> impl Strategy<Value = Options> {
    let blocks = proptest::collection::vec(any::<(u32, u32)>(), 0..=SACK_BLOCKS_MAX);
    let clocks = proptest::option::of(any::<(u32, u32)>());
    let shift = proptest::option::of(0..=WINDOW_SCALE_MAX);
    (any::<Option<u16>>(), shift, any::<bool>(), clocks, blocks).prop_map(
        |(mss, window_scale, sack, clocks, blocks)| {
            let mut options = Options {
                mss,
                window_scale,
                sack_permitted: if sack { SackPermitted::Present } else { SackPermitted::Absent },
                timestamps: clocks.map(|(value, echo)| Timestamps { value, echo }),
                ..Options::NONE
            };
            for (left, right) in blocks.into_iter().take(sack_room(options.fixed_len())) {
                options.sack.push(SackBlock { left, right }).expect("at most four");
            }
            options
        },
    )
}

fn emitted(options: &Options) -> Vec<u8> {
    let mut bytes = std::vec![0xff; options.wire_len()];
    options.emit(&mut bytes);
    bytes
}

fn joined(pieces: &[&[u8]]) -> Vec<u8> {
    pieces.concat()
}

#[test]
fn a_syn_has_linux_order() {
    let all = Options {
        mss: Some(1460),
        window_scale: Some(7),
        sack_permitted: SackPermitted::Present,
        timestamps: Some(CLOCKS),
        ..Options::NONE
    };
    assert_eq!(emitted(&all), joined(&[&[2, 4, 5, 0xb4, 4, 2, 8, 10], &CLOCK_BYTES, &[1, 3, 3, 7]]));
    let no_clocks = Options { timestamps: None, ..all };
    assert_eq!(emitted(&no_clocks), [2, 4, 5, 0xb4, 1, 1, 4, 2, 1, 3, 3, 7]);
    let no_sack = Options { sack_permitted: SackPermitted::Absent, ..all };
    assert_eq!(emitted(&no_sack), joined(&[&[2, 4, 5, 0xb4, 1, 1, 8, 10], &CLOCK_BYTES, &[1, 3, 3, 7]]));
    assert!(emitted(&Options::NONE).is_empty());
}

#[test]
fn sack_blocks_follow_the_timestamps_as_far_as_there_is_room() {
    let mut options = Options { timestamps: Some(CLOCKS), ..Options::NONE };
    for n in 0..4 {
        options.sack.push(SackBlock { left: n * 16, right: n * 16 + 8 }).expect("room for four");
    }
    let extra = SackBlock { left: 90, right: 91 };
    assert_eq!(options.sack.push(extra), Err(extra));
    let bytes = emitted(&options);
    assert_eq!(bytes.len(), 40);
    assert_eq!(bytes[12..16], [1, 1, 5, 26]);
    let parsed = Options::parse(&bytes);
    assert_eq!(parsed.sack.as_slice(), &options.sack.as_slice()[..3]);
    let alone = Options { timestamps: None, ..options };
    assert_eq!(emitted(&alone).len(), 36);
    assert_eq!(Options::parse(&emitted(&alone)), alone);
}

#[test]
fn the_aligned_layout_and_any_other_order_read_the_same() {
    let aligned = joined(&[&[1, 1, 8, 10], &CLOCK_BYTES]);
    assert_eq!(Timestamps::of_aligned(&aligned), Some(CLOCKS));
    let late = joined(&[&[8, 10], &CLOCK_BYTES, &[1, 1]]);
    assert_eq!(Timestamps::of_aligned(&late), None);
    assert_eq!(Options::parse(&late), Options::parse(&aligned));
    assert_eq!(Options::parse(&aligned), Options { timestamps: Some(CLOCKS), ..Options::NONE });
    let longer = joined(&[&aligned, &[1, 1, 4, 2]]);
    assert_eq!(Timestamps::of_aligned(&longer), None);
    assert_eq!(Options::parse(&longer).timestamps, Some(CLOCKS));
    assert_eq!(Options::parse(&longer).sack_permitted, SackPermitted::Present);
}

#[test]
fn an_illegal_length_stops_and_says_so() {
    let good = [2, 4, 5, 0xb4];
    for bad in [&[8, 0, 1, 1][..], &[8, 1, 1, 1], &[8, 10, 0, 0], &[254, 5, 0, 0], &[3]] {
        let options = Options::parse(&joined(&[&good, bad, &[4, 2]]));
        let read = Options { mss: Some(1460), ..Options::NONE };
        // A length that reaches into what follows is legal; it is illegal at the header's end.
        let at_end = Options::parse(&joined(&[&good, bad]));
        assert_eq!(at_end, Options { form: OptionsForm::IllegalLength, ..read }, "{bad:?}");
        assert_eq!(options.mss, Some(1460));
    }
}

#[test]
fn nothing_is_read_behind_the_end() {
    let options = Options::parse(&[4, 2, 0, 2, 4, 5, 0xb4]);
    assert_eq!(options, Options { sack_permitted: SackPermitted::Present, ..Options::NONE });
}

#[test]
fn unknown_options_and_wrong_sizes_are_skipped() {
    let unknown = [30, 4, 9, 9, 2, 3, 5, 3, 4, 1, 1, 4, 3, 0, 5, 2, 5, 4, 0, 0, 8, 3, 0, 2, 4, 2, 0];
    assert_eq!(Options::parse(&unknown), Options { mss: Some(512), ..Options::NONE });
}

#[test]
fn a_shift_count_above_14_means_14() {
    assert_eq!(Options::parse(&[3, 3, 14]).window_scale, Some(14));
    assert_eq!(Options::parse(&[3, 3, 15]).window_scale, Some(14));
    assert_eq!(Options::parse(&[3, 3, 255]).window_scale, Some(14));
}

#[test]
fn of_two_the_last_counts() {
    let bytes = [2, 4, 1, 0, 2, 4, 2, 0, 5, 10, 0, 0, 0, 1, 0, 0, 0, 2, 5, 10, 0, 0, 0, 3, 0, 0, 0, 4];
    let options = Options::parse(&bytes);
    assert_eq!(options.mss, Some(512));
    assert_eq!(options.sack.as_slice(), &[SackBlock { left: 3, right: 4 }]);
}

proptest! {
    #[test]
    fn what_is_emitted_is_parsed(options in any_options()) {
        let bytes = emitted(&options);
        prop_assert!(bytes.len() <= OPTIONS_LEN_MAX && bytes.len().is_multiple_of(4));
        prop_assert_eq!(Options::parse(&bytes), options);
    }

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(0_u8..12, 0..=40)) {
        let options = Options::parse(&bytes);
        prop_assert!(options.sack.as_slice().len() <= SACK_BLOCKS_MAX);
        let again = Options::parse(&emitted(&options));
        prop_assert_eq!(again.timestamps, options.timestamps);
        prop_assert_eq!(again.form, OptionsForm::WellFormed);
    }
}
