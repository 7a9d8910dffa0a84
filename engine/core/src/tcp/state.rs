//! States: how far each direction of a connection is closed, and what is pending on it.

use core::fmt;

/// Our sending direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum SendSide {
    /// More may be written.
    Open = 0,
    /// Nothing more is written; FIN follows what is queued.
    FinQueued = 1,
    /// FIN was sent.
    FinSent = 2,
    /// FIN was acknowledged.
    FinAcked = 3,
}

/// Our receiving direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ReceiveSide {
    /// The peer may send more.
    Open = 0,
    /// The peer's FIN was received, with all before it.
    Finished = 1,
}

/// The states of RFC 9293 section 3.3.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// LISTEN
    Listen,
    /// SYN-SENT
    SynSent,
    /// SYN-RECEIVED
    SynReceived,
    /// ESTABLISHED
    Established,
    /// FIN-WAIT-1
    FinWait1,
    /// FIN-WAIT-2
    FinWait2,
    /// CLOSE-WAIT
    CloseWait,
    /// CLOSING
    Closing,
    /// LAST-ACK
    LastAck,
    /// TIME-WAIT
    TimeWait,
    /// CLOSED
    Closed,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Listen => "LISTEN",
            Self::SynSent => "SYN-SENT",
            Self::SynReceived => "SYN-RECEIVED",
            Self::Established => "ESTABLISHED",
            Self::FinWait1 => "FIN-WAIT-1",
            Self::FinWait2 => "FIN-WAIT-2",
            Self::CloseWait => "CLOSE-WAIT",
            Self::Closing => "CLOSING",
            Self::LastAck => "LAST-ACK",
            Self::TimeWait => "TIME-WAIT",
            Self::Closed => "CLOSED",
        })
    }
}

/// Both directions and who closed first, in one byte.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Sides(u8);

impl Sides {
    /// ESTABLISHED.
    pub const OPEN: Self = Self(0);
    /// The byte itself.
    #[inline(always)]
    pub const fn bits(self) -> u8 {
        self.0
    }

    const RECEIVE: u8 = 1 << 2;
    /// Our FIN left while the peer's side was open: CLOSING, not LAST_ACK, when both have crossed.
    const FIRST: u8 = 1 << 3;

    /// The sending direction.
    #[inline]
    pub const fn send(self) -> SendSide {
        match self.0 & 3 {
            0 => SendSide::Open,
            1 => SendSide::FinQueued,
            2 => SendSide::FinSent,
            _ => SendSide::FinAcked,
        }
    }

    /// The receiving direction.
    #[inline]
    pub const fn receive(self) -> ReceiveSide {
        if self.0 & Self::RECEIVE == 0 { ReceiveSide::Open } else { ReceiveSide::Finished }
    }

    /// Whether our FIN left before the peer's arrived, which makes us wait in TIME_WAIT.
    #[inline]
    pub const fn closed_first(self) -> bool {
        self.0 & Self::FIRST != 0
    }

    /// The sending direction moves on to `side`.
    #[inline]
    pub fn set_send(&mut self, side: SendSide) {
        if matches!(side, SendSide::FinSent) && matches!(self.receive(), ReceiveSide::Open) {
            self.0 |= Self::FIRST;
        }
        self.0 = self.0 & !3 | side as u8;
    }

    /// The peer's FIN was received.
    #[inline]
    pub fn finish_receive(&mut self) {
        self.0 |= Self::RECEIVE;
    }

    /// Whether this is ESTABLISHED.
    #[inline]
    pub const fn is_open(self) -> bool {
        self.0 == 0
    }

    /// Whether both FINs were sent, received and acknowledged: TIME_WAIT or CLOSED.
    #[inline]
    pub const fn has_ended(self) -> bool {
        self.0 & (Self::RECEIVE | 3) == Self::RECEIVE | SendSide::FinAcked as u8
    }

    /// Whether this is FIN-WAIT-2.
    #[inline]
    pub const fn is_fin_wait_2(self) -> bool {
        self.0 & (Self::RECEIVE | 3) == SendSide::FinAcked as u8
    }

    /// The name that RFC 9293 gives it.
    pub const fn state(self) -> State {
        match (self.send(), self.receive()) {
            (SendSide::Open | SendSide::FinQueued, ReceiveSide::Open) => State::Established,
            (SendSide::Open | SendSide::FinQueued, ReceiveSide::Finished) => State::CloseWait,
            (SendSide::FinSent, ReceiveSide::Open) => State::FinWait1,
            (SendSide::FinSent, ReceiveSide::Finished) if self.closed_first() => State::Closing,
            (SendSide::FinSent, ReceiveSide::Finished) => State::LastAck,
            (SendSide::FinAcked, ReceiveSide::Open) => State::FinWait2,
            (SendSide::FinAcked, ReceiveSide::Finished) if self.closed_first() => State::TimeWait,
            (SendSide::FinAcked, ReceiveSide::Finished) => State::Closed,
        }
    }
}

impl fmt::Debug for Sides {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.state().fmt(f)
    }
}

