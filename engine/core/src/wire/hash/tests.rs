extern crate std;

use core::net::IpAddr;
use std::collections::HashSet;
use std::vec::Vec;

use super::*;
use crate::wire::Address;

static DEFAULT: Toeplitz = Toeplitz::new(&RSS_DEFAULT_KEY);

fn address(text: &str) -> Address {
    text.parse::<IpAddr>().expect("an address").into()
}

/// Microsoft, "Verifying the RSS Hash Calculation": destination, source, hash over addresses and TCP ports.
#[test]
fn the_vectors_of_the_rss_specification() {
    let vectors = [
        ("161.142.100.80", 1766, "66.9.149.187", 2794, 0x51cc_c178),
        ("65.69.140.83", 4739, "199.92.111.2", 14230, 0xc626_b0ea),
        ("12.22.207.184", 38024, "24.19.198.95", 12898, 0x5c2b_394a),
        ("209.142.163.6", 2217, "38.27.205.30", 48228, 0xafc7_327f),
        ("202.188.127.2", 1303, "153.39.163.191", 44251, 0x10e8_28a2),
        ("3ffe:2501:200:3::1", 1766, "3ffe:2501:200:1fff::7", 2794, 0x4020_7d3d),
        ("ff02::1", 4739, "3ffe:501:8::260:97ff:fe40:efab", 14230, 0xdde5_1bbf),
        ("fe80::200:f8ff:fe21:67cf", 38024, "3ffe:1900:4545:3:200:f8ff:fe21:67cf", 44251, 0x02d1_feef),
    ];
    for (local, local_port, remote, remote_port, hash) in vectors {
        let tuple = Tuple { local: address(local), remote: address(remote), local_port, remote_port };
        assert_eq!(DEFAULT.of_received(&tuple), hash, "{tuple}");
    }
}

/// Bit by bit, as the specification defines it.
fn naive_toeplitz(key: &[u8; RSS_KEY_LEN], input: &[u8]) -> u32 {
    let bit = |bytes: &[u8], n: usize| bytes[n / 8] >> (7 - n % 8) & 1;
    (0..input.len() * 8)
        .filter(|&n| bit(input, n) == 1)
        .fold(0, |hash, n| hash ^ (n..n + 32).fold(0, |window, at| window << 1 | u32::from(bit(key, at))))
}

proptest::proptest! {
    #[test]
    fn the_tables_agree_with_the_definition(key: [u8; RSS_KEY_LEN], local: [u8; 16], remote: [u8; 16], ports: [u8; 4]) {
        let [a, b, c, d] = ports;
        let tuple = Tuple {
            local: Address::v6(local),
            remote: Address::v6(remote),
            local_port: u16::from_be_bytes([c, d]),
            remote_port: u16::from_be_bytes([a, b]),
        };
        let input = [&remote[..], &local[..], &ports[..]].concat();
        let hash = Toeplitz::new(&key).of_received(&tuple);
        proptest::prop_assert_eq!(hash, naive_toeplitz(&key, &input));
    }
}

const HASHER: TupleHasher = TupleHasher::new([0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210 ^ 0x5555]);

/// For each bit of the input: how many of the output's bits change, over several inputs, and how often each does.
fn check_spread<const N: usize>(hash: impl Fn([u32; N]) -> u64) {
    const SAMPLES: u32 = 128;
    for bit in 0..N * 32 {
        let mut flips = [0_u32; 64];
        let mut total = 0;
        for sample in 0..SAMPLES {
            let mut words: [u32; N] =
                core::array::from_fn(|n| (sample * 31 + n as u32 + 1).wrapping_mul(2_654_435_761));
            let before = hash(words);
            words[bit / 32] ^= 1 << (bit % 32);
            let changed = before ^ hash(words);
            total += changed.count_ones();
            for (n, count) in flips.iter_mut().enumerate() {
                *count += (changed >> n) as u32 & 1;
            }
        }
        let mean = f64::from(total) / f64::from(SAMPLES);
        assert!((28.0..36.0).contains(&mean), "input bit {bit}: {mean} bits change");
        // Binomial(128, 1/2): 64 +- 5.7; seven deviations leave room for all pairs of bits.
        for (n, &count) in flips.iter().enumerate() {
            assert!((24..=104).contains(&count), "input bit {bit}, output bit {n}: {count} of {SAMPLES}");
        }
    }
}

#[test]
fn every_input_bit_changes_half_of_the_output() {
    check_spread(|words: [u32; 3]| HASHER.v4(words));
    check_spread(|words: [u32; 9]| HASHER.v6(words));
}

/// Chi-square over buckets chosen by the low bits and by the high bits: its mean is the number of buckets, its deviation
/// the square root of twice that.
fn check_distribution(hashes: &[u64]) {
    const BUCKETS: usize = 1024;
    for shift in [0, 32, 54] {
        let mut counts = [0_u32; BUCKETS];
        for hash in hashes {
            counts[(hash >> shift) as usize % BUCKETS] += 1;
        }
        let expected = hashes.len() as f64 / BUCKETS as f64;
        let chi_square: f64 = counts.iter().map(|&n| (f64::from(n) - expected).powi(2) / expected).sum();
        assert!((800.0..1250.0).contains(&chi_square), "bits from {shift}: {chi_square}");
    }
    let distinct: HashSet<u64> = hashes.iter().copied().collect();
    assert_eq!(distinct.len(), hashes.len());
}

/// The server's port in its place.
const PORTS: u32 = 8080 << 16;

#[test]
fn clients_of_one_server_fill_the_buckets_evenly() {
    // One client with all its ports; one client port from a subnet's addresses; both counting up together.
    let server = 0xc612_0001;
    let ports: Vec<u64> = (0..65_536).map(|n| HASHER.v4([server, 0xc612_0002, PORTS + n])).collect();
    check_distribution(&ports);
    let hosts: Vec<u64> = (0..65_536).map(|n| HASHER.v4([server, 0xc612_0000 + n, PORTS + 40_000])).collect();
    check_distribution(&hosts);
    let both: Vec<u64> =
        (0..65_536).map(|n| HASHER.v4([server, 0xc612_0000 + n, PORTS + (n & 0xffff)])).collect();
    check_distribution(&both);
    let six: Vec<u64> = (0..65_536)
        .map(|n| {
            HASHER.v6([0xfd00_0198, 0x0018_0000, 0, 1, 0xfd00_0198, 0x0018_0000, n >> 8, n & 255, PORTS])
        })
        .collect();
    check_distribution(&six);
}

#[test]
fn the_key_and_the_family_decide() {
    let tuple = Tuple {
        local: Address::v4([198, 18, 0, 1]),
        remote: Address::v4([198, 18, 0, 2]),
        local_port: 80,
        remote_port: 40_000,
    };
    let words = tuple.words_v4().expect("IPv4");
    assert_eq!(HASHER.hash(&tuple), HASHER.v4(words));
    assert_ne!(TupleHasher::new([1, 2]).v4(words), TupleHasher::new([2, 1]).v4(words));
    let six = Tuple { remote: address("fd00:198:18::1"), ..tuple };
    assert_eq!(HASHER.hash(&six), HASHER.v6(six.words_v6()));
    assert_ne!(HASHER.hash(&six), HASHER.hash(&six.reversed()));
}
