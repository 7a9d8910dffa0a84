//! Fragments, put together (RFC 791, RFC 815, RFC 8200 section 4.5). Memory and time are bounded, for each source too;
//! overlaps spoil a datagram (RFC 5722, for IPv4 alike).

use alloc::vec;
use alloc::vec::Vec;

use crate::base::time::{Duration, Instant};
use crate::wire::ip::MoreFragments;
use crate::wire::{Address, Fragment, IpProtocol};

use super::ip_config::IpConfig;

mod cover;
mod rebuild;
#[cfg(test)]
mod tests;

use cover::{Cover, Covered};
pub(super) use rebuild::{HEAD_LEN_MAX, Head};

/// Bytes that one datagram takes, its headers included.
pub(super) const SLOT_LEN: usize = 1 << 16;
/// Bytes of data behind the headers that fit: a frame is at most 65,535 bytes long.
pub(super) const DATA_LEN_MAX: usize = u16::MAX as usize - HEAD_LEN_MAX;

/// Which datagram a fragment belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DatagramId {
    pub(super) source: Address,
    pub(super) destination: Address,
    pub(super) identification: u32,
    /// IPv4 tells datagrams apart by it, too; zero for IPv6.
    pub(super) protocol: u8,
}

/// One fragment as it came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece<'a> {
    pub(super) id: DatagramId,
    pub(super) fragment: Fragment,
    /// What the datagram carries.
    pub(super) protocol: IpProtocol,
    pub(super) traffic_class: u8,
    pub(super) hops: u8,
    /// The link header.
    pub(super) link: &'a [u8],
    /// The IP packet up to the data.
    pub(super) network: &'a [u8],
    pub(super) data: &'a [u8],
}

/// What became of a fragment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// It waits for the others.
    Kept,
    /// It cannot be used, nor perhaps its datagram.
    Refused,
    /// It was the last that was missing: the datagram is in this slot.
    Whole(u16),
}

/// The datagrams of which fragments have come.
#[derive(Debug)]
pub(super) struct Fragments {
    slots: Vec<Option<Datagram>>,
    /// [`SLOT_LEN`] bytes for each slot; lent out while a datagram is being handled.
    memory: Vec<u8>,
    times: [Duration; 2],
    source_max: u16,
    live: u16,
    next_expiry: Instant,
}

#[derive(Clone, Debug)]
struct Datagram {
    id: DatagramId,
    cover: Cover,
    /// Where the data end, once the last fragment has come.
    len: Option<u16>,
    head: Head,
    expires_at: Instant,
    condition: Condition,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Condition {
    Sound,
    /// Fragments overlap: all others of it are dropped, too.
    Spoilt,
}

/// A datagram whose time is over though its first fragment has come: its sender is told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Overdue {
    pub(super) slot: u16,
    pub(super) id: DatagramId,
}

impl Fragments {
    pub(super) fn new(config: &IpConfig) -> Self {
        let slots = (config.ipfrag_high_thresh as usize / SLOT_LEN).max(1);
        let ms = |ms: u32| Duration::from_millis(ms.into());
        Self {
            slots: vec![None; slots],
            // Zeroed by the kernel: touched as it is used.
            memory: vec![0; slots * SLOT_LEN],
            times: [ms(config.ipfrag_time_ms), ms(config.ip6frag_time_ms)],
            source_max: config.ipfrag_source_max,
            live: 0,
            next_expiry: Instant::FAR_FUTURE,
        }
    }

    /// Takes a fragment in.
    pub(super) fn take(&mut self, piece: &Piece<'_>, now: Instant) -> Taken {
        let start = usize::from(piece.fragment.offset);
        let end = start + piece.data.len();
        let is_last = matches!(piece.fragment.more, MoreFragments::Last);
        // RFC 791: all but the last are whole blocks of eight.
        let is_ragged = !is_last && !piece.data.len().is_multiple_of(8);
        // While a datagram is handled there is no memory: nothing is made of fragments within.
        if piece.data.is_empty() || is_ragged || end > DATA_LEN_MAX || self.memory.is_empty() {
            return Taken::Refused;
        }
        let Some(slot) = self.slot_for(piece, now) else { return Taken::Refused };
        let Some(datagram) = &mut self.slots[slot] else { return Taken::Refused };
        if datagram.condition == Condition::Spoilt {
            return Taken::Refused;
        }
        let beyond =
            datagram.len.is_some_and(|len| usize::from(len) < end || is_last && usize::from(len) != end);
        let cut = is_last && datagram.cover.last() >= end;
        let covered = datagram.cover.add(start, end);
        if beyond || cut || covered == Covered::Overlap {
            datagram.condition = Condition::Spoilt;
            return Taken::Refused;
        }
        if covered == Covered::Duplicate {
            return Taken::Refused;
        }
        datagram.len = if is_last { Some(end as u16) } else { datagram.len };
        datagram.head.learn(piece);
        let at = slot * SLOT_LEN + HEAD_LEN_MAX + start;
        self.memory[at..at + piece.data.len()].copy_from_slice(piece.data);
        match datagram.len {
            Some(len) if datagram.cover.is_whole(usize::from(len)) => Taken::Whole(slot as u16),
            Some(_) | None => Taken::Kept,
        }
    }