/// What is pending on a connection, and what was agreed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Flag {
    /// It is on the list of connections with something to do.
    Pending = 1 << 0,
    /// An ACK is owed in this turn.
    AckNow = 1 << 1,
    /// Timestamps were agreed (RFC 7323).
    Timestamps = 1 << 2,
    /// SACK was agreed (RFC 2018).
    Sack = 1 << 3,
    /// Small segments leave at once (`TCP_NODELAY`).
    NoDelay = 1 << 4,
    /// The application has closed it; nobody reads any more.
    Closed = 1 << 5,
    /// The application has paused reading.
    Paused = 1 << 6,
    /// The send buffer was full; the application is told when there is room.
    SendFull = 1 << 7,
    /// It is to be removed in this turn; the warm block says why, and whether RST is owed.
    Doomed = 1 << 8,
    /// Octets wait in the receive buffer that were not shown since reading went on.
    Unshown = 1 << 9,
    /// The application was not told yet that the peer's stream has ended.
    EndUntold = 1 << 10,
    /// A segment's round trip is being timed.
    Timing = 1 << 11,
    /// The peer's FIN came ahead of missing octets; the warm block says where it lies.
    FinAhead = 1 << 12,
    /// The application knows of it (it was accepted, or is being connected).
    Known = 1 << 13,
    /// A zero-window probe is owed; or, with octets in flight, the first of them once more.
    Probe = 1 << 14,
    /// Loss recovery holds state for it.
    Recovering = 1 << 15,
    /// The congestion window was made smaller, and not all is acknowledged that was in flight then.
    Reduced = 1 << 16,
    /// The application reads no more (`SHUT_RD`): what comes is acknowledged and dropped. [`Flag::Paused`] stays with it.
    ReadShut = 1 << 17,
    /// Octets came a second time; the next ACK says which (RFC 2883).
    Duplicate = 1 << 18,
    /// It has options that the in-order path does not know of: the general path is for it.
    Tuned = 1 << 19,
    /// `TCP_CORK` holds what is not a full segment.
    Corked = 1 << 20,
    /// Every arrival is acknowledged at once (`TCP_QUICKACK`).
    QuickAck = 1 << 21,
    /// ECN was agreed (RFC 3168).
    Ecn = 1 << 24,
    /// A packet came with CE: every segment says ECE until CWR comes.
    EcnEcho = 1 << 25,
    /// The window was made smaller: the next new octets say CWR.
    EcnReduced = 1 << 26,
}

/// A set of [`Flag`]s.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Flags(u32);

impl Flags {
    /// Whether `flag` is in the set.
    #[inline]
    pub const fn has(self, flag: Flag) -> bool {
        self.0 & flag as u32 != 0
    }

    /// Whether any of `mask`'s flags is in the set.
    #[inline]
    pub const fn has_any(self, mask: Self) -> bool {
        self.0 & mask.0 != 0
    }

    /// Whether, of `mask`'s flags, exactly those of `wanted` are in the set.
    #[inline]
    pub const fn matches(self, mask: Self, wanted: Self) -> bool {
        self.0 & mask.0 == wanted.0
    }

    /// Puts `flag` in.
    #[inline]
    pub fn set(&mut self, flag: Flag) {
        self.0 |= flag as u32;
    }

    /// Puts `flag` in or takes it out.
    #[inline]
    pub fn put(&mut self, flag: Flag, is_in: bool) {
        self.0 = self.0 & !(flag as u32) | if is_in { flag as u32 } else { 0 };
    }

    /// Takes `flag` out and says whether it was in.
    #[inline]
    pub fn take(&mut self, flag: Flag) -> bool {
        let had = self.has(flag);
        self.0 &= !(flag as u32);
        had
    }

    /// Puts all of `mask` in.
    #[inline(always)]
    pub fn insert(&mut self, mask: Self) {
        self.0 |= mask.0;
    }

    /// Takes all of `mask` out.
    #[inline(always)]
    pub fn clear(&mut self, mask: Self) {
        self.0 &= !mask.0;
    }

    /// The set of `flags`.
    pub const fn of(flags: &[Flag]) -> Self {
        let mut bits = 0;
        let mut i = 0;
        while i < flags.len() {
            bits |= flags[i] as u32;
            i += 1;
        }
        Self(bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_from_the_two_sides() {
        let mut sides = Sides::OPEN;
        assert_eq!(sides.state(), State::Established);
        sides.set_send(SendSide::FinSent);
        assert_eq!(sides.state(), State::FinWait1);
        let mut crossed = sides;
        crossed.finish_receive();
        assert_eq!(crossed.state(), State::Closing);
        crossed.set_send(SendSide::FinAcked);
        assert_eq!(crossed.state(), State::TimeWait);
        sides.set_send(SendSide::FinAcked);
        assert_eq!(sides.state(), State::FinWait2);
        assert!(sides.is_fin_wait_2() && !crossed.is_fin_wait_2() && !Sides::OPEN.is_fin_wait_2());
    }

    #[test]
    fn the_one_that_closes_second_does_not_wait() {
        let mut sides = Sides::OPEN;
        sides.finish_receive();
        assert_eq!(sides.state(), State::CloseWait);
        sides.set_send(SendSide::FinQueued);
        assert_eq!(sides.state(), State::CloseWait);
        sides.set_send(SendSide::FinSent);
        assert_eq!(sides.state(), State::LastAck);
        sides.set_send(SendSide::FinAcked);
        assert_eq!(sides.state(), State::Closed);
    }
}
