//! Sends every message back, under any of the engine's framings.

use bywash_core::codec::{Codec, LengthPrefixed, Lines, Raw};
use bywash_core::shard::{Application, Context, Host, Origin};

/// A framing whose received messages can be sent as they are.
pub trait Mirror: Codec {
    /// The item that arrives at the other end as `message`.
    fn item(message: Self::Message<'_>) -> Self::Item<'_>;
}

impl Mirror for Raw {
    fn item(message: Self::Message<'_>) -> Self::Item<'_> {
        message
    }
}

impl Mirror for Lines {
    fn item(message: Self::Message<'_>) -> Self::Item<'_> {
        message
    }
}

impl Mirror for LengthPrefixed {
    fn item(message: Self::Message<'_>) -> Self::Item<'_> {
        message
    }
}

/// The echo server of one shard.
#[derive(Debug)]
pub struct Echo<C> {
    /// Messages sent back.
    pub messages: u64,
    codec: core::marker::PhantomData<C>,
}

impl<C> Default for Echo<C> {
    fn default() -> Self {
        Self { messages: 0, codec: core::marker::PhantomData }
    }
}

impl<C: Mirror> Application for Echo<C> {
    type Codec = C;
    type Connection = ();

    fn on_open<H: Host>(&mut self, _: &mut Context<'_, H, C>, _: Origin) {}

    #[inline(always)]
    fn on_message<H: Host>(&mut self, cx: &mut Context<'_, H, C>, (): &mut (), message: C::Message<'_>) {
        self.messages += 1;
        if cx.send(&C::item(message)).is_err() {
            // The message is lost, and a peer must not take what follows for it.
            cx.abort();
        }
    }
}
