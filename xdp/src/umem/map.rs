//! The anonymous mapping under a UMEM.

use std::ptr;

use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous, munmap};

use crate::{Error, Result};

const HUGE_PAGE: usize = 2 << 20;

/// The kind of pages that frame memory got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pages {
    /// 2 MiB pages from the reserved pool (`MAP_HUGETLB`).
    Huge,
    /// Ordinary pages, with `MADV_HUGEPAGE` set: huge where the kernel finds room.
    Transparent,
}

/// An anonymous mapping; its first usable byte is aligned to 2 MiB.
#[derive(Debug)]
pub(super) struct Map {
    base: *mut u8,
    length: usize,
    offset: usize,
    pages: Pages,
}

// SAFETY: the mapping is plain memory without thread affinity; access to its bytes is governed by `Frame`s.
unsafe impl Send for Map {}
// SAFETY: as above; `&Map` gives out only its address.
unsafe impl Sync for Map {}

impl Map {
    /// Maps at least `length` bytes, zeroed.
    pub(super) fn new(length: usize) -> Result<Self> {
        let whole = length.next_multiple_of(HUGE_PAGE);
        if let Ok(base) = anonymous(whole, MapFlags::HUGETLB | MapFlags::HUGE_2MB) {
            return Ok(Self { base, length: whole, offset: 0, pages: Pages::Huge });
        }
        // One huge page more, to align by hand.
        let length = whole + HUGE_PAGE;
        let base = anonymous(length, MapFlags::empty()).map_err(Error::os("mmap of frame memory"))?;
        let offset = (base as usize).next_multiple_of(HUGE_PAGE) - base as usize;
        // SAFETY: the range lies in the mapping just made, and advice changes no content. A kernel without
        // transparent huge pages refuses, which costs only speed.
        let _advised = unsafe { madvise(base.add(offset).cast(), whole, Advice::LinuxHugepage) };
        Ok(Self { base, length, offset, pages: Pages::Transparent })
    }

    /// Address of the first usable byte.
    pub(super) fn address(&self) -> *mut u8 {
        self.base.wrapping_add(self.offset)
    }

    pub(super) fn pages(&self) -> Pages {
        self.pages
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and references into it borrow the `Umem` that holds `self`.
        let unmapped = unsafe { munmap(self.base.cast(), self.length) };
        debug_assert!(unmapped.is_ok());
    }
}

fn anonymous(length: usize, flags: MapFlags) -> rustix::io::Result<*mut u8> {
    // SAFETY: a fresh mapping at an address of the kernel's choice touches no memory of ours.
    let address = unsafe {
        mmap_anonymous(ptr::null_mut(), length, ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE | flags)
    }?;
    Ok(address.cast())
}
