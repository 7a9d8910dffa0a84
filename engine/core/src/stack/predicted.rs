//! The in-order path: a burst's plain segments are looked up ahead, their blocks fetched, and the predicted ones taken in.

use crate::base::slab::Key;
use crate::port::{Medium, ReceivedChecksum, Transmit};
use crate::shard::Events;
use crate::table::Kind as EntryKind;
use crate::tcp::state::Flag;
use crate::tcp::{output, predict, window};
use crate::wire::Sum;
use crate::wire::parse::PlainSegment;
use crate::wire::tcp::{Flags as Control, Timestamps};

use super::Stack;
use super::counters::DropReason;
use super::egress::{Head, NoFrame, RouteV4, send_v4};

/// What is known of a frame before its turn comes.
#[derive(Clone, Copy, Debug)]
pub enum Outlook {
    /// No plain segment: the general path has its headers.
    General,
    /// A plain segment with this tuple, whose hash is this.
    Plain(u32, [u32; 3]),
    /// A plain segment for the connection that had this key when the burst was looked through.
    Expected(Key),
    /// A plain segment for which there was no open connection.
    Unexpected,
}

/// How far a plain segment was taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Prediction {
    /// It is done with.
    Met,
    /// The general path must take it; its checksums are known to be right.
    Missed(ReceivedChecksum),
}

/// Whether a burst has more segments for the same connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InBurst {
    /// This is the last: what it calls for can leave at once.
    Last,
    /// It may: what is to be sent waits, to be one segment for all of them.
    MoreMayFollow,
}

/// For each class of connections the place in the burst of its last segment.
#[derive(Debug)]
pub struct LastInBurst([u8; LAST_CLASSES]);

/// Connections whose indices agree modulo this share a class: one takes another's last segment for one of its own.
const LAST_CLASSES: usize = 256;

impl Default for LastInBurst {
    fn default() -> Self {
        Self([0; LAST_CLASSES])
    }
}

impl LastInBurst {
    #[inline(always)]
    fn note(&mut self, id: Key, place: usize) {
        self.0[id.index as usize % LAST_CLASSES] = place as u8;
    }

    /// Whether no later segment is for this connection; it may say no where one is for another.
    #[inline(always)]
    pub(super) fn is(&self, id: Key, place: usize) -> bool {
        self.0[id.index as usize % LAST_CLASSES] == place as u8
    }
}

impl Stack {
    /// The tuple's hash of a plain segment, and a prefetch of the table.
    #[inline(always)]
    pub(super) fn look_out(&self, frame: &[u8]) -> Outlook {
        match PlainSegment::of(frame, self.capabilities.medium) {
            Some((segment, _)) => {
                let words = segment.words();
                let hash = self.hasher.v4(words) as u32;
                self.tables.prefetch_v4(hash);
                Outlook::Plain(hash, words)
            }
            None => Outlook::General,
        }
    }

    /// The connection of a plain segment, and a prefetch of its blocks. Frames of one burst make and remove entries for
    /// each other: the key says later whether this one still holds.
    #[inline(always)]
    pub(super) fn look_ahead<E: Events<Self>>(
        &self,
        events: &E,
        outlook: &mut Outlook,
        place: usize,
        last: &mut LastInBurst,
    ) {
        let Outlook::Plain(hash, words) = outlook else { return };
        *outlook = match self.tables.find_v4(*hash, words) {
            Some(entry) if matches!(entry.kind(), EntryKind::Synchronized) => {
                self.connections.prefetch(entry.index());
                events.prefetch(entry.key());
                last.note(entry.key(), place);
                Outlook::Expected(entry.key())
            }
            Some(_) | None => Outlook::Unexpected,
        };
    }

    /// Takes in a plain segment for the connection `id`, if it is the one that header prediction expects.
    #[inline(never)]
    pub(super) fn handle_expected<T: Transmit, E: Events<Self>>(
        &mut self,
        transmit: &mut T,
        events: &mut E,
        id: Key,
        frame: &[u8],
        checksum: ReceivedChecksum,
        in_burst: InBurst,
    ) -> Prediction {
        let Some((segment, packet)) = PlainSegment::again(frame, self.capabilities.medium) else {
            return Prediction::Missed(checksum);
        };
        if matches!(checksum, ReceivedChecksum::Unverified) && !PlainSegment::is_intact(packet) {
            self.counters.drop(DropReason::BadChecksum);
            return Prediction::Met;
        }
        let Some(text) = self.take_expected(id, segment, packet) else {
            return Prediction::Missed(ReceivedChecksum::Verified);
        };
        if !text.is_empty() {
            self.show_expected(transmit, events, id, text, in_burst);
        }
        Prediction::Met
    }

