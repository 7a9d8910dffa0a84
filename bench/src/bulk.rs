//! One connection in memory that carries as much as it can, in segments that fill the MTU.

mod bywash;
mod smoltcp;

use crate::ends::{End, ROUND_NS, Tcp, cross};

/// The stream repeats after so many bytes: a prime, so that no segment begins like the one before.
const PERIOD: usize = 251;
/// The longest piece that is written at a time, in bytes.
const PIECE_MAX: usize = 1 << 20;
/// Rounds before anything is measured: the congestion window opens.
const WARM_UP_ROUNDS: u32 = 200;

/// The end that sends: in each turn, after it has taken in the ACKs, it writes as much as there is room for.
pub trait Sender: End {
    /// Begins to open the connection.
    fn connect(&mut self);
}

/// The end that receives.
pub trait Receiver: End {
    /// What has arrived, and whether it was right.
    fn received(&self) -> &Received;
}

/// A TCP that can carry much.
pub trait Implementation: Tcp {
    /// Sends.
    type Sender: Sender;
    /// Receives.
    type Receiver: Receiver;

    /// The sender, with a send buffer of `buffer` bytes.
    fn sender(buffer: u32) -> Self::Sender;
    /// The receiver, with a receive buffer of `buffer` bytes.
    fn receiver(buffer: u32) -> Self::Receiver;
}

/// What is sent.
#[derive(Clone, Debug)]
pub struct Stream {
    bytes: Vec<u8>,
    written: usize,
}

impl Stream {
    fn new() -> Self {
        Self { bytes: (0..PIECE_MAX + PERIOD).map(|at| (at % PERIOD) as u8).collect(), written: 0 }
    }

    /// The longest piece that can be written next; `write` returns how much of it was.
    #[inline]
    fn write(&mut self, write: impl FnOnce(&[u8]) -> usize) {
        let phase = self.written % PERIOD;
        self.written += write(&self.bytes[phase..phase + PIECE_MAX]);
    }
}

/// What has arrived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// Bytes.
    pub bytes: u64,
    /// Pieces that did not begin with the byte that belongs there.
    pub wrong: u64,
}

impl Received {
    /// One more piece. Only its first byte is looked at: what reading the rest would cost is not the stack's.
    #[inline]
    fn take(&mut self, piece: &[u8]) {
        let is_right = piece.first().is_none_or(|first| usize::from(*first) == self.bytes as usize % PERIOD);
        self.wrong += u64::from(!is_right);
        self.bytes += piece.len() as u64;
    }
}

/// A sender, a receiver, and the connection between them.
pub struct Bulk<I: Implementation> {
    sender: I::Sender,
    receiver: I::Receiver,
    now_ns: u64,
}

impl<I: Implementation> Bulk<I> {
    /// Opens the connection and goes through the warm-up. Both buffers have `buffer` bytes, 4 kB to 768 kB, or with
    /// smoltcp to 1 MB.
    ///
    /// # Panics
    /// When a stack does not do what it is asked.
    pub fn new(buffer: u32) -> Self {
        let (sender, receiver) = (I::sender(buffer), I::receiver(buffer));
        let mut bulk = Self { sender, receiver, now_ns: ROUND_NS };
        bulk.sender.connect();
        for _ in 0..WARM_UP_ROUNDS {
            bulk.cross();
        }
        assert!(bulk.receiver.received().bytes > 0, "the connection is open");
        bulk
    }

    /// Goes on until at least `bytes` more have arrived, and returns how many. Its name is what instruction counts
    /// are toggled by.
    ///
    /// # Panics
    /// When other bytes arrive than were sent.
    #[inline(never)]
    pub fn measured(&mut self, bytes: u64) -> u64 {
        let before = self.receiver.received().bytes;
        loop {
            self.cross();
            let Received { bytes: now, wrong } = *self.receiver.received();
            if now - before >= bytes {
                assert_eq!(wrong, 0, "what arrives is what was sent");
                return now - before;
            }
        }
    }

    /// Bytes in one turn, now.
    pub fn in_one_turn(&mut self) -> u64 {
        self.measured(1)
    }

    #[inline]
    fn cross(&mut self) {
        cross(&mut self.sender, &mut self.receiver, self.now_ns);
        self.now_ns += ROUND_NS;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ends::{Bywash, Smoltcp};

    /// The windows are no limit: each turn carries nearly a buffer's worth.
    fn fills<I: Implementation>() {
        for buffer in [64 << 10, 256 << 10] {
            let mut bulk = Bulk::<I>::new(buffer);
            bulk.measured(10 << 20);
            let in_one_turn = bulk.in_one_turn();
            assert!(in_one_turn * 10 >= u64::from(buffer) * 9, "{}: {in_one_turn} of {buffer}", I::NAME);
        }
    }

    #[test]
    fn ours_fills_the_buffer_in_each_turn() {
        fills::<Bywash>();
    }

    #[test]
    fn smoltcp_fills_the_buffer_in_each_turn() {
        fills::<Smoltcp>();
    }

    #[test]
    fn a_wrong_byte_is_seen() {
        let mut received = Received::default();
        received.take(&[0, 1]);
        received.take(&[2]);
        assert_eq!(received, Received { bytes: 3, wrong: 0 });
        received.take(&[2]);
        assert_eq!(received, Received { bytes: 4, wrong: 1 });
    }
}
