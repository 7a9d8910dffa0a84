//! The endpoint: two hosts on a wire in memory, seen through calls like those of sockets.

use bywash_core::base::time::{Duration, Instant};
use bywash_core::endpoint::{Endpoint, Event, How, Link, ListenerId, ReadError, SocketId, WriteError};
use bywash_core::shard::Lingered;
use bywash_core::stack::{ListenOptions, LocalAddress, Ownership, StackConfig};
use bywash_core::tcp::congestion::CongestionControl;
use bywash_core::tcp::socket_options::{Linger, OptionName, SocketOption};
use bywash_core::wire::Cidr;

use crate::harness::{CloseReason, address, config, pattern};

/// Two hosts and the time.
struct Pair {
    client: Endpoint,
    server: Endpoint,
    listener: ListenerId,
    now: Instant,
}

impl Pair {
    fn new() -> Self {
        Self::with(config())
    }

    /// The server has this configuration; addresses are given here.
    fn with(config: StackConfig) -> Self {
        let now = Instant::from_secs(1_000);
        let host = |text: &str, config: StackConfig| {
            let cidr = Cidr::new(address(text), 24).expect("a prefix");
            let addresses = vec![LocalAddress { cidr, ownership: Ownership::Owned }];
            Endpoint::new(StackConfig { addresses, ..config }, Link::ip(1500), [9; 32], now).expect("a host")
        };
        let (client, mut server) = (host("198.18.0.2", crate::harness::config()), host("198.18.0.1", config));
        let options = ListenOptions { port: 80, backlog: 8, ..ListenOptions::default() };
        let listener = server.listen(options).expect("listens");
        Self { client, server, listener, now }
    }

    /// Carries frames without delay until nobody has more to say; an ACK that waits is not waited for.
    fn carry(&mut self) {
        for _ in 0..10_000 {
            let mut is_idle = true;
            while let Some(frame) = self.client.poll_frame() {
                self.server.handle_frame(self.now, frame);
                is_idle = false;
            }
            while let Some(frame) = self.server.poll_frame() {
                self.client.handle_frame(self.now, frame);
                is_idle = false;
            }
            if is_idle {
                return;
            }
        }
        panic!("the two never rest");
    }

    /// Time passes in steps of a millisecond.
    fn pass(&mut self, span: Duration) {
        let end = self.now + span;
        while self.now < end {
            self.now += Duration::from_millis(1);
            self.client.advance(self.now);
            self.server.advance(self.now);
            self.carry();
        }
    }

    /// A connection, accepted, all its events told.
    fn open(&mut self) -> (SocketId, SocketId) {
        let calling =
            self.client.connect("198.18.0.1:80".parse().expect("an address"), None).expect("connects");
        self.carry();
        assert_eq!(events(&mut self.client), [Event::Connected(calling)]);
        assert_eq!(events(&mut self.server), [Event::Acceptable(self.listener)]);
        let called = self.server.accept(self.listener).expect("a connection waits");
        assert_eq!(self.server.accept(self.listener), None);
        self.carry();
        assert_eq!(events(&mut self.server), []);
        (calling, called)
    }
}

fn events(endpoint: &mut Endpoint) -> Vec<Event> {
    std::iter::from_fn(|| endpoint.poll_event()).collect()
}

/// All that can be read now.
fn read_all(endpoint: &mut Endpoint, socket: SocketId) -> Vec<u8> {
    let mut all = Vec::new();
    let mut piece = [0; 1000];
    while let Ok(len) = endpoint.read(socket, &mut piece) {
        all.extend_from_slice(&piece[..len]);
    }
    all
}

#[test]
fn c157_one_event_for_each_arrival_and_writable_only_after_room_was_made() {
    let mut pair = Pair::new();
    let (calling, called) = pair.open();
    for _ in 0..3 {
        pair.client.write(calling, b"one").expect("room");
        pair.carry();
        assert_eq!(events(&mut pair.server), [Event::Readable(called)], "though nothing was read");
    }
    // Nothing new, no event: not by time, not by a partial read.
    pair.pass(Duration::from_millis(100));
    assert_eq!(pair.server.read(called, &mut [0; 4]), Ok(4));
    pair.pass(Duration::from_millis(100));
    assert_eq!(events(&mut pair.server), []);
    // Arrivals that were not looked at in between are one event.
    for _ in 0..2 {
        pair.client.write(calling, b"two").expect("room");
        pair.carry();
    }
    assert_eq!(events(&mut pair.server), [Event::Readable(called)]);
    // Full: no event until the peer has read, and then one.
    let block = pattern(1 << 20);
    let taken = pair.client.write(calling, &block).expect("some");
    assert!(taken < block.len());
    pair.carry();
    while let Ok(more) = pair.client.write(calling, &block) {
        assert!(more > 0);
        pair.carry();
    }
    assert_eq!(pair.client.write(calling, &block), Err(WriteError::WouldBlock));
    events(&mut pair.client);
    pair.pass(Duration::from_millis(300));
    assert_eq!(events(&mut pair.client), [], "nothing was read: there is no room");
    while !read_all(&mut pair.server, called).is_empty() {
        pair.carry();
    }
    assert_eq!(events(&mut pair.client), [Event::Writable(calling)]);
    assert!(pair.client.send_space(calling) > 0);
}

