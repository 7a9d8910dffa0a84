//! Ours: the echo server closes when its peer has.

use bywash_apps::echo::Echo;
use bywash_core::codec::Raw;
use bywash_core::shard::{self, Application, CloseReason, ConnectionId, Context, Origin};
use bywash_core::stack::StackConfig;

use super::{Client, Implementation, TIME_WAIT_MS};
use crate::ends::Bywash;
use crate::ends::bywash::{self as ours, Host};
use crate::round_trip::REQUEST_LEN;

impl Implementation for Bywash {
    type Server = Host<Echo<Raw>>;
    type Client = Host<Asker>;

    fn server(connections: u32) -> Self::Server {
        ours::server(config(connections), Echo::default(), Raw::default())
    }

    fn client(connections: u32) -> Self::Client {
        ours::client(config(connections), Asker::default(), Raw::default())
    }
}

fn config(connections: u32) -> StackConfig {
    let mut config = ours::config(connections);
    config.tcp.tcp_time_wait_ms = TIME_WAIT_MS;
    config
}

/// Asks once on each connection, and closes when it has the reply.
#[derive(Debug, Default)]
pub struct Asker {
    finished: u64,
}

impl Application for Asker {
    type Codec = Raw;
    /// Bytes of the reply so far.
    type Connection = usize;

    fn on_open<H: shard::Host>(&mut self, cx: &mut Context<'_, H, Raw>, _: Origin) -> usize {
        cx.send(&[b'q'; REQUEST_LEN].as_slice()).expect("a request fits the send buffer");
        0
    }

    fn on_message<H: shard::Host>(
        &mut self,
        cx: &mut Context<'_, H, Raw>,
        replied: &mut usize,
        message: &[u8],
    ) {
        *replied += message.len();
        if *replied == REQUEST_LEN {
            cx.close();
        }
    }

    fn on_close<H: shard::Host>(
        &mut self,
        _: &mut H,
        _: ConnectionId,
        replied: Option<usize>,
        reason: CloseReason,
    ) {
        assert_eq!((replied, reason), (Some(REQUEST_LEN), CloseReason::Finished));
        self.finished += 1;
    }
}

impl Client for Host<Asker> {
    fn begin(&mut self, connections: u32) {
        (0..connections).for_each(|number| ours::connect(self, number));
    }

    fn finished(&self) -> u64 {
        self.application().finished
    }
}
