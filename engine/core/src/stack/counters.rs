//! What happened on a shard: plain numbers, written by one thread.

macro_rules! drop_reasons {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// Why a frame or segment was not used.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum DropReason {
            $($(#[$doc])* $variant,)*
        }

        impl DropReason {
            /// All reasons, in the order of their counters.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The counter's name.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

drop_reasons! {
    /// Header fields contradict each other or the frame's length.
    Malformed = "malformed",
    /// A checksum is wrong.
    BadChecksum = "bad_checksum",
    /// Addressed to somebody else.
    NotForUs = "not_for_us",
    /// The source is a group, unspecified, or our own address.
    BadSource = "bad_source",
    /// A protocol, message or operation that nothing here handles.
    Unhandled = "unhandled",
    /// A fragment: reassembly is not offered.
    Fragment = "fragment",
    /// An ICMP error that quotes nothing of ours that is in flight (RFC 5927 section 4.1).
    IcmpUnmatched = "icmp_unmatched",
    /// A stray segment for which no connection exists; answered by RST where RFC 9293 says so.
    NoConnection = "no_connection",
    /// PAWS (RFC 7323 section 5).
    Paws = "paws",
    /// Outside the receive window.
    OutOfWindow = "out_of_window",
    /// An acknowledgment that cannot be (RFC 5961 section 5).
    UnacceptableAck = "unacceptable_ack",
    /// SYN on a synchronized connection (RFC 5961 section 4).
    UnexpectedSyn = "unexpected_syn",
    /// RST that does not match exactly (RFC 5961 section 3).
    InexactReset = "inexact_reset",
    /// No ACK where one must be.
    NoAck = "no_ack",
    /// Payload that the connection holds already.
    Duplicate = "duplicate",
    /// The backlog of half-open connections is full (`tcp_max_syn_backlog`).
    SynBacklogFull = "syn_backlog_full",
    /// The accept queue is full (`somaxconn`).
    AcceptQueueFull = "accept_queue_full",
    /// `connections_max` is reached.
    TooManyConnections = "too_many_connections",
    /// No receive buffer is free, or the connection's is full.
    ReceiveMemory = "receive_memory",
    /// A segment that was to leave towards a next hop that does not answer; it is sent again later.
    NoNextHop = "no_next_hop",
    /// No frame was free to answer with.
    NoTransmitFrame = "no_transmit_frame",
    /// The ring to the owning shard is full.
    HandOverFull = "hand_over_full",
    /// A segment for a connection in TIME_WAIT.
    TimeWait = "time_wait",
    /// The answer is rate limited.
    RateLimited = "rate_limited",
}

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Totals since start.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct Counters {
            $($(#[$doc])* pub $name: u64,)*
            /// Frames and segments not used, by [`DropReason`].
            pub drops: [u64; DropReason::ALL.len()],
        }

        impl Counters {
            /// Names and values of all but the drops.
            pub fn named(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($name), self.$name),)*].into_iter()
            }

            /// Adds another shard's.
            pub fn add(&mut self, other: &Self) {
                $(self.$name += other.$name;)*
                for (sum, value) in self.drops.iter_mut().zip(other.drops) {
                    *sum += value;
                }
            }
        }
    };
}

counters! {
    /// Turns that had work.
    turns,
    /// Frames received.
    frames_received,
    /// Bursts that held at least one frame.
    bursts,
    /// Frames committed for transmission.
    frames_sent,
    /// System calls that woke the device.
    wakeups,
    /// Payload octets copied into receive buffers.
    bytes_copied_in,
    /// Payload octets shown to the application straight from their frame.
    bytes_in_place,
    /// Payload octets copied into transmit frames.
    bytes_copied_out,
    /// TCP segments received for us.
    segments_received,
    /// Segments sent again.
    retransmits,
    /// Retransmission timeouts.
    timeouts,
    /// RST sent.
    resets_sent,
    /// RST accepted.
    resets_received,
    /// Connections opened by peers.
    passive_opens,
    /// Connections opened by us.
    active_opens,
    /// Connections gone.
    closed,
    /// SYNs answered by a cookie (`SyncookiesSent`).
    syncookies_sent,
    /// Cookies that came back (`SyncookiesRecv`).
    syncookies_received,
    /// ACKs to a listener whose number is no cookie of ours, or too old a one (`SyncookiesFailed`).
    syncookies_failed,
    /// Half-open connections given up.
    half_open_expired,
    /// Connections in TIME_WAIT that had to make room for newer ones.
    time_wait_evicted,
    /// Challenge ACKs sent (RFC 5961).
    challenge_acks,
    /// Keepalive probes sent.
    keepalive_probes,
    /// Connections that did not get the options of their listener: `socket_options_max` was reached.
    options_not_inherited,
    /// Frames handed to the shard that owns their flow.
    handed_over,
    /// Frames taken over from other shards.
    taken_over,
    /// Times that a connection had to wait because the send pool had too little left.
    send_pool_waits,
    /// ICMP errors about segments of ours that were in flight.
    icmp_errors,
    /// Packets from somebody who says that an address of ours is his (RFC 5227 section 2.4).
    address_conflicts,
    /// Segments made smaller because a router said so.
    path_mtu_lowered,
    /// Times that congestion control had to do without a record.
    congestion_records_refused,
    /// Echo requests answered.
    echoes,
    /// ARP requests and neighbor solicitations answered.
    neighbours_answered,
}

impl Counters {
    /// Counts one drop.
    #[inline]
    pub fn drop(&mut self, reason: DropReason) {
        self.drops[reason as usize] += 1;
    }

    /// Drops of one reason.
    pub fn dropped(&self, reason: DropReason) -> u64 {
        self.drops[reason as usize]
    }
}
