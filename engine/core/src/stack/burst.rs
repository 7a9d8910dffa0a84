//! A burst, looked through before its frames' turns come: headers and hashes of all, then the connections of the plain
//! ones, so that each turn finds its cache lines there.

use crate::base::slab::Key;
use crate::port::{Burst, ReceivedChecksum};
use crate::shard::Events;
use crate::table::Kind as EntryKind;
use crate::wire::parse::{PlainHeaders, PlainSegment, SynHeaders};

use super::Stack;
use super::engine::BURST_MAX;
use super::ingress::Inbound;

/// What is known of the frames of a burst.
#[derive(Debug)]
pub struct Outlooks {
    of: [Outlook; BURST_MAX],
    /// For each class of connections the place in the burst of its last plain segment.
    last: [u8; LAST_CLASSES],
    /// Whether every frame is a plain segment.
    all_plain: bool,
}

/// Connections whose indices agree modulo this share a class: one takes another's last segment for one of its own.
const LAST_CLASSES: usize = 256;

/// Up to so many connections all that a look-up reads lies in the second-level cache: to ask for it in more steps would
/// only cost.
const NEAR_MAX: usize = 4096;

/// What is known of one frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outlook {
    pub(super) kind: OutlookKind,
    pub(super) hash: u32,
    pub(super) tuple: [u32; 3],
    /// Whether the plain segment before it in the burst has the same tuple.
    is_repeat: bool,
    /// The connection that the tuple had when the burst was looked through.
    pub(super) id: Key,
    pub(super) segment: PlainSegment,
}

/// An open connection and its tuple. The key is found void once the connection is gone, and the tuple then has another.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flow {
    tuple: [u32; 3],
    id: Key,
}

impl Flow {
    /// No flow: no address of ours is all zeros.
    pub(super) const NONE: Self = Self { tuple: [0; 3], id: Key { index: 0, generation: 0 } };
}

/// Which way a frame goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OutlookKind {
    /// No plain segment: the general path has its headers.
    General,
    /// A plain segment with a wrong checksum.
    Damaged,
    /// A plain segment, verified, for no open connection that was known.
    Plain,
    /// A plain segment, verified, for an open connection.
    Expected,
    /// A usual SYN or SYN+ACK, verified.
    Syn,
}

/// Whether a burst has more segments for the same connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InBurst {
    /// This is the last: what it calls for can leave at once.
    Last,
    /// It may: what is to be sent waits, to be one segment for all of them.
    MoreMayFollow,
}

impl Outlooks {
    /// Of no frames.
    pub const EMPTY: Self =
        Self { of: [Outlook::GENERAL; BURST_MAX], last: [0; LAST_CLASSES], all_plain: false };

    /// What is known of the frame at `place`.
    #[inline(always)]
    pub(super) fn at(&self, place: usize) -> &Outlook {
        &self.of[place % BURST_MAX]
    }

    /// What is known of the frames from `place` on, and of those of bursts before.
    #[inline(always)]
    pub(super) fn from(&self, place: usize) -> &[Outlook] {
        self.of.get(place..).unwrap_or_default()
    }

    /// Whether more may come for the connection of the frame at `place`; it may say so where that is for another, or none.
    #[inline(always)]
    pub(super) fn in_burst(&self, id: Key, place: usize) -> InBurst {
        let is_last = self.last[id.index as usize % LAST_CLASSES] == place as u8;
        if self.all_plain && is_last { InBurst::Last } else { InBurst::MoreMayFollow }
    }

    /// Looks through the first `count` frames of a burst.
    #[inline(never)]
    pub(super) fn look_through<B: Burst, E: Events<Stack>>(
        &mut self,
        stack: &mut Stack,
        events: &E,
        burst: &B,
        count: usize,
        inbound: &mut [Inbound; BURST_MAX],
    ) {
        self.all_plain = true;
        let (mut tuple, mut hash) = ([0; 3], 0);
        for (place, outlook) in self.of[..count].iter_mut().enumerate() {
            let frame = burst.frame(place);
            if outlook.read(stack, frame, burst.checksum(place)) {
                if outlook.kind != OutlookKind::Plain {
                    continue;
                }
                outlook.is_repeat = outlook.tuple == tuple;
                if !outlook.is_repeat {
                    tuple = outlook.tuple;
                    hash = outlook.prepare(stack);
                }
                outlook.hash = hash;
            } else if outlook.read_syn(stack, frame, burst.checksum(place)) {
                outlook.hash = outlook.prepare(stack);
                self.all_plain = false;
            } else {
                stack.first_pass(frame, &mut inbound[place]);
                self.all_plain = false;
            }
        }
        let is_far = stack.tables.len() > NEAR_MAX;
        if is_far {
            self.of[..count].iter().for_each(|outlook| stack.tables.prefetch_slot_v4(outlook.hash));
        }
        self.find_all(stack, events, count);
        if is_far {
            self.of[..count].iter().for_each(|outlook| stack.prefetch_behind(outlook));
        }
    }

