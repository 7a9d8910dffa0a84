//! Where a ring lies: memory mapped from an `AF_XDP` socket, or plain memory.
//!
//! Invariant of this file: for each ring there is exactly one producing and one consuming role (one of them may
//! be the kernel), because a `RingMemory` is neither `Clone` nor public and `plain` and `map` hand out one per role.

use super::sync::{Arc, AtomicU32, UnsafeCell};

/// The shared part of one ring, seen from one role.
pub(crate) struct RingMemory<D> {
    size: u32,
    place: Place<D>,
}

impl<D> std::fmt::Debug for RingMemory<D> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("RingMemory").field("size", &self.size).finish_non_exhaustive()
    }
}

/// A ring without a kernel: the indices on lines of their own, as in the kernel's `struct xdp_ring`.
struct Plain<D> {
    producer: Line,
    consumer: Line,
    flags: Line,
    entries: Box<[UnsafeCell<D>]>,
}

#[repr(align(64))]
struct Line(AtomicU32);

// SAFETY: entries are touched only through `read` and `write`, whose contracts give each entry to one role at a time.
unsafe impl<D: Send> Sync for Plain<D> {}

enum Place<D> {
    Plain(Arc<Plain<D>>),
    #[cfg(not(loom))]
    Mapped(mapped::Mapped<D>),
}

impl<D: Copy + Default> RingMemory<D> {
    /// The two roles' views of one ring in plain memory.
    pub(crate) fn plain(size: u32, start: u32) -> (Self, Self) {
        assert!(size.is_power_of_two(), "a ring's size is a power of two, not {size}");
        let index = || Line(AtomicU32::new(start));
        let plain = Arc::new(Plain {
            producer: index(),
            consumer: index(),
            flags: Line(AtomicU32::new(0)),
            entries: (0..size).map(|_| UnsafeCell::new(D::default())).collect(),
        });
        let one = Self { size, place: Place::Plain(Arc::clone(&plain)) };
        (one, Self { size, place: Place::Plain(plain) })
    }
}

impl<D: Copy> RingMemory<D> {
    pub(super) fn size(&self) -> u32 {
        self.size
    }

    pub(super) fn producer(&self) -> &AtomicU32 {
        match &self.place {
            Place::Plain(plain) => &plain.producer.0,
            #[cfg(not(loom))]
            Place::Mapped(mapped) => mapped.producer(),
        }
    }

    pub(super) fn consumer(&self) -> &AtomicU32 {
        match &self.place {
            Place::Plain(plain) => &plain.consumer.0,
            #[cfg(not(loom))]
            Place::Mapped(mapped) => mapped.consumer(),
        }
    }

    pub(super) fn flags(&self) -> &AtomicU32 {
        match &self.place {
            Place::Plain(plain) => &plain.flags.0,
            #[cfg(not(loom))]
            Place::Mapped(mapped) => mapped.flags(),
        }
    }

    /// Copies the entry of a free-running index out of the ring.
    ///
    /// # Safety
    ///
    /// The caller is the consumer, and the entry is published and not released.
    pub(super) unsafe fn read(&self, index: u32) -> D {
        let slot = (index & (self.size - 1)) as usize;
        match &self.place {
            // SAFETY: by this function's contract nobody writes the entry now.
            Place::Plain(plain) => unsafe { plain.read(slot) },
            #[cfg(not(loom))]
            // SAFETY: as above; the slot is below the ring's size.
            Place::Mapped(mapped) => unsafe { mapped.entry(slot).read() },
        }
    }

    /// Copies an entry into the ring.
    ///
    /// # Safety
    ///
    /// The caller is the producer, and the entry is released and not published.
    pub(super) unsafe fn write(&self, index: u32, descriptor: D) {
        let slot = (index & (self.size - 1)) as usize;
        match &self.place {
            // SAFETY: by this function's contract nobody else touches the entry now.
            Place::Plain(plain) => unsafe { plain.write(slot, descriptor) },
            #[cfg(not(loom))]
            // SAFETY: as above; the slot is below the ring's size.
            Place::Mapped(mapped) => unsafe { mapped.entry(slot).write(descriptor) },
        }
    }
}

#[cfg(not(loom))]
impl<D: Copy> Plain<D> {
    unsafe fn read(&self, slot: usize) -> D {
        // SAFETY: passed on from `RingMemory::read`.
        unsafe { *self.entries[slot].get() }
    }

    unsafe fn write(&self, slot: usize, descriptor: D) {
        // SAFETY: passed on from `RingMemory::write`.
        unsafe { *self.entries[slot].get() = descriptor }
    }
}