#[test]
fn c158_calls_succeed_exactly_when_they_can_and_count_what_they_did() {
    let mut pair = Pair::new();
    // Accept: nothing before the handshake is complete.
    assert_eq!(pair.server.accept(pair.listener), None);
    let calling = pair.client.connect("198.18.0.1:80".parse().expect("an address"), None).expect("connects");
    let syn = pair.client.poll_frame().expect("a SYN").to_vec();
    pair.server.handle_frame(pair.now, &syn);
    assert_eq!((events(&mut pair.server), pair.server.accept(pair.listener)), (vec![], None));
    assert_eq!(pair.client.read(calling, &mut [0; 1]), Err(ReadError::WouldBlock));
    pair.carry();
    assert_eq!(events(&mut pair.client), [Event::Connected(calling)]);
    assert_eq!(events(&mut pair.server), [Event::Acceptable(pair.listener)]);
    let called = pair.server.accept(pair.listener).expect("now it can");
    // Read: would block, then exactly what is there, then would block.
    let mut buffer = [0; 8];
    assert_eq!(pair.server.read(called, &mut buffer), Err(ReadError::WouldBlock));
    assert_eq!(pair.client.write(calling, b"0123456789"), Ok(10));
    pair.carry();
    assert_eq!((pair.server.read(called, &mut buffer), &buffer), (Ok(8), b"01234567"));
    assert_eq!((pair.server.read(called, &mut buffer), &buffer[..2]), (Ok(2), &b"89"[..]));
    assert_eq!(pair.server.read(called, &mut buffer), Err(ReadError::WouldBlock));
    // Write: as much as the buffer holds, the count says how much; all of it arrives.
    let block = pattern(700_000);
    let space = pair.client.send_space(calling);
    let first = pair.client.write(calling, &block).expect("some");
    assert_eq!(first, space);
    let (mut sent, mut received) = (first, Vec::new());
    while received.len() < block.len() {
        pair.carry();
        received.extend(read_all(&mut pair.server, called));
        if sent < block.len() {
            match pair.client.write(calling, &block[sent..]) {
                Ok(more) => sent += more,
                Err(error) => assert_eq!(error, WriteError::WouldBlock),
            }
        }
        pair.pass(Duration::from_millis(1));
    }
    assert!(received == block, "the bytes differ");
}

#[test]
fn c159_the_unread_count_leaves_the_fin_out_and_peeking_reads_nothing() {
    let mut pair = Pair::new();
    let (calling, called) = pair.open();
    pair.client.write(calling, b"seven!!").expect("room");
    pair.client.shutdown(calling, How::Write);
    pair.carry();
    assert_eq!(events(&mut pair.server), [Event::Readable(called), Event::EndOfStream(called)]);
    assert_eq!(pair.server.unread(called), 7);
    assert_eq!(pair.server.peek(called), Ok(&b"seven!!"[..]));
    assert_eq!(pair.server.unread(called), 7);
    assert_eq!(pair.server.read(called, &mut [0; 3]), Ok(3));
    assert_eq!((pair.server.unread(called), pair.server.peek(called)), (4, Ok(&b"en!!"[..])));
    assert_eq!(read_all(&mut pair.server, called), b"en!!");
    assert_eq!(pair.server.unread(called), 0);
    for _ in 0..2 {
        assert_eq!(pair.server.read(called, &mut [0; 3]), Err(ReadError::EndOfStream));
    }
    // Our side is still open.
    assert_eq!(pair.server.write(called, b"back"), Ok(4));
    pair.carry();
    assert_eq!(read_all(&mut pair.client, calling), b"back");
}

#[test]
fn c133_a_reset_is_told_once_and_writes_fail_from_then_on() {
    let mut pair = Pair::new();
    let (calling, called) = pair.open();
    pair.client.abort(calling);
    pair.carry();
    let closed = Event::Closed { socket: called, reason: CloseReason::ConnectionReset };
    assert_eq!(events(&mut pair.server), [closed]);
    let reset = CloseReason::ConnectionReset;
    assert_eq!(pair.server.read(called, &mut [0; 1]), Err(ReadError::Closed(reset)));
    assert_eq!(pair.server.read(called, &mut [0; 1]), Err(ReadError::EndOfStream));
    assert_eq!(pair.server.write(called, b"x"), Err(WriteError::BrokenPipe));
    assert_eq!(pair.server.take_error(called), None);
    pair.server.close(called);
    assert_eq!(pair.server.read(called, &mut [0; 1]), Err(ReadError::NotOpen));
    assert!(pair.server.report().is_idle(), "{:?}", pair.server.report());
}

