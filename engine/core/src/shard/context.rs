//! What a callback is given: the connection it is about, and through the host all others of the shard.

use super::host::{ConnectionId, ConnectionInfo, Host, WriteError};
use crate::base::time::Instant;
use crate::codec::Codec;
use crate::tcp::info::TcpInfo;
use crate::tcp::socket_options::{OptionError, OptionName, SocketOption};

/// One connection within a callback.
pub struct Context<'a, H: Host, C: Codec> {
    host: &'a mut H,
    codec: &'a C,
    id: ConnectionId,
}

/// Why an item could not be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendError<E> {
    /// The codec refuses it.
    Codec(E),
    /// There is no room, or the connection is not open.
    Write(WriteError),
}

impl<E: core::fmt::Display> core::fmt::Display for SendError<E> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Codec(error) => error.fmt(f),
            Self::Write(error) => error.fmt(f),
        }
    }
}

impl<E: core::error::Error> core::error::Error for SendError<E> {}

impl<'a, H: Host, C: Codec> Context<'a, H, C> {
    /// The connection `id` of `host`.
    pub fn new(host: &'a mut H, codec: &'a C, id: ConnectionId) -> Self {
        Self { host, codec, id }
    }

    /// The connection's key.
    pub fn id(&self) -> ConnectionId {
        self.id
    }

    /// The time at which this turn began.
    pub fn now(&self) -> Instant {
        self.host.now()
    }

    /// All connections of the shard.
    pub fn host(&mut self) -> &mut H {
        self.host
    }

    /// The codec's settings.
    pub fn codec(&self) -> &'a C {
        self.codec
    }

    /// The same shard, seen from another connection.
    pub fn at(&mut self, id: ConnectionId) -> Context<'_, H, C> {
        Context { host: self.host, codec: self.codec, id }
    }

    /// Sends one item, encoded in place; one that is longer than any piece of the send pool is encoded aside first.
    ///
    /// # Errors
    /// [`SendError`]; nothing of it is sent, or the connection is aborted.
    #[inline]
    pub fn send(&mut self, item: &C::Item<'_>) -> Result<(), SendError<C::Error>> {
        let codec = self.codec;
        let len = codec.encoded_len(item).map_err(SendError::Codec)?;
        if len > self.host.piece_max() {
            return self.send_in_pieces(item, len).map_err(SendError::Write);
        }
        let encode = |out: &mut [u8]| {
            codec.encode(item, out);
            len
        };
        self.host.append(self.id, len, encode).map_err(SendError::Write)?;
        Ok(())
    }

    /// Allocates: an item of this size is paid for by its bytes, not by the call.
    #[cold]
    fn send_in_pieces(&mut self, item: &C::Item<'_>, len: usize) -> Result<(), WriteError> {
        let mut whole = alloc::vec![0; len];
        self.codec.encode(item, &mut whole);
        let piece_max = self.host.piece_max();
        for (index, piece) in whole.chunks(piece_max).enumerate() {
            let copy = |out: &mut [u8]| {
                out.copy_from_slice(piece);
                piece.len()
            };
            if let Err(error) = self.host.append(self.id, piece.len(), copy) {
                if index > 0 {
                    // Half an item is out: nothing sensible can follow it.
                    self.host.abort(self.id);
                }
                return Err(error);
            }
        }
        Ok(())
    }

    /// Queues as many of `bytes` as there is room for, past the codec, and says how many.
    ///
    /// # Errors
    /// [`WriteError::NotOpen`].
    pub fn write(&mut self, bytes: &[u8]) -> Result<usize, WriteError> {
        self.host.write(self.id, bytes)
    }

    /// Lets `write` fill up to `max` bytes in place, past the codec; it returns how many to send.
    ///
    /// # Errors
    /// [`WriteError`]; `write` was not called.
    pub fn write_in_place(
        &mut self,
        max: usize,
        write: impl FnOnce(&mut [u8]) -> usize,
    ) -> Result<usize, WriteError> {
        self.host.append(self.id, max, write)
    }

    /// Bytes until the send buffer counts as full.
    pub fn send_space(&self) -> usize {
        self.host.send_space(self.id)
    }

    /// Ends our stream after what is queued; reading goes on.
    pub fn shutdown(&mut self) {
        self.host.shutdown(self.id);
    }

    /// Ends our stream after what is queued and stops reading.
    pub fn close(&mut self) {
        self.host.close(self.id);
    }

    /// Drops everything and sends RST.
    pub fn abort(&mut self) {
        self.host.abort(self.id);
    }

    /// Stops showing received bytes; the peer sees the window close.
    pub fn pause_reading(&mut self) {
        self.host.pause_reading(self.id);
    }

    /// Shows received bytes again.
    pub fn resume_reading(&mut self) {
        self.host.resume_reading(self.id);
    }

    /// Calls `on_timer` at `at`, or not at all.
    pub fn set_timer(&mut self, at: Option<Instant>) {
        self.host.set_timer(self.id, at);
    }

    /// What is known of the connection's TCP now.
    pub fn tcp_info(&self) -> Option<TcpInfo> {
        self.host.tcp_info(self.id)
    }

    /// Sets a socket option of the connection.
    ///
    /// # Errors
    /// [`OptionError`]; nothing has changed.
    pub fn set_option(&mut self, option: SocketOption) -> Result<(), OptionError> {
        self.host.set_option(self.id, option)
    }

    /// The value of a socket option of the connection.
    ///
    /// # Errors
    /// [`OptionError`].
    pub fn option(&self, name: OptionName) -> Result<SocketOption, OptionError> {
        self.host.option(self.id, name)
    }

    /// Who is at the two ends.
    pub fn info(&self) -> Option<ConnectionInfo> {
        self.host.info(self.id)
    }
}