    /// The slot of the piece's datagram, or a free one; the one that ends first makes room.
    fn slot_for(&mut self, piece: &Piece<'_>, now: Instant) -> Option<usize> {
        let is_it = |slot: &Option<Datagram>| slot.as_ref().is_some_and(|d| d.id == piece.id);
        if let Some(slot) = self.slots.iter().position(is_it) {
            return Some(slot);
        }
        let of_source = self.slots.iter().flatten().filter(|d| d.id.source == piece.id.source).count();
        if of_source >= usize::from(self.source_max) {
            return None;
        }
        let expiry = |slot: &Option<Datagram>| slot.as_ref().map(|datagram| datagram.expires_at);
        let slot = (0..self.slots.len()).min_by_key(|slot| expiry(&self.slots[*slot]))?;
        self.live += u16::from(self.slots[slot].is_none());
        let [v4, v6] = self.times;
        let expires_at = now + if piece.id.source.is_v4() { v4 } else { v6 };
        self.next_expiry = self.next_expiry.min(expires_at);
        self.slots[slot] = Some(Datagram {
            id: piece.id,
            cover: Cover::NOTHING,
            len: None,
            head: Head::of(piece),
            expires_at,
            condition: Condition::Sound,
        });
        Some(slot)
    }

    /// Lends all memory out, to hand the datagram of `slot` on as a frame, which lies there; see
    /// [`Fragments::give_back`].
    pub(super) fn lend(&mut self, slot: u16) -> (Vec<u8>, core::ops::Range<usize>) {
        let mut memory = core::mem::take(&mut self.memory);
        let start = usize::from(slot) * SLOT_LEN;
        let datagram = self.slots.get_mut(usize::from(slot)).and_then(Option::take);
        self.live -= u16::from(datagram.is_some());
        let range = match (&datagram, memory.get_mut(start..start + SLOT_LEN)) {
            (Some(Datagram { id, head, len: Some(len), .. }), Some(bytes)) => head.write(id, *len, bytes),
            (_, _) => 0..0,
        };
        (memory, start + range.start..start + range.end)
    }

    /// The memory comes back.
    pub(super) fn give_back(&mut self, memory: Vec<u8>) {
        self.memory = memory;
    }

    /// Whether no datagram waits.
    #[inline(always)]
    pub(super) fn is_empty(&self) -> bool {
        self.live == 0
    }

    /// When the time of a datagram is over next.
    pub(super) fn next_expiry(&self) -> Option<Instant> {
        (self.live > 0).then_some(self.next_expiry)
    }

    /// The next datagram whose time is over; those that need no word are forgotten on the way. The caller
    /// [quotes](Fragments::quote) and [forgets](Fragments::forget) it.
    pub(super) fn poll_overdue(&mut self, now: Instant) -> Option<Overdue> {
        if self.live == 0 || now < self.next_expiry {
            return None;
        }
        for slot in 0..self.slots.len() {
            let Some(datagram) = &self.slots[slot] else { continue };
            if datagram.expires_at > now {
                continue;
            }
            if datagram.head.has_first() && datagram.condition == Condition::Sound {
                return Some(Overdue { slot: slot as u16, id: datagram.id });
            }
            self.forget(slot as u16);
        }
        let left = self.slots.iter().flatten().map(|datagram| datagram.expires_at);
        self.next_expiry = left.min().unwrap_or(Instant::FAR_FUTURE);
        None
    }

    /// Copies the start of the first fragment as it came, headers and data, to `into`; says how many bytes that are, and
    /// with which link header it came.
    pub(super) fn quote(&self, slot: u16, into: &mut [u8]) -> Option<(&[u8], usize)> {
        let datagram = self.slots.get(usize::from(slot))?.as_ref()?;
        let (head, data_len) = datagram.head.first()?;
        let (to_head, rest) = into.split_at_mut_checked(head.len())?;
        to_head.copy_from_slice(head);
        let start = usize::from(slot) * SLOT_LEN + HEAD_LEN_MAX;
        let data = self.memory.get(start..start + data_len.min(rest.len()))?;
        rest[..data.len()].copy_from_slice(data);
        Some((datagram.head.link(), head.len() + data.len()))
    }

    /// The datagram in `slot` is given up.
    pub(super) fn forget(&mut self, slot: u16) {
        let gone = self.slots.get_mut(usize::from(slot)).and_then(Option::take);
        self.live -= u16::from(gone.is_some());
    }
}