    /// Takes in all but the text; `None`: it is not what was expected, and nothing was touched.
    #[inline(always)]
    fn take_expected<'a>(&mut self, id: Key, segment: &PlainSegment, packet: &'a [u8]) -> Option<&'a [u8]> {
        let text = PlainSegment::payload(packet);
        let connection = self.connections.get_mut(id)?;
        if !connection.is_quiet() {
            return None;
        }
        let warm = &mut self.warm[id.index as usize];
        let acked = predict::take_predicted(connection, warm, &self.clock, segment, text.len() as u32)?;
        self.counters.segments_received += 1;
        if acked > 0 {
            if text.is_empty() {
                connection.send.acknowledge(&mut self.chunks, acked as usize);
            } else {
                connection.send.acknowledge_lazily(&mut self.chunks, acked as usize);
            }
            if connection.flight() > 0 {
                predict::start_timer(connection, &self.config.tcp, &self.clock);
            }
        }
        if text.is_empty() && connection.unsent() > 0 {
            // Room in the window for what waits.
            self.pend(id.index);
        }
        Some(text)
    }

    /// Shows the application text that it expects, and sends what it answers unless more of the burst may add to it.
    #[inline(always)]
    fn show_expected<T: Transmit, E: Events<Self>>(
        &mut self,
        transmit: &mut T,
        events: &mut E,
        id: Key,
        text: &[u8],
        in_burst: InBurst,
    ) {
        let connection = self.connections.at_mut(id.index);
        // Marked, so that nothing that the application does puts it on the list.
        let was_pending = connection.flags.has(Flag::Pending);
        connection.flags.set(Flag::Pending);
        if connection.send.len() < self.config.tcp.send_buffer as usize && !self.chunks.is_low() {
            self.show(events, id, text);
        } else {
            self.store(events, id.index, 0, text);
        }
        if was_pending {
            return;
        }
        if in_burst == InBurst::Last && self.serve_quiet(transmit, id.index) == Some(Ok(())) {
            return;
        }
        self.connections.at_mut(id.index).send.trim(&mut self.chunks);
        self.link_pending(id.index);
    }

    /// Serves a quiet connection whose reply is one segment: it leaves with the ACK on board. `None`: the general path
    /// must look, nothing was touched.
    #[inline(never)]
    pub(super) fn serve_quiet<T: Transmit>(
        &mut self,
        transmit: &mut T,
        index: u32,
    ) -> Option<Result<(), NoFrame>> {
        let connection = self.connections.at_mut(index);
        if !connection.is_quiet() {
            return None;
        }
        let flight = connection.flight();
        let len = (connection.send.len() as u32).wrapping_sub(flight);
        let room = connection.cwnd.min(connection.snd_wnd).saturating_sub(flight);
        let is_small = len < u32::from(connection.mss);
        let waits = is_small && flight > 0 && !connection.flags.has(Flag::NoDelay);
        if len == 0 || len > u32::from(connection.mss) || len > room || waits {
            return None;
        }
        if !matches!(self.capabilities.medium, Medium::Ethernet) {
            return None;
        }
        let mac = self.neighbours.link(connection.neighbour)?;
        let local = (*self.locals_v4.get(usize::from(connection.local))?)?;
        let piece = connection.send.piece(&self.chunks, flight, len)?;
        let config = &self.config.tcp;
        let head = Head {
            local_port: connection.local_port,
            remote_port: connection.remote_port,
            seq: connection.snd_nxt,
            ack: connection.rcv_nxt,
            flags: Control::ACK | Control::PSH,
            window: window::advertise(connection, config, config.receive_buffer),
            timestamps: Some(Timestamps {
                value: self.clock.ms.wrapping_add(connection.ts_offset),
                echo: connection.ts_recent,
            }),
        };
        let route = RouteV4 { mac, local, remote: connection.remote_v4 };
        let sent = send_v4(transmit, &self.capabilities, &route, &head, piece.len(), |payload| {
            Sum::copy(payload, piece)
        });
        if sent.is_err() {
            return Some(sent);
        }
        window::handle_ack_sent(connection);
        connection.snd_nxt += len;
        output::time(connection, self.clock.us);
        if !connection.retransmit_at.is_set() {
            predict::start_timer(connection, config, &self.clock);
        }
        self.counters.frames_sent += 1;
        self.counters.bytes_copied_out += u64::from(len);
        connection.flags.take(Flag::Pending);
        let due = connection.retransmit_at;
        self.arm(index, due);
        Some(Ok(()))
    }
}
