//! The transport against clients on the standard library's sockets, over loopback.

mod world;

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener};
use std::thread;
use std::time::Duration;

use bywash_core::base::time;
use bywash_core::shard::{CloseReason, ConnectError, Host, Origin, Transport};

use super::{MioConfig, MioError, MioTransport, ReusePort};
use world::{Event, World, config};

#[test]
fn lines_are_echoed_however_they_are_cut() {
    let mut world = World::new(&config());
    let mut client = world.client();
    let got = world.beside(move || {
        client.set_nodelay(true).unwrap();
        for byte in b"one\ntwo\r\n\nfour" {
            client.write_all(&[*byte]).unwrap();
        }
        client.shutdown(Shutdown::Write).unwrap();
        let mut got = String::new();
        client.read_to_string(&mut got).unwrap();
        got
    });
    assert_eq!(got, "one\ntwo\n\nfour\nbye\n");
    world.until(|world| world.is_empty());
    let expected = [Event::Opened(Origin::Accepted), Event::Ended, Event::Closed(CloseReason::Finished)];
    assert_eq!(world.events(), expected);
}

#[test]
fn one_request_costs_one_poll_one_read_and_one_write() {
    let mut world = World::new(&config());
    let mut client = world.client();
    world.until(|world| world.events().len() == 1);
    world.step();
    let before = *world.shard.transport().counters();
    for round in 1..=100 {
        client.write_all(b"a request\nand another one in the same segment\n").unwrap();
        let now = world.now();
        world.shard.transport_mut().wait(now, None).unwrap();
        let turn = world.shard.turn(now);
        assert!(turn.work > 0 && !turn.again);
        let idle = world.shard.turn(now);
        assert!(idle.work == 0 && !idle.again);
        let counters = world.shard.transport().counters();
        assert_eq!(counters.polls - before.polls, round);
        assert_eq!(counters.reads - before.reads, round);
        assert_eq!(counters.writes - before.writes, round);
        assert_eq!(counters.copied_bytes, 0);
        let mut answer = [0; 46];
        client.read_exact(&mut answer).unwrap();
    }
}

#[test]
fn a_reader_that_stalls_stops_the_server_and_loses_nothing() {
    const COUNT: usize = 30_000_000;
    let mut world = World::new(&config());
    let mut client = world.client();
    client.write_all(format!("flood {COUNT}\nafter\n").as_bytes()).unwrap();
    let mut last = 0;
    world.until(|world| {
        let sent = world.shard.transport().counters().sent_bytes;
        core::mem::replace(&mut last, sent) == sent && sent > 0
    });
    assert!(last < COUNT as u64, "the socket buffers took everything: nothing was tested");
    let got = world.beside(move || {
        let mut got = vec![0; COUNT + "after\n".len()];
        client.read_exact(&mut got).unwrap();
        got
    });
    assert!(got[..COUNT].iter().all(|&byte| byte == b'x'));
    assert_eq!(&got[COUNT..], b"after\n");
    assert!(world.events().contains(&Event::Writable));
}

#[test]
fn a_paused_connection_is_not_read_and_goes_on_where_it_was() {
    let mut world = World::new(&config());
    let mut client = world.client();
    let got = world.beside(move || {
        client.write_all(b"pause 50\nwaits\nin part").unwrap();
        thread::sleep(Duration::from_millis(5));
        client.write_all(b"s\n").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let mut got = String::new();
        client.read_to_string(&mut got).unwrap();
        got
    });
    assert_eq!(got, "waits\nin parts\nbye\n");
    let timer = world.events().iter().position(|event| *event == Event::Timer);
    let ended = world.events().iter().position(|event| *event == Event::Ended);
    assert!(timer < ended && timer.is_some(), "{:?}", world.events());
}

#[test]
fn after_our_shutdown_the_peer_may_still_send() {
    let mut world = World::new(&config());
    let mut client = world.client();
    let got = world.beside(move || {
        client.write_all(b"one\nshutdown\n").unwrap();
        let mut got = String::new();
        client.read_to_string(&mut got).unwrap();
        client.write_all(b"pause 1\n").unwrap();
        got
    });
    assert_eq!(got, "one\n");
    world.until(|world| world.is_empty());
    assert!(world.events().contains(&Event::Timer), "{:?}", world.events());
    assert_eq!(world.events().last(), Some(&Event::Closed(CloseReason::Finished)));
}

#[test]
fn close_sends_what_is_queued_and_drops_what_follows() {
    let mut world = World::new(&config());
    let mut client = world.client();
    let got = world.beside(move || {
        client.write_all(b"one\nclose\ntwo\n").unwrap();
        let mut got = String::new();
        client.read_to_string(&mut got).unwrap();
        got
    });
    assert_eq!(got, "one\n");
    world.until(|world| world.is_empty());
    assert_eq!(world.events().last(), Some(&Event::Closed(CloseReason::Finished)));
}

#[test]
fn close_after_shutdown_does_not_wait_for_the_peer() {
    let mut world = World::new(&config());
    let mut client = world.client();
    client.write_all(b"shutdown\nclose\n").unwrap();
    world.until(|world| world.is_empty() && !world.events().is_empty());
    assert_eq!(world.events().last(), Some(&Event::Closed(CloseReason::Finished)));
}

#[test]
fn abort_sends_a_reset() {
    let mut world = World::new(&config());
    let mut client = world.client();
    let error = world.beside(move || {
        client.write_all(b"one\nabort\n").unwrap();
        client.read_to_end(&mut Vec::new()).unwrap_err()
    });
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    world.until(|world| world.is_empty());
    assert_eq!(world.events().last(), Some(&Event::Closed(CloseReason::Aborted)));
}

