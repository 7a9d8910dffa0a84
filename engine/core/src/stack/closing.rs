//! The end of a connection on which nothing else happens: FIN, the ACK of a FIN, and what they call for.

use crate::port::Transmit;
use crate::shard::{Events, Reading};
use crate::tcp::input::Fin;
use crate::tcp::output;
use crate::tcp::predict::{self, Closing};
use crate::tcp::state::{Flag, SendSide};
use crate::wire::parse::PlainSegment;
use crate::wire::tcp::Flags as Control;

use super::Stack;
use super::burst::InBurst;
use super::reply::Replied;
use super::service::Served;

impl Stack {
    /// Takes in a plain segment that ends the peer's stream in order, or acknowledges the end of ours, and serves the
    /// connection, if no more may follow in the burst. Says whether it is one; if not, nothing was touched.
    #[inline]
    pub(super) fn take_closing<T: Transmit, E: Events<Self>>(
        &mut self,
        transmit: &mut T,
        events: &mut E,
        index: u32,
        segment: &PlainSegment,
        in_burst: InBurst,
    ) -> bool {
        let connection = self.connections.at_mut(index);
        if !connection.is_calm() {
            return false;
        }
        let (warm, pool, config) = (&mut self.warm, &mut self.pools.congestion, &self.config.tcp);
        let taken = predict::take_closing(connection, warm, index, pool, config, &self.clock, segment);
        let Some(Closing { acked, fin }) = taken else { return false };
        if acked > 0 {
            connection.send.acknowledge(&mut self.chunks, acked as usize);
        }
        // Marked, so that nothing that the application does puts it on the list.
        let was_pending = connection.flags.has(Flag::Pending);
        connection.flags.set(Flag::Pending);
        match fin {
            Fin::Present => self.finish_receive(index),
            Fin::Absent => {}
        }
        if !was_pending {
            self.serve_or_link(transmit, events, index, in_burst);
        }
        true
    }

    /// A connection that is marked as pending, and not on the list, is served now if it ends and no more may follow in the
    /// burst; else after the burst.
    #[inline]
    pub(super) fn serve_or_link<T: Transmit, E: Events<Self>>(
        &mut self,
        transmit: &mut T,
        events: &mut E,
        index: u32,
        in_burst: InBurst,
    ) {
        let served = match in_burst {
            InBurst::Last => self.serve_closing(transmit, events, index),
            InBurst::MoreMayFollow => None,
        };
        match served {
            Some(Served::Gone) => {}
            Some(Served::Done) => {
                self.connections.at_mut(index).flags.take(Flag::Pending);
            }
            // The service after the burst says whether there are frames again.
            Some(Served::NoFrame) | None => self.link_pending(index),
        }
    }

    /// Serves a connection that ends while nothing else happens on it: the application hears of the peer's FIN, ours or an
    /// ACK leaves. `None`: the general path must look.
    pub(super) fn serve_closing<T: Transmit, E: Events<Self>>(
        &mut self,
        transmit: &mut T,
        events: &mut E,
        index: u32,
    ) -> Option<Served> {
        let connection = self.connections.at(index);
        if connection.sides.is_open() && !connection.flags.has(Flag::EndUntold)
            || !connection.is_calm()
            || !connection.flags.has(Flag::Known)
        {
            return None;
        }
        if connection.flags.has(Flag::EndUntold) {
            self.tell_bare_end(events, index)?;
        }
        let connection = self.connections.at(index);
        if connection.unsent() > 0 {
            return None;
        }
        let sent = if connection.sides.send() == SendSide::FinQueued {
            self.send_fin(transmit, index)
        } else if connection.flags.has(Flag::AckNow) {
            self.send_bare_quietly(transmit, index, Control::ACK)
        } else if connection.sides.has_ended() {
            Replied::Sent
        } else {
            Replied::No
        };
        match sent {
            Replied::Sent => Some(self.settle(events, index)),
            Replied::NoFrame => Some(Served::NoFrame),
            Replied::No => None,
        }
    }

    /// Tells the application that the peer's stream has ended, and that nothing of it is left to read. `None`: it does not
    /// read now, or more has happened.
    fn tell_bare_end<E: Events<Self>>(&mut self, events: &mut E, index: u32) -> Option<()> {
        let connection = self.connections.at(index);
        if self.reading_of(connection, index) != Reading::Open {
            return None;
        }
        let id = self.connections.key_at(index)?;
        self.connections.at_mut(index).flags.take(Flag::EndUntold);
        events.end_of_stream(self, id, &[]);
        self.connections.at(index).is_calm().then_some(())
    }

    /// Sends our FIN alone.
    fn send_fin<T: Transmit>(&mut self, transmit: &mut T, index: u32) -> Replied {
        let sent = self.send_bare_quietly(transmit, index, Control::ACK | Control::FIN);
        if sent == Replied::Sent {
            let connection = self.connections.at_mut(index);
            connection.snd_nxt += 1;
            connection.sides.set_send(SendSide::FinSent);
            output::time(connection, self.clock.us);
            if !connection.retransmit_at.is_set() {
                predict::start_timer(connection, &self.config.tcp, &self.clock);
            }
        }
        sent
    }
}