    /// Looks up the connections of the plain segments, and asks for their blocks.
    #[inline(always)]
    fn find_all<E: Events<Stack>>(&mut self, stack: &Stack, events: &E, count: usize) {
        let (mut kind, mut id) = (OutlookKind::General, Outlook::GENERAL.id);
        for (place, outlook) in self.of[..count].iter_mut().enumerate() {
            if outlook.kind != OutlookKind::Plain {
                continue;
            }
            if outlook.is_repeat {
                (outlook.kind, outlook.id) = (kind, id);
            } else {
                outlook.find(stack);
                (kind, id) = (outlook.kind, outlook.id);
                stack.connections.prefetch(id.index);
                events.prefetch(id);
            }
            self.last[id.index as usize % LAST_CLASSES] = place as u8;
        }
    }
}

impl Stack {
    /// Asks for what lies behind a connection's block, which is read now.
    #[inline(always)]
    fn prefetch_behind(&self, outlook: &Outlook) {
        if let Outlook { kind: OutlookKind::Expected, id, segment, .. } = outlook
            && let Some(connection) = self.connections.get(*id)
        {
            if segment.len == 0 {
                // Its chunk goes back to the pool, and is the first to be taken again.
                connection.send.prefetch(&self.chunks);
                return;
            }
            connection.send.prefetch_text(&self.chunks);
            if !connection.armed_at.is_set() {
                self.wheel.prefetch(id.index);
            }
        }
    }
}

impl Outlook {
    /// Of a frame that is no plain segment, or of none.
    pub(super) const GENERAL: Self = Self {
        kind: OutlookKind::General,
        hash: 0,
        tuple: [0; 3],
        is_repeat: false,
        id: Key { index: 0, generation: 0 },
        segment: PlainSegment::EMPTY,
    };

    /// The same of a plain segment that came alone, with its connection. Often it is of the same flow as the last one that
    /// did: that look-up is kept.
    #[inline(always)]
    pub(super) fn of(stack: &mut Stack, frame: &[u8], checksum: ReceivedChecksum) -> Self {
        let mut outlook = Self::GENERAL;
        if outlook.read(stack, frame, checksum) && outlook.kind == OutlookKind::Plain {
            if outlook.tuple == stack.last_flow.tuple {
                (outlook.kind, outlook.id) = (OutlookKind::Expected, stack.last_flow.id);
            } else {
                outlook.look_up(stack);
            }
        }
        outlook
    }

    #[inline(never)]
    fn look_up(&mut self, stack: &mut Stack) {
        self.hash = stack.hasher.v4(self.tuple) as u32;
        self.find(stack);
        if self.kind == OutlookKind::Expected {
            stack.last_flow = Flow { tuple: self.tuple, id: self.id };
        }
    }

    /// Reads and verifies a plain segment; says whether it is one.
    #[inline(always)]
    fn read(&mut self, stack: &Stack, frame: &[u8], checksum: ReceivedChecksum) -> bool {
        let Some((headers, packet)) = PlainHeaders::of(frame, stack.capabilities.medium) else {
            self.kind = OutlookKind::General;
            return false;
        };
        self.tuple = headers.words();
        self.segment = headers.segment(frame, packet);
        let is_intact = matches!(checksum, ReceivedChecksum::Verified) || PlainHeaders::is_intact(packet);
        self.kind = if is_intact { OutlookKind::Plain } else { OutlookKind::Damaged };
        true
    }

    /// Reads and verifies a usual SYN or SYN+ACK; says whether it is one.
    #[inline(never)]
    fn read_syn(&mut self, stack: &Stack, frame: &[u8], checksum: ReceivedChecksum) -> bool {
        let Some((headers, packet)) = SynHeaders::of(frame, stack.capabilities.medium) else { return false };
        self.tuple = headers.tuple();
        self.segment = headers.segment(frame, packet);
        let is_intact = matches!(checksum, ReceivedChecksum::Verified) || PlainHeaders::is_intact(packet);
        self.kind = if is_intact { OutlookKind::Syn } else { OutlookKind::Damaged };
        true
    }

    /// Asks for the tuple's place in the table, and returns its hash.
    #[inline(always)]
    fn prepare(&self, stack: &Stack) -> u32 {
        let hash = stack.hasher.v4(self.tuple) as u32;
        stack.tables.prefetch_v4(hash);
        hash
    }

    /// Looks up the open connection of a plain segment. Frames of one burst make and remove entries for each other:
    /// whether what is found still holds, its key says later.
    #[inline(always)]
    fn find(&mut self, stack: &Stack) {
        if let Some(entry) = stack.tables.find_v4(self.hash, &self.tuple)
            && matches!(entry.kind(), EntryKind::Synchronized)
        {
            self.kind = OutlookKind::Expected;
            self.id = entry.key();
        }
    }
}
