extern crate std;

use proptest::prelude::*;
use std::vec::Vec;

use super::wide::{Copied, Words};
use super::*;
use crate::base::wide::Wide;

/// RFC 1071 word by word.
fn naive(bytes: &[u8]) -> u16 {
    let mut sum: u32 = 0;
    for word in bytes.chunks(2) {
        let low = word.get(1).copied().unwrap_or(0);
        sum += u32::from(u16::from_be_bytes([word[0], low]));
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[test]
fn the_example_of_rfc_1071_sums_to_ddf2() {
    let sum = Sum::of(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]);
    assert_eq!(sum.partial(), 0xddf2);
    assert_eq!(sum.finish(), !0xddf2);
}

#[test]
fn nothing_and_zeros_sum_to_zero_and_are_not_valid() {
    assert_eq!(Sum::ZERO.finish(), 0xffff);
    assert_eq!(Sum::of(&[0; 77]).finish(), 0xffff);
    assert!(!Sum::of(&[0; 64]).is_valid());
}

#[test]
fn carries_that_fill_every_bit_come_around() {
    for len in [1, 2, 7, 8, 16, 31, 32, 64, 65, 4096] {
        let ones = std::vec![0xff; len];
        assert_eq!(Sum::of(&ones).finish(), naive(&ones), "{len}");
    }
    let all = Sum::of(&[0xff; 8]);
    assert_eq!(all.add(all).finish(), 0);
    assert_eq!(Sum(u64::MAX).add(Sum(1)).fold(), 1);
}

/// Whatever this processor has: the loops as they are compiled for every one, which else run only on an old one.
#[test]
fn long_messages_sum_to_the_same_in_narrow_registers() {
    let words: Vec<[u8; 8]> =
        (0..200_u64).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_ne_bytes()).collect();
    let mut copied = std::vec![[0; 8]; 200];
    for len in [0, 1, 3, 16, 181, 200] {
        let bytes = words[..len].as_flattened();
        assert_eq!(Words(&words[..len]).run().finish(), naive(bytes), "{len} words");
        let sum = Copied { to: &mut copied[..len], from: &words[..len] }.run();
        assert_eq!(sum.finish(), naive(bytes), "{len} words");
        assert_eq!(copied[..len], words[..len]);
    }
}

