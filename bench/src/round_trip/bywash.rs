//! Our engine at both ends, through shard, application and the raw codec.

use bywash_apps::echo::Echo;
use bywash_core::codec::Raw;
use bywash_core::shard::{Application, ConnectionId, Context, Host as _, Origin, Transport};

use super::{Client, Implementation, REQUEST_LEN};
use crate::ends::Bywash;
use crate::ends::bywash::{self as ours, Host};

impl Implementation for Bywash {
    type Server = Host<Echo<Raw>>;
    type Client = Host<Requester>;

    fn server(connections: u32) -> Self::Server {
        ours::server(ours::config(connections), Echo::default(), Raw::default())
    }

    fn client(connections: u32) -> Self::Client {
        ours::client(ours::config(connections), Requester::default(), Raw::default())
    }
}

/// Counts the replies to what it is told to ask.
#[derive(Debug, Default)]
pub struct Requester {
    /// Connections that were begun.
    begun: u32,
    opened: Vec<ConnectionId>,
    replied: u64,
}

impl Application for Requester {
    type Codec = Raw;
    type Connection = ();

    fn on_open<H: bywash_core::shard::Host>(&mut self, cx: &mut Context<'_, H, Raw>, _: Origin) {
        self.opened.push(cx.id());
    }

    #[inline]
    fn on_message<H: bywash_core::shard::Host>(
        &mut self,
        _: &mut Context<'_, H, Raw>,
        (): &mut (),
        message: &[u8],
    ) {
        self.replied += message.len() as u64;
    }
}

impl Client for Host<Requester> {
    fn connect(&mut self) {
        let number = self.application().begun;
        self.application_mut().begun += 1;
        ours::connect(self, number);
    }

    fn opened(&mut self) -> usize {
        self.application().opened.len()
    }

    #[inline]
    fn request(&mut self, connection: usize) {
        let id = self.application().opened[connection];
        let written = self.transport_mut().host().write(id, &[b'q'; REQUEST_LEN]);
        assert_eq!(written, Ok(REQUEST_LEN), "a request fits the send buffer");
    }

    fn replied(&self) -> u64 {
        self.application().replied
    }
}
