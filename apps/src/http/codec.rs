//! Finds requests and their bodies in a stream.

use core::mem::MaybeUninit;

use bywash_core::codec::{Codec, Decoded};
use memchr::{memchr, memchr_iter};

use super::chunked::Chunked;
use super::error::{HttpError, Malformed};
use super::request::{BodyLength, Request};

/// Header fields of a request, at most.
const FIELDS_MAX: usize = 100;

/// The HTTP/1.1 codec for the server's side.
///
/// A head is parsed in the buffer that it arrived in. If it has not arrived whole, its end is searched for
/// among the new bytes only, and it is parsed once more when that is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpCodec {
    /// The longest head, and the longest trailer section, in bytes.
    pub head_max: usize,
    /// The longest body, in bytes.
    pub body_max: u64,
    /// The largest piece of a body that is shown at once, in bytes (at least 1).
    pub piece_max: usize,
}

impl Default for HttpCodec {
    fn default() -> Self {
        Self { head_max: 16 * 1024, body_max: 1 << 40, piece_max: 16 * 1024 }
    }
}

/// What arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// The head of a request. If it announces a body, that follows.
    Request(Request<'a>),
    /// A piece of the body; only the last one may be empty.
    Body(&'a [u8], Rest),
}

/// Whether there is more of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// There is.
    More,
    /// This was the last piece.
    Last,
}

/// What is remembered of one connection.
#[derive(Debug, Default)]
pub struct HttpProgress(Stage);

#[derive(Debug)]
enum Stage {
    Head {
        /// Bytes that were searched for the head's end; 0 before the first attempt.
        searched: usize,
    },
    Body {
        remaining: u64,
    },
    Chunked(Chunked),
}

impl Default for Stage {
    fn default() -> Self {
        Self::Head { searched: 0 }
    }
}

impl Codec for HttpCodec {
    type Message<'a> = Message<'a>;
    /// Ready-made bytes: responses are written by the application.
    type Item<'a> = &'a [u8];
    type Progress = HttpProgress;
    type Error = HttpError;

    #[inline]
    fn decode<'a>(
        &self,
        progress: &mut HttpProgress,
        bytes: &'a [u8],
    ) -> Result<Decoded<Message<'a>>, HttpError> {
        match &mut progress.0 {
            Stage::Head { .. } => self.decode_head(progress, bytes),
            Stage::Body { remaining } => {
                let len = (*remaining).min(bytes.len().min(self.piece_max.max(1)) as u64);
                if len == 0 {
                    return Ok(Decoded::Incomplete { consumed: 0 });
                }
                *remaining -= len;
                let rest = if *remaining == 0 { Rest::Last } else { Rest::More };
                if rest == Rest::Last {
                    progress.0 = Stage::default();
                }
                let consumed = len as usize;
                Ok(Decoded::Message { message: Message::Body(&bytes[..consumed], rest), consumed })
            }
            Stage::Chunked(chunked) => {
                let decoded = chunked.decode(self, bytes)?;
                if chunked.is_done() {
                    progress.0 = Stage::default();
                }
                Ok(decoded)
            }
        }
    }

    fn decode_eof<'a>(
        &self,
        progress: &mut HttpProgress,
        bytes: &'a [u8],
    ) -> Result<Decoded<Message<'a>>, HttpError> {
        let decoded = self.decode(progress, bytes)?;
        match (&decoded, &progress.0) {
            (Decoded::Message { .. }, _) => Ok(decoded),
            (Decoded::Incomplete { consumed }, Stage::Head { .. }) if *consumed == bytes.len() => Ok(decoded),
            (Decoded::Incomplete { .. }, Stage::Head { .. } | Stage::Body { .. } | Stage::Chunked(_)) => {
                Err(HttpError::Truncated)
            }
        }
    }

    fn encoded_len(&self, item: &&[u8]) -> Result<usize, HttpError> {
        Ok(item.len())
    }

    fn encode(&self, item: &&[u8], out: &mut [u8]) {
        out.copy_from_slice(item);
    }
}

