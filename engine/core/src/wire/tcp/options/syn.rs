//! The options of a SYN, which are nearly always the same four in the same order.

use super::{
    MSS, NOP, Options, SACK_PERMITTED, SackPermitted, TIMESTAMPS, Timestamps, WINDOW_SCALE, WINDOW_SCALE_MAX,
};

/// The options that mean something on a SYN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SynOptions {
    /// Maximum segment size in bytes.
    pub mss: Option<u16>,
    /// Window scale, at most [`WINDOW_SCALE_MAX`].
    pub window_scale: Option<u8>,
    /// SACK-permitted.
    pub sack_permitted: SackPermitted,
    /// Timestamps.
    pub timestamps: Option<Timestamps>,
}

/// Words of a SYN's options when all four are there, as Linux and we write them.
pub const SYN_WORDS: usize = 5;
const MSS_WORD: u32 = u32::from_be_bytes([MSS, 4, 0, 0]);
const SACK_AND_TIMESTAMPS: u32 = u32::from_be_bytes([SACK_PERMITTED, 2, TIMESTAMPS, 10]);
const SCALE_WORD: u32 = u32::from_be_bytes([NOP, WINDOW_SCALE, 3, 0]);

impl SynOptions {
    /// Reads the option bytes of a SYN as [`Options::parse`] does.
    #[inline]
    pub fn parse(bytes: &[u8]) -> Self {
        Self::of_usual(bytes).unwrap_or_else(|| {
            let Options { mss, window_scale, sack_permitted, timestamps, sack: _, form: _ } =
                Options::parse(bytes);
            Self { mss, window_scale, sack_permitted, timestamps }
        })
    }

    /// Of option bytes that are what [`SynOptions::words`] makes.
    #[inline]
    pub fn of_usual(bytes: &[u8]) -> Option<Self> {
        let (words, _) = bytes.as_chunks();
        let words: &[[u8; 4]; SYN_WORDS] = words.try_into().ok()?;
        Self::of_words(words.map(u32::from_be_bytes))
    }

    /// Of words that are what [`SynOptions::words`] makes.
    #[inline]
    pub fn of_words([mss, sack_and_timestamps, value, echo, scale]: [u32; SYN_WORDS]) -> Option<Self> {
        let (mss, scale) = (mss ^ MSS_WORD, scale ^ SCALE_WORD);
        if mss > 0xffff || sack_and_timestamps != SACK_AND_TIMESTAMPS || scale > 0xff {
            return None;
        }
        Some(Self {
            mss: Some(mss as u16),
            // RFC 7323 section 2.3: a larger shift count means 14.
            window_scale: Some((scale as u8).min(WINDOW_SCALE_MAX)),
            sack_permitted: SackPermitted::Present,
            timestamps: Some(Timestamps { value, echo }),
        })
    }

    /// All four as the words that [`Options`] has for them on the wire; `None` if one is missing.
    #[inline]
    pub fn words(&self) -> Option<[u32; SYN_WORDS]> {
        let Self { mss, window_scale, sack_permitted, timestamps } = *self;
        let (mss, scale, Timestamps { value, echo }) = (mss?, window_scale?, timestamps?);
        let scale = SCALE_WORD | u32::from(scale.min(WINDOW_SCALE_MAX));
        matches!(sack_permitted, SackPermitted::Present).then_some([
            MSS_WORD | u32::from(mss),
            SACK_AND_TIMESTAMPS,
            value,
            echo,
            scale,
        ])
    }
}

impl From<SynOptions> for Options {
    fn from(syn: SynOptions) -> Self {
        let SynOptions { mss, window_scale, sack_permitted, timestamps } = syn;
        Self { mss, window_scale, sack_permitted, timestamps, ..Self::NONE }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::super::tests::any_options;
    use super::*;
    use proptest::prelude::*;
    use std::vec;

    proptest! {
        #[test]
        fn the_words_are_what_options_emit(options in any_options()) {
            let Options { mss, window_scale, sack_permitted, timestamps, .. } = options;
            let syn = SynOptions { mss, window_scale, sack_permitted, timestamps };
            let options = Options::from(syn);
            let mut bytes = vec![0; options.wire_len()];
            options.emit(&mut bytes);
            prop_assert_eq!(SynOptions::parse(&bytes), syn);
            prop_assert_eq!(SynOptions::of_usual(&bytes), syn.words().map(|_| syn));
            if let Some(words) = syn.words() {
                prop_assert_eq!(words.map(u32::to_be_bytes).concat(), bytes);
            }
        }

        /// Whatever lies where options are expected.
        #[test]
        fn the_usual_options_are_read_as_any(
            syn in any::<(u16, u8, u32, u32)>(),
            edits in prop::collection::vec((0_usize..20, any::<u8>()), 0..3),
        ) {
            let (mss, scale, value, echo) = syn;
            let words = [MSS_WORD | u32::from(mss), SACK_AND_TIMESTAMPS, value, echo, SCALE_WORD | u32::from(scale)];
            let mut bytes = words.map(u32::to_be_bytes).concat();
            prop_assert!(SynOptions::of_usual(&bytes).is_some());
            for (at, octet) in edits {
                bytes[at] = octet;
            }
            let Options { mss, window_scale, sack_permitted, timestamps, .. } = Options::parse(&bytes);
            let read = SynOptions { mss, window_scale, sack_permitted, timestamps };
            prop_assert_eq!(SynOptions::parse(&bytes), read);
        }
    }
}
