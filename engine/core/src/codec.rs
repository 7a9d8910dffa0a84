//! What turns a stream of bytes into messages and back.
//!
//! A codec's settings (limits, field widths) are shared by all connections of a shard; what it must
//! remember of one connection between two calls is its `Progress`. Messages borrow from the bytes they
//! were found in, so that a message that lies whole in one frame is never copied.

use core::error::Error;

mod length;
mod lines;
mod raw;
#[cfg(test)]
mod tests;

pub use length::{Frame, LengthPrefixed, LengthPrefixedError};
pub use lines::{LineEnding, Lines, LinesError, LinesProgress};
pub use raw::Raw;

/// What a codec found at the front of the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decoded<M> {
    /// A whole message.
    Message {
        /// The message.
        message: M,
        /// How many bytes it took, ending included (at least 1).
        consumed: usize,
    },
    /// No whole message yet: more bytes are needed. Not an error.
    Incomplete {
        /// How many bytes are done with all the same; they are not shown again.
        consumed: usize,
    },
}

/// Finds messages in a stream and writes messages into it.
///
/// Names follow `tokio_util::codec` where the two overlap.
pub trait Codec {
    /// A message as it is received, borrowed from the stream.
    type Message<'a>;
    /// A message as it is sent.
    type Item<'a>;
    /// What is remembered of one connection between calls.
    type Progress: Default;
    /// Why a stream or an item is refused.
    type Error: Error;

    /// Looks for the first message in `bytes`, which start where the last call stopped consuming.
    ///
    /// # Errors
    /// The stream breaks the format or a limit; the connection cannot go on.
    fn decode<'a>(
        &self,
        progress: &mut Self::Progress,
        bytes: &'a [u8],
    ) -> Result<Decoded<Self::Message<'a>>, Self::Error>;

    /// The same, when the peer has ended its stream and `bytes` are all that is left.
    ///
    /// # Errors
    /// As [`Codec::decode`], and when the stream ends within a message.
    fn decode_eof<'a>(
        &self,
        progress: &mut Self::Progress,
        bytes: &'a [u8],
    ) -> Result<Decoded<Self::Message<'a>>, Self::Error>;

    /// How many bytes `item` takes in the stream.
    ///
    /// # Errors
    /// The decoder of the other end, with the same settings, would refuse it.
    fn encoded_len(&self, item: &Self::Item<'_>) -> Result<usize, Self::Error>;

    /// Writes `item` into `out`, which has exactly [`Codec::encoded_len`] bytes.
    fn encode(&self, item: &Self::Item<'_>, out: &mut [u8]);
}
