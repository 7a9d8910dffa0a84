//! Loops in the widest registers that the processor has: what is compiled for every `x86_64` uses half of those that
//! nearly every one of them has. With [`prefetch`](super::prefetch), the only `unsafe` of this package.

/// A loop that the compiler makes several words wide.
pub trait Wide {
    /// What it comes to.
    type Output;

    /// Runs it. `#[inline(always)]`, or it is compiled without the wide registers.
    fn run(self) -> Self::Output;
}

/// Runs `wide` with AVX2 where the processor and the operating system have it, and otherwise as it is compiled.
#[inline(always)]
#[allow(unsafe_code)]
pub fn run_wide<W: Wide>(wide: W) -> W::Output {
    #[cfg(target_arch = "x86_64")]
    if avx2::get() {
        // SAFETY: AVX2 is there, as was just seen.
        return unsafe { run_avx2(wide) };
    }
    wide.run()
}

#[cfg(target_arch = "x86_64")]
cpufeatures::new!(avx2, "avx2");

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn run_avx2<W: Wide>(wide: W) -> W::Output {
    wide.run()
}

#[cfg(test)]
mod tests {
    use super::{Wide, run_wide};

    struct Sum<'a>(&'a [u32]);

    impl Wide for Sum<'_> {
        type Output = u64;

        #[inline(always)]
        fn run(self) -> u64 {
            self.0.iter().map(|value| u64::from(*value)).sum()
        }
    }

    #[test]
    fn comes_to_the_same_in_whatever_registers() {
        let values: [u32; 1000] = core::array::from_fn(|n| (n as u32).wrapping_mul(0x9e37_79b9));
        for end in [0, 1, 7, 64, 999, 1000] {
            assert_eq!(run_wide(Sum(&values[..end])), Sum(&values[..end]).run());
        }
    }
}
