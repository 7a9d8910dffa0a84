//! A slab for values that have no room for a generation.

use super::{Key, OutOfMemory, Slab, Slotted};
use core::ops::Range;

/// One place of a [`PlainSlab`]: a value and the generation beside it.
#[derive(Debug)]
pub struct PlainSlot<T> {
    generation: u32,
    value: T,
}

impl<T> Slotted for PlainSlot<T> {
    #[inline]
    fn generation(&self) -> u32 {
        self.generation
    }

    #[inline]
    fn set_generation(&mut self, generation: u32) {
        self.generation = generation;
    }
}

/// A [`Slab`] of values of any type; it keeps each one's generation beside it (4 bytes and alignment).
#[derive(Debug)]
pub struct PlainSlab<T> {
    slots: Slab<PlainSlot<T>>,
}

impl<T> PlainSlab<T> {
    /// A slab for at most `maximum` values at a time.
    ///
    /// # Errors
    /// [`OutOfMemory`] if the address space for `maximum` values cannot be reserved.
    pub fn new(maximum: u32) -> Result<Self, OutOfMemory> {
        Ok(Self { slots: Slab::new(maximum)? })
    }

    /// The key that the next [`insert`](Self::insert) will return, or `None` if the slab is full.
    #[inline]
    pub fn next_key(&self) -> Option<Key> {
        self.slots.next_key()
    }

    /// Moves `value` in.
    ///
    /// # Errors
    /// Gives the value back if the slab is full.
    #[inline]
    pub fn insert(&mut self, value: T) -> Result<Key, T> {
        self.slots.insert(PlainSlot { generation: 0, value }).map_err(|slot| slot.value)
    }

    /// The value of `key`, if it is still live.
    #[inline]
    pub fn get(&self, key: Key) -> Option<&T> {
        self.slots.get(key).map(|slot| &slot.value)
    }

    /// The value of `key`, if it is still live.
    #[inline]
    pub fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        self.slots.get_mut(key).map(|slot| &mut slot.value)
    }

    /// The value at an index that the caller knows to be live.
    ///
    /// # Panics
    /// If no value was ever at that index.
    #[inline]
    pub fn at(&self, index: u32) -> &T {
        &self.slots.at(index).value
    }

    /// The value at an index that the caller knows to be live.
    ///
    /// # Panics
    /// If no value was ever at that index.
    #[inline]
    pub fn at_mut(&mut self, index: u32) -> &mut T {
        &mut self.slots.at_mut(index).value
    }

    /// The key of the value that is live at `index` now, if one is.
    #[inline]
    pub fn key_at(&self, index: u32) -> Option<Key> {
        self.slots.key_at(index)
    }

    /// Ends the life of `key` and frees its place; the value is lent for a last look. See [`Slab::remove`].
    #[inline]
    pub fn remove(&mut self, key: Key) -> Option<&mut T> {
        self.slots.remove(key).map(|slot| &mut slot.value)
    }

    /// How many values are live.
    #[inline]
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether no value is live.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// How many values can be live at a time.
    #[inline]
    pub fn capacity(&self) -> usize {
        self.slots.capacity()
    }

    /// The keys of all live values, by index. Visits every place that was ever used.
    pub fn keys(&self) -> impl Iterator<Item = Key> + '_ {
        self.slots.keys()
    }

    /// Where the whole array lies, used or not: for advice about huge pages.
    pub fn address_range(&self) -> Range<usize> {
        self.slots.address_range()
    }

    /// Asks for the first cache line of the value at `index`; does nothing if there never was one.
    #[inline]
    pub fn prefetch(&self, index: u32) {
        self.slots.prefetch(index);
    }
}
