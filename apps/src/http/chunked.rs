//! The chunked coding of a request's body (RFC 9112 section 7.1).
//!
//! Stricter than the grammar of old: every line ends in CRLF and holds no bare CR, because what two parsers
//! read differently is how requests are smuggled.

use memchr::memchr;

use super::codec::{HttpCodec, Message, Rest};
use super::error::{HttpError, Malformed};
use bywash_core::codec::Decoded;

/// The longest line with a chunk's size and extensions, in bytes without CRLF.
const SIZE_LINE_MAX: usize = 1024;

/// Where the decoder is within a chunked body.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chunked {
    state: State,
    /// Bytes of the body in the chunks begun so far.
    body: u64,
    /// Bytes of the trailer section so far.
    trailer: usize,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Size,
    Data {
        remaining: u64,
    },
    /// The CRLF behind a chunk's data.
    DataEnd,
    Trailer,
    Done,
}

impl Chunked {
    pub(super) fn new() -> Self {
        Self { state: State::Size, body: 0, trailer: 0 }
    }

    pub(super) fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    pub(super) fn decode<'a>(
        &mut self,
        codec: &HttpCodec,
        bytes: &'a [u8],
    ) -> Result<Decoded<Message<'a>>, HttpError> {
        let mut at = 0;
        loop {
            let rest = &bytes[at..];
            match self.state {
                State::Size => {
                    let Some(line) = line(rest, SIZE_LINE_MAX, Malformed::ChunkSize)? else { break };
                    at += line.len() + 2;
                    self.begin_chunk(parse_size(line)?, codec)?;
                }
                State::Data { remaining } => {
                    let len = remaining.min(rest.len().min(codec.piece_max.max(1)) as u64);
                    if len == 0 {
                        break;
                    }
                    self.state = match remaining - len {
                        0 => State::DataEnd,
                        remaining => State::Data { remaining },
                    };
                    let (piece, consumed) = (&rest[..len as usize], at + len as usize);
                    return Ok(Decoded::Message { message: Message::Body(piece, Rest::More), consumed });
                }
                State::DataEnd => match rest {
                    [b'\r', b'\n', ..] => {
                        at += 2;
                        self.state = State::Size;
                    }
                    [] | [b'\r'] => break,
                    _ => return Err(Malformed::ChunkEnd.into()),
                },
                State::Trailer => {
                    let line_max = codec.head_max - self.trailer;
                    let Some(line) =
                        line(rest, line_max, Malformed::Trailer).map_err(|error| match error {
                            LineError::TooLong => HttpError::HeadTooLong { head_max: codec.head_max },
                            LineError::Malformed(what) => what.into(),
                        })?
                    else {
                        break;
                    };
                    at += line.len() + 2;
                    self.trailer = (self.trailer + line.len() + 2).min(codec.head_max);
                    if line.is_empty() {
                        self.state = State::Done;
                        let message = Message::Body(&[], Rest::Last);
                        return Ok(Decoded::Message { message, consumed: at });
                    }
                    check_trailer(line)?;
                }
                State::Done => break,
            }
        }
        Ok(Decoded::Incomplete { consumed: at })
    }

    fn begin_chunk(&mut self, size: u64, codec: &HttpCodec) -> Result<(), HttpError> {
        self.body = self.body.saturating_add(size);
        if self.body > codec.body_max {
            return Err(HttpError::BodyTooLong { length: self.body, body_max: codec.body_max });
        }
        self.state = if size == 0 { State::Trailer } else { State::Data { remaining: size } };
        Ok(())
    }
}

enum LineError {
    TooLong,
    Malformed(Malformed),
}

impl From<LineError> for HttpError {
    fn from(error: LineError) -> Self {
        match error {
            LineError::TooLong => Malformed::ChunkSize.into(),
            LineError::Malformed(what) => what.into(),
        }
    }
}

/// The line at the front of `bytes` without its CRLF, or `None` while its end has not arrived. At most
/// `line_max` bytes are searched, so that a peer that sends it byte by byte makes little work.
fn line(bytes: &[u8], line_max: usize, malformed: Malformed) -> Result<Option<&[u8]>, LineError> {
    let window = &bytes[..bytes.len().min(line_max + 2)];
    let Some(line_feed) = memchr(b'\n', window) else {
        return if window.len() > line_max + 1 { Err(LineError::TooLong) } else { Ok(None) };
    };
    let line = window[..line_feed].strip_suffix(b"\r").ok_or(LineError::Malformed(malformed))?;
    if memchr(b'\r', line).is_some() {
        return Err(LineError::Malformed(malformed));
    }
    Ok(Some(line))
}

/// The size in front of a chunk; extensions are passed over.
fn parse_size(line: &[u8]) -> Result<u64, HttpError> {
    let digits = line.iter().position(|byte| !byte.is_ascii_hexdigit()).unwrap_or(line.len());
    let (size, extension) = line.split_at(digits);
    if size.is_empty() || size.len() > 16 || !matches!(extension.trim_ascii_start(), [] | [b';', ..]) {
        return Err(Malformed::ChunkSize.into());
    }
    Ok(size.iter().fold(0, |number, digit| {
        let digit = char::from(*digit).to_digit(16).unwrap_or(0);
        number << 4 | u64::from(digit)
    }))
}

/// A trailer field has a name, right before its colon. What it says is dropped.
fn check_trailer(line: &[u8]) -> Result<(), HttpError> {
    let name = memchr(b':', line).map_or(&[][..], |colon| &line[..colon]);
    let token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    if name.is_empty() || !name.iter().all(token) { Err(Malformed::Trailer.into()) } else { Ok(()) }
}
