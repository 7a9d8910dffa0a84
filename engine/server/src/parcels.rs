//! A bounded set of buffers that circle between those who fill them and those who empty them.

use crossbeam_queue::ArrayQueue;

/// A buffer, how much of it is filled, and what is known of that.
struct Parcel<N> {
    bytes: Box<[u8]>,
    len: usize,
    note: Option<N>,
}

/// Why something was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Every buffer is filled.
    Full,
    /// It is longer than a buffer.
    TooLong,
}

/// Buffers, all allocated at the start; any thread may put, any thread may take.
pub(crate) struct Parcels<N> {
    waiting: ArrayQueue<Parcel<N>>,
    free: ArrayQueue<Parcel<N>>,
}

impl<N> Parcels<N> {
    /// `count` buffers (at least one) of `len` bytes each.
    pub(crate) fn new(count: usize, len: usize) -> Self {
        let count = count.max(1);
        let parcels = Self { waiting: ArrayQueue::new(count), free: ArrayQueue::new(count) };
        for _ in 0..count {
            parcels.give_back(Parcel { bytes: vec![0; len].into_boxed_slice(), len: 0, note: None });
        }
        parcels
    }

    /// Copies `bytes` into a free buffer.
    pub(crate) fn put(&self, bytes: &[u8], note: N) -> Result<(), Refusal> {
        let mut parcel = self.free.pop().ok_or(Refusal::Full)?;
        let Some(room) = parcel.bytes.get_mut(..bytes.len()) else {
            self.give_back(parcel);
            return Err(Refusal::TooLong);
        };
        room.copy_from_slice(bytes);
        parcel.len = bytes.len();
        parcel.note = Some(note);
        // As many places as buffers: there is one for every buffer.
        self.waiting.push(parcel).map_err(|_| Refusal::Full)
    }

    /// Shows the oldest filled buffer to `read`; `None` when there is none.
    #[inline]
    pub(crate) fn take<R>(&self, read: impl FnOnce(&mut [u8], N) -> R) -> Option<R> {
        // Two loads; an attempt to take from an empty queue costs a fence.
        if self.is_empty() {
            return None;
        }
        let mut parcel = self.waiting.pop()?;
        let result = parcel.note.take().map(|note| {
            let len = parcel.len.min(parcel.bytes.len());
            read(&mut parcel.bytes[..len], note)
        });
        self.give_back(parcel);
        result
    }

    /// Whether no buffer is filled.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    fn give_back(&self, parcel: Parcel<N>) {
        let kept = self.free.push(parcel);
        debug_assert!(kept.is_ok(), "more buffers than were made");
    }
}
