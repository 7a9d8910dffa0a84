//! TCP options: RFC 9293 section 3.2, RFC 2018, RFC 7323.

mod syn;

pub use syn::{SYN_WORDS, SynOptions};

/// Bytes of options that a header has room for.
pub const OPTIONS_LEN_MAX: usize = 40;
/// SACK blocks that fit beside no other option; three fit beside timestamps.
pub const SACK_BLOCKS_MAX: usize = 4;
/// The largest shift count, RFC 7323 section 2.3.
pub const WINDOW_SCALE_MAX: u8 = 14;

const END: u8 = 0;
const NOP: u8 = 1;
const MSS: u8 = 2;
const WINDOW_SCALE: u8 = 3;
const SACK_PERMITTED: u8 = 4;
const SACK: u8 = 5;
const TIMESTAMPS: u8 = 8;

/// `NOP NOP TIMESTAMPS 10`, the layout that nearly all segments have (RFC 7323 appendix A).
const ALIGNED_TIMESTAMPS: [u8; 4] = [NOP, NOP, TIMESTAMPS, 10];

/// The timestamps option.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Timestamps {
    /// `TSval`: the sender's clock.
    pub value: u32,
    /// `TSecr`: the echoed clock of the receiver; meaningful only with the ACK flag.
    pub echo: u32,
}

impl Timestamps {
    /// The timestamps of options that are exactly the aligned 12-byte layout.
    #[inline(always)]
    pub(in crate::wire) fn of_aligned(options: &[u8]) -> Option<Self> {
        let options: &[u8; 12] = options.try_into().ok()?;
        let (start, rest) = options.split_first_chunk::<4>()?;
        if *start != ALIGNED_TIMESTAMPS {
            return None;
        }
        Self::of_payload(rest)
    }

    #[inline(always)]
    fn of_payload(bytes: &[u8]) -> Option<Self> {
        let bytes = u64::from_be_bytes(bytes.try_into().ok()?);
        Some(Self { value: (bytes >> 32) as u32, echo: bytes as u32 })
    }
}

/// The SACK-permitted option.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum SackPermitted {
    /// The option is not there.
    #[default]
    Absent,
    /// The option is there.
    Present,
}

/// One block of the SACK option: `left..right` in sequence numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct SackBlock {
    /// The first sequence number of the block.
    pub left: u32,
    /// The sequence number after its last.
    pub right: u32,
}

/// Up to [`SACK_BLOCKS_MAX`] blocks, the most recent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct SackBlocks {
    blocks: [SackBlock; SACK_BLOCKS_MAX],
    count: u8,
}

impl SackBlocks {
    /// No blocks.
    pub const NONE: Self = Self { blocks: [SackBlock { left: 0, right: 0 }; SACK_BLOCKS_MAX], count: 0 };

    /// Appends a block; when full, gives it back.
    pub fn push(&mut self, block: SackBlock) -> Result<(), SackBlock> {
        let slot = self.blocks.get_mut(self.count as usize).ok_or(block)?;
        *slot = block;
        self.count += 1;
        Ok(())
    }

    /// The blocks in order.
    #[inline]
    pub fn as_slice(&self) -> &[SackBlock] {
        self.blocks.get(..self.count as usize).unwrap_or_default()
    }

    /// The first `count` blocks, or all.
    fn truncated(&self, count: usize) -> &[SackBlock] {
        let all = self.as_slice();
        all.get(..count).unwrap_or(all)
    }

    fn of_payload(payload: &[u8]) -> Option<Self> {
        let (blocks, rest) = payload.as_chunks::<8>();
        if blocks.is_empty() || blocks.len() > SACK_BLOCKS_MAX || !rest.is_empty() {
            return None;
        }
        let mut found = Self { count: blocks.len() as u8, ..Self::NONE };
        for (slot, bytes) in found.blocks.iter_mut().zip(blocks) {
            let both = u64::from_be_bytes(*bytes);
            *slot = SackBlock { left: (both >> 32) as u32, right: both as u32 };
        }
        Some(found)
    }
}

/// Whether the options could be read to their end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum OptionsForm {
    /// They could.
    #[default]
    WellFormed,
    /// An option's length is below 2 or goes beyond the header; the options before it were read.
    IllegalLength,
}

/// The options of one segment. Of an option that comes twice the last one counts, as in Linux.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Options {
    /// Maximum segment size in bytes; on SYN only.
    pub mss: Option<u16>,
    /// Window scale, at most [`WINDOW_SCALE_MAX`]; on SYN only.
    pub window_scale: Option<u8>,
    /// SACK-permitted; on SYN only.
    pub sack_permitted: SackPermitted,
    /// Timestamps.
    pub timestamps: Option<Timestamps>,
    /// SACK blocks.
    pub sack: SackBlocks,
    /// Whether parsing reached the end. Ignored by `emit`.
    pub form: OptionsForm,
}

impl Options {
    /// No options.
    pub const NONE: Self = Self {
        mss: None,
        window_scale: None,
        sack_permitted: SackPermitted::Absent,
        timestamps: None,
        sack: SackBlocks::NONE,
        form: OptionsForm::WellFormed,
    };

