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
use super::neighbour::Resolution;

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
    pub(super) fn look_ahead<E: Events<Self>>(&self, events: &E, outlook: &mut Outlook) {
        let Outlook::Plain(hash, words) = outlook else { return };
        *outlook = match self.tables.find_v4(*hash, words) {
            Some(entry) if matches!(entry.kind(), EntryKind::Synchronized) => {
                self.connections.prefetch(entry.index());
                events.prefetch(entry.key());
                Outlook::Expected(entry.key())
            }
            Some(_) | None => Outlook::Unexpected,
        };
    }

    /// Takes in a plain segment for the connection `id`, if it is the one that header prediction expects.
    #[inline(always)]
    pub(super) fn handle_expected<E: Events<Self>>(
        &mut self,
        events: &mut E,
        id: Key,
        frame: &[u8],
        checksum: ReceivedChecksum,
    ) -> Prediction {
        let missed = Prediction::Missed(ReceivedChecksum::Verified);
        let Some((segment, packet)) = PlainSegment::again(frame, self.capabilities.medium) else {
            return Prediction::Missed(checksum);
        };
        if matches!(checksum, ReceivedChecksum::Unverified) && !PlainSegment::is_intact(packet) {
            self.counters.drop(DropReason::BadChecksum);
            return Prediction::Met;
        }
        let Some(connection) = self.connections.get_mut(id).filter(|connection| connection.is_quiet()) else {
            return missed;
        };
        let text = PlainSegment::payload(packet);
        let warm = &mut self.warm[id.index as usize];
        let len = text.len() as u32;
        let config = &self.config.tcp;
        let Some(acked) = predict::take_predicted(connection, warm, config, self.now, segment, len) else {
            return missed;
        };
        self.counters.segments_received += 1;
        if acked > 0 {
            connection.send.acknowledge(&mut self.chunks, acked as usize);
        }
        if text.is_empty() {
            // Room in the window for what waits.
            if connection.unsent() > 0 {
                self.pend(id.index);
            }
            return Prediction::Met;
        }
        let is_room = connection.send.len() < self.config.tcp.send_buffer as usize && !self.chunks.is_low();
        self.pend(id.index);
        if is_room {
            self.show(events, id, text);
        } else {
            self.store(events, id.index, 0, text);
        }
        Prediction::Met
    }

    /// Serves a quiet connection whose reply is one segment: it leaves with the ACK on board. `None`: the general path
    /// must look, nothing was touched.
    #[inline(always)]
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
        let (Medium::Ethernet, Resolution::Known(mac)) =
            (self.capabilities.medium, self.neighbours.resolve(connection.neighbour))
        else {
            return None;
        };
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
                value: connection.timestamp(self.now),
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
        output::handle_new_sent(connection, config, self.now, len);
        self.counters.frames_sent += 1;
        self.counters.bytes_copied_out += u64::from(len);
        connection.flags.take(Flag::Pending);
        let due = connection.retransmit_at;
        self.arm(index, due);
        Some(Ok(()))
    }
}
