//! Huge pages for arrays that are reached in random order: with small pages every look-up misses the TLB.

use std::ops::Range;

use rustix::io::Errno;
use rustix::mm::{Advice, madvise};

/// Size and alignment of a huge page in bytes, on every machine that has one level of them between 4 KiB and 1 GiB.
const HUGE_PAGE: usize = 2 << 20;

/// Asks Linux to back `ranges`, arrays of this process, with huge pages from their first use on: the whole huge pages in
/// each. Returns how many bytes that is. Advice: where the kernel has none for us, nothing changes.
pub fn advise(ranges: impl IntoIterator<Item = Range<usize>>) -> usize {
    let whole = ranges.into_iter().filter_map(|range| whole_pages(&range));
    whole.filter(|range| advise_pages(range).is_ok()).map(|range| range.len()).sum()
}

/// The part of a range that consists of whole huge pages.
fn whole_pages(range: &Range<usize>) -> Option<Range<usize>> {
    let start = range.start.checked_next_multiple_of(HUGE_PAGE)?;
    let end = range.end / HUGE_PAGE * HUGE_PAGE;
    (start < end).then_some(start..end)
}

#[allow(unsafe_code)]
fn advise_pages(range: &Range<usize>) -> Result<(), Errno> {
    let start = std::ptr::without_provenance_mut(range.start);
    // SAFETY: MADV_HUGEPAGE changes neither what is mapped nor its contents, whatever the range (madvise(2)); a range
    // that is not mapped is an error.
    unsafe { madvise(start, range.len(), Advice::LinuxHugepage) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_huge_pages_are_advised() {
        assert_eq!(whole_pages(&(1..2 * HUGE_PAGE)), Some(HUGE_PAGE..2 * HUGE_PAGE));
        assert_eq!(whole_pages(&(HUGE_PAGE..3 * HUGE_PAGE + 5)), Some(HUGE_PAGE..3 * HUGE_PAGE));
        assert_eq!(whole_pages(&(1..2 * HUGE_PAGE - 1)), None);
        assert_eq!(whole_pages(&(0..0)), None);
        assert_eq!(whole_pages(&(usize::MAX - 1..usize::MAX)), None);
    }

    /// Skipped by itself where this kernel was built without huge pages.
    #[test]
    fn an_advised_array_is_marked_in_the_kernel() {
        let array: Vec<u8> = Vec::with_capacity(3 * HUGE_PAGE);
        let start = array.as_ptr().addr();
        let advised = advise(std::iter::once(start..start + array.capacity()));
        let Ok(maps) = std::fs::read_to_string("/proc/self/smaps") else { return };
        if !std::path::Path::new("/sys/kernel/mm/transparent_hugepage").exists() {
            assert_eq!(advised, 0);
            return;
        }
        assert_eq!(advised, 2 * HUGE_PAGE);
        let first = start.next_multiple_of(HUGE_PAGE);
        let holds = |line: &str| {
            let (from, rest) = line.split_once('-')?;
            let until = rest.split(' ').next()?;
            let (from, until) =
                (usize::from_str_radix(from, 16).ok()?, usize::from_str_radix(until, 16).ok()?);
            (from <= first && first < until).then_some(())
        };
        let mapping = maps.lines().skip_while(|line| holds(line).is_none());
        let flags = mapping.skip(1).find(|line| line.starts_with("VmFlags:")).unwrap();
        assert!(flags.split(' ').any(|flag| flag == "hg"), "{flags}");
    }
}
