//! An engine on an `AF_XDP` socket in a lab, which does what it is told between its turns.

mod forger;

use std::fs::File;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::{self, JoinHandle};
use std::time;

use bywash::Clock;
use bywash::backends::xdp::XdpPort;
use bywash_core::port::Port;
use bywash_core::shard::{CloseReason, ConnectionId, Transport};
use bywash_core::stack::{Alone, Engine, ListenOptions, Stack, StackConfig};
use bywash_xdp::lab::{Impairment, Lab, Middle, SERVER_INTERFACE, Side};
use bywash_xdp::nic::Interface;
use bywash_xdp::program::{Mode, Program};
use bywash_xdp::socket::{ChecksumPolicy, Socket, SocketConfig};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::harness::{LOCAL, LOCAL_V6, PORT, Recorder};

pub(crate) use forger::Forger;

/// How long a test waits for what must come, at most.
pub(crate) const PATIENCE: time::Duration = time::Duration::from_secs(20);
/// How long the engine sleeps at most; orders come in between.
const NAP: Timespec = Timespec { tv_sec: 0, tv_nsec: 500_000 };

type WireEngine = Engine<XdpPort, Alone>;
type Order = Box<dyn FnOnce(&mut WireEngine, &mut Recorder) + Send>;

/// What lies between the two ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Between {
    /// A link.
    Link,
    /// A relay that can lose, delay and stop frames.
    Relay,
}

/// The engine and its lab.
pub(crate) struct Wire {
    pub(crate) lab: Lab,
    orders: Option<Sender<Order>>,
    engine: Option<JoinHandle<()>>,
    _turn: File,
}

/// Milliseconds.
pub(crate) const fn ms(ms: u64) -> time::Duration {
    time::Duration::from_millis(ms)
}

/// Where the engine listens.
pub(crate) fn server() -> SocketAddr {
    SocketAddr::new(LOCAL.parse().expect("an address"), PORT)
}

/// The same over IPv6.
pub(crate) fn server_v6() -> SocketAddr {
    SocketAddr::new(LOCAL_V6.parse().expect("an address"), PORT)
}

impl Wire {
    /// An engine with a listener; `None` without root, which is told.
    pub(crate) fn start(name: &str, between: Between, change: impl FnOnce(&mut StackConfig)) -> Option<Self> {
        let wire = Self::quiet(name, between, change)?;
        let options = ListenOptions { port: PORT, backlog: 128, ..ListenOptions::default() };
        wire.with(move |stack, _| stack.listen(options).expect("listens"));
        Some(wire)
    }

