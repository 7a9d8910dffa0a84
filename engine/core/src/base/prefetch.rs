//! Telling the processor which memory is wanted soon. With [`wide`](super::wide), the only `unsafe` of this package.

/// Bytes of a cache line.
const LINE: usize = 64;

/// Asks for the cache line on which `value` begins; returns at once. A hint: it changes no result, and on
/// processors other than `x86_64` it does nothing.
#[inline(always)]
pub fn prefetch<T: ?Sized>(value: &T) {
    prefetch_line(core::ptr::from_ref(value).cast());
}

/// The same for the first two cache lines of `value`.
#[inline(always)]
pub fn prefetch_value<T>(value: &T) {
    prefetch(value);
    if size_of::<T>() > LINE {
        prefetch_line(core::ptr::from_ref(value).cast::<i8>().wrapping_add(LINE));
    }
}

#[inline(always)]
#[allow(unsafe_code)]
fn prefetch_line(address: *const i8) {
    #[cfg(target_arch = "x86_64")]
    {
        use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: the instruction has no architectural effect and faults on no address (Intel SDM vol. 2,
        // PREFETCHh); the SSE that it needs is part of every x86_64.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(address) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}

#[cfg(test)]
mod tests {
    use super::{prefetch, prefetch_value};

    #[test]
    fn takes_any_reference_and_changes_nothing() {
        let values = [1_u64, 2, 3];
        prefetch(&values);
        prefetch(&values[3..]);
        prefetch("");
        prefetch_value(&[0_u64; 9]);
        assert_eq!(values, [1, 2, 3]);
    }
}
