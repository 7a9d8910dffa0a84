//! Slabs: values of one type in one array of fixed maximum, reached by keys that cannot outlive them.
//!
//! The array is reserved at construction and never moves. A page of it is touched when its first value is
//! inserted, and a freed place is the first to be used again. After removal the value stays where it was
//! until the place is reused, so a place holds a value of the type for ever once it has held one.

mod key;
mod plain;
#[cfg(test)]
mod tests;

pub use key::Key;
pub use plain::{PlainSlab, PlainSlot};

use super::OutOfMemory;
use alloc::vec::Vec;
use core::ops::Range;

/// A value that has room for its slab's generation, so that no separate word is needed.
///
/// Both methods must reach the same field, which nobody but the slab changes.
pub trait Slotted {
    /// The generation as last set; whatever the value was made with before that.
    fn generation(&self) -> u32;
    /// Remembers the generation: odd while the value is live, even afterwards.
    fn set_generation(&mut self, generation: u32);
}

/// A slab whose values hold their own generation. See the [module](self) for what it promises.
#[derive(Debug)]
pub struct Slab<T> {
    values: Vec<T>,
    /// Places that were used and are free; the last one freed is on top.
    free: Vec<u32>,
    maximum: u32,
}

impl<T: Slotted> Slab<T> {
    /// A slab for at most `maximum` values at a time.
    ///
    /// # Errors
    /// [`OutOfMemory`] if the address space for `maximum` values cannot be reserved.
    pub fn new(maximum: u32) -> Result<Self, OutOfMemory> {
        let count = maximum as usize;
        let (mut values, mut free) = (Vec::new(), Vec::new());
        values.try_reserve_exact(count).map_err(|_| OutOfMemory::for_array::<T>(count))?;
        free.try_reserve_exact(count).map_err(|_| OutOfMemory::for_array::<u32>(count))?;
        Ok(Self { values, free, maximum })
    }

    /// The key that the next [`insert`](Self::insert) will return, or `None` if the slab is full.
    #[inline]
    pub fn next_key(&self) -> Option<Key> {
        match self.free.last() {
            Some(&index) => {
                let generation = self.values[index as usize].generation().wrapping_add(1);
                Some(Key { index, generation })
            }
            None if self.values.len() < self.maximum as usize => {
                Some(Key { index: self.values.len() as u32, generation: 1 })
            }
            None => None,
        }
    }

    /// Moves `value` in, whatever generation it carries.
    ///
    /// # Errors
    /// Gives the value back if the slab is full.
    #[inline]
    pub fn insert(&mut self, mut value: T) -> Result<Key, T> {
        let Some(key) = self.next_key() else { return Err(value) };
        value.set_generation(key.generation);
        match self.free.pop() {
            Some(index) => self.values[index as usize] = value,
            None => self.values.push(value),
        }
        Ok(key)
    }

    /// The value of `key`, if it is still live.
    #[inline(always)]
    pub fn get(&self, key: Key) -> Option<&T> {
        let value = self.values.get(key.index as usize)?;
        if key.opens(value.generation()) { Some(value) } else { None }
    }

    /// The value of `key`, if it is still live.
    #[inline(always)]
    pub fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        let value = self.values.get_mut(key.index as usize)?;
        if key.opens(value.generation()) { Some(value) } else { None }
    }

    /// The value at an index that the caller knows to be live (from a timer or an intrusive list).
    ///
    /// # Panics
    /// If no value was ever at that index.
    #[inline]
    pub fn at(&self, index: u32) -> &T {
        let value = &self.values[index as usize];
        debug_assert!(is_live(value.generation()), "index {index} is not live");
        value
    }

    /// The value at an index that the caller knows to be live.
    ///
    /// # Panics
    /// If no value was ever at that index.
    #[inline]
    pub fn at_mut(&mut self, index: u32) -> &mut T {
        let value = &mut self.values[index as usize];
        debug_assert!(is_live(value.generation()), "index {index} is not live");
        value
    }

    /// The key of the value that is live at `index` now, if one is.
    #[inline]
    pub fn key_at(&self, index: u32) -> Option<Key> {
        let generation = self.values.get(index as usize)?.generation();
        is_live(generation).then_some(Key { index, generation })
    }

    /// Ends the life of `key` and frees its place. The value, which stays there until the place is used again,
    /// is lent for a last look; `None` if the key was no longer live.
    #[inline]
    pub fn remove(&mut self, key: Key) -> Option<&mut T> {
        let value = self.values.get_mut(key.index as usize)?;
        if !key.opens(value.generation()) {
            return None;
        }
        value.set_generation(key.generation.wrapping_add(1));
        self.free.push(key.index);
        Some(value)
    }

    /// How many values are live.
    #[inline]
    pub fn len(&self) -> usize {
        self.values.len() - self.free.len()
    }

    /// Whether no value is live.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many values can be live at a time.
    #[inline]
    pub fn capacity(&self) -> usize {
        self.maximum as usize
    }

    /// The keys of all live values, by index. Visits every place that was ever used.
    pub fn keys(&self) -> impl Iterator<Item = Key> + '_ {
        (0..self.values.len() as u32).filter_map(|index| self.key_at(index))
    }

    /// Where the whole array lies, used or not: for advice about huge pages.
    pub fn address_range(&self) -> Range<usize> {
        let start = self.values.as_ptr().addr();
        start..start + self.values.capacity() * size_of::<T>()
    }

    /// Asks for the cache lines of the value at `index`, two at most; does nothing if there never was one.
    #[inline(always)]
    pub fn prefetch(&self, index: u32) {
        if let Some(value) = self.values.get(index as usize) {
            super::prefetch::prefetch_value(value);
        }
    }
}

/// Whether a generation is that of a live value.
const fn is_live(generation: u32) -> bool {
    generation & 1 == 1
}
