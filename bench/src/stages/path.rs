//! One direction of the engine by itself: from frame to application, and from application to frame.

use bywash_core::codec::Raw;
use bywash_core::shard::{self, Application, Context, Origin};

use super::Stage;
use crate::ends::bywash::{self as ours, Host};
use crate::ends::{Bywash, End, cross};
use crate::round_trip::{Client, Implementation, REQUEST_LEN};

/// Connections, and segments in a burst.
const BURST: u32 = 32;
/// Virtual time of a round: every fifth burst calls for delayed ACKs.
const ROUND_NS: u64 = 10_000_000;
/// Rounds in which the connections open, and the estimators settle.
const WARM_UP_ROUNDS: u32 = 200;

/// Counts what it gets, and says nothing.
#[derive(Debug, Default)]
struct Listener {
    received: u64,
}

impl Application for Listener {
    type Codec = Raw;
    type Connection = ();

    fn on_open<H: shard::Host>(&mut self, _: &mut Context<'_, H, Raw>, _: Origin) {}

    #[inline]
    fn on_message<H: shard::Host>(&mut self, _: &mut Context<'_, H, Raw>, (): &mut (), message: &[u8]) {
        self.received += message.len() as u64;
    }
}

struct OneWay {
    sender: <Bywash as Implementation>::Client,
    receiver: Host<Listener>,
    sent: u64,
    now_ns: u64,
}

impl OneWay {
    fn new() -> Self {
        let mut sender = Bywash::client(BURST);
        let receiver = ours::server(ours::config(BURST), Listener::default(), Raw::default());
        (0..BURST).for_each(|_| sender.connect());
        let mut way = Self { sender, receiver, sent: 0, now_ns: ROUND_NS };
        for _ in 0..WARM_UP_ROUNDS {
            if way.sender.opened() == BURST as usize {
                way.write(BURST);
            }
            cross(&mut way.sender, &mut way.receiver, way.now_ns);
            way.now_ns += ROUND_NS;
        }
        assert!(way.sent > 0, "the connections are open");
        way
    }

    #[inline]
    fn write(&mut self, count: u32) {
        (0..count).for_each(|connection| self.sender.request(connection as usize));
        self.sent += u64::from(count);
    }

    fn check(&self) {
        assert_eq!(self.receiver.application().received, self.sent * REQUEST_LEN as u64);
    }
}

pub(super) struct Receive(OneWay);

impl Receive {
    pub(super) fn new() -> Self {
        Self(OneWay::new())
    }
}

impl Stage for Receive {
    const AT_ONCE: u32 = BURST;

    fn prepare(&mut self, count: u32) {
        let way = &mut self.0;
        way.check();
        way.receiver.wires().deliver(way.sender.wires());
        way.now_ns += ROUND_NS;
        way.write(count);
        End::turn(&mut way.sender, way.now_ns);
        way.sender.wires().deliver(way.receiver.wires());
    }

    fn run(&mut self, _: u32) {
        End::turn(&mut self.0.receiver, self.0.now_ns);
    }
}

pub(super) struct Send(OneWay);

impl Send {
    pub(super) fn new() -> Self {
        Self(OneWay::new())
    }
}

impl Stage for Send {
    const AT_ONCE: u32 = BURST;

    fn prepare(&mut self, _: u32) {
        let way = &mut self.0;
        way.sender.wires().deliver(way.receiver.wires());
        End::turn(&mut way.receiver, way.now_ns);
        way.check();
        way.receiver.wires().deliver(way.sender.wires());
        way.now_ns += ROUND_NS;
    }

    fn run(&mut self, count: u32) {
        self.0.write(count);
        End::turn(&mut self.0.sender, self.0.now_ns);
    }
}
