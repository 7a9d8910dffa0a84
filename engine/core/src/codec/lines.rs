//! Lines of text or of anything else without line feeds.

use core::fmt;

use memchr::memchr;

use super::{Codec, Decoded};

/// What ends a line that is sent. Received lines may end either way, also in turns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LineEnding {
    /// `\n`.
    #[default]
    LineFeed,
    /// `\r\n`.
    CrLf,
}

/// Lines that end in LF or CRLF; a message is the line without its ending.
///
/// Every byte is looked at once, however the line is cut into segments, and no memory is reserved for a
/// line before its bytes have arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lines {
    /// The longest line, in bytes without its ending.
    pub line_max: usize,
    /// What ends a line that is sent.
    pub ending: LineEnding,
}

impl Lines {
    /// The default of [`Lines::line_max`]: 8 KiB.
    pub const LINE_MAX: usize = 8 * 1024;
}

impl Default for Lines {
    fn default() -> Self {
        Self { line_max: Self::LINE_MAX, ending: LineEnding::default() }
    }
}

/// How far the line at the front of the stream was searched for its end.
#[derive(Clone, Copy, Debug, Default)]
pub struct LinesProgress {
    searched: usize,
}

/// Why a stream or a line is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinesError {
    /// A line is longer than allowed.
    TooLong {
        /// Bytes of the line that were seen, without an ending; the line may go on.
        seen: usize,
        /// The limit in force.
        line_max: usize,
    },
    /// A line to be sent has a line feed in it: it would arrive as two.
    EmbeddedLineFeed {
        /// Offset of the first one, in bytes.
        at: usize,
    },
}

impl fmt::Display for LinesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { seen, line_max } => {
                write!(f, "line of {seen} bytes or more, at most {line_max} are allowed (`line_max`)")
            }
            Self::EmbeddedLineFeed { at } => {
                write!(f, "the line to be sent has a line feed at offset {at}")
            }
        }
    }
}

impl core::error::Error for LinesError {}

impl Codec for Lines {
    type Message<'a> = &'a [u8];
    type Item<'a> = &'a [u8];
    type Progress = LinesProgress;
    type Error = LinesError;

    fn decode<'a>(
        &self,
        progress: &mut LinesProgress,
        bytes: &'a [u8],
    ) -> Result<Decoded<&'a [u8]>, LinesError> {
        let start = progress.searched.min(bytes.len());
        // What may still be a good line with its CRLF; a peer cannot make us search further.
        let end = bytes.len().min(self.line_max.saturating_add(2));
        let Some(found) = memchr(b'\n', bytes.get(start..end).unwrap_or_default()) else {
            progress.searched = end.max(start);
            self.check(without_carriage_return(&bytes[..end]))?;
            return Ok(Decoded::Incomplete { consumed: 0 });
        };
        let at = start + found;
        progress.searched = 0;
        let message = without_carriage_return(&bytes[..at]);
        self.check(message)?;
        Ok(Decoded::Message { message, consumed: at + 1 })
    }

    /// What is left at the end of the stream counts as a line although nothing ends it.
    fn decode_eof<'a>(
        &self,
        progress: &mut LinesProgress,
        bytes: &'a [u8],
    ) -> Result<Decoded<&'a [u8]>, LinesError> {
        let decoded = self.decode(progress, bytes)?;
        match decoded {
            Decoded::Incomplete { .. } if !bytes.is_empty() => {
                progress.searched = 0;
                Ok(Decoded::Message { message: without_carriage_return(bytes), consumed: bytes.len() })
            }
            Decoded::Incomplete { .. } | Decoded::Message { .. } => Ok(decoded),
        }
    }

    fn encoded_len(&self, item: &&[u8]) -> Result<usize, LinesError> {
        self.check(item)?;
        if let Some(at) = memchr(b'\n', item) {
            return Err(LinesError::EmbeddedLineFeed { at });
        }
        Ok(item.len() + self.ending_for(item).len())
    }

    fn encode(&self, item: &&[u8], out: &mut [u8]) {
        let (line, ending) = out.split_at_mut(item.len());
        line.copy_from_slice(item);
        ending.copy_from_slice(self.ending_for(item));
    }
}

impl Lines {
    fn check(&self, line: &[u8]) -> Result<(), LinesError> {
        if line.len() > self.line_max {
            return Err(LinesError::TooLong { seen: line.len(), line_max: self.line_max });
        }
        Ok(())
    }

    /// A line that itself ends in CR is always sent with CRLF: the decoder takes one CR off.
    fn ending_for(&self, line: &[u8]) -> &'static [u8] {
        match self.ending {
            LineEnding::LineFeed if line.last() != Some(&b'\r') => b"\n",
            LineEnding::LineFeed | LineEnding::CrLf => b"\r\n",
        }
    }
}

fn without_carriage_return(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}