#[test]
fn every_length_and_alignment_agrees_with_the_oracle() {
    let bytes: Vec<u8> = (0..600_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let mut target = [0; 512];
    for start in 0..32 {
        for len in 0..400 {
            let piece = &bytes[start..start + len];
            assert_eq!(Sum::of(piece).finish(), naive(piece), "start {start}, {len} bytes");
            target.fill(0xa5);
            let offset = start % 9;
            let sum = Sum::copy(&mut target[offset..offset + len], piece);
            assert_eq!(sum.finish(), naive(piece), "copy, start {start}, {len} bytes");
            assert_eq!(&target[offset..offset + len], piece);
            assert!(target[offset + len..].iter().all(|&byte| byte == 0xa5), "copied too far");
        }
    }
}

/// An array of the first `N` of `bytes`, and one of ones.
fn check_array<const N: usize>(bytes: &[u8]) {
    let array = bytes.first_chunk::<N>().unwrap();
    assert_eq!(Sum::of_array(array).finish(), naive(array), "{N} bytes");
    assert_eq!(Sum::of_array(&[0xff; N]).finish(), naive(&[0xff; N]), "{N} bytes of ones");
}

#[test]
fn arrays_of_every_remainder_agree_with_the_oracle() {
    let bytes: [u8; 41] = core::array::from_fn(|n| (n as u8).wrapping_mul(151) | 0x80);
    check_array::<1>(&bytes);
    check_array::<7>(&bytes);
    check_array::<8>(&bytes);
    check_array::<16>(&bytes);
    check_array::<20>(&bytes);
    check_array::<22>(&bytes);
    check_array::<32>(&bytes);
    check_array::<40>(&bytes);
    check_array::<41>(&bytes);
}

#[test]
fn copy_of_unequal_lengths_stops_at_the_shorter() {
    let mut short = [0; 3];
    assert_eq!(Sum::copy(&mut short, &[1, 2, 3, 4, 5]).finish(), naive(&[1, 2, 3]));
    assert_eq!(short, [1, 2, 3]);
    let mut long = [9; 5];
    assert_eq!(Sum::copy(&mut long, &[1, 2, 3]).finish(), naive(&[1, 2, 3]));
    assert_eq!(long, [1, 2, 3, 9, 9]);
}

#[test]
fn pseudo_headers_are_what_the_rfcs_spell_out() {
    let v4 = [198, 18, 0, 1, 198, 18, 0, 2, 0, 6, 0x05, 0xdc];
    assert_eq!(Sum::pseudo_v4([198, 18, 0, 1], [198, 18, 0, 2], 6, 1500).finish(), naive(&v4));
    let source: [u8; 16] = core::array::from_fn(|n| n as u8 + 0xe8);
    let destination: [u8; 16] = core::array::from_fn(|n| n as u8 * 7);
    let mut v6 = Vec::from(source);
    v6.extend_from_slice(&destination);
    v6.extend_from_slice(&[0x00, 0x01, 0x11, 0x70, 0, 0, 0, 58]);
    assert_eq!(Sum::pseudo_v6(source, destination, 58, 70_000).finish(), naive(&v6));
}

proptest! {
    #[test]
    fn sum_agrees_with_the_oracle(bytes in proptest::collection::vec(any::<u8>(), 0..4000)) {
        prop_assert_eq!(Sum::of(&bytes).finish(), naive(&bytes));
        let mut copied = std::vec![0; bytes.len()];
        prop_assert_eq!(Sum::copy(&mut copied, &bytes).finish(), naive(&bytes));
        prop_assert_eq!(copied, bytes);
    }

    #[test]
    fn pieces_gather_over_odd_borders(
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        cuts in proptest::collection::vec(0_usize..300, 0..6),
    ) {
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
        cuts.push(bytes.len());
        cuts.sort_unstable();
        let mut sum = Sum::ZERO;
        let mut start = 0;
        for cut in cuts {
            sum = sum.append(Sum::of(&bytes[start..cut]), Parity::of(start));
            start = cut;
        }
        prop_assert_eq!(sum.finish(), naive(&bytes));
    }

    #[test]
    fn a_stored_checksum_makes_the_data_valid_and_a_changed_bit_invalid(
        mut bytes in proptest::collection::vec(any::<u8>(), 4..200),
        place in any::<prop::sample::Index>(),
        bit in 0_u32..8,
    ) {
        bytes[2..4].fill(0);
        let checksum = Sum::of(&bytes).finish();
        bytes[2..4].copy_from_slice(&checksum.to_be_bytes());
        prop_assume!(bytes.iter().any(|&byte| byte != 0));
        prop_assert!(Sum::of(&bytes).is_valid());
        let place = place.index(bytes.len());
        bytes[place] ^= 1 << bit;
        prop_assert!(!Sum::of(&bytes).is_valid());
    }

    #[test]
    fn an_update_is_a_new_sum(mut bytes in proptest::collection::vec(any::<u8>(), 20), new in any::<u32>()) {
        // A leading one: ones' complement has two zeros, and data of zeros alone are no packet.
        bytes[0] = 0x45;
        let before = Sum::of(&bytes).finish();
        let old = u32::from_be_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]);
        let mut word = bytes.clone();
        word[4..6].copy_from_slice(&new.to_be_bytes()[..2]);
        prop_assert_eq!(update_word(before, (old >> 16) as u16, (new >> 16) as u16), naive(&word));
        bytes[4..8].copy_from_slice(&new.to_be_bytes());
        prop_assert_eq!(update_u32(before, old, new), naive(&bytes));
        prop_assert_eq!(Sum::of(&word).add_word(0xbeef).remove_word(0xbeef).finish(), naive(&word));
        prop_assert_eq!(Sum::of(&word).add_u32(new).remove_u32(new).finish(), naive(&word));
    }
}
