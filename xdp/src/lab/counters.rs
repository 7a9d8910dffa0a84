//! What the relay did, by direction.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

macro_rules! counters {
    ($($(#[doc = $doc:literal])+ $name:ident,)+) => {
        /// What happened to the frames of one direction since the lab was made.
        ///
        /// `received + duplicated = sent + lost + blacked_out + oversized + overflowed + send_failed + held`, as soon as
        /// the relay is at rest.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        pub struct RelayCounters {
            $($(#[doc = $doc])+ pub $name: u64,)+
        }

        /// The same, shared by the lanes of a direction: each adds after each batch.
        #[derive(Debug, Default)]
        pub(super) struct SharedCounters {
            $($name: AtomicU64,)+
        }

        impl SharedCounters {
            pub(super) fn add(&self, batch: RelayCounters) {
                let RelayCounters { $($name,)+ } = batch;
                // Wrapping: a lane takes back what it no longer holds.
                $(if $name != 0 { self.$name.fetch_add($name, Relaxed); })+
            }

            pub(super) fn read(&self) -> RelayCounters {
                RelayCounters { $($name: self.$name.load(Relaxed),)+ }
            }
        }
    };
}

counters! {
    /// Frames taken from the near end.
    received,
    /// Frames given to the far end, copies included.
    sent,
    /// Frames dropped by [`Impairment::loss`](super::Impairment::loss).
    lost,
    /// Frames dropped by a blackout.
    blacked_out,
    /// Copies made.
    duplicated,
    /// Frames with a flipped bit.
    corrupted,
    /// Frames held back so that others overtake them.
    reordered,
    /// Frames longer than the MTU allows, dropped: an offload is on that should be off.
    oversized,
    /// Frames dropped because the relay already holds its maximum of delayed ones.
    overflowed,
    /// Frames that the far end did not take.
    send_failed,
    /// Frames on their way through the delay just now.
    held,
    /// Frames that the kernel dropped because the relay did not keep up; not part of `received`.
    socket_dropped,
    /// Errors of the receiving socket, such as an end that is down.
    receive_errors,
    /// Received frames that carried only the pseudo-header sum; they travel on unchanged.
    partial_checksum,
}
