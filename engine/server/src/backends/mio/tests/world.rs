//! A server on this thread and its clients, with a clock and a bound on patience.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time;

use bywash_core::base::time::{Duration, Instant};
use bywash_core::codec::Lines;
use bywash_core::shard::{
    Application, CloseReason, ConnectionId, Context, Host, Origin, Shard, Transport, Turn,
};

use crate::backends::mio::{MioConfig, MioTransport};

/// How long anything in a test may take.
const PATIENCE: time::Duration = time::Duration::from_secs(10);

/// Obeys the lines it gets and echoes those it does not understand.
#[derive(Default)]
pub(super) struct Obedient {
    pub(super) events: Vec<Event>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    Opened(Origin),
    Ended,
    Timer,
    Writable,
    Closed(CloseReason),
}

#[derive(Default)]
pub(super) struct Owed(usize);

impl Obedient {
    fn pay<H: Host>(cx: &mut Context<'_, H, Lines>, owed: &mut Owed) {
        while owed.0 > 0 {
            match cx.write(&[b'x'; 10_000][..owed.0.min(10_000)]) {
                Ok(0) | Err(_) => return,
                Ok(len) => owed.0 -= len,
            }
        }
    }
}

impl Application for Obedient {
    type Codec = Lines;
    type Connection = Owed;

    fn on_open<H: Host>(&mut self, cx: &mut Context<'_, H, Lines>, origin: Origin) -> Owed {
        self.events.push(Event::Opened(origin));
        if origin == Origin::Connected {
            cx.write(b"hello\n").unwrap();
        }
        Owed::default()
    }

    fn on_message<H: Host>(&mut self, cx: &mut Context<'_, H, Lines>, owed: &mut Owed, line: &[u8]) {
        let line = std::str::from_utf8(line).unwrap();
        match line.split_once(' ') {
            Some(("flood", count)) => {
                owed.0 = count.parse().unwrap();
                Self::pay(cx, owed);
            }
            Some(("pause", millis)) => {
                cx.pause_reading();
                cx.set_timer(Some(cx.now() + Duration::from_millis(millis.parse().unwrap())));
            }
            _ => match line {
                "close" => cx.close(),
                "shutdown" => cx.shutdown(),
                "abort" => cx.abort(),
                _ => cx.send(&line.as_bytes()).unwrap(),
            },
        }
    }

    fn on_writable<H: Host>(&mut self, cx: &mut Context<'_, H, Lines>, owed: &mut Owed) {
        self.events.push(Event::Writable);
        Self::pay(cx, owed);
    }

    fn on_end_of_stream<H: Host>(&mut self, cx: &mut Context<'_, H, Lines>, _: &mut Owed) {
        self.events.push(Event::Ended);
        cx.send(&b"bye".as_slice()).ok();
        cx.close();
    }

    fn on_timer<H: Host>(&mut self, cx: &mut Context<'_, H, Lines>, _: &mut Owed) {
        self.events.push(Event::Timer);
        cx.resume_reading();
    }

    fn on_close<H: Host>(&mut self, _: &mut H, _: ConnectionId, _: Option<Owed>, reason: CloseReason) {
        self.events.push(Event::Closed(reason));
    }
}

pub(super) struct World {
    pub(super) shard: Shard<MioTransport, Obedient>,
    started: time::Instant,
}

pub(super) fn config() -> MioConfig {
    MioConfig { listen: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0))], ..MioConfig::default() }
}

impl World {
    pub(super) fn new(config: &MioConfig) -> Self {
        let transport = MioTransport::new(config, Instant::ZERO).unwrap();
        let shard = Shard::new(transport, Obedient::default(), Lines::default(), config.connections_max);
        Self { shard, started: time::Instant::now() }
    }

    pub(super) fn now(&self) -> Instant {
        Instant::ZERO + self.started.elapsed().into()
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.shard.transport().local_addresses().next().unwrap()
    }

    pub(super) fn client(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    pub(super) fn step(&mut self) -> Turn {
        let soon = self.now() + Duration::from_millis(5);
        let now = self.now();
        self.shard.transport_mut().wait(now, Some(soon)).unwrap();
        let now = self.now();
        self.shard.turn(now)
    }

    /// Takes turns until `done`.
    #[track_caller]
    pub(super) fn until(&mut self, mut done: impl FnMut(&mut Self) -> bool) {
        let end = time::Instant::now() + PATIENCE;
        while !done(self) {
            assert!(time::Instant::now() < end, "nothing came of it; events: {:?}", self.events());
            self.step();
        }
    }

    /// Takes turns while `client` runs beside, and hands back what it returns.
    pub(super) fn beside<T: Send + 'static>(&mut self, client: impl FnOnce() -> T + Send + 'static) -> T {
        let thread = std::thread::spawn(client);
        self.until(|_| thread.is_finished());
        thread.join().unwrap()
    }

    pub(super) fn events(&self) -> &[Event] {
        &self.shard.application().events
    }

    pub(super) fn is_empty(&self) -> bool {
        self.shard.transport().draining() == 0
    }
}
