//! What the two pools share: size classes, handles that name a class and a place in it, free lists.

use core::fmt;
use core::num::NonZeroU32;

/// Number of size classes of a pool. A class that is not wanted has a count of zero.
pub const CLASSES: usize = 4;

/// Most buffers that one class can have: the index of a handle has 28 bits, and zero means none.
pub(super) const COUNT_MAX: u32 = (1 << CLASS_SHIFT) - 2;

/// Largest buffer in bytes; keeps all distances in a buffer far from the sign bit of 32-bit arithmetic.
pub(super) const SIZE_MAX: u32 = 1 << 28;

const CLASS_SHIFT: u32 = 28;
const INDEX_MASK: u32 = (1 << CLASS_SHIFT) - 1;

const _: () = assert!(CLASSES.is_power_of_two() && CLASSES <= 1 << (32 - CLASS_SHIFT));

/// One size class of a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SizeClass {
    /// Bytes of one buffer, 1 to 2^28; larger than in the class before.
    pub size: u32,
    /// Number of buffers, 0 to 2^28 - 2.
    pub count: u32,
}

/// Use of one size class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ClassCounters {
    /// Buffers in use now.
    pub in_use: u32,
    /// Most buffers in use at one time.
    pub high_water: u32,
    /// Requests for which this class would have been right and no class that serves had a buffer.
    pub refusals: u64,
}

/// Why a pool cannot be built from its configuration: always the fault of whoever wrote that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigError {
    /// The size of this class is zero, above 2^28, or not above the class before.
    ClassSize {
        /// Position of the class, from 0.
        class: usize,
    },
    /// The count of this class is above 2^28 - 2.
    ClassCount {
        /// Position of the class, from 0.
        class: usize,
    },
    /// No class has a buffer.
    NoBuffers,
    /// The classes together need more memory than the configured limit allows.
    MemoryMax {
        /// Bytes that the classes need.
        needed: u64,
        /// Bytes that are allowed.
        allowed: u64,
    },
    /// `receive_buffer_max` is zero or above seven eighths of the largest class.
    ReceiveBufferMax {
        /// Largest value that these classes allow, in bytes.
        allowed: u32,
    },
    /// `reassembly_ranges_max` is outside 1 to 1024.
    ReassemblyRangesMax,
    /// The system has not enough memory for the arrays.
    OutOfMemory,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::ClassSize { class } => {
                write!(f, "size of class {class} must be 1 to {SIZE_MAX} and above the class before")
            }
            Self::ClassCount { class } => write!(f, "count of class {class} must be at most {COUNT_MAX}"),
            Self::NoBuffers => f.write_str("at least one class must have buffers"),
            Self::MemoryMax { needed, allowed } => {
                write!(f, "the classes need {needed} bytes, the limit allows {allowed}")
            }
            Self::ReceiveBufferMax { allowed } => {
                write!(f, "receive_buffer_max must be 1 to {allowed}, seven eighths of the largest class")
            }
            Self::ReassemblyRangesMax => f.write_str("reassembly_ranges_max must be 1 to 1024"),
            Self::OutOfMemory => f.write_str("not enough memory for the buffers"),
        }
    }
}

impl core::error::Error for ConfigError {}

/// Checks the classes and that all their buffers fit in `memory_max` bytes.
pub(super) fn check(classes: &[SizeClass; CLASSES], memory_max: u64) -> Result<(), ConfigError> {
    let mut below = 0;
    let mut needed = 0u64;
    for (class, &SizeClass { size, count }) in classes.iter().enumerate() {
        if size <= below || size > SIZE_MAX {
            return Err(ConfigError::ClassSize { class });
        }
        if count > COUNT_MAX {
            return Err(ConfigError::ClassCount { class });
        }
        below = size;
        needed += u64::from(size) * u64::from(count);
    }
    match needed {
        0 => Err(ConfigError::NoBuffers),
        needed if needed > memory_max || usize::try_from(needed).is_err() => {
            Err(ConfigError::MemoryMax { needed, allowed: memory_max })
        }
        _ => Ok(()),
    }
}

/// Class and index of a buffer in four bytes; `Option` of it takes no more.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Handle(NonZeroU32);

impl Handle {
    #[inline]
    pub(super) fn new(class: usize, index: u32) -> Self {
        debug_assert!(class < CLASSES && index < COUNT_MAX);
        let low = NonZeroU32::MIN.saturating_add(index);
        Self(low | ((class as u32) << CLASS_SHIFT))
    }

    #[inline]
    pub(super) fn class(self) -> usize {
        (self.0.get() >> CLASS_SHIFT) as usize & (CLASSES - 1)
    }

    #[inline]
    pub(super) fn index(self) -> usize {
        (self.0.get() & INDEX_MASK) as usize - 1
    }

    #[inline]
    pub(super) fn to_raw(handle: Option<Self>) -> u32 {
        handle.map_or(0, |handle| handle.0.get())
    }

    /// `raw` is what `to_raw` gave.
    #[inline]
    pub(super) fn from_raw(raw: u32) -> Option<Self> {
        NonZeroU32::new(raw).map(Self)
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.class(), self.index())
    }
}

/// Free buffers of one class: those given back, last in first out through links that the owner stores, then
/// those never used, so that memory is first touched when it is first needed.
#[derive(Debug)]
pub(super) struct FreeList {
    /// Index + 1 of the buffer given back last; zero means none.
    head: u32,
    /// First index that was never used.
    fresh: u32,
    count: u32,
    in_use: u32,
    high_water: u32,
}

impl FreeList {
    pub(super) fn new(count: u32) -> Self {
        Self { head: 0, fresh: 0, count, in_use: 0, high_water: 0 }
    }

    /// Takes a buffer; `link_of` reads what `give` told the owner to store with that index.
    #[inline]
    pub(super) fn take(&mut self, link_of: impl FnOnce(usize) -> u32) -> Option<u32> {
        let index = if let Some(index) = self.head.checked_sub(1) {
            self.head = link_of(index as usize);
            index
        } else if self.fresh < self.count {
            self.fresh += 1;
            self.fresh - 1
        } else {
            return None;
        };
        self.in_use += 1;
        self.high_water = self.high_water.max(self.in_use);
        Some(index)
    }

    /// Gives a buffer back; the owner stores the returned link with `index`.
    #[inline]
    pub(super) fn give(&mut self, index: usize) -> u32 {
        debug_assert!(self.in_use > 0, "more buffers given back than taken");
        self.in_use -= 1;
        core::mem::replace(&mut self.head, index as u32 + 1)
    }

    pub(super) fn counters(&self, refusals: u64) -> ClassCounters {
        ClassCounters { in_use: self.in_use, high_water: self.high_water, refusals }
    }
}
