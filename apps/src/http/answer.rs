//! Routes, and what they answer.

use std::time::SystemTime;

use bywash_core::shard::{Context, Host, WriteError};

use super::application::Http;
use super::codec::HttpCodec;
use super::connection::{Connection, EchoHead, Stage};
use super::request::{BodyLength, Expectation, Method, Persistence, Request, Version, parse_decimal};
use super::response::{Framing, Head};

/// The largest `/bytes/N`.
const BYTES_MAX: u64 = 1 << 40;
/// A body nobody wants is read to its end if it has at most this many bytes; beyond, the connection ends.
const SKIPPED_MAX: u64 = 64 * 1024;

const TEXT: &str = "Content-Type: text/plain\r\n";
const HTML: &str = "Content-Type: text/html; charset=utf-8\r\n";
pub(super) const BINARY: &str = "Content-Type: application/octet-stream\r\n";
const ALLOW_READ: &str = "Allow: GET, HEAD\r\nContent-Type: text/plain\r\n";
const ALLOW_POST: &str = "Allow: POST\r\nContent-Type: text/plain\r\n";
const INDEX: &[u8] = b"<!doctype html>\n<title>Bywash</title>\n<h1>It runs</h1>\n\
    <p>This page came over TCP served by Bywash. \
    See also <a href=\"/plaintext\">/plaintext</a> and <a href=\"/bytes/1000\">/bytes/1000</a>.\n";

/// A route, as far as the path decides.
enum Route {
    Index,
    Plaintext,
    Bytes(u64),
    Echo,
    NotFound,
}

impl<T: FnMut() -> SystemTime> Http<T> {
    #[inline]
    pub(super) fn answer<H: Host>(
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
