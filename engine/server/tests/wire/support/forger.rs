//! A peer that forges its segments: an `AF_XDP` socket on the client's end with an address that the kernel there does
//! not have. What it says and checks is the peer of the tests in virtual time; only the frames are real.

use std::thread;
use std::time;

use bywash_core::base::time::{Duration, Instant};
use bywash_core::wire::EtherType;
use bywash_core::wire::arp::{ArpRepr, Operation};
use bywash_core::wire::ethernet::{self, EthernetRepr, EthernetView};
use bywash_core::wire::tcp::Flags;
use bywash_xdp::lab::CLIENT_INTERFACE;
use bywash_xdp::program::Program;
use bywash_xdp::socket::{Receiver, Transmitter, TxChecksum};

use super::{PATIENCE, Wire, open};
use crate::harness::{Got, Offer, Peer, SYN, SYN_ACK, Seg, World, address, config, seg};

/// The forger's address.
const ADDRESS: &str = "198.18.0.9";

/// One forged peer.
pub(crate) struct Forger {
    pub(crate) peer: Peer,
    /// Holds what has come and what time it is; its engine is never asked.
    world: World,
    start: (time::Instant, Instant),
    receiver: Receiver,
    transmitter: Transmitter,
    _program: Program,
}

impl Forger {
    /// A peer at `port`, unconnected.
    pub(crate) fn new(wire: &Wire, port: u16, offer: Offer) -> Self {
        let (socket, program, _) = wire.client(|| open(CLIENT_INTERFACE, &[ADDRESS]));
        let (receiver, transmitter) = socket.split();
        let world = World::quiet(config(), 1500);
        let mut peer = Peer::new(&world, port, offer);
        peer.tuple.local = address(ADDRESS);
        let start = (time::Instant::now(), world.now);
        Self { peer, world, start, receiver, transmitter, _program: program }
    }

    /// The same link, another port of the peer's.
    pub(crate) fn turn_to(&mut self, port: u16) {
        let offer = self.peer.offer;
        self.peer = Peer::new(&self.world, port, offer);
        self.peer.tuple.local = address(ADDRESS);
    }

    /// Sends a segment.
    pub(crate) fn send(&mut self, segment: &Seg) {
        self.tick();
        let frame = self.peer.forge(&self.world, segment);
        self.transmit(&frame);
    }

    /// Sends the SYN.
    pub(crate) fn syn(&mut self) {
        self.tick();
        let options = self.peer.syn_options(&self.world);
        let repr = self.peer.repr(&self.world, &seg(SYN, 0, 0), options);
        let frame = self.peer.frame(&repr, &[]);
        self.transmit(&frame);
    }

    /// The handshake.
    #[track_caller]
    pub(crate) fn open(&mut self) -> Got {
        self.syn();
        let got = self.expect(SYN_ACK, 0, 1, 0);
        self.send(&seg(crate::harness::ACK, 1, 1));
        got
    }

    /// The next segment has these flags, numbers and length.
    #[track_caller]
    pub(crate) fn expect(&mut self, flags: Flags, seq: u32, ack: u32, len: usize) -> Got {
        self.wait_for_one();
        self.peer.expect(&mut self.world, flags, seq, ack, len)
    }

    /// The next segment, whatever it is.
    #[track_caller]
    pub(crate) fn next(&mut self) -> Got {
        self.wait_for_one();
        self.peer.next(&mut self.world)
    }

    /// All that comes within `span`.
    #[track_caller]
    pub(crate) fn listen(&mut self, span: time::Duration) -> Vec<Got> {
        let end = time::Instant::now() + span;
        while time::Instant::now() < end {
            self.receive();
            thread::sleep(time::Duration::from_micros(200));
        }
        self.peer.drain(&mut self.world)
    }

    /// Drops what has come.
    pub(crate) fn forget(&mut self) {
        self.receive();
        self.world.sent.clear();
    }

    /// Nothing comes for `span`.
    #[track_caller]
    pub(crate) fn expect_silence(&mut self, span: time::Duration) {
        let got = self.listen(span);
        assert!(got.is_empty(), "sent though nothing was due: {got:?}");
    }

    #[track_caller]
    fn wait_for_one(&mut self) {
        let end = time::Instant::now() + PATIENCE;
        while self.world.sent.is_empty() {
            assert!(time::Instant::now() < end, "nothing came within {PATIENCE:?}");
            self.receive();
            thread::sleep(time::Duration::from_micros(100));
        }
    }

    fn tick(&mut self) {
        let passed = self.start.0.elapsed().as_nanos() as u64;
        self.world.now = self.start.1 + Duration::from_nanos(passed);
    }

    /// Takes what is there; requests for our MAC address are answered.
    fn receive(&mut self) {
        self.tick();
        self.transmitter.reclaim();
        let burst = self.receiver.receive(64);
        let frames: Vec<Vec<u8>> = (0..burst.len()).map(|i| burst.bytes(i).to_vec()).collect();
        drop(burst);
        for frame in frames {
            match EthernetView::parse(&frame).expect("a frame").ether_type() {
                EtherType::ARP => self.answer(&frame),
                _ => self.world.sent.push_back((self.world.now, frame)),
            }
        }
    }

    fn answer(&mut self, frame: &[u8]) {
        let view = EthernetView::parse(frame).expect("a frame");
        let request = ArpRepr::parse(view.payload()).expect("ARP");
        let own = ADDRESS.parse().expect("an address");
        if request.operation != Operation::Request || request.target_protocol != own {
            return;
        }
        let reply = ArpRepr {
            operation: Operation::Reply,
            sender_hardware: self.peer.mac,
            sender_protocol: own,
            target_hardware: request.sender_hardware,
            target_protocol: request.sender_protocol,
        };
        let mut out = vec![0; 64];
        let link = EthernetRepr {
            source: self.peer.mac,
            destination: request.sender_hardware,
            ether_type: EtherType::ARP,
        };
        let start = link.emit(&mut out).expect("room");
        debug_assert_eq!(start, ethernet::HEADER_LEN);
        reply.emit(&mut out[start..]).expect("room");
        self.transmit(&out);
    }

    fn transmit(&mut self, frame: &[u8]) {
        let mut room = self.transmitter.reserve().expect("a frame is free");
        room[..frame.len()].copy_from_slice(frame);
        room.commit(frame.len(), TxChecksum::Complete);
        // What stays in the ring leaves with the next one.
        let _ = self.transmitter.flush();
    }
}
