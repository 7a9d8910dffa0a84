//! The other end of one connection: forges segments and reads what comes back, both by relative numbers.

use bywash_core::base::time::Instant;
use bywash_core::shard::ConnectionId;
use bywash_core::wire::tcp::{Flags, Options, SackBlock, SackPermitted, TcpRepr, Timestamps};
use bywash_core::wire::{MacAddress, Tuple};

use super::segment::{Got, Seg, forge, read, seg};
use super::world::{LOCAL, LOCAL_V6, OWN_MAC, PEER, PEER_MAC, PEER_V6, PORT, World, address};
use super::{ACK, SYN, SYN_ACK};

/// What the peer's SYN offers.
#[derive(Clone, Copy, Debug)]
pub struct Offer {
    pub mss: Option<u16>,
    pub scale: Option<u8>,
    pub sack: SackPermitted,
    /// Whether timestamps are sent, from this clock on.
    pub clock: Option<u32>,
}

impl Offer {
    /// MSS alone.
    pub const PLAIN: Self = Self { mss: Some(1460), scale: None, sack: SackPermitted::Absent, clock: None };
    /// MSS and SACK.
    pub const SACK: Self = Self { sack: SackPermitted::Present, ..Self::PLAIN };
    /// Everything, as Linux does.
    pub const FULL: Self = Self { scale: Some(7), clock: Some(5_000), ..Self::SACK };
}

/// One connection's far end.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    /// Seen from the peer.
    pub tuple: Tuple,
    pub mac: MacAddress,
    pub offer: Offer,
    /// The peer's initial sequence number.
    pub iss: u32,
    /// The engine's.
    pub irs: u32,
    /// The window field of what it sends.
    pub window: u16,
    /// The engine's last timestamp.
    pub echo: u32,
    /// When its clock started.
    epoch: Instant,
}

impl Peer {
    /// A peer at `port` with `offer`, unconnected.
    pub fn new(world: &World, port: u16, offer: Offer) -> Self {
        let tuple =
            Tuple { local: address(PEER), remote: address(LOCAL), local_port: port, remote_port: PORT };
        Self {
            tuple,
            mac: PEER_MAC,
            offer,
            iss: 0x7fff_ff00 ^ (u32::from(port) << 8),
            irs: 0,
            window: 65_535,
            echo: 0,
            epoch: world.now,
        }
    }

    /// The same over IPv6.
    pub fn v6(world: &World, port: u16, offer: Offer) -> Self {
        let mut peer = Self::new(world, port, offer);
        (peer.tuple.local, peer.tuple.remote) = (address(PEER_V6), address(LOCAL_V6));
        peer
    }

    /// Connects: the handshake is checked, and nothing is left unread.
    #[track_caller]
    pub fn connect(world: &mut World, port: u16, offer: Offer) -> Self {
        let mut peer = Self::new(world, port, offer);
        peer.open(world);
        peer
    }

    /// The handshake, begun by the peer.
    #[track_caller]
    pub fn open(&mut self, world: &mut World) -> Got {
        self.syn(world);
        let syn_ack = self.expect(world, SYN_ACK, 0, 1, 0);
        self.send(world, seg(ACK, 1, 1));
        syn_ack
    }

    /// Connects and says which connection that is.
    #[track_caller]
    pub fn accepted(world: &mut World, port: u16, offer: Offer) -> (Self, ConnectionId) {
        let peer = Self::connect(world, port, offer);
        world.expect_silence();
        (peer, world.app.last())
    }

    /// Connects with the first segment's payload length of `mss` and this window.
    #[track_caller]
    pub fn with_window(world: &mut World, window: u16, offer: Offer) -> (Self, ConnectionId) {
        let mut peer = Self::new(world, 40_000, offer);
        peer.window = window;
        peer.open(world);
        (peer, world.app.last())
    }

    /// Sends the SYN.
    pub fn syn(&self, world: &mut World) {
        let repr = self.repr(world, &seg(SYN, 0, 0), self.syn_options(world));
        world.give(&self.frame(&repr, &[]));
    }

    /// The options of its SYN or SYN+ACK.
    pub fn syn_options(&self, world: &World) -> Options {
        Options {
            mss: self.offer.mss,
            window_scale: self.offer.scale,
            sack_permitted: self.offer.sack,
            timestamps: self.timestamps(world, None),
            ..Options::NONE
        }
    }