    /// Reads the option bytes of a header. Unknown options, and known ones with a length that is not theirs, are skipped.
    pub fn parse(bytes: &[u8]) -> Self {
        let mut options = Self::NONE;
        if let Some(timestamps) = Timestamps::of_aligned(bytes) {
            options.timestamps = Some(timestamps);
            return options;
        }
        let mut rest = bytes;
        while let Some((&kind, after)) = rest.split_first() {
            match kind {
                END => break,
                NOP => rest = after,
                _ => {
                    // RFC 9293 MUST-6, MUST-7: skip what is unknown, survive an illegal length.
                    let Some((option, after)) = split_option(rest) else {
                        options.form = OptionsForm::IllegalLength;
                        break;
                    };
                    options.take(kind, option);
                    rest = after;
                }
            }
        }
        options
    }

    fn take(&mut self, kind: u8, payload: &[u8]) {
        match (kind, payload) {
            (MSS, &[high, low]) => self.mss = Some(u16::from_be_bytes([high, low])),
            // RFC 7323 section 2.3: a larger shift count means 14.
            (WINDOW_SCALE, &[shift]) => self.window_scale = Some(shift.min(WINDOW_SCALE_MAX)),
            (SACK_PERMITTED, []) => self.sack_permitted = SackPermitted::Present,
            (SACK, blocks) => self.sack = SackBlocks::of_payload(blocks).unwrap_or(self.sack),
            (TIMESTAMPS, clocks) => self.timestamps = Timestamps::of_payload(clocks).or(self.timestamps),
            _ => {}
        }
    }

    /// Bytes that the options take on the wire: 0 to 40, a multiple of 4.
    #[inline]
    pub fn wire_len(&self) -> usize {
        let fixed = self.fixed_len();
        match self.sack.truncated(sack_room(fixed)).len() {
            0 => fixed,
            blocks => fixed + 4 + blocks * 8,
        }
    }

    /// Bytes of all options but SACK.
    #[inline]
    const fn fixed_len(&self) -> usize {
        let mss = if self.mss.is_some() { 4 } else { 0 };
        let window_scale = if self.window_scale.is_some() { 4 } else { 0 };
        let clocks_and_sack_permitted = match (self.timestamps, self.sack_permitted) {
            (Some(_), _) => 12,
            (None, SackPermitted::Present) => 4,
            (None, SackPermitted::Absent) => 0,
        };
        mss + window_scale + clocks_and_sack_permitted
    }

    /// Writes the options in Linux's order to `buffer`, which has [`Options::wire_len`] bytes.
    /// SACK blocks that do not fit beside the others are left out, the last first.
    pub(super) fn emit(&self, buffer: &mut [u8]) {
        let mut words = Words { rest: buffer };
        if let Some(mss) = self.mss {
            let [high, low] = mss.to_be_bytes();
            words.put([MSS, 4, high, low]);
        }
        match (self.timestamps, self.sack_permitted) {
            (Some(timestamps), SackPermitted::Present) => {
                words.put([SACK_PERMITTED, 2, TIMESTAMPS, 10]);
                words.put_pair(timestamps.value, timestamps.echo);
            }
            (Some(timestamps), SackPermitted::Absent) => {
                words.put(ALIGNED_TIMESTAMPS);
                words.put_pair(timestamps.value, timestamps.echo);
            }
            (None, SackPermitted::Present) => words.put([NOP, NOP, SACK_PERMITTED, 2]),
            (None, SackPermitted::Absent) => {}
        }
        if let Some(shift) = self.window_scale {
            words.put([NOP, WINDOW_SCALE, 3, shift.min(WINDOW_SCALE_MAX)]);
        }
        let blocks = self.sack.truncated(sack_room(self.fixed_len()));
        if !blocks.is_empty() {
            words.put([NOP, NOP, SACK, (2 + blocks.len() * 8) as u8]);
            for block in blocks {
                words.put_pair(block.left, block.right);
            }
        }
        words.rest.fill(END);
    }
}

/// SACK blocks that fit beside `fixed_len` bytes of other options.
#[inline]
const fn sack_room(fixed_len: usize) -> usize {
    (OPTIONS_LEN_MAX - 4 - fixed_len) / 8
}

/// The payload of the first option, and what follows the option; `None` when its length is illegal.
fn split_option(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let &[_, len, ..] = bytes else { return None };
    let (option, after) = bytes.split_at_checked(len as usize)?;
    Some((option.get(2..)?, after))
}

/// Writes whole words to the front of what is left of a buffer.
struct Words<'a> {
    rest: &'a mut [u8],
}

impl Words<'_> {
    fn put(&mut self, word: [u8; 4]) {
        if let Some((slot, rest)) = core::mem::take(&mut self.rest).split_first_chunk_mut::<4>() {
            *slot = word;
            self.rest = rest;
        }
    }

    fn put_pair(&mut self, first: u32, second: u32) {
        self.put(first.to_be_bytes());
        self.put(second.to_be_bytes());
    }
}

#[cfg(test)]
pub(super) mod tests;
