//! The whole stack under hostile segments: no panic, no more work than a bound for each frame, nothing beyond its limits.

use bywash_core::base::time::{Duration, Instant};
use bywash_core::buffer::{ReceiveConfig, SendConfig};
use bywash_core::endpoint::{Endpoint, Event, How, Link, ListenerId, SocketId};
use bywash_core::stack::{ListenOptions, LocalAddress, Ownership, StackConfig};
use bywash_core::wire::ipv4::{Fragmentation, Ipv4Repr};
use bywash_core::wire::tcp::{Flags, Options, SackBlock, TcpRepr, Timestamps, seal};
use bywash_core::wire::{Address, Cidr, IpProtocol, Kind, MacAddress, Medium, Sum, classify};

const OURS: [u8; 4] = [198, 18, 0, 1];
const THEIRS: [u8; 4] = [198, 18, 0, 2];
const PORT: u16 = 80;
/// Octets of a connection's send buffer.
const SEND_BUFFER: u32 = 16 << 10;
/// Frames that one step may bring out: the send buffer in the smallest segments, twice, and some answers.
const FRAMES_MAX: usize = 2 * SEND_BUFFER as usize / 36 + 64;
/// Steps of one input at most.
const STEPS_MAX: usize = 400;

/// Bytes as a source of decisions; zero when there are no more.
struct Source<'a>(&'a [u8]);