impl HttpCodec {
    fn decode_head<'a>(
        &self,
        progress: &mut HttpProgress,
        bytes: &'a [u8],
    ) -> Result<Decoded<Message<'a>>, HttpError> {
        let Stage::Head { searched } = &mut progress.0 else {
            return Ok(Decoded::Incomplete { consumed: 0 });
        };
        let skipped = empty_lines(bytes);
        let head = &bytes[skipped..];
        if head.is_empty() || head == b"\r" {
            return Ok(Decoded::Incomplete { consumed: skipped });
        }
        if *searched > 0 && !has_end(head, *searched) {
            *searched = head.len();
            self.check_head_len(head)?;
            return Ok(Decoded::Incomplete { consumed: skipped });
        }
        let mut headers = [const { MaybeUninit::uninit() }; FIELDS_MAX];
        let mut parsed = httparse::Request::new(&mut []);
        let window = &head[..head.len().min(self.head_max)];
        match parsed.parse_with_uninit_headers(window, &mut headers) {
            Ok(httparse::Status::Complete(len)) => {
                let request = Request::check(&parsed)?;
                progress.0 = self.body_stage(request.body)?;
                Ok(Decoded::Message { message: Message::Request(request), consumed: skipped + len })
            }
            Ok(httparse::Status::Partial) => {
                *searched = head.len();
                self.check_head_len(head)?;
                Ok(Decoded::Incomplete { consumed: skipped })
            }
            Err(httparse::Error::TooManyHeaders) => Err(HttpError::TooManyFields { fields_max: FIELDS_MAX }),
            Err(httparse::Error::Version) if names_a_version(head) => Err(HttpError::UnsupportedVersion),
            Err(error) => Err(Malformed::Head(error).into()),
        }
    }

    fn body_stage(&self, body: BodyLength) -> Result<Stage, HttpError> {
        match body {
            BodyLength::Known(0) => Ok(Stage::default()),
            BodyLength::Known(length) if length > self.body_max => {
                Err(HttpError::BodyTooLong { length, body_max: self.body_max })
            }
            BodyLength::Known(remaining) => Ok(Stage::Body { remaining }),
            BodyLength::Chunked => Ok(Stage::Chunked(Chunked::new())),
        }
    }

    /// Refuses a head that has not ended within the limit.
    fn check_head_len(&self, head: &[u8]) -> Result<(), HttpError> {
        let head_max = self.head_max;
        if head.len() < head_max {
            Ok(())
        } else if memchr(b'\n', &head[..head_max]).is_none() {
            Err(HttpError::TargetTooLong { head_max })
        } else {
            Err(HttpError::HeadTooLong { head_max })
        }
    }
}

/// Bytes of empty lines in front of a request line, which RFC 9112 section 2.2 tells to ignore.
fn empty_lines(bytes: &[u8]) -> usize {
    let mut at = 0;
    loop {
        match &bytes[at..] {
            [b'\r', b'\n', ..] => at += 2,
            [b'\n', ..] => at += 1,
            _ => return at,
        }
    }
}

/// Whether the empty line at a head's end lies behind the first `searched` bytes, or across that place.
fn has_end(head: &[u8], searched: usize) -> bool {
    let from = searched.saturating_sub(2).min(head.len());
    memchr_iter(b'\n', &head[from..])
        .any(|at| matches!(&head[from + at + 1..], [b'\n', ..] | [b'\r', b'\n', ..]))
}

/// Whether the request line ends in an HTTP version, if one that is not supported.
fn names_a_version(head: &[u8]) -> bool {
    let line = head.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let version = line.trim_ascii_end().rsplit(|&byte| byte == b' ').next().unwrap_or_default();
    matches!(version, [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
        if major.is_ascii_digit() && minor.is_ascii_digit())
}