#[cfg(loom)]
impl<D: Copy> Plain<D> {
    unsafe fn read(&self, slot: usize) -> D {
        // SAFETY: passed on from `RingMemory::read`; the model checker reports a violation.
        self.entries[slot].with(|entry| unsafe { *entry })
    }

    unsafe fn write(&self, slot: usize, descriptor: D) {
        // SAFETY: passed on from `RingMemory::write`; the model checker reports a violation.
        self.entries[slot].with_mut(|entry| unsafe { *entry = descriptor })
    }
}

#[cfg(not(loom))]
mod mapped {
    //! A ring mapped from an `AF_XDP` socket (`mmap` at `XDP_PGOFF_*`, offsets from `XDP_MMAP_OFFSETS`).

    use std::{
        os::fd::BorrowedFd,
        ptr::{self, NonNull},
        sync::atomic::AtomicU32,
    };

    use rustix::{
        mm::{MapFlags, ProtFlags, mmap, munmap},
        net::xdp::XdpRingOffset,
    };

    use super::{Place, RingMemory};
    use crate::{Error, Result};

    /// The mapping and the three words and the array in it; unmapped on drop.
    pub(super) struct Mapped<D> {
        base: NonNull<u8>,
        length: usize,
        offsets: Offsets,
        entries: NonNull<D>,
    }

    #[derive(Clone, Copy)]
    struct Offsets {
        producer: usize,
        consumer: usize,
        flags: usize,
    }

    // SAFETY: the memory is shared with the kernel by design; a `RingMemory` is one role, and a role may move to
    // another thread as a whole.
    unsafe impl<D: Send> Send for Mapped<D> {}
    // SAFETY: through `&Mapped` only atomics are reached; entries need the contracts of `read` and `write`.
    unsafe impl<D: Send> Sync for Mapped<D> {}

    impl<D: Copy> RingMemory<D> {
        /// Maps the ring of `size` entries that the kernel keeps at page offset `page_offset` of socket `fd`.
        pub(crate) fn map(
            fd: BorrowedFd<'_>,
            offset: &XdpRingOffset,
            size: u32,
            page_offset: u64,
        ) -> Result<Self> {
            assert!(size.is_power_of_two(), "a ring's size is a power of two, not {size}");
            let flags = offset.flags.ok_or(Error::NoAfXdp)?;
            let length = offset.desc as usize + size as usize * size_of::<D>();
            // SAFETY: a fresh mapping at an address of the kernel's choice touches no memory of ours.
            let address = unsafe {
                mmap(
                    ptr::null_mut(),
                    length,
                    ProtFlags::READ | ProtFlags::WRITE,
                    MapFlags::SHARED | MapFlags::POPULATE,
                    fd,
                    page_offset,
                )
            }
            .map_err(Error::os("mmap of an AF_XDP ring"))?;
            let base = NonNull::new(address.cast::<u8>()).expect("mmap without MAP_FIXED never returns null");
            // SAFETY: the kernel promises `desc` to lie within the `length` bytes just mapped, aligned for its entries.
            let entries = unsafe { base.add(offset.desc as usize) }.cast::<D>();
            let offsets = Offsets {
                producer: offset.producer as usize,
                consumer: offset.consumer as usize,
                flags: flags as usize,
            };
            Ok(Self { size, place: Place::Mapped(Mapped { base, length, offsets, entries }) })
        }
    }

    impl<D> Mapped<D> {
        pub(super) fn producer(&self) -> &AtomicU32 {
            self.word(self.offsets.producer)
        }

        pub(super) fn consumer(&self) -> &AtomicU32 {
            self.word(self.offsets.consumer)
        }

        pub(super) fn flags(&self) -> &AtomicU32 {
            self.word(self.offsets.flags)
        }

        /// Entry `slot`; the caller keeps it below the ring's size.
        pub(super) fn entry(&self, slot: usize) -> *mut D {
            self.entries.as_ptr().wrapping_add(slot)
        }

        fn word(&self, offset: usize) -> &AtomicU32 {
            // SAFETY: the kernel gave the offset for this mapping (XDP_MMAP_OFFSETS): aligned, inside it, and only
            // ever changed atomically by either side; the mapping lives as long as `self`.
            unsafe { self.base.add(offset).cast::<AtomicU32>().as_ref() }
        }
    }

    impl<D> Drop for Mapped<D> {
        fn drop(&mut self) {
            // SAFETY: `base` and `length` are what `mmap` returned; references into it borrow `self`.
            let unmapped = unsafe { munmap(self.base.as_ptr().cast(), self.length) };
            debug_assert!(unmapped.is_ok());
        }
    }
}
