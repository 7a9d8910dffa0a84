//! A server on its own thread over the kernel's TCP, and a plain client.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time;

use bywash::backends::mio::{MioConfig, MioTransport};
use bywash_core::base::time::{Duration, Instant};
use bywash_core::shard::{Application, Shard};

/// How long a client waits for a byte.
pub(crate) const PATIENCE: time::Duration = time::Duration::from_secs(20);

/// What the test tells the server's thread, and the other way round.
#[derive(Default)]
struct Shared {
    command: AtomicUsize,
    connections: AtomicUsize,
}

const RUN: usize = 0;
const DRAIN: usize = 1;
const STOP: usize = 2;

/// A running server; dropping it ends it.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub(crate) fn start<A>(application: impl FnOnce() -> A + Send + 'static, codec: A::Codec) -> Self
    where
        A: Application,
        A::Codec: Send + 'static,
    {
        let listen = vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0))];
        let config = MioConfig { listen, ..MioConfig::default() };
        let transport = MioTransport::new(&config, Instant::ZERO).unwrap();
        let address = transport.local_addresses().next().unwrap();
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            serve(Shard::new(transport, application(), codec, config.connections_max), &theirs);
        });
        Self { address, shared, thread: Some(thread) }
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(TcpStream::connect(self.address).unwrap())
    }

    /// Begins a shutdown.
    pub(crate) fn drain(&self) {
        self.shared.command.store(DRAIN, Ordering::Relaxed);
    }

    /// Waits until the server has `count` connections.
    #[track_caller]
    pub(crate) fn await_connections(&self, count: usize) {
        let end = time::Instant::now() + PATIENCE;
        loop {
            let now = self.shared.connections.load(Ordering::Relaxed);
            if now == count {
                return;
            }
            assert!(time::Instant::now() < end, "{now} connections and not {count}");
            std::thread::sleep(time::Duration::from_millis(2));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.command.store(STOP, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "the server panicked");
        }
    }
}

fn serve<A: Application>(mut shard: Shard<MioTransport, A>, shared: &Shared) {
    let started = time::Instant::now();
    let now = || Instant::ZERO + started.elapsed().into();
    let mut obeyed = RUN;
    loop {
        let command = shared.command.load(Ordering::Relaxed);
        match (command, obeyed) {
            (STOP, _) => return,
            (DRAIN, RUN) => {
                shard.drain();
                obeyed = DRAIN;
            }
            _ => {}
        }
        let turn = shard.turn(now());
        shared.connections.store(shard.connections(), Ordering::Relaxed);
        if !turn.again {
            let soon = now() + Duration::from_millis(10);
            let until = shard.deadline().map_or(soon, |deadline| deadline.min(soon));
            shard.transport_mut().wait(now(), Some(until)).unwrap();
        }
    }
}

/// A blocking client that understands just enough of HTTP.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    reader: BufReader<TcpStream>,
}

/// A response as it came.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    /// The head's lines, the first one included.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Response {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

impl Client {
    fn new(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        let reader = BufReader::with_capacity(64 * 1024, stream.try_clone().unwrap());
        Self { stream, reader }
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
    }

    /// Sends a request and reads its response.
    pub(crate) fn ask(&mut self, request: &str) -> Response {
        self.send(request);
        if request.starts_with("HEAD") { self.head() } else { self.response() }
    }

    /// Reads the head of a response.
    #[track_caller]
    pub(crate) fn head(&mut self) -> Response {
        let mut head = String::new();
        loop {
            let before = head.len();
            let len = self.reader.read_line(&mut head).unwrap();
            assert!(len > 0, "the connection ended within a head: {head:?}");
            assert!(head.ends_with("\r\n"), "{head:?}");
            if head.len() - before == 2 {
                break;
            }
        }
        let status = head.strip_prefix("HTTP/1.1 ").and_then(|rest| rest[..3].parse().ok());
        Response { status: status.expect("a status line"), head, body: Vec::new() }
    }

    /// Reads a whole response.
    #[track_caller]
    pub(crate) fn response(&mut self) -> Response {
        let mut response = self.head();
        let mut body = Vec::new();
        self.body(&response, |piece| body.extend_from_slice(piece));
        response.body = body;
        response
    }

    /// Reads the body that `head` announces, piece by piece.
    pub(crate) fn body(&mut self, head: &Response, mut piece: impl FnMut(&[u8])) {
        if head.field("Transfer-Encoding") == Some("chunked") {
            loop {
                let mut line = String::new();
                self.reader.read_line(&mut line).unwrap();
                let len = u64::from_str_radix(line.trim_end(), 16).unwrap();
                self.exactly(len, &mut piece);
                let mut end = [0; 2];
                self.reader.read_exact(&mut end).unwrap();
                assert_eq!(&end, b"\r\n");
                if len == 0 {
                    return;
                }
            }
        }
        let len = head.field("Content-Length").map_or(0, |len| len.parse().unwrap());
        self.exactly(len, &mut piece);
    }

    fn exactly(&mut self, mut len: u64, piece: &mut impl FnMut(&[u8])) {
        while len > 0 {
            let bytes = self.reader.fill_buf().unwrap();
            assert!(!bytes.is_empty(), "the connection ended with {len} bytes missing");
            let taken = bytes.len().min(usize::try_from(len).unwrap_or(usize::MAX));
            piece(&bytes[..taken]);
            self.reader.consume(taken);
            len -= taken as u64;
        }
    }

    /// Reads to the end of the stream.
    #[track_caller]
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        self.reader.read_to_end(&mut rest).unwrap();
        rest
    }
}
