//! Heads of responses, written in place.

use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use bywash_core::base::time::{Duration, Instant};
use bywash_core::codec::Codec;
use bywash_core::shard::{Context, Host, WriteError};

use super::request::{Persistence, Version};

/// The longest head that is written, in bytes.
const HEAD_LEN_MAX: usize = 512;
/// Length of a date in the format of RFC 9110 section 5.6.7.
const DATE_LEN: usize = 29;

/// What `/plaintext` answers; the date is put in its place once a second.
const PLAINTEXT: &[u8] = b"HTTP/1.1 200 OK\r\nServer: bywash\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n\
    Content-Type: text/plain\r\nContent-Length: 13\r\n\r\nHello, World!";
const PLAINTEXT_DATE: usize = b"HTTP/1.1 200 OK\r\nServer: bywash\r\nDate: ".len();

/// The length of a response's body, or how it is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    Length(u64),
    Chunked,
}

/// What a head says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    /// Status code and reason phrase.
    pub(super) status: &'static str,
    /// Whole header fields with their CRLF.
    pub(super) fields: &'static str,
    pub(super) framing: Framing,
}

/// The time of day, read once a second, and what is made of it.
pub(super) struct Clock<T> {
    time_of_day: T,
    /// When the next second begins.
    next: Instant,
    plaintext: [u8; PLAINTEXT.len()],
}

impl<T: FnMut() -> SystemTime> Clock<T> {
    pub(super) fn new(time_of_day: T) -> Self {
        let mut plaintext = [0; PLAINTEXT.len()];
        plaintext.copy_from_slice(PLAINTEXT);
        Self { time_of_day, next: Instant::ZERO, plaintext }
    }

    /// The whole answer to `GET /plaintext`.
    #[inline]
    pub(super) fn plaintext(&mut self, now: Instant) -> &[u8; PLAINTEXT.len()] {
        if now >= self.next {
            self.refresh(now);
        }
        &self.plaintext
    }

    /// Writes a head into `out` and returns its length.
    pub(super) fn head(
        &mut self,
        now: Instant,
        head: Head,
        version: Version,
        persistence: Persistence,
        out: &mut [u8],
    ) -> usize {
        let Head { status, fields, framing } = head;
        let date = &self.plaintext(now)[PLAINTEXT_DATE..PLAINTEXT_DATE + DATE_LEN];
        let mut out = Out { bytes: out, len: 0 };
        out.push(b"HTTP/1.1 ");
        out.push(status.as_bytes());
        out.push(b"\r\nServer: bywash\r\nDate: ");
        out.push(date);
        out.push(b"\r\n");
        out.push(fields.as_bytes());
        match framing {
            Framing::Length(length) => {
                out.push(b"Content-Length: ");
                out.push_decimal(length);
            }
            Framing::Chunked => out.push(b"Transfer-Encoding: chunked"),
        }
        out.push(match (persistence, version) {
            (Persistence::KeepAlive, Version::Http11) => b"\r\n\r\n",
            (Persistence::KeepAlive, Version::Http10) => b"\r\nConnection: keep-alive\r\n\r\n",
            (Persistence::Close, _) => b"\r\nConnection: close\r\n\r\n",
        });
        out.len
    }

    /// Sends a head and a short body in one piece.
    ///
    /// # Errors
    /// [`WriteError`]; nothing of it is sent.
    pub(super) fn send<H: Host, C: Codec>(
        &mut self,
        cx: &mut Context<'_, H, C>,
        head: Head,
        version: Version,
        persistence: Persistence,
        body: &[u8],
    ) -> Result<(), WriteError> {
        let now = cx.now();
        cx.write_in_place(HEAD_LEN_MAX + body.len(), |out| {
            let len = self.head(now, head, version, persistence, out);
            out[len..len + body.len()].copy_from_slice(body);
            len + body.len()
        })?;
        Ok(())
    }

    #[cold]
    fn refresh(&mut self, now: Instant) {
        let time_of_day = (self.time_of_day)();
        let within = time_of_day.duration_since(UNIX_EPOCH).unwrap_or_default().subsec_nanos();
        self.next = now + Duration::from_nanos(u64::from(1_000_000_000 - within));
        // A date always has this length, and one before 1970 or after 9999 is not written.
        let mut date = [0; DATE_LEN];
        if write!(&mut date[..], "{}", httpdate::HttpDate::from(time_of_day)).is_ok() {
            self.plaintext[PLAINTEXT_DATE..PLAINTEXT_DATE + DATE_LEN].copy_from_slice(&date);
        }
    }
}

/// Bytes written one after another; what does not fit is left out.
struct Out<'a> {
    bytes: &'a mut [u8],
    len: usize,
}

impl Out<'_> {
    fn push(&mut self, bytes: &[u8]) {
        if let Some(place) = self.bytes.get_mut(self.len..self.len + bytes.len()) {
            place.copy_from_slice(bytes);
            self.len += bytes.len();
        }
    }

    fn push_decimal(&mut self, mut number: u64) {
        let mut digits = [0; 20];
        let mut at = digits.len();
        loop {
            at -= 1;
            digits[at] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                return self.push(&digits[at..]);
            }
        }
    }
}
