//! Length-prefixed frames: 4 bytes of length, 4 bytes of message type, the payload. Big endian.

use core::fmt;

use super::{Codec, Decoded};

/// Bytes in front of each payload.
const HEADER: usize = 8;

/// Frames of a 4-byte payload length, a 4-byte message type and the payload, all numbers big endian.
///
/// A frame's length is believed only as far as bytes have arrived: no memory is reserved for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LengthPrefixed {
    /// The largest payload of a frame, in bytes.
    pub message_max: u32,
}

impl LengthPrefixed {
    /// The default of [`LengthPrefixed::message_max`]: 128 KiB, half of the default receive buffer, in which a
    /// frame must fit whole.
    pub const MESSAGE_MAX: u32 = 128 * 1024;
}

impl Default for LengthPrefixed {
    fn default() -> Self {
        Self { message_max: Self::MESSAGE_MAX }
    }
}

/// One frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The message type; its meaning is the application's.
    pub kind: u32,
    /// What the frame carries.
    pub payload: &'a [u8],
}

/// Why a stream or a frame is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LengthPrefixedError {
    /// The payload is larger than allowed.
    TooLong {
        /// The payload's length in bytes, as announced or as given.
        length: u64,
        /// The limit in force.
        message_max: u32,
    },
    /// The peer ended its stream within a frame.
    Truncated {
        /// Bytes of the frame that arrived, header included.
        seen: usize,
        /// Bytes that the frame has, or that its header has while that is incomplete.
        needed: usize,
    },
}

impl fmt::Display for LengthPrefixedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { length, message_max } => {
                write!(f, "frame of {length} bytes, at most {message_max} are allowed (`message_max`)")
            }
            Self::Truncated { seen, needed } => {
                write!(f, "the stream ended within a frame: {seen} of {needed} bytes arrived")
            }
        }
    }
}

impl core::error::Error for LengthPrefixedError {}

impl Codec for LengthPrefixed {
    type Message<'a> = Frame<'a>;
    type Item<'a> = Frame<'a>;
    type Progress = ();
    type Error = LengthPrefixedError;

    #[inline]
    fn decode<'a>(&self, (): &mut (), bytes: &'a [u8]) -> Result<Decoded<Frame<'a>>, LengthPrefixedError> {
        let Some((length, after_length)) = bytes.split_first_chunk::<4>() else {
            return Ok(Decoded::Incomplete { consumed: 0 });
        };
        let length = u32::from_be_bytes(*length);
        // Checked as soon as it is known, before the type has arrived.
        self.check(u64::from(length))?;
        let Some((kind, rest)) = after_length.split_first_chunk::<4>() else {
            return Ok(Decoded::Incomplete { consumed: 0 });
        };
        let Some(payload) = rest.get(..length as usize) else {
            return Ok(Decoded::Incomplete { consumed: 0 });
        };
        let message = Frame { kind: u32::from_be_bytes(*kind), payload };
        Ok(Decoded::Message { message, consumed: HEADER + payload.len() })
    }

    fn decode_eof<'a>(
        &self,
        progress: &mut (),
        bytes: &'a [u8],
    ) -> Result<Decoded<Frame<'a>>, LengthPrefixedError> {
        let decoded = self.decode(progress, bytes)?;
        match decoded {
            Decoded::Incomplete { .. } if !bytes.is_empty() => {
                let payload = match bytes.split_first_chunk::<4>() {
                    Some((length, _)) => u32::from_be_bytes(*length) as usize,
                    None => 0,
                };
                Err(LengthPrefixedError::Truncated { seen: bytes.len(), needed: HEADER + payload })
            }
            Decoded::Incomplete { .. } | Decoded::Message { .. } => Ok(decoded),
        }
    }

    #[inline]
    fn encoded_len(&self, item: &Frame<'_>) -> Result<usize, LengthPrefixedError> {
        self.check(item.payload.len() as u64)?;
        Ok(HEADER + item.payload.len())
    }

    #[inline]
    fn encode(&self, item: &Frame<'_>, out: &mut [u8]) {
        out[..4].copy_from_slice(&(item.payload.len() as u32).to_be_bytes());
        out[4..HEADER].copy_from_slice(&item.kind.to_be_bytes());
        out[HEADER..].copy_from_slice(item.payload);
    }
}

impl LengthPrefixed {
    #[inline]
    fn check(self, length: u64) -> Result<(), LengthPrefixedError> {
        if length > u64::from(self.message_max) {
            return Err(LengthPrefixedError::TooLong { length, message_max: self.message_max });
        }
        Ok(())
    }
}