    /// The clock of its timestamps: milliseconds.
    pub fn clock(&self, world: &World) -> u32 {
        let passed = world.now.since(self.epoch).as_millis() as u32;
        self.offer.clock.unwrap_or(0).wrapping_add(passed)
    }

    fn timestamps(&self, world: &World, clock: Option<u32>) -> Option<Timestamps> {
        self.offer.clock?;
        Some(Timestamps { value: clock.unwrap_or_else(|| self.clock(world)), echo: self.echo })
    }

    /// Sends a segment.
    #[expect(clippy::needless_pass_by_value, reason = "segments are built where they are sent")]
    pub fn send(&self, world: &mut World, segment: Seg) {
        let frame = self.forge(world, &segment);
        world.give(&frame);
    }

    /// Builds a segment's frame.
    pub fn forge(&self, world: &World, segment: &Seg) -> Vec<u8> {
        let mut options = Options::NONE;
        if !segment.bare && !segment.flags.contains(SYN) {
            options.timestamps = self.timestamps(world, segment.clock);
        }
        for (left, right) in &segment.sack {
            let block =
                SackBlock { left: self.irs.wrapping_add(*left), right: self.irs.wrapping_add(*right) };
            options.sack.push(block).expect("room for SACK");
        }
        let repr = self.repr(world, segment, options);
        self.frame(&repr, &segment.payload)
    }

    /// The header of a segment with these options.
    pub fn repr(&self, _world: &World, segment: &Seg, options: Options) -> TcpRepr {
        let has_ack = segment.flags.contains(ACK);
        TcpRepr {
            source_port: self.tuple.local_port,
            destination_port: self.tuple.remote_port,
            seq: self.iss.wrapping_add(segment.seq),
            ack: if has_ack { self.irs.wrapping_add(segment.ack) } else { 0 },
            flags: segment.flags,
            window: segment.window.unwrap_or(self.window),
            urgent: 0,
            options,
        }
    }

    /// Headers and payload in a frame.
    pub fn frame(&self, repr: &TcpRepr, payload: &[u8]) -> Vec<u8> {
        forge((self.mac, OWN_MAC), &self.tuple, repr, payload)
    }

    /// The next frame that the engine has sent: a TCP segment for this peer.
    #[track_caller]
    pub fn next(&mut self, world: &mut World) -> Got {
        self.poll(world).expect("a segment was due")
    }

    /// The next frame, if there is one.
    #[track_caller]
    pub fn poll(&mut self, world: &mut World) -> Option<Got> {
        let (at, frame) = world.sent.pop_front()?;
        assert_eq!(&frame[..6], &self.mac.0, "sent to the peer's MAC");
        assert_eq!(&frame[6..12], &OWN_MAC.0, "sent from our MAC");
        let (tuple, mut got) = read(at, &frame).expect("a TCP segment");
        assert_eq!(tuple, self.tuple, "for this connection");
        if got.flags.contains(SYN) {
            self.irs = got.seq;
        }
        got.seq = got.seq.wrapping_sub(self.irs);
        if got.flags.contains(ACK) {
            got.ack = got.ack.wrapping_sub(self.iss);
        }
        if let Some(timestamps) = got.options.timestamps {
            self.echo = timestamps.value;
        }
        Some(got)
    }

    /// The next segment has these flags and numbers and `len` octets of payload.
    #[track_caller]
    pub fn expect(&mut self, world: &mut World, flags: Flags, seq: u32, ack: u32, len: usize) -> Got {
        let got = self.next(world);
        let found = (got.flags, got.seq, got.ack, got.payload.len());
        assert_eq!(found, (flags, seq, ack, len), "flags, seq, ack, length");
        // c039: whoever agreed on timestamps sends them in all segments but RST.
        if !flags.contains(Flags::RST) && !flags.contains(SYN) && self.offer.clock.is_some() {
            assert!(got.options.timestamps.is_some(), "timestamps are missing");
        }
        got
    }

    /// The last of all segments sent, and how many there were.
    #[track_caller]
    pub fn drain(&mut self, world: &mut World) -> Vec<Got> {
        std::iter::from_fn(|| self.poll(world)).collect()
    }
}
