//! Ours: what is received is shown in the frames that it came in.

use bywash_core::codec::Raw;
use bywash_core::shard::{self, Application, Context, Origin};
use bywash_core::stack::StackConfig;

use super::{Implementation, Received, Receiver, Sender, Stream};
use crate::ends::Bywash;
use crate::ends::bywash::{self as ours, Host};

impl Implementation for Bywash {
    type Sender = Host<Source>;
    type Receiver = Host<Sink>;

    fn sender(buffer: u32) -> Self::Sender {
        ours::client(config(buffer), Source(Stream::new()), Raw::default())
    }

    fn receiver(buffer: u32) -> Self::Receiver {
        ours::server(config(buffer), Sink::default(), Raw::default())
    }
}

fn config(buffer: u32) -> StackConfig {
    let mut config = ours::config(1);
    config.tcp.send_buffer = buffer;
    config.tcp.receive_buffer = buffer;
    config
}

/// Writes whenever there is room.
#[derive(Debug)]
pub struct Source(Stream);

impl Source {
    fn write<H: shard::Host>(&mut self, cx: &mut Context<'_, H, Raw>) {
        self.0.write(|stream| cx.write(stream).expect("the connection is open"));
    }
}

impl Application for Source {
    type Codec = Raw;
    type Connection = ();

    fn on_open<H: shard::Host>(&mut self, cx: &mut Context<'_, H, Raw>, _: Origin) {
        self.write(cx);
    }

    fn on_message<H: shard::Host>(&mut self, _: &mut Context<'_, H, Raw>, (): &mut (), _: &[u8]) {}

    fn on_writable<H: shard::Host>(&mut self, cx: &mut Context<'_, H, Raw>, (): &mut ()) {
        self.write(cx);
    }
}

impl Sender for Host<Source> {
    fn connect(&mut self) {
        ours::connect(self, 0);
    }
}

/// Counts what arrives.
#[derive(Debug, Default)]
pub struct Sink {
    received: Received,
}

impl Application for Sink {
    type Codec = Raw;
    type Connection = ();

    fn on_open<H: shard::Host>(&mut self, _: &mut Context<'_, H, Raw>, _: Origin) {}

    #[inline]
    fn on_message<H: shard::Host>(&mut self, _: &mut Context<'_, H, Raw>, (): &mut (), message: &[u8]) {
        self.received.take(message);
    }
}

impl Receiver for Host<Sink> {
    fn received(&self) -> &Received {
        &self.application().received
    }
}
