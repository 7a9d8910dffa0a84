//! What goes wrong in a world: each fault by name, and how often it happened.

pub mod corrupt;
pub mod loss;
pub mod mark;
pub mod outage;
pub mod reorder;
pub mod too_big;

macro_rules! faults {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// Something that goes wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Fault {
            $($(#[$doc])* $variant,)*
        }

        impl Fault {
            /// All of them, in the order of their counters.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Its name in reports.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

faults! {
    /// A frame is lost by itself.
    Loss = "loss",
    /// A frame is lost while its link is in its bad state.
    Burst = "burst loss",
    /// A frame is lost because nothing gets through for a while.
    Outage = "outage",
    /// A frame finds the link's queue full.
    Overflow = "queue overflow",
    /// A frame arrives twice.
    Duplicate = "duplicate",
    /// A frame is held back, so that others overtake it.
    Reorder = "reorder",
    /// A frame is late with all the others of its time.
    Spike = "delay spike",
    /// A frame arrives damaged.
    Corrupt = "corrupt",
    /// A frame that says it can bear it is marked (RFC 3168).
    Mark = "ECN mark",
    /// A frame is too long for the path; its sender is told.
    TooBig = "too big",
    /// A frame is too long for the path, and nobody says so.
    BlackHole = "black hole",
    /// A frame finds the receive queue full.
    ReceiveOverflow = "receive overflow",
    /// A frame comes to a host that is off.
    Dark = "host off",
    /// A frame lands on another queue than the others of its flow.
    Stray = "stray queue",
    /// Flows move to other queues.
    Rehash = "rehash",
    /// A shard gets no turn for a while.
    Stall = "shard stall",
    /// A host loses all that it knew.
    Reboot = "reboot",
    /// A peer drops what it had reported by SACK.
    Renege = "renege",
    /// A peer takes back a part of its window.
    Shrink = "window shrink",
    /// A peer shows no window for a while.
    ZeroWindow = "zero window",
    /// A peer acknowledges a part of a segment.
    SplitAck = "split ACK",
    /// A peer says the same ACK several times.
    RepeatedAck = "repeated ACK",
    /// A peer keeps silent about what has arrived.
    StretchAck = "stretch ACK",
    /// A peer sends octets again in other pieces, old ones among them.
    Overlap = "overlap",
    /// A peer sends a segment that belongs nowhere: an old one, a SYN, an RST that is not exact, one beyond the window.
    Forgery = "forgery",
}

/// The faults that one frame has met.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults(u32);

impl Faults {
    /// That one only.
    pub const fn only(fault: Fault) -> Self {
        Self(1 << fault as u32)
    }

    /// One more.
    pub const fn insert(&mut self, fault: Fault) {
        self.0 |= 1 << fault as u32;
    }

    /// As a number, for a hash.
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// Each of them.
    pub fn iter(self) -> impl Iterator<Item = Fault> {
        Fault::ALL.iter().copied().filter(move |fault| self.0 & 1 << *fault as u32 != 0)
    }
}

/// How often each fault happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally([u64; Fault::ALL.len()]);

impl Tally {
    /// It happened once more.
    pub fn count(&mut self, fault: Fault) {
        self.0[fault as usize] += 1;
    }

    /// Each of these happened once more.
    pub fn count_all(&mut self, faults: Faults) {
        for fault in faults.iter() {
            self.count(fault);
        }
    }

    /// How often it happened.
    pub fn of(&self, fault: Fault) -> u64 {
        self.0[fault as usize]
    }

    /// Adds another world's.
    pub fn add(&mut self, other: &Self) {
        for (sum, value) in self.0.iter_mut().zip(other.0) {
            *sum += value;
        }
    }
}