    /// Nobody listens.
    pub(crate) fn quiet(name: &str, between: Between, change: impl FnOnce(&mut StackConfig)) -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            // Written past the capture of the test harness, so that it is seen.
            let _ = std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("skipped: needs root\n"));
            return None;
        }
        let path = std::env::temp_dir().join("bywash-lab-tests.lock");
        let turn =
            File::options().create(true).truncate(false).write(true).open(path).expect("the lock file");
        turn.lock_shared().expect("a shared lock");
        let lab = Lab::builder(&format!("w{}-{name}", std::process::id())).queues(1.try_into().expect("one"));
        let lab = match between {
            Between::Link => lab,
            Between::Relay => {
                lab.middle(Middle { seed: 1, to_server: Impairment::NONE, to_client: Impairment::NONE })
            }
        };
        let lab = lab.build().expect("a lab");
        let mut config = crate::harness::config();
        // Neighbours are on the link; a gateway would only be asked for in vain.
        config.gateways.clear();
        change(&mut config);
        let (orders, taken) = channel();
        let (ready, is_ready) = channel();
        let engine = lab.run_in(Side::Server, || thread::spawn(move || run(config, &taken, &ready)));
        is_ready.recv_timeout(PATIENCE).expect("the engine runs");
        Some(Self { lab, orders: Some(orders), engine: Some(engine.expect("the namespace")), _turn: turn })
    }

    /// Does `work` between two turns.
    pub(crate) fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Stack, &mut Recorder) -> T + Send + 'static,
    ) -> T {
        let (sender, answer) = channel();
        let order: Order = Box::new(move |engine, app| {
            // Whoever asked may have given up.
            let _ = sender.send(work(engine.host(), app));
        });
        self.orders.as_ref().expect("running").send(order).expect("the engine runs");
        answer.recv_timeout(PATIENCE).expect("an answer")
    }

    /// Waits until `look` finds something.
    #[track_caller]
    pub(crate) fn until<T: Send + 'static>(
        &self,
        look: impl Fn(&mut Stack, &mut Recorder) -> Option<T> + Clone + Send + 'static,
    ) -> T {
        let end = time::Instant::now() + PATIENCE;
        loop {
            if let Some(found) = self.with(look.clone()) {
                return found;
            }
            if time::Instant::now() > end {
                let state = self.with(|stack, app| format!("{:#?}\n{:?}", stack.report(), app.events));
                panic!("waited {PATIENCE:?} in vain:\n{state}");
            }
            thread::sleep(ms(2));
        }
    }

    /// Waits until a connection is open, and says which is the last.
    #[track_caller]
    pub(crate) fn opened(&self, count: usize) -> ConnectionId {
        self.until(move |_, app| (app.opened() >= count).then(|| app.last()))
    }

    /// Waits until a connection is gone, and says why.
    #[track_caller]
    pub(crate) fn closed(&self) -> CloseReason {
        self.until(|_, app| app.closed())
    }

    /// Waits until everything was given back.
    #[track_caller]
    pub(crate) fn expect_idle(&self) {
        self.until(|stack, _| stack.report().is_idle().then_some(()));
    }

    /// Runs `work` in the namespace of the kernel's end.
    pub(crate) fn client<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        self.lab.run_in(Side::Client, work).expect("the client's namespace")
    }

    /// A connection of the kernel's, seen by both ends.
    #[track_caller]
    pub(crate) fn connect(&self) -> (TcpStream, ConnectionId) {
        let stream =
            self.client(|| patient(TcpStream::connect_timeout(&server(), PATIENCE).expect("connects")));
        let port = stream.local_addr().expect("bound").port();
        let id = self.until(move |stack, app| {
            let id = (app.opened() > 0).then(|| app.last())?;
            let info = bywash_core::shard::Host::info(stack, id)?;
            (info.remote.port() == port).then_some(id)
        });
        (stream, id)
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.orders = None;
        let ended = self.engine.take().expect("once").join();
        if !thread::panicking() {
            ended.expect("the engine has not panicked");
        }
    }
}

/// A stream that does not wait for ever.
pub(crate) fn patient(stream: TcpStream) -> TcpStream {
    stream.set_read_timeout(Some(PATIENCE)).expect("timeout");
    stream.set_write_timeout(Some(PATIENCE)).expect("timeout");
    stream
}

/// An `AF_XDP` socket on the only queue of `interface`, and the program that gives it the frames to `addresses`.
fn open(interface: &str, addresses: &[&str]) -> (Socket, Program, Interface) {
    let interface = Interface::by_name(interface).expect("the interface");
    let mut program = Program::load().expect("the program");
    program.attach(interface.name(), Mode::Auto).expect("attached");
    // A forger sees what is sent before any device could finish its checksums.
    let config =
        SocketConfig { checksum: ChecksumPolicy::Software, ..SocketConfig::new(interface.index(), 0) };
    let socket = Socket::open(&config).expect("a socket");
    program.add_socket(0, &socket).expect("room");
    for address in addresses {
        program.own(address.parse().expect("an address")).expect("room");
    }
    (socket, program, interface)
}

/// The engine's thread: turns, and orders between them, until nobody is left to give any.
fn run(config: StackConfig, orders: &Receiver<Order>, ready: &Sender<()>) {
    let own: Vec<String> =
        config.addresses.iter().map(|own| IpAddr::from(own.cidr.address()).to_string()).collect();
    let own: Vec<&str> = own.iter().map(String::as_str).collect();
    let (socket, _program, interface) = open(SERVER_INTERFACE, &own);
    let mtu = interface.mtu().expect("an MTU") as u16;
    let port = XdpPort::new(socket, interface.mac().expect("a MAC").0, mtu);
    let clock = Clock::start();
    let stack = Stack::new(config, port.capabilities(), [42; 32], clock.now()).expect("a stack");
    let mut engine: WireEngine = Engine::new(port, stack, Alone, Vec::new());
    let mut app = Recorder::default();
    ready.send(()).expect("somebody waits");
    loop {
        match orders.try_recv() {
            Ok(order) => order(&mut engine, &mut app),
            Err(TryRecvError::Empty) => {}
            Err(TryRecvError::Disconnected) => return,
        }
        let turn = engine.turn(clock.now(), &mut app);
        engine.stack().check().expect("what must hold between turns");
        if turn.work == 0 && !turn.again {
            let port = engine.port().as_fd();
            poll(&mut [PollFd::new(&port, PollFlags::IN)], Some(&NAP)).expect("poll");
        }
    }
}
