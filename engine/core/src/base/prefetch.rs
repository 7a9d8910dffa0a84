//! Telling the processor which memory is wanted soon: the only `unsafe` of this package.

/// Asks for the cache line on which `value` begins; returns at once. A hint: it changes no result, and on
/// processors other than `x86_64` it does nothing.
#[inline(always)]
#[allow(unsafe_code)]
pub fn prefetch<T: ?Sized>(value: &T) {
    #[cfg(target_arch = "x86_64")]
    {
        use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: the instruction has no architectural effect and faults on no address (Intel SDM vol. 2,
        // PREFETCHh); the SSE that it needs is part of every x86_64. The pointer comes from a live reference.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(core::ptr::from_ref(value).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = value;
}

#[cfg(test)]
mod tests {
    use super::prefetch;

    #[test]
    fn takes_any_reference_and_changes_nothing() {
        let values = [1_u64, 2, 3];
        prefetch(&values);
        prefetch(&values[3..]);
        prefetch("");
        assert_eq!(values, [1, 2, 3]);
    }
}
