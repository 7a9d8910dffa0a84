//! The server: routes, answers, and when a connection ends.

use std::time::SystemTime;

use bywash_core::base::time::Duration;
use bywash_core::shard::{Application, Context, Host, Origin, WriteError};

use super::codec::{HttpCodec, Message, Rest};
use super::connection::{Connection, EchoHead, Stage};
use super::error::HttpError;
use super::pattern;
use super::request::{BodyLength, Expectation, Method, Persistence, Request, Version, parse_decimal};
use super::response::{Clock, Framing, Head};

/// The largest `/bytes/N`.
const BYTES_MAX: u64 = 1 << 40;
/// A body nobody wants is read to its end if it has at most this many bytes; beyond, the connection ends.
const SKIPPED_MAX: u64 = 64 * 1024;
/// Bytes around a piece of a body in the chunked coding, at most.
const CHUNK_OVERHEAD: usize = 16 + 2 + 2;

const TEXT: &str = "Content-Type: text/plain\r\n";
const HTML: &str = "Content-Type: text/html; charset=utf-8\r\n";
const BINARY: &str = "Content-Type: application/octet-stream\r\n";
const ALLOW_READ: &str = "Allow: GET, HEAD\r\nContent-Type: text/plain\r\n";
const ALLOW_POST: &str = "Allow: POST\r\nContent-Type: text/plain\r\n";
const INDEX: &[u8] = b"<!doctype html>\n<title>Bywash</title>\n<h1>It runs</h1>\n\
    <p>This page came over TCP served by Bywash. \
    See also <a href=\"/plaintext\">/plaintext</a> and <a href=\"/bytes/1000\">/bytes/1000</a>.\n";

/// How long the server waits for a peer.
#[derive(Clone, Copy, Debug)]
pub struct HttpTimes {
    /// For the next request, or the next progress within one. Then the connection is closed.
    pub idle_max: Duration,
    /// For the peer's end of stream after the last response.
    pub linger_max: Duration,
}

impl Default for HttpTimes {
    fn default() -> Self {
        Self { idle_max: Duration::from_secs(75), linger_max: Duration::from_secs(5) }
    }
}

/// The HTTP server of one shard. `T` tells the time of day, for the Date field.
pub struct Http<T = fn() -> SystemTime> {
    clock: Clock<T>,
    times: HttpTimes,
    /// Requests answered, those in error too.
    requests: u64,
}

impl Default for Http {
    fn default() -> Self {
        Self::new(SystemTime::now, HttpTimes::default())
    }
}

/// A route, as far as the path decides.
enum Route {
    Index,
    Plaintext,
    Bytes(u64),
    Echo,
    NotFound,
}

impl<T: FnMut() -> SystemTime> Application for Http<T> {
    type Codec = HttpCodec;
    type Connection = Connection;

    fn on_open<H: Host>(&mut self, cx: &mut Context<'_, H, HttpCodec>, _: Origin) -> Connection {
        cx.set_timer(Some(cx.now() + self.times.idle_max));
        Connection::new(cx.now())
    }

    #[inline]
    fn on_message<H: Host>(
        &mut self,
        cx: &mut Context<'_, H, HttpCodec>,
        connection: &mut Connection,
        message: Message<'_>,
    ) {
        connection.active_at = cx.now();
        let result = match (message, connection.stage) {
            (Message::Request(request), Stage::Ready) => self.answer(cx, connection, &request),
            (Message::Body(piece, rest), Stage::Echoing { body, version, head }) => {
                self.echo(cx, connection, (body, version, head), piece, rest)
            }
            (Message::Request(_), Stage::Echoing { .. } | Stage::Streaming { .. } | Stage::Lingering)
            | (Message::Body(..), Stage::Ready | Stage::Streaming { .. } | Stage::Lingering) => Ok(()),
        };
        if result.is_err() {
            // Part of an answer is lost, and a peer must not take what follows for it.
            cx.abort();
        }
    }

    fn on_writable<H: Host>(&mut self, cx: &mut Context<'_, H, HttpCodec>, connection: &mut Connection) {
        connection.active_at = cx.now();
        if let Stage::Streaming { offset, end } = connection.stage {
            self.stream(cx, connection, offset, end);
        }
    }

    fn on_end_of_stream<H: Host>(&mut self, cx: &mut Context<'_, H, HttpCodec>, connection: &mut Connection) {
        match connection.stage {
            Stage::Ready | Stage::Echoing { .. } | Stage::Lingering => cx.close(),
            // The peer may still read.
            Stage::Streaming { .. } => connection.persistence = Persistence::Close,
        }
    }

    fn on_timer<H: Host>(&mut self, cx: &mut Context<'_, H, HttpCodec>, connection: &mut Connection) {
        let idle_until = connection.active_at + self.times.idle_max;
        match connection.stage {
            Stage::Ready | Stage::Echoing { .. } | Stage::Streaming { .. } if idle_until > cx.now() => {
                cx.set_timer(Some(idle_until));
            }
            Stage::Ready | Stage::Lingering => cx.close(),
            Stage::Echoing { .. } | Stage::Streaming { .. } => cx.abort(),
        }
    }

