//! One byte for each slot: empty or not, and seven bits of the hash.
//!
//! Probing reads these bytes and looks only at slots whose bits agree. A look-up in vain, which a peer can
//! cause at will, thus seldom touches the slots, which for a million entries lie outside all caches.

use crate::base::OutOfMemory;
use crate::base::prefetch::prefetch;
use crate::base::sync::{AtomicU8, Ordering};
use alloc::vec::Vec;
use core::ops::Range;

/// What is known of a slot by its byte.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Tag(u8);

impl Tag {
    /// The slot holds nothing.
    pub(super) const EMPTY: Self = Self(0);

    /// The tag of an entry, from the lower seven of these bits.
    #[inline]
    pub(super) const fn from_bits(bits: u64) -> Self {
        Self(bits as u8 | 0x80)
    }
}

/// The tags of all slots.
#[derive(Debug)]
pub(super) struct Tags(Vec<AtomicU8>);

impl Tags {
    /// So many empty tags; `count` is a power of two.
    #[cfg(not(loom))]
    pub(super) fn new(count: usize) -> Result<Self, OutOfMemory> {
        use zerocopy::FromZeros;
        AtomicU8::new_vec_zeroed(count).map(Self).map_err(|_| OutOfMemory::for_array::<AtomicU8>(count))
    }

    /// So many empty tags; loom's atomics cannot be zeroed memory.
    #[cfg(loom)]
    #[allow(clippy::unnecessary_wraps)]
    pub(super) fn new(count: usize) -> Result<Self, OutOfMemory> {
        Ok(Self((0..count).map(|_| AtomicU8::new(0)).collect()))
    }

    /// The tag at a position, which wraps round.
    ///
    /// Relaxed. The writer reads its own stores; a reader that ends its search in vain fences before it trusts
    /// the result.
    #[inline]
    pub(super) fn get(&self, position: usize) -> Tag {
        Tag(self.at(position).load(Ordering::Relaxed))
    }

    /// Sets the tag at a position, which wraps round. Writer only.
    #[inline]
    pub(super) fn set(&self, position: usize, tag: Tag) {
        // Release pairs with the acquire fence at the end of a reader's search: who passed over this slot, or
        // stopped at it, because of this tag sees the count of the move before it.
        self.at(position).store(tag.0, Ordering::Release);
    }

    #[inline]
    pub(super) fn prefetch(&self, position: usize) {
        prefetch(self.at(position));
    }

    pub(super) fn address_range(&self) -> Range<usize> {
        let start = self.0.as_ptr().addr();
        start..start + size_of_val(self.0.as_slice())
    }

    #[inline]
    fn at(&self, position: usize) -> &AtomicU8 {
        &self.0[position & (self.0.len() - 1)]
    }
}
