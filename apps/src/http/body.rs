//! Bodies that stream: pattern bytes out, and echoes.

use std::io::Write;
use std::time::SystemTime;

use bywash_core::shard::{Context, Host, WriteError};

use super::answer::BINARY;
use super::application::Http;
use super::codec::{HttpCodec, Rest};
use super::connection::{Connection, EchoHead, Stage};
use super::pattern;
use super::request::{BodyLength, Method, Persistence, Request, Version};
use super::response::{Framing, Head};

/// Bytes around a piece of a body in the chunked coding, at most.
const CHUNK_OVERHEAD: usize = 16 + 2 + 2;

impl<T: FnMut() -> SystemTime> Http<T> {
    pub(super) fn begin_bytes<H: Host>(
        &mut self,
        cx: &mut Context<'_, H, HttpCodec>,
        connection: &mut Connection,
        request: &Request<'_>,
        end: u64,
    ) -> Result<(), WriteError> {
        let head = Head { status: "200 OK", fields: BINARY, framing: Framing::Length(end) };
        self.clock.send(cx, head, request.version, connection.persistence, &[])?;
        if request.method == Method::Head {
            self.finish(cx, connection);
        } else {
            self.stream(cx, connection, 0, end);
        }
        Ok(())
    }

    /// Sends pattern bytes while there is room; later requests wait unread until all have left.
    pub(super) fn stream<H: Host>(
        &mut self,
        cx: &mut Context<'_, H, HttpCodec>,
        connection: &mut Connection,
        mut offset: u64,
        end: u64,
    ) {
        while offset < end && cx.send_space() > 0 {
            let len = (end - offset).min(pattern::SLICE_MAX as u64) as usize;
            let written = cx.write_in_place(len, |out| {
                out.copy_from_slice(pattern::slice(offset, len));
                len
            });
            if written.is_err() {
                break;
            }
            offset += len as u64;
        }
        if offset < end {
            connection.stage = Stage::Streaming { offset, end };
            cx.pause_reading();
        } else {
            self.finish(cx, connection);
            cx.resume_reading();
        }
    }

    pub(super) fn echo<H: Host>(
        &mut self,
        cx: &mut Context<'_, H, HttpCodec>,
        connection: &mut Connection,
        (body, version, head): (BodyLength, Version, EchoHead),
        piece: &[u8],
        rest: Rest,
    ) -> Result<(), WriteError> {
        if head == EchoHead::Due {
            let framing = match body {
                BodyLength::Known(length) => Framing::Length(length),
                BodyLength::Chunked => Framing::Chunked,
            };
            let head = Head { status: "200 OK", fields: BINARY, framing };
            self.clock.send(cx, head, version, connection.persistence, &[])?;
            connection.stage = Stage::Echoing { body, version, head: EchoHead::Sent };
        }
        match body {
            BodyLength::Known(_) => {
                cx.write_in_place(piece.len(), |out| {
                    out.copy_from_slice(piece);
                    piece.len()
                })?;
            }
            BodyLength::Chunked => write_chunk(cx, piece)?,
        }
        if rest == Rest::Last {
            self.finish(cx, connection);
        }
        Ok(())
    }

    /// The response is complete: go on with the next request, or end the connection.
    pub(super) fn finish<H: Host>(&self, cx: &mut Context<'_, H, HttpCodec>, connection: &mut Connection) {
        match connection.persistence {
            Persistence::KeepAlive => connection.stage = Stage::Ready,
            Persistence::Close => {
                connection.stage = Stage::Lingering;
                cx.shutdown();
                cx.set_timer(Some(cx.now() + self.times.linger_max));
            }
        }
    }
}

/// One chunk; an empty piece is the last chunk.
fn write_chunk<H: Host>(cx: &mut Context<'_, H, HttpCodec>, piece: &[u8]) -> Result<(), WriteError> {
    cx.write_in_place(piece.len() + CHUNK_OVERHEAD, |out| {
        let room = out.len();
        let mut rest = out;
        // There is room for the longest size, so none of these fails.
        let written = write!(rest, "{:x}\r\n", piece.len())
            .and_then(|()| rest.write_all(piece))
            .and_then(|()| rest.write_all(b"\r\n"));
        if written.is_ok() { room - rest.len() } else { 0 }
    })?;
    Ok(())
}