    fn on_codec_error<H: Host>(
        &mut self,
        cx: &mut Context<'_, H, HttpCodec>,
        connection: &mut Connection,
        error: HttpError,
    ) {
        match connection.stage {
            Stage::Ready | Stage::Echoing { head: EchoHead::Due, .. } => {
                // No body: the request may have been a HEAD.
                let head = Head { status: error.status(), fields: "", framing: Framing::Length(0) };
                connection.persistence = Persistence::Close;
                self.requests += 1;
                match self.clock.send(cx, head, Version::Http11, Persistence::Close, &[]) {
                    Ok(()) => self.finish(cx, connection),
                    Err(_) => cx.abort(),
                }
            }
            Stage::Echoing { head: EchoHead::Sent, .. } | Stage::Streaming { .. } => cx.abort(),
            Stage::Lingering => {}
        }
    }

    fn on_drain<H: Host>(&mut self, cx: &mut Context<'_, H, HttpCodec>, connection: &mut Connection) {
        match connection.stage {
            Stage::Ready => cx.close(),
            Stage::Echoing { .. } | Stage::Streaming { .. } => connection.persistence = Persistence::Close,
            Stage::Lingering => {}
        }
    }
}

impl<T: FnMut() -> SystemTime> Http<T> {
    /// A server that dates its answers by `time_of_day`, which is asked at most once a second.
    pub fn new(time_of_day: T, times: HttpTimes) -> Self {
        Self { clock: Clock::new(time_of_day), times, requests: 0 }
    }

    /// Requests answered so far, those in error too.
    pub fn requests(&self) -> u64 {
        self.requests
    }

    #[inline]
    fn answer<H: Host>(
        &mut self,
        cx: &mut Context<'_, H, HttpCodec>,
        connection: &mut Connection,
        request: &Request<'_>,
    ) -> Result<(), WriteError> {
        self.requests += 1;
        let hot = request.method == Method::Get
            && request.persistence == Persistence::KeepAlive
            && request.version == Version::Http11
            && request.body == BodyLength::Known(0)
            && request.path == "/plaintext";
        if hot {
            let answer = self.clock.plaintext(cx.now());
            cx.write_in_place(answer.len(), |out| {
                out.copy_from_slice(answer);
                answer.len()
            })?;
            return Ok(());
        }
        self.answer_other(cx, connection, request)
    }

    fn answer_other<H: Host>(
        &mut self,
        cx: &mut Context<'_, H, HttpCodec>,
        connection: &mut Connection,
        request: &Request<'_>,
    ) -> Result<(), WriteError> {
        let route = Route::of(request.path);
        connection.persistence = request.persistence;
        if let (Route::Echo, Method::Post, body) = (&route, request.method, request.body)
            && body != BodyLength::Known(0)
        {
            let (version, head) = (request.version, EchoHead::Due);
            connection.stage = Stage::Echoing { body, version, head };
            return match request.expectation {
                Expectation::Continue => cx
                    .write_in_place(25, |out| {
                        out.copy_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
                        25
                    })
                    .map(|_| ()),
                Expectation::None => Ok(()),
            };
        }
        // A body that was announced and that nobody wants: skip it if it is short and on its way.
        match (request.body, request.expectation) {
            (BodyLength::Known(0), _) | (BodyLength::Known(1..=SKIPPED_MAX), Expectation::None) => {}
            (BodyLength::Known(_) | BodyLength::Chunked, _) => connection.persistence = Persistence::Close,
        }
        let (status, fields, body): (&str, &str, &[u8]) = match (route, request.method) {
            (_, Method::Unknown) => ("501 Not Implemented", TEXT, b"no such method\n"),
            (Route::NotFound, _) => ("404 Not Found", TEXT, b"nothing here\n"),
            (Route::Index, Method::Get | Method::Head) => ("200 OK", HTML, INDEX),
            (Route::Plaintext, Method::Get | Method::Head) => ("200 OK", TEXT, b"Hello, World!"),
            (Route::Bytes(end), Method::Get | Method::Head) => {
                return self.begin_bytes(cx, connection, request, end);
            }
            (Route::Echo, Method::Post) => ("200 OK", BINARY, b""),
            (Route::Index | Route::Plaintext | Route::Bytes(_), _) => {
                ("405 Method Not Allowed", ALLOW_READ, b"only GET and HEAD\n")
            }
            (Route::Echo, _) => ("405 Method Not Allowed", ALLOW_POST, b"only POST\n"),
        };
        let head = Head { status, fields, framing: Framing::Length(body.len() as u64) };
        let body = if request.method == Method::Head { &[] } else { body };
        self.clock.send(cx, head, request.version, connection.persistence, body)?;
        self.finish(cx, connection);
        Ok(())
    }

    fn begin_bytes<H: Host>(
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
    fn stream<H: Host>(
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

    fn echo<H: Host>(
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
    fn finish<H: Host>(&self, cx: &mut Context<'_, H, HttpCodec>, connection: &mut Connection) {
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

impl Route {
    fn of(path: &str) -> Self {
        match path {
            "/" => Self::Index,
            "/plaintext" => Self::Plaintext,
            "/echo" => Self::Echo,
            _ => {
                let count = path.strip_prefix("/bytes/").and_then(|count| parse_decimal(count.as_bytes()));
                count.filter(|count| *count <= BYTES_MAX).map_or(Self::NotFound, Self::Bytes)
            }
        }
    }
}

/// One chunk; an empty piece is the last chunk.
fn write_chunk<H: Host>(cx: &mut Context<'_, H, HttpCodec>, piece: &[u8]) -> Result<(), WriteError> {
    use std::io::Write;
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
