//! All targets under libFuzzer; `FUZZ_TARGET` says which.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;

static TARGET: LazyLock<fn(&[u8])> = LazyLock::new(|| {
    let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
    bywash_fuzz::target(&name).unwrap_or_else(|| panic!("FUZZ_TARGET is `{name}`, which is no target"))
});

fuzz_target!(|bytes: &[u8]| (*TARGET)(bytes));