#[test]
fn a_reset_from_the_peer_is_seen_even_while_nothing_is_read() {
    for line in [&b"one\n"[..], b"pause 100000\n"] {
        let mut world = World::new(&config());
        let mut client = world.client();
        client.write_all(line).unwrap();
        world.until(|world| world.shard.transport().counters().reads > 0);
        world.step();
        socket2::SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
        drop(client);
        world.until(|world| world.is_empty());
        assert_eq!(world.events().last(), Some(&Event::Closed(CloseReason::ConnectionReset)));
    }
}

#[test]
fn accepted_sockets_do_not_delay_small_segments() {
    let mut world = World::new(&config());
    let _client = world.client();
    world.until(|world| world.events().len() == 1);
    let host = &world.shard.transport().host;
    let connection = host.connections.at(0);
    assert!(connection.stream.as_ref().unwrap().nodelay().unwrap());
    assert_eq!(host.info(host.connections.key_at(0).unwrap()).unwrap().local, world.address());
}

#[test]
fn beyond_connections_max_peers_wait_until_others_leave() {
    let mut world = World::new(&MioConfig { connections_max: 2, ..config() });
    let mut clients: Vec<_> = (0..3).map(|_| world.client()).collect();
    world.until(|world| world.shard.transport().counters().accept_paused_connections == 1);
    assert_eq!(world.shard.transport().draining(), 2);
    assert!(!world.step().again, "waiting for room must not spin");
    drop(clients.remove(0));
    let mut last = clients.pop().unwrap();
    let got = world.beside(move || {
        last.write_all(b"served\n").unwrap();
        let mut got = [0; 7];
        last.read_exact(&mut got).unwrap();
        got
    });
    assert_eq!(&got, b"served\n");
}

#[test]
fn connections_are_accepted_under_a_budget() {
    let mut world = World::new(&MioConfig { accept_budget_max: 2, ..config() });
    let clients: Vec<_> = (0..5).map(|_| world.client()).collect();
    let mut per_turn = Vec::new();
    while per_turn.iter().sum::<usize>() < clients.len() {
        let before = world.shard.transport().draining();
        let turn = world.step();
        per_turn.push(world.shard.transport().draining() - before);
        assert_eq!(turn.again, per_turn.iter().sum::<usize>() < clients.len());
    }
    assert_eq!(per_turn, [2, 2, 1]);
}

#[test]
fn s40_shards_share_a_port_only_if_all_say_so() {
    let shared = MioConfig { reuse_port: ReusePort::Shared, ..config() };
    let first = World::new(&shared);
    let listen = vec![first.address()];
    World::new(&MioConfig { listen: listen.clone(), ..shared });
    let refused = MioTransport::new(&MioConfig { listen, ..config() }, time::Instant::ZERO);
    let Err(MioError::Listen { address, source }) = refused else { panic!("it was let in") };
    assert_eq!((address, source.kind()), (first.address(), ErrorKind::AddrInUse));
}

#[test]
fn connect_opens_a_connection_and_tells_when_nobody_listens() {
    let mut world = World::new(&MioConfig::default());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let remote = listener.local_addr().unwrap();
    let id = world.shard.transport_mut().host().connect(remote, None).unwrap();
    let (mut peer, _) = listener.accept().unwrap();
    world.until(|world| world.events() == [Event::Opened(Origin::Connected)]);
    assert_eq!(world.shard.transport().host.info(id).unwrap().remote, remote);
    let got = world.beside(move || {
        let mut got = [0; 6];
        peer.read_exact(&mut got).unwrap();
        peer.write_all(b"close\n").unwrap();
        got
    });
    assert_eq!(&got, b"hello\n");
    world.until(|world| world.is_empty());

    drop(listener);
    world.shard.transport_mut().host().connect(remote, None).unwrap();
    world.until(|world| world.is_empty());
    assert_eq!(world.events().last(), Some(&Event::Closed(CloseReason::ConnectionRefused)));
    let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
    let refused = world.shard.transport_mut().host().connect(nowhere, None);
    assert_eq!(refused, Err(ConnectError::InvalidRemote));
}

#[test]
fn an_unanswered_connect_ends_at_its_timeout() {
    let mut world = World::new(&MioConfig::default());
    // A listener whose accept queue is full lets SYNs go unanswered.
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    socket.listen(0).unwrap();
    let remote = socket.local_addr().unwrap().as_socket().unwrap();
    let _queued = std::net::TcpStream::connect(remote).unwrap();
    let timeout = Some(time::Duration::from_millis(30));
    world.shard.transport_mut().host().connect(remote, timeout).unwrap();
    world.until(|world| world.is_empty());
    assert_eq!(world.events(), [Event::Closed(CloseReason::TimedOut)]);
}

#[test]
fn the_waker_ends_a_sleep() {
    let mut world = World::new(&config());
    let waker = world.shard.transport().waker();
    let thread = thread::spawn(move || waker.wake().unwrap());
    let now = world.now();
    world.shard.transport_mut().wait(now, None).unwrap();
    thread.join().unwrap();
}

#[test]
fn s37_a_drain_closes_everything_and_refuses_newcomers() {
    let mut world = World::new(&config());
    let (address, mut client) = (world.address(), world.client());
    world.until(|world| world.events().len() == 1);
    world.shard.drain();
    let left = world.beside(move || client.read_to_end(&mut Vec::new()).unwrap());
    assert_eq!(left, 0);
    world.until(|world| world.is_empty());
    let refused = std::net::TcpStream::connect(address).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
}
