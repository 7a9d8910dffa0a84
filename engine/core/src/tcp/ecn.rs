//! Explicit congestion notification (RFC 3168): what is agreed, echoed and obeyed.

use crate::wire::Ecn;
use crate::wire::tcp::Flags as Control;

use super::connection::Connection;
use super::segment::Segment;
use super::state::{Flag, Flags};

/// What is done about ECN; the values of Linux's `tcp_ecn`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(u8)]
pub enum EcnMode {
    /// Nothing.
    Off = 0,
    /// It is asked for and agreed to.
    Request = 1,
    /// It is agreed to when the peer asks.
    #[default]
    Accept = 2,
}

/// Whether a SYN asks for ECN, or a SYN+ACK agrees to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum EcnSetup {
    /// It does not.
    #[default]
    Absent,
    /// It does.
    Present,
}

impl EcnSetup {
    /// What the peer's SYN says, as far as we take part.
    pub fn of_syn(segment: &Segment<'_>, mode: EcnMode) -> Self {
        // RFC 3168 section 6.1.1: both bits. As Linux: a SYN that claims to be ECN-capable itself is none of RFC 3168's.
        let asks = segment.control.contains(Control::ECE | Control::CWR) && segment.ecn == Ecn::NotEct;
        match mode {
            EcnMode::Request | EcnMode::Accept if asks => Self::Present,
            EcnMode::Off | EcnMode::Request | EcnMode::Accept => Self::Absent,
        }
    }

    /// What the peer's SYN+ACK says to a SYN of ours that said `asked`.
    pub fn of_syn_ack(control: Control, asked: Self) -> Self {
        // RFC 3168 section 6.1.1: ECE alone; both mean a peer that echoes whatever it gets.
        match asked {
            Self::Present if control.contains(Control::ECE) && !control.intersects(Control::CWR) => {
                Self::Present
            }
            Self::Present | Self::Absent => Self::Absent,
        }
    }

    /// What our SYN says that is sent for the `tries`-th time.
    pub fn to_ask(mode: EcnMode, fallback: bool, tries: u8) -> Self {
        match mode {
            // RFC 3168 section 6.1.1.1.
            EcnMode::Request if tries <= 1 || !fallback => Self::Present,
            EcnMode::Off | EcnMode::Request | EcnMode::Accept => Self::Absent,
        }
    }

    /// The bits of a SYN.
    pub fn syn_bits(self) -> Control {
        match self {
            Self::Present => Control::ECE | Control::CWR,
            Self::Absent => Control::NONE,
        }
    }

    /// The bits of a SYN+ACK.
    pub fn syn_ack_bits(self) -> Control {
        match self {
            Self::Present => Control::ECE,
            Self::Absent => Control::NONE,
        }
    }
}

/// Takes in the marks of an acceptable segment. ECN was agreed.
pub(super) fn receive(connection: &mut Connection, segment: &Segment<'_>) {
    // RFC 3168 section 6.1.3: the sender has made its window smaller.
    if segment.control.intersects(Control::CWR) {
        connection.flags.take(Flag::EcnEcho);
    }
    // Marks on a bare ACK mean nothing: its sender cannot have called it capable.
    if segment.ecn == Ecn::Ce && !segment.payload.is_empty() && !connection.flags.has(Flag::EcnEcho) {
        connection.flags.set(Flag::EcnEcho);
        // As Linux: the sender is told at once.
        connection.flags.set(Flag::AckNow);
    }
}

/// Bits that go with every segment of the connection but RST.
pub fn echo(flags: Flags) -> Control {
    if flags.has(Flag::EcnEcho) { Control::ECE } else { Control::NONE }
}