impl Source<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn word(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    fn take(&mut self, len: usize) -> &[u8] {
        let (taken, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        taken
    }
}

/// An engine, its application, and what the peer knows of the connection.
struct Bench {
    endpoint: Endpoint,
    listener: ListenerId,
    now: Instant,
    sockets: Vec<SocketId>,
    /// The peer's port, its next octet, and the next one that it expects.
    peer: Side,
    /// What the engine last echoes.
    echo: u32,
}

#[derive(Clone, Copy)]
struct Side {
    port: u16,
    seq: u32,
    ack: u32,
}

/// A peer that does as the bytes say, on a connection that is open when they begin.
pub fn hostile_peer(bytes: &[u8]) {
    let mut source = Source(bytes);
    let mut bench = Bench::new(source.byte());
    for _ in 0..STEPS_MAX {
        if source.0.is_empty() {
            break;
        }
        bench.step(&mut source);
        bench.drain();
    }
    bench.end();
}

/// Frames that are nothing but bytes: each begins with its length.
pub fn any_frames(bytes: &[u8]) {
    let now = Instant::from_secs(1000);
    let link = Link::ethernet(MacAddress([2, 0, 0, 0, 0, 1]), 1500);
    let mut endpoint = Endpoint::new(config(0), link, [7; 32], now).expect("a stack");
    let options = ListenOptions { port: PORT, backlog: 4, ..ListenOptions::default() };
    endpoint.listen(options).expect("a listener");
    let mut source = Source(bytes);
    let mut at = now;
    for _ in 0..STEPS_MAX {
        let len = usize::from(source.word() & 0x7ff);
        if source.0.is_empty() {
            break;
        }
        endpoint.handle_frame(at, source.take(len));
        let mut frames = 0;
        while endpoint.poll_frame().is_some() {
            frames += 1;
        }
        assert!(frames <= 64, "{frames} frames for one");
        at += Duration::from_millis(10);
    }
}

fn config(choice: u8) -> StackConfig {
    let cidr = |address, len| Cidr::new(address, len).expect("a prefix");
    let local = |cidr| LocalAddress { cidr, ownership: Ownership::Owned };
    let v6 = Address::v6([0xfd, 0, 1, 0x98, 0, 0x18, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    let mut config = StackConfig {
        addresses: vec![local(cidr(Address::v4(OURS), 24)), local(cidr(v6, 64))],
        connections_max: 8,
        half_open_max: 8,
        time_wait_max: 8,
        recoveries_max: 4,
        neighbours_max: 8,
        send: SendConfig::with_memory(1 << 20),
        receive: ReceiveConfig::with_memory(1 << 20),
        ..StackConfig::default()
    };
    config.tcp.send_buffer = SEND_BUFFER;
    config.tcp.receive_buffer = if choice & 1 == 0 { 64 << 10 } else { 4 << 10 };
    config.tcp.tcp_syncookies = choice >> 1 & 1;
    config.tcp.tcp_max_syn_backlog = 2;
    config
}

impl Bench {
    /// An open connection; `choice` says with which options.
    fn new(choice: u8) -> Self {
        let now = Instant::from_secs(1000);
        let mut endpoint = Endpoint::new(config(choice), Link::ip(1500), [7; 32], now).expect("a stack");
        let options = ListenOptions { port: PORT, backlog: 4, ..ListenOptions::default() };
        let listener = endpoint.listen(options).expect("a listener");
        let peer = Side { port: 40_000, seq: 0xffff_f000, ack: 0 };
        let mut bench = Self { endpoint, listener, now, sockets: Vec::new(), peer, echo: 0 };
        let mut syn = Options { mss: Some(if choice & 4 == 0 { 1460 } else { 100 }), ..Options::NONE };
        syn.timestamps = (choice & 8 == 0).then_some(Timestamps { value: 1, echo: 0 });
        syn.window_scale = (choice & 16 == 0).then_some(4);
        if choice & 32 == 0 {
            syn.sack_permitted = bywash_core::wire::tcp::SackPermitted::Present;
        }
        bench.segment(Flags::SYN, 0, 0, 0xffff, syn, &[]);
        bench.drain();
        bench.peer.seq = bench.peer.seq.wrapping_add(1);
        let timestamps = syn.timestamps.map(|_| Timestamps { value: 2, echo: bench.echo });
        bench.segment(Flags::ACK, 0, 0, 0xffff, Options { timestamps, ..Options::NONE }, &[]);
        bench.drain();
        assert_eq!(bench.sockets.len(), 1, "the connection is open");
        bench
    }

    fn step(&mut self, source: &mut Source<'_>) {
        match source.byte() % 9 {
            0 => self.pass(source),
            1 => {
                let len = usize::from(source.word() & 0x7ff);
                self.endpoint.handle_frame(self.now, source.take(len));
            }
            2 => self.data(source),
            3 => self.acknowledge(source),
            4 => self.anything(source),
            5 => {
                let len = usize::from(source.word());
                for socket in self.sockets.clone() {
                    let _ = self.endpoint.write(socket, &vec![b'x'; len]);
                }
            }
            6 => {
                let mut into = vec![0; usize::from(source.word())];
                for socket in self.sockets.clone() {
                    let _ = self.endpoint.read(socket, &mut into);
                }
            }
            7 => {
                // Another connection.
                let port = 40_000 + u16::from(source.byte() % 16);
                let was = self.peer;
                self.peer = Side { port, seq: u32::from(source.word()), ack: 0 };
                self.segment(Flags::SYN, 0, 0, 1000, Options::NONE, &[]);
                if source.byte() & 1 == 0 {
                    self.peer = was;
                }
            }
            _ => self.end_something(source),
        }
    }

    /// Time passes: from microseconds to minutes.
    fn pass(&mut self, source: &mut Source<'_>) {
        let (bits, more) = (source.byte() % 28, u64::from(source.byte()));
        let until = self.now + Duration::from_micros((1 << bits) + more);
        for _ in 0..2000 {
            let Some(due) = self.endpoint.deadline().filter(|due| *due <= until) else { break };
            self.now = self.now.max(due);
            self.endpoint.advance(self.now);
            self.drain();
        }
        self.now = until;
        self.endpoint.advance(until);
    }

    /// Data near the place where they are expected.
    fn data(&mut self, source: &mut Source<'_>) {
        let offset = i32::from(source.word() as i16) / 16;
        let len = usize::from(source.word() & 0x7ff).min(1400);
        let fin = if source.byte().is_multiple_of(16) { Flags::FIN } else { Flags::NONE };
        let payload = vec![b'd'; len];
        self.segment(Flags::ACK | Flags::PSH | fin, offset, 0, 0xffff, self.options(source), &payload);
        if source.byte() & 1 == 0 {
            self.peer.seq = self.peer.seq.wrapping_add_signed(offset).wrapping_add(len as u32);
        }
    }

    /// An ACK with a window, and SACK blocks.
    fn acknowledge(&mut self, source: &mut Source<'_>) {
        let offset = i32::from(source.word() as i16);
        let window = source.word();
        let mut options = self.options(source);
        for _ in 0..source.byte() % 5 {
            let left = self.peer.ack.wrapping_add_signed(i32::from(source.word() as i16));
            let right = left.wrapping_add_signed(i32::from(source.word() as i16));
            let _ = options.sack.push(SackBlock { left, right });
        }
        self.segment(Flags::ACK, 0, offset, window, options, &[]);
    }

    /// Any control bits, any numbers.
    fn anything(&mut self, source: &mut Source<'_>) {
        let flags = Flags::from_bits(source.byte());
        let (seq, ack) = (i32::from(source.word() as i16), i32::from(source.word() as i16));
        let (window, len) = (source.word(), usize::from(source.byte()));
        let payload = vec![b'a'; len];
        self.segment(flags, seq, ack, window, self.options(source), &payload);
    }

    fn end_something(&mut self, source: &mut Source<'_>) {
        let Some(socket) = self.sockets.get(usize::from(source.byte()) % self.sockets.len().max(1)).copied()
        else {
            return;
        };
        match source.byte() % 5 {
            0 => self.endpoint.shutdown(socket, How::Write),
            1 => self.endpoint.shutdown(socket, How::Read),
            2 => self.endpoint.shutdown(socket, How::Both),
            3 => self.close(socket),
            _ => {
                self.endpoint.abort(socket);
                self.close(socket);
            }
        }
    }

    fn close(&mut self, socket: SocketId) {
        self.endpoint.close(socket);
        self.sockets.retain(|known| *known != socket);
    }

    fn options(&self, source: &mut Source<'_>) -> Options {
        let mut options = Options::NONE;
        let choice = source.byte();
        if choice & 1 == 0 {
            let value = (self.now.as_millis() as u32).wrapping_add(u32::from(choice >> 4));
            options.timestamps = Some(Timestamps { value, echo: self.echo });
        }
        if choice % 16 >= 14 {
            (options.mss, options.window_scale) = (Some(source.word()), Some(source.byte() & 15));
        }
        options
    }

    fn segment(&mut self, flags: Flags, seq: i32, ack: i32, window: u16, options: Options, payload: &[u8]) {
        let tcp = TcpRepr {
            source_port: self.peer.port,
            destination_port: PORT,
            seq: self.peer.seq.wrapping_add_signed(seq),
            ack: self.peer.ack.wrapping_add_signed(ack),
            flags,
            window,
            urgent: 0,
            options,
        };
        let header = Ipv4Repr {
            source: THEIRS.into(),
            destination: OURS.into(),
            protocol: IpProtocol::TCP,
            payload_len: (tcp.header_len() + payload.len()) as u16,
            traffic_class: 0,
            ttl: 64,
            identification: 0,
            fragmentation: Fragmentation::Forbidden,
        };
        let mut frame = vec![0; 20 + usize::from(header.payload_len)];
        header.emit(&mut frame).expect("room");
        let header_len = tcp.emit(&mut frame[20..]).expect("room");
        frame[20 + header_len..].copy_from_slice(payload);
        let pseudo = Sum::pseudo_v4(THEIRS, OURS, IpProtocol::TCP.0, header.payload_len);
        seal(&mut frame[20..20 + header_len], pseudo.add(Sum::of(payload)));
        self.endpoint.handle_frame(self.now, &frame);
    }

    /// Takes what has come out: each frame is well formed, and there are not too many.
    fn drain(&mut self) {
        let mut frames = 0;
        while let Some(frame) = self.endpoint.poll_frame() {
            frames += 1;
            let packet = classify(frame, Medium::Ip).expect("the engine's frames are well formed");
            assert_eq!(usize::from(packet.end), frame.len());
            let Kind::Tcp(tcp) = packet.kind else { continue };
            if tcp.destination_port == self.peer.port && !tcp.flags.contains(Flags::RST) {
                let syn_fin = u32::from(tcp.flags.intersects(Flags::SYN | Flags::FIN));
                self.peer.ack = tcp.seq.wrapping_add(packet.payload_len() as u32 + syn_fin);
                self.echo = packet.options(frame).timestamps.map_or(0, |stamps| stamps.value);
            }
        }
        assert!(frames <= FRAMES_MAX, "{frames} frames for one step");
        while let Some(event) = self.endpoint.poll_event() {
            match event {
                Event::Acceptable(_) => self.sockets.extend(self.endpoint.accept(self.listener)),
                Event::Closed { socket, reason: _ } => self.close(socket),
                Event::Connected(_)
                | Event::Readable(_)
                | Event::Writable(_)
                | Event::EndOfStream(_)
                | Event::Lingered { .. } => {}
            }
        }
        let report = self.endpoint.report();
        assert!(report.connections <= 8 && report.half_open <= 8 && report.time_wait <= 8);
    }

    /// The application goes, the peer is silent: in time nothing is left.
    fn end(mut self) {
        for socket in std::mem::take(&mut self.sockets) {
            self.endpoint.abort(socket);
            self.endpoint.close(socket);
        }
        for _ in 0..20_000 {
            self.drain();
            while let Some(socket) = self.endpoint.accept(self.listener) {
                self.endpoint.abort(socket);
                self.endpoint.close(socket);
            }
            let Some(due) = self.endpoint.deadline() else { break };
            self.now = self.now.max(due);
            self.endpoint.advance(self.now);
        }
        let report = self.endpoint.report();
        assert!(report.is_idle(), "left at the end: {report:?}");
    }
}
