//! Between a transport and an application: turns received bytes into messages.

mod sessions;

use super::application::Application;
use super::context::Context;
use super::host::{CloseReason, ConnectionId, Host, Reading};
use super::transport::{Events, Origin};
use crate::codec::{Codec, Decoded};
use sessions::{Framing, Session, Sessions};

/// The application of one shard with its codec and what both keep for each connection.
pub(super) struct Driver<A: Application> {
    application: A,
    codec: A::Codec,
    sessions: Sessions<A>,
}

impl<A: Application> Driver<A> {
    pub(super) fn new(application: A, codec: A::Codec, connections_max: u32) -> Self {
        Self { application, codec, sessions: Sessions::new(connections_max) }
    }

    pub(super) fn application(&self) -> &A {
        &self.application
    }

    pub(super) fn application_mut(&mut self) -> &mut A {
        &mut self.application
    }

    /// How many connections have a session.
    pub(super) fn sessions(&self) -> usize {
        self.sessions.len()
    }

    /// Where the sessions lie.
    pub(super) fn address_range(&self) -> core::ops::Range<usize> {
        self.sessions.address_range()
    }

    /// Tells the application that the server is shutting down, for one connection.
    pub(super) fn drain<H: Host>(&mut self, host: &mut H, id: ConnectionId) {
        if let Some(session) = self.sessions.get_mut(id) {
            let mut cx = Context::new(host, &self.codec, id);
            self.application.on_drain(&mut cx, &mut session.connection);
        }
    }
}

impl<H: Host, A: Application> Events<H> for Driver<A> {
    #[inline]
    fn prefetch(&self, id: ConnectionId) {
        self.sessions.prefetch(id);
    }

    fn opened(&mut self, host: &mut H, id: ConnectionId, origin: Origin) {
        let mut cx = Context::new(host, &self.codec, id);
        let connection = self.application.on_open(&mut cx, origin);
        let progress = <A::Codec as Codec>::Progress::default();
        self.sessions.insert(id, Session { progress, framing: Framing::Sound, connection });
    }

    #[inline(always)]
    fn received(&mut self, host: &mut H, id: ConnectionId, bytes: &[u8]) -> usize {
        let Some(session) = self.sessions.get_mut(id) else { return bytes.len() };
        match session.framing {
            Framing::Sound => {}
            Framing::Broken => return bytes.len(),
        }
        let mut at = 0;
        loop {
            let decoded = self.codec.decode(&mut session.progress, &bytes[at..]);
            let mut cx = Context::new(host, &self.codec, id);
            match decoded {
                Ok(Decoded::Message { message, consumed }) => {
                    debug_assert!(consumed > 0, "a message takes at least one byte");
                    self.application.on_message(&mut cx, &mut session.connection, message);
                    at += consumed;
                }
                Ok(Decoded::Incomplete { consumed }) => return at + consumed,
                Err(error) => {
                    session.framing = Framing::Broken;
                    self.application.on_codec_error(&mut cx, &mut session.connection, error);
                    return bytes.len();
                }
            }
            if at >= bytes.len() {
                return at;
            }
            match host.reading(id) {
                Reading::Open => {}
                Reading::Paused => return at,
                Reading::Closed => return bytes.len(),
            }
        }
    }

    fn end_of_stream(&mut self, host: &mut H, id: ConnectionId, unread: &[u8]) {
        let Some(session) = self.sessions.get_mut(id) else { return };
        let mut at = 0;
        // Nothing can be put off any more: what the codec still finds is shown even to a paused reader.
        while session.framing == Framing::Sound && host.reading(id) != Reading::Closed {
            let decoded = self.codec.decode_eof(&mut session.progress, &unread[at..]);
            let mut cx = Context::new(host, &self.codec, id);
            match decoded {
                Ok(Decoded::Message { message, consumed }) => {
                    self.application.on_message(&mut cx, &mut session.connection, message);
                    at += consumed;
                }
                Ok(Decoded::Incomplete { .. }) => break,
                Err(error) => {
                    session.framing = Framing::Broken;
                    self.application.on_codec_error(&mut cx, &mut session.connection, error);
                }
            }
        }
        match host.reading(id) {
            Reading::Open | Reading::Paused => {
                let mut cx = Context::new(host, &self.codec, id);
                self.application.on_end_of_stream(&mut cx, &mut session.connection);
            }
            Reading::Closed => {}
        }
    }

    fn writable(&mut self, host: &mut H, id: ConnectionId) {
        if let Some(session) = self.sessions.get_mut(id) {
            let mut cx = Context::new(host, &self.codec, id);
            self.application.on_writable(&mut cx, &mut session.connection);
        }
    }

    fn timer(&mut self, host: &mut H, id: ConnectionId) {
        if let Some(session) = self.sessions.get_mut(id) {
            let mut cx = Context::new(host, &self.codec, id);
            self.application.on_timer(&mut cx, &mut session.connection);
        }
    }

    fn closed(&mut self, host: &mut H, id: ConnectionId, reason: CloseReason) {
        let connection = self.sessions.remove(id).map(|session| session.connection);
        self.application.on_close(host, id, connection, reason);
    }
}
