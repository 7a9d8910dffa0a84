//! Several shards of one server: whatever queue a frame comes by, the answer is the same.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use bywash_core::port::Port as _;
use bywash_core::shard::Transport as _;
use bywash_core::stack::{Engine, HostFact, Peers, Registry, RingFull, Stack, StackConfig};

use crate::harness::*;

/// One shard's end of a mesh in memory.
struct Mesh {
    rings: Rc<RefCell<Vec<VecDeque<Vec<u8>>>>>,
    me: usize,
}

impl Peers for Mesh {
    fn hand_over(&mut self, to: usize, frame: &[u8]) -> Result<(), RingFull> {
        self.rings.borrow_mut()[to].push_back(frame.to_vec());
        Ok(())
    }

    fn next_frame(&mut self, show: impl FnOnce(&[u8])) -> bool {
        let frame = self.rings.borrow_mut()[self.me].pop_front();
        frame.map(|frame| show(&frame)).is_some()
    }

    fn publish(&mut self, _fact: HostFact) {}

    fn next_fact(&mut self) -> Option<HostFact> {
        None
    }
}

/// The shards of one server, all listening on [`PORT`].
struct Server {
    shards: Vec<(Engine<MemoryPort, Mesh>, Recorder)>,
    /// The clock, and what was sent: peers read it there.
    world: World,
}

impl Server {
    fn new(count: usize, config: &StackConfig) -> Self {
        let world = World::quiet(config.clone(), 1500);
        let ports: Vec<_> = (0..count).map(|_| MemoryPort::new(OWN_MAC, 1500)).collect();
        let stack = |port: &MemoryPort| {
            Stack::new(config.clone(), port.capabilities(), [42; 32], world.now).expect("a stack")
        };
        let mut stacks: Vec<_> = ports.iter().map(stack).collect();
        let tables: Vec<_> = stacks.iter().enumerate().map(|(at, stack)| stack.published(at)).collect();
        let options = ListenOptions { port: PORT, backlog: 128, ..ListenOptions::default() };
        Registry::new(tables.clone()).bind(&options).expect("nobody else");
        for stack in &mut stacks {
            stack.listen(options).expect("the registry has allowed it");
        }
        let rings = Rc::new(RefCell::new(vec![VecDeque::new(); count]));
        let parts = ports.into_iter().zip(stacks).enumerate();
        let shards = parts.map(|(me, (port, stack))| {
            let others = tables.iter().filter(|table| table.shard != me).cloned().collect();
            let mesh = Mesh { rings: Rc::clone(&rings), me };
            (Engine::new(port, stack, mesh, others), Recorder::default())
        });
        Self { shards: shards.collect(), world }
    }

    /// Frames arrive in one burst at one shard; all take their turns until nothing is left to do.
    fn give(&mut self, shard: usize, frames: &[Vec<u8>]) {
        for frame in frames {
            self.shards[shard].0.port_mut().give(frame);
        }
        for _ in 0..3 {
            for (engine, app) in &mut self.shards {
                while engine.turn(self.world.now, app).again {}
                engine.stack().check().expect("what must hold between turns");
                while let Some(frame) = engine.port_mut().take() {
                    self.world.sent.push_back((self.world.now, frame));
                }
            }
        }
    }

    fn send(&mut self, shard: usize, peer: &Peer, segment: &Seg) {
        let frame = peer.forge(&self.world, segment);
        self.give(shard, &[frame]);
    }

    fn syn(&mut self, shard: usize, peer: &Peer) {
        let repr = peer.repr(&self.world, &seg(SYN, 0, 0), peer.syn_options(&self.world));
        self.give(shard, &[peer.frame(&repr, &[])]);
    }

    fn bytes(&self) -> Vec<u8> {
        self.shards.iter().flat_map(|(_, app)| app.bytes.clone()).collect()
    }

    fn opened(&self) -> usize {
        self.shards.iter().map(|(_, app)| app.opened()).sum()
    }
}

/// What a whole connection looks like from the peer when its segments come by these shards.
fn conversation(
    shards: usize,
    config: &StackConfig,
    route: &[usize; 6],
) -> Vec<(u64, Flags, u32, u32, u16, Vec<u8>)> {
    let mut server = Server::new(shards, config);
    for (_, app) in &mut server.shards {
        app.on_receive = Box::new(|host, id, bytes| host.write(id, bytes).expect("open"));
        app.on_end = Box::new(Host::close);
    }
    let mut peer = Peer::new(&server.world, 40_000, Offer::FULL);
    let at = |step: usize| route[step] % shards;
    server.syn(at(0), &peer);
    let mut seen = vec![peer.expect(&mut server.world, SYN_ACK, 0, 1, 0)];
    let isn = peer.irs;
    server.send(at(1), &peer, &seg(ACK, 1, 1));
    server.send(at(2), &peer, &seg(PSH, 1, 1).data(b"one"));
    server.send(at(3), &peer, &seg(PSH, 4, 4).data(b"two"));
    server.send(at(4), &peer, &seg(FIN, 7, 7));
    server.send(at(5), &peer, &seg(ACK, 8, 8));
    seen.extend(peer.drain(&mut server.world));
    assert_eq!(server.opened(), 1);
    assert_eq!(server.bytes(), b"onetwo");
    assert!(server.shards.iter().all(|(engine, _)| engine.report().is_idle()), "all has ended");
    let start = server.world.now;
    let what = |got: &Got| {
        let after = got.at.since(start).as_millis();
        (after, got.flags, got.seq.wrapping_add(isn), got.ack, got.window, got.payload.clone())
    };
    seen.iter().map(what).collect()
}