#[test]
fn s08_handshakes_complete_without_accept_and_what_came_is_read_in_order() {
    let mut pair = Pair::new();
    let sent: Vec<(SocketId, Vec<u8>)> = (0..4_u8)
        .map(|n| {
            let socket =
                pair.client.connect("198.18.0.1:80".parse().expect("an address"), None).expect("room");
            let text = vec![n; 100 + usize::from(n)];
            pair.client.write(socket, &text).expect("room");
            (socket, text)
        })
        .collect();
    pair.carry();
    assert_eq!(events(&mut pair.client).len(), 4, "all are connected");
    assert_eq!(events(&mut pair.server), [Event::Acceptable(pair.listener)]);
    for (_, text) in &sent {
        let called = pair.server.accept(pair.listener).expect("it waits");
        assert_eq!(pair.server.poll_event(), Some(Event::Readable(called)));
        assert_eq!(&read_all(&mut pair.server, called), text);
    }
    assert_eq!(pair.server.accept(pair.listener), None);
}

#[test]
fn time_in_tiny_steps_without_frames_changes_nothing() {
    let mut pair = Pair::new();
    let (calling, called) = pair.open();
    pair.pass(Duration::from_millis(100));
    for _ in 0..100_000 {
        pair.now += Duration::from_micros(1);
        pair.client.advance(pair.now);
        pair.server.advance(pair.now);
    }
    assert!(pair.client.poll_frame().is_none() && pair.server.poll_frame().is_none());
    pair.client.write(calling, b"still here").expect("open");
    pair.carry();
    assert_eq!(read_all(&mut pair.server, called), b"still here");
    pair.client.close(calling);
    pair.server.close(called);
    pair.carry();
    pair.pass(Duration::from_secs(61));
    assert!(pair.client.report().is_idle() && pair.server.report().is_idle());
}

#[test]
fn c121_a_lingering_close_is_told_of_when_all_is_acknowledged() {
    let mut pair = Pair::new();
    let (calling, called) = pair.open();
    pair.client.set_option(calling, SocketOption::SoLinger(Linger::Seconds(5))).expect("open");
    pair.client.write(calling, b"to the end").expect("room");
    pair.client.close(calling);
    assert_eq!(events(&mut pair.client), [], "nothing is acknowledged yet");
    pair.pass(Duration::from_millis(100));
    let how = Lingered::Acknowledged;
    assert_eq!(events(&mut pair.client), [Event::Lingered { socket: calling, how }]);
    assert_eq!(read_all(&mut pair.server, called), b"to the end");
}

#[test]
fn c121_a_lingering_close_is_told_of_when_its_time_is_over() {
    let mut pair = Pair::new();
    let (calling, called) = pair.open();
    pair.client.set_option(calling, SocketOption::SoLinger(Linger::Seconds(5))).expect("open");
    pair.client.write(calling, b"late").expect("room");
    pair.client.close(calling);
    let start = pair.now;
    let mut told = None;
    // Nothing arrives for ten seconds.
    while pair.now - start < Duration::from_secs(10) {
        pair.now += Duration::from_millis(10);
        pair.client.advance(pair.now);
        while pair.client.poll_frame().is_some() {}
        for event in events(&mut pair.client) {
            assert_eq!(event, Event::Lingered { socket: calling, how: Lingered::TimedOut });
            assert_eq!(told.replace(pair.now - start), None, "told once");
        }
    }
    let told = told.expect("told").as_millis();
    assert!((5_000..5_100).contains(&told), "{told} ms");
    // Sending has gone on in the background.
    pair.pass(Duration::from_secs(10));
    assert_eq!(read_all(&mut pair.server, called), b"late");
}

#[test]
fn the_congestion_control_of_a_connection_is_read_back_and_inherited() {
    let mut pair = Pair::new();
    let reno = SocketOption::TcpCongestion(CongestionControl::Reno);
    pair.server.set_listener_option(pair.listener, reno).expect("listens");
    let (calling, called) = pair.open();
    assert_eq!(pair.server.option(called, OptionName::TcpCongestion), Ok(reno));
    let cubic = SocketOption::TcpCongestion(CongestionControl::Cubic);
    assert_eq!(pair.client.option(calling, OptionName::TcpCongestion), Ok(cubic));
    pair.client.set_option(calling, reno).expect("open");
    assert_eq!(pair.client.option(calling, OptionName::TcpCongestion), Ok(reno));
}
