//! What the programmer writes: one handler per shard, run to completion.

use super::context::Context;
use super::host::{CloseReason, ConnectionId, Host};
use super::transport::Origin;
use crate::codec::Codec;

/// A server or client program, one value for each shard.
///
/// Callbacks run to completion on the shard's core: what they block, the whole shard waits for. They are
/// generic over the host, so that the same program runs on every transport and pays for none.
///
/// Safe defaults: while a connection's replies fill its send buffer, its messages wait (the peer's window
/// closes) until there is room again.
pub trait Application: Sized {
    /// Turns bytes into messages and back.
    type Codec: Codec;
    /// What the program keeps for each connection.
    type Connection;

    /// A connection is open: returns what to keep for it.
    fn on_open<H: Host>(&mut self, cx: &mut Context<'_, H, Self::Codec>, origin: Origin) -> Self::Connection;

    /// A message has arrived whole.
    fn on_message<H: Host>(
        &mut self,
        cx: &mut Context<'_, H, Self::Codec>,
        connection: &mut Self::Connection,
        message: <Self::Codec as Codec>::Message<'_>,
    );

    /// The send buffer was full and has room again.
    fn on_writable<H: Host>(
        &mut self,
        _cx: &mut Context<'_, H, Self::Codec>,
        _connection: &mut Self::Connection,
    ) {
    }

    /// The peer ended its stream; every message before that was delivered. By default the connection is closed
    /// once what is queued has left.
    fn on_end_of_stream<H: Host>(
        &mut self,
        cx: &mut Context<'_, H, Self::Codec>,
        _connection: &mut Self::Connection,
    ) {
        cx.close();
    }

    /// The time set by [`Context::set_timer`] has come.
    fn on_timer<H: Host>(
        &mut self,
        _cx: &mut Context<'_, H, Self::Codec>,
        _connection: &mut Self::Connection,
    ) {
    }

    /// The stream broke the codec's format or limits and cannot go on. By default the connection is aborted.
    fn on_codec_error<H: Host>(
        &mut self,
        cx: &mut Context<'_, H, Self::Codec>,
        _connection: &mut Self::Connection,
        _error: <Self::Codec as Codec>::Error,
    ) {
        cx.abort();
    }

    /// The server is shutting down. By default the connection is closed once what is queued has left.
    fn on_drain<H: Host>(
        &mut self,
        cx: &mut Context<'_, H, Self::Codec>,
        _connection: &mut Self::Connection,
    ) {
        cx.close();
    }

    /// The connection is gone. `connection` is `None` for an attempt to connect that failed.
    fn on_close<H: Host>(
        &mut self,
        _host: &mut H,
        _id: ConnectionId,
        _connection: Option<Self::Connection>,
        _reason: CloseReason,
    ) {
    }
}
