//! The server: what it does when something happens to a connection.

use std::time::SystemTime;

use bywash_core::base::time::Duration;
use bywash_core::shard::{Application, Context, Host, Origin};

use super::codec::{HttpCodec, Message};
use super::connection::{Connection, EchoHead, Stage};
use super::error::HttpError;
use super::request::{Persistence, Version};
use super::response::{Clock, Framing, Head};

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
    pub(super) clock: Clock<T>,
    pub(super) times: HttpTimes,
    /// Requests answered, those in error too.
    pub(super) requests: u64,
}

impl Default for Http {
    fn default() -> Self {
        Self::new(SystemTime::now, HttpTimes::default())
    }
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
}
