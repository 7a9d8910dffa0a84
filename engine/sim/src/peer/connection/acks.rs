//! What a scripted peer says about what has arrived: in time, late, in pieces, too often.

use bywash_core::base::time::Duration;
use bywash_core::wire::tcp::{Flags, Options, SackBlock, SackBlocks, SackPermitted, TcpRepr, Timestamps};

use super::super::habits::{Sack, Stamps};
use super::super::segment;
use super::{ACK_DELAY, Connection, Stage, Surroundings, stamp};
use crate::fault::Fault;

impl Connection {
    /// SYN+ACK, once more.
    pub(super) fn open(&mut self, around: &mut Surroundings<'_>) {
        let Stage::Opening(openings) = &mut self.stage else { return };
        *openings += 1;
        self.edge = u64::from(around.habits.buffer.min(65_535));
        self.edge_max = self.edge_max.max(self.edge);
        let mut options =
            Options { mss: around.habits.mss, timestamps: self.timestamps(around), ..Options::NONE };
        if self.sack == Sack::Taken {
            options.sack_permitted = SackPermitted::Present;
        }
        options.window_scale = around.habits.scale.filter(|_| self.sending.scales());
        let tcp = TcpRepr {
            seq: self.sending.iss(),
            flags: Flags::SYN | Flags::ACK,
            // RFC 7323 section 2.2: never scaled.
            window: self.edge as u16,
            options,
            ..self.header(around)
        };
        self.sending.arm(around.now);
        self.emit(around, &tcp, &[]);
    }

    /// After a segment: an ACK now, later, twice, or about a part of it.
    pub(super) fn consider_ack(&mut self, around: &mut Surroundings<'_>, in_order: bool, has_fin: bool) {
        let habits = around.habits;
        let has_gaps = self.received.beyond().next().is_some();
        if habits.zero > 0 && self.zero_until.is_none() && around.happens(habits.zero, Fault::ZeroWindow) {
            self.zero_until = Some(around.now + Duration::from_millis(around.random.below(1000)));
        }
        if in_order && !has_gaps && !has_fin && self.unacknowledged < habits.ack_every {
            if self.unacknowledged == 3 {
                around.count(Fault::StretchAck);
            }
            self.ack_at.get_or_insert(around.now + ACK_DELAY);
            return;
        }
        if in_order && self.received.next() > 2 && around.happens(habits.split, Fault::SplitAck) {
            let back = 1 + around.random.below(self.received.next().min(1000) - 1);
            let tcp = self.header(around);
            self.emit(around, &TcpRepr { ack: tcp.ack.wrapping_sub(back as u32), ..tcp }, &[]);
        }
        self.acknowledge(around);
        if around.happens(habits.repeat, Fault::RepeatedAck) {
            for _ in 0..=around.random.below(4) {
                self.acknowledge(around);
            }
        }
    }

    /// An ACK for all that has arrived.
    pub(super) fn acknowledge(&mut self, around: &mut Surroundings<'_>) {
        let tcp = self.header(around);
        self.emit(around, &tcp, &[]);
    }

    /// The header of a segment as things are now. To say it is to have acknowledged.
    pub(super) fn header(&mut self, around: &mut Surroundings<'_>) -> TcpRepr {
        self.unacknowledged = 0;
        self.ack_at = None;
        let next = self.received.next();
        let ack = self.irs.wrapping_add(1).wrapping_add((next + u64::from(self.has_ended())) as u32);
        let timestamps = self.timestamps(around);
        let window = self.show_window(around);
        TcpRepr {
            source_port: self.ends.local.1,
            destination_port: self.ends.remote.1,
            seq: self.sending.seq(),
            ack,
            flags: Flags::ACK,
            window,
            urgent: 0,
            options: Options { timestamps, sack: self.blocks(), ..Options::NONE },
        }
    }

    pub(super) fn emit(&self, around: &mut Surroundings<'_>, tcp: &TcpRepr, payload: &[u8]) {
        let (source, destination) = (self.ends.local.0, self.ends.remote.0);
        around.outbox.extend(segment::write(self.macs, source, destination, tcp, payload));
    }

    fn timestamps(&self, around: &Surroundings<'_>) -> Option<Timestamps> {
        match self.stamps {
            Stamps::Taken => Some(Timestamps { value: stamp(around.now), echo: self.ts_recent }),
            Stamps::Refused => None,
        }
    }

    /// The window as it is told now.
    fn show_window(&mut self, around: &mut Surroundings<'_>) -> u16 {
        let next = self.received.next();
        let buffer = u64::from(around.habits.buffer);
        let mut edge = if self.zero_until.is_some() {
            next.max(self.edge)
        } else if around.habits.shrink > 0 && around.random.chance_in(around.habits.shrink, 1000) {
            next + around.random.below(buffer)
        } else {
            next + buffer
        };
        edge = edge.min(next + (0xffff << self.scale));
        // Rounded up: a buffer of less than one unit would never be seen.
        let window = (edge - next).div_ceil(1 << self.scale) as u16;
        self.edge = next + (u64::from(window) << self.scale);
        if self.edge < self.edge_max.min(self.edge_max.saturating_sub(1 << self.scale)) {
            around.count(Fault::Shrink);
        }
        self.edge_max = self.edge_max.max(self.edge);
        window
    }

    /// SACK blocks: the newest first, then the others (RFC 2018 section 4).
    fn blocks(&self) -> SackBlocks {
        let mut blocks = SackBlocks::NONE;
        if self.sack == Sack::Refused {
            return blocks;
        }
        let holds =
            |piece: &(u64, u64)| self.newest.is_some_and(|(start, _)| (piece.0..piece.1).contains(&start));
        let newest = self.received.beyond().find(holds);
        let others = self.received.beyond().rev().filter(|piece| Some(*piece) != newest);
        for (start, end) in newest.into_iter().chain(others) {
            let at = |offset: u64| self.irs.wrapping_add(1).wrapping_add(offset as u32);
            if blocks.push(SackBlock { left: at(start), right: at(end) }).is_err() {
                break;
            }
        }
        blocks
    }
}
