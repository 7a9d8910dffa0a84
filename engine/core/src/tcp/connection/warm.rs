//! The warm block: what a connection needs beyond the in-order path, and how it ends.

use crate::base::time::Instant;
use crate::shard::CloseReason;
use crate::table::FamilyPlace;
use crate::tcp::congestion::CongestionControl;
use crate::tcp::invalid::InvalidBudget;
use crate::tcp::recovery::rack::Reordering;
use crate::tcp::seq::SequenceNumber;
use crate::tcp::tick::Tick;
use crate::wire::Address;

/// Whether the warm block of a connection must be looked at for a deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum WarmDeadlines {
    /// [`Warm::timer_at`], [`Warm::fin_wait_2_at`], [`Warm::path_mtu_at`] and [`Warm::options_at`] were never set.
    None,
    /// One may be set.
    Possible,
}

/// What a connection needs beyond the in-order path.
#[derive(Debug)]
pub struct Warm {
    /// The peer's address.
    pub remote: Address,
    /// Slow start threshold in octets.
    pub ssthresh: u32,
    /// What was sent when the congestion window was last made smaller, while [`Flag::Reduced`](crate::tcp::state::Flag::Reduced) is set.
    pub reduced: SequenceNumber,
    /// Index of congestion control's record and 1, while there is one.
    pub congestion: Option<core::num::NonZeroU32>,
    /// How the congestion window grows (`TCP_CONGESTION`).
    pub congestion_control: CongestionControl,
    /// Largest window that the peer ever advertised, octets.
    pub snd_wnd_max: u32,
    /// What was acknowledged when the last recovery ended (RFC 6582 `recover`).
    pub recover: SequenceNumber,
    /// The shortest round trip that was seen in the handshake and outside of the in-order path, µs; `u32::MAX`: none.
    pub min_rtt_us: u32,
    /// What the path has shown of reordering.
    pub reordering: Reordering,
    /// When new data left last while others were in flight.
    pub last_sent: Tick,
    /// Index of the loss recovery's state and 1, while there is one.
    pub recovery: Option<core::num::NonZeroU32>,
    /// Where the peer's FIN lies, when it came ahead of missing octets ([`Flag::FinAhead`](crate::tcp::state::Flag::FinAhead)).
    pub fin_at: SequenceNumber,
    /// When FIN_WAIT_2 ends for a connection that the application has closed; [`WarmDeadlines`] says that it may be set.
    pub fin_wait_2_at: Tick,
    /// When a lowered path MTU is forgotten; [`WarmDeadlines`] says that it may be set.
    pub path_mtu_at: Tick,
    /// Where an ICMP error lies that nothing was done about ([`Warm::unreachable`]).
    pub unreachable_seq: SequenceNumber,
    /// Payload octets of a full segment as the handshake agreed on; the path may take less.
    pub mss_agreed: u16,
    /// Whether ICMP has said of `unreachable_seq` that it cannot reach the peer.
    pub unreachable: Unreachable,
    /// Index of the listener it came by, or none for one that we opened.
    pub listener: Option<u8>,
    /// The application's timer; [`WarmDeadlines`] says that it may be set.
    pub timer_at: Option<Instant>,
    /// Where the connection table has its tuple.
    pub place: FamilyPlace,
    /// Invalid segments that were answered.
    pub invalid: InvalidBudget,
    /// Why it is gone, once [`Flag::Doomed`](crate::tcp::state::Flag::Doomed) is set.
    pub doom: Option<Doom>,
    /// Index of its options and 1, if they are not those of the configuration.
    pub tuned: Option<core::num::NonZeroU32>,
    /// When these are looked at next; [`WarmDeadlines`] says that it may be set.
    pub options_at: Tick,
}

/// Whether ICMP has said that the peer cannot be reached, which may pass (RFC 1122 section 4.2.3.9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreachable {
    /// It has not.
    Unheard,
    /// It has.
    Heard,
}

/// How a connection ends other than by two FINs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Doom {
    /// What the application is told.
    pub reason: CloseReason,
    /// Whether the peer is told.
    pub farewell: Farewell,
}

/// Whether RST is sent for a connection that ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Farewell {
    /// It is.
    Reset,
    /// The peer knows, or nobody is there.
    Silence,
}

const _: () = assert!(size_of::<Warm>() <= 112, "the warm block has a budget, too");
