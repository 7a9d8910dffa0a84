//! No framing at all: bytes as they come.

use core::convert::Infallible;

use super::{Codec, Decoded};

/// Hands on whatever has arrived, in slices of at most [`Raw::slice_max`] bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Raw {
    /// The largest slice shown as one message, in bytes (at least 1; 0 counts as 1).
    pub slice_max: usize,
}

impl Raw {
    /// The default of [`Raw::slice_max`]: 64 KiB.
    pub const SLICE_MAX: usize = 64 * 1024;
}

impl Default for Raw {
    fn default() -> Self {
        Self { slice_max: Self::SLICE_MAX }
    }
}

impl Codec for Raw {
    type Message<'a> = &'a [u8];
    type Item<'a> = &'a [u8];
    type Progress = ();
    type Error = Infallible;

    #[inline]
    fn decode<'a>(&self, (): &mut (), bytes: &'a [u8]) -> Result<Decoded<&'a [u8]>, Infallible> {
        let consumed = bytes.len().min(self.slice_max.max(1));
        Ok(match consumed {
            0 => Decoded::Incomplete { consumed },
            _ => Decoded::Message { message: &bytes[..consumed], consumed },
        })
    }

    fn decode_eof<'a>(&self, progress: &mut (), bytes: &'a [u8]) -> Result<Decoded<&'a [u8]>, Infallible> {
        self.decode(progress, bytes)
    }

    #[inline]
    fn encoded_len(&self, item: &&[u8]) -> Result<usize, Infallible> {
        Ok(item.len())
    }

    #[inline]
    fn encode(&self, item: &&[u8], out: &mut [u8]) {
        out.copy_from_slice(item);
    }
}
