//! Two hundred worlds: enough to notice most damage, few enough to run at every change.

use bywash_sim::{Speech, run};

/// Both halves run side by side.
fn all_well(seeds: std::ops::Range<u64>) {
    for seed in seeds {
        if let Err(failure) = run(seed, Speech::Silent) {
            panic!("{failure}");
        }
    }
}

#[test]
fn seeds_0_to_99() {
    all_well(0..100);
}

#[test]
fn seeds_100_to_199() {
    all_well(100..200);
}
