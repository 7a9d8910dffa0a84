//! What congestion control remembers of a connection, and where.

use core::num::NonZeroU32;

use crate::base::OutOfMemory;
use crate::base::slab::PlainSlab;
use crate::tcp::connection::{Connection, Warm};
use crate::tcp::seq::SequenceNumber;

use super::cubic::Cubic;
use super::hystart::HyStart;
use super::reno::Reno;
use super::{Acked, CongestionControl, Signal};

/// What a connection's algorithm remembers; taken from a pool when its window is used up for the first time.
#[derive(Clone, Debug)]
pub(super) struct Record {
    /// Up to here, acknowledgments have made the window grow, or were found not to.
    pub(super) counted: SequenceNumber,
    /// What is before was sent while the window was used up.
    pub(super) limited_end: SequenceNumber,
    pub(super) stage: Stage,
}

/// How the window grows.
#[derive(Clone, Debug)]
pub(super) enum Stage {
    /// CUBIC's first slow start.
    HyStart(HyStart),
    /// RFC 5681; slow start needs no memory.
    Reno(Reno),
    /// RFC 9438.
    Cubic(Cubic),
}

// What a pool of the default size costs.
const _: () = assert!(size_of::<Record>() <= 192);

impl Record {
    /// How many octets count for the window's growth now that `acked` are acknowledged up to `una`. Acknowledgments that
    /// nobody asked about while less than half the window was in flight are made up for.
    pub(super) fn take_credit(&mut self, una: SequenceNumber, acked: &Acked, is_full: bool) -> u32 {
        let before = una - acked.octets;
        let late = before.earliest(self.limited_end);
        let late = if late.is_after(self.counted) { late.since(self.counted) } else { 0 };
        let is_covered = is_full || before.is_before(self.limited_end);
        self.counted = una;
        late + if is_covered { acked.octets } else { 0 }
    }

    /// Congestion was noticed: what ends fast recovery is no growth.
    pub(super) fn suspend(&mut self, connection: &Connection, signal: Signal) {
        self.counted = match signal {
            Signal::Loss | Signal::Echo => connection.snd_nxt,
            Signal::Timeout => connection.snd_una,
        };
        self.limited_end = connection.snd_nxt;
    }

    /// The window was set to begin anew.
    pub(super) fn restart(&mut self, connection: &Connection) {
        match &mut self.stage {
            Stage::HyStart(hystart) => *hystart = HyStart::new(connection.snd_nxt),
            Stage::Cubic(cubic) => cubic.restart(),
            Stage::Reno(reno) => *reno = Reno::default(),
        }
        self.counted = connection.snd_una;
        self.limited_end = connection.snd_una;
    }

    /// The last reduction was a mistake, and the threshold is as it was.
    pub(super) fn undo(&mut self, connection: &Connection, ssthresh: u32) {
        match &mut self.stage {
            // The first slow start goes on.
            Stage::Cubic(_) if ssthresh == u32::MAX => {
                self.stage = Stage::HyStart(HyStart::new(connection.snd_nxt));
            }
            Stage::Cubic(cubic) => cubic.undo(),
            Stage::Reno(_) | Stage::HyStart(_) => {}
        }
        // Nothing before counts twice.
        self.counted = connection.snd_una;
        self.limited_end = connection.snd_una;
    }
}

impl Stage {
    /// The one that follows when nothing is remembered.
    fn first(connection: &Connection, warm: &Warm) -> Self {
        match warm.congestion_control {
            CongestionControl::Reno => Self::Reno(Reno::default()),
            // RFC 9406 section 4.3: only the first slow start knows nothing of the path.
            CongestionControl::Cubic if warm.ssthresh == u32::MAX => {
                Self::HyStart(HyStart::new(connection.snd_nxt))
            }
            CongestionControl::Cubic => Self::Cubic(Cubic::default()),
        }
    }

    /// Whether it belongs to `algorithm`: another may have been chosen since.
    const fn is_of(&self, algorithm: CongestionControl) -> bool {
        match self {
            Self::Reno(_) => matches!(algorithm, CongestionControl::Reno),
            Self::HyStart(_) | Self::Cubic(_) => matches!(algorithm, CongestionControl::Cubic),
        }
    }

    /// Congestion avoidance: slow start is over.
    pub(super) fn avoid(&mut self) -> &mut Self {
        if matches!(self, Self::HyStart(_)) {
            *self = Self::Cubic(Cubic::default());
        }
        self
    }

    /// The threshold after congestion with a window of `used` octets; avoidance follows.
    pub(super) fn reduce(&mut self, used: u32, mss: u32, signal: Signal) -> u32 {
        match self.avoid() {
            Self::Cubic(cubic) => cubic.reduce(used, mss, signal),
            Self::Reno(reno) => {
                *reno = Reno::default();
                Reno::ssthresh(used, mss)
            }
            Self::HyStart(_) => Reno::ssthresh(used, mss),
        }
    }
}

/// The records of a shard.
#[derive(Debug)]
pub struct CongestionPool {
    records: PlainSlab<Record>,
    /// How often there was none.
    refused: u64,
}

impl CongestionPool {
    /// A pool of `congestions_max` records.
    ///
    /// # Errors
    /// [`OutOfMemory`] if the address space cannot be reserved.
    pub fn new(congestions_max: u32) -> Result<Self, OutOfMemory> {
        Ok(Self { records: PlainSlab::new(congestions_max)?, refused: 0 })
    }

    /// Records in use.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether no record is in use.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Where the records lie.
    pub fn address_range(&self) -> core::ops::Range<usize> {
        self.records.address_range()
    }

    /// Whether a connection had to do without a record.
    #[inline]
    pub fn has_refused(&self) -> bool {
        self.refused > 0
    }

    /// How often a connection had to do without a record since this was asked last.
    pub fn take_refused(&mut self) -> u64 {
        core::mem::take(&mut self.refused)
    }

    /// The record of a connection; a new one, if it has none and one is free.
    pub(super) fn of(&mut self, connection: &Connection, warm: &mut Warm) -> Option<&mut Record> {
        if warm.congestion.is_none() {
            let una = connection.snd_una;
            let stage = Stage::first(connection, warm);
            let Ok(key) = self.records.insert(Record { counted: una, limited_end: una, stage }) else {
                self.refused += 1;
                return None;
            };
            warm.congestion = NonZeroU32::new(key.index + 1);
        }
        let record = self.records.at_mut(warm.congestion?.get() - 1);
        if !record.stage.is_of(warm.congestion_control) {
            record.stage = Stage::first(connection, warm);
        }
        Some(record)
    }

    /// Takes a record back.
    pub(super) fn remove(&mut self, index: NonZeroU32) {
        if let Some(key) = self.records.key_at(index.get() - 1) {
            self.records.remove(key);
        }
    }
}