#[test]
fn c163_a_connection_is_the_same_by_whatever_queues_its_segments_come() {
    for cookies in [1, 2] {
        let mut config = config();
        config.tcp.tcp_syncookies = cookies;
        let alone = conversation(1, &config, &[0; 6]);
        assert_eq!(alone.len(), 4, "{alone:?}");
        for shards in 1..=4 {
            let routes =
                [[0; 6], [0, 1, 2, 3, 0, 1], [1, 0, 1, 0, 1, 0], [3, 2, 1, 0, 3, 2], [2, 2, 2, 1, 1, 3]];
            for route in routes {
                assert_eq!(conversation(shards, &config, &route), alone, "{shards} shards, {route:?}");
            }
        }
    }
}

#[test]
fn c163_every_state_answers_alike_on_every_shard() {
    // What a stray gets does not depend on the shard: RST where nothing is, challenge where something is.
    for stray in 0..3 {
        let mut server = Server::new(3, &config());
        let mut peer = Peer::new(&server.world, 40_000, Offer::FULL);
        server.send(stray, &peer, &seg(ACK, 1, 9));
        let got = peer.next(&mut server.world);
        assert_eq!((got.flags, got.seq), (RST, 9));
        server.syn(0, &peer);
        peer.expect(&mut server.world, SYN_ACK, 0, 1, 0);
        // SYN-RECEIVED: the same SYN gets the same number.
        server.syn(stray, &peer);
        peer.expect(&mut server.world, SYN_ACK, 0, 1, 0);
        server.send(stray, &peer, &seg(RST, 9, 0));
        peer.expect(&mut server.world, ACK, 1, 1, 0);
        server.send(0, &peer, &seg(ACK, 1, 1));
        // ESTABLISHED.
        server.syn(stray, &peer);
        peer.expect(&mut server.world, ACK, 1, 1, 0);
        let id = server.shards[0].1.last();
        server.shards[0].0.stack_mut().close(id);
        server.give(0, &[]);
        peer.expect(&mut server.world, FIN, 1, 1, 0);
        server.send(stray, &peer, &seg(FIN, 1, 2));
        peer.expect(&mut server.world, ACK, 2, 2, 0);
        // TIME-WAIT.
        server.send(stray, &peer, &seg(FIN, 1, 2));
        peer.expect(&mut server.world, ACK, 2, 2, 0);
        // Opened anew, by the shard that remembers.
        let old = peer;
        server.world.now += bywash_core::base::time::Duration::from_secs(2);
        peer.iss = old.iss.wrapping_add(100_000);
        server.syn(stray, &peer);
        peer.expect(&mut server.world, SYN_ACK, 0, 1, 0);
        assert!((65_537..1 << 31).contains(&peer.irs.wrapping_sub(old.irs.wrapping_add(2))));
        server.world.expect_silence();
    }
}

#[test]
fn s10_c163_a_cookie_is_good_on_a_shard_that_never_sent_one() {
    let mut config = config();
    config.tcp.tcp_max_syn_backlog = 1;
    let mut server = Server::new(2, &config);
    let first = Peer::new(&server.world, 40_001, Offer::FULL);
    server.syn(0, &first);
    server.world.sent.clear();
    let mut peer = Peer::new(&server.world, 40_000, Offer::FULL);
    server.syn(0, &peer);
    peer.expect(&mut server.world, SYN_ACK, 0, 1, 0);
    assert_eq!(server.shards[0].0.report().counters.syncookies_sent, 1);
    server.send(1, &peer, &seg(PSH, 1, 1).data(b"hello"));
    assert_eq!((server.shards[1].1.opened(), &server.shards[1].1.bytes[..]), (1, &b"hello"[..]));
    // It lives there now, and what comes by the other queue reaches it.
    server.send(0, &peer, &seg(PSH, 6, 1).data(b" again"));
    assert_eq!(server.shards[1].1.bytes, b"hello again");
}

#[test]
fn c044_a_burst_of_syns_beyond_the_look_ups_is_answered_by_cookies() {
    let mut server = Server::new(4, &config());
    let frames: Vec<_> = (0..64)
        .map(|number| {
            let peer = Peer::new(&server.world, 20_000 + number, Offer::FULL);
            let repr = peer.repr(&server.world, &seg(SYN, 0, 0), peer.syn_options(&server.world));
            peer.frame(&repr, &[])
        })
        .collect();
    server.give(0, &frames);
    assert_eq!(server.world.sent.len(), 64, "one answer each");
    let report = server.shards[0].0.report();
    // Three other shards to ask for each, 64 look-ups in a turn.
    assert_eq!((report.half_open, report.counters.syncookies_sent), (21, 43));
}

#[test]
fn s38_segments_of_connections_from_before_a_restart_are_reset() {
    let mut world = World::new();
    let (mut peer, _) = Peer::accepted(&mut world, 40_000, Offer::FULL);
    peer.send(&mut world, seg(PSH, 1, 1).data(b"before"));
    world.advance_ms(50);
    peer.drain(&mut world);
    // Nothing is left of the process: another secret, another clock, a listener at once.
    let mut again = World::seeded([7; 32]);
    peer.send(&mut again, seg(PSH, 7, 1).data(b"after"));
    let got = peer.next(&mut again);
    assert_eq!((got.flags, got.seq, got.payload.len()), (RST, 1, 0));
    peer.send(&mut again, seg(FIN, 12, 1));
    assert_eq!(peer.next(&mut again).flags, RST);
    assert_eq!(again.app.opened(), 0);
    Peer::connect(&mut again, 40_001, Offer::FULL);
    assert_eq!(again.app.opened(), 1);
}
