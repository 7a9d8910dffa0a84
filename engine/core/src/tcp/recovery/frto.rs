//! F-RTO: new data after a timeout tells whether the timeout was right (RFC 5682).

/// How far the question is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Frto {
    /// Not at all: recovery from the timeout goes on as ever.
    #[default]
    Off,
    /// The head was sent again; its acknowledgment is waited for (step 2).
    Asked,
    /// It came; up to two new segments leave, and what is acknowledged next decides (step 3).
    Probing,
}

/// What an acknowledgment after a timeout shows.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "facts that are independent of each other")]
pub struct Signs {
    /// `snd_una` has moved.
    pub has_advanced: bool,
    /// All that was sent before the timeout is acknowledged.
    pub has_reached_end: bool,
    /// Something that was sent before the timeout, and not again, was delivered by it.
    pub original_delivered: bool,
    /// Something that was sent after the timeout for the first time is SACKed, or without SACK it is a duplicate ACK.
    pub is_hole_confirmed: bool,
    /// New data can be sent.
    pub can_probe: bool,
    /// Whether SACK tells what has arrived.
    pub has_sack: bool,
}

/// What follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// Nothing yet, or nothing any more.
    None,
    /// The timeout was right: the window stays below three segments for now (step 3a).
    Genuine,
    /// It was not: nothing was lost (step 3b).
    Spurious,
}

impl Frto {
    /// An acknowledgment came.
    pub fn take_ack(&mut self, signs: Signs) -> Finding {
        match self {
            Self::Asked => {
                *self = self.answer(signs);
                Finding::None
            }
            Self::Probing if signs.is_hole_confirmed => {
                *self = Self::Off;
                Finding::Genuine
            }
            Self::Probing if signs.original_delivered => {
                *self = Self::Off;
                Finding::Spurious
            }
            Self::Off | Self::Probing => Finding::None,
        }
    }

    /// Step 2 of RFC 5682 sections 2.1 and 3.1.
    fn answer(self, signs: Signs) -> Self {
        if !signs.has_advanced {
            // With SACK only the cumulative acknowledgment decides.
            return if signs.has_sack { self } else { Self::Off };
        }
        // If all is acknowledged, or nothing new can be sent, there is no way to tell.
        if signs.has_reached_end || !signs.can_probe { Self::Off } else { Self::Probing }
    }
}
