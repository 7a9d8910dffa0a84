//! Clients of which only the frames exist, written by hand: however many there are, they take no memory.

use std::net::Ipv4Addr;

use anyhow::{Context, Result, ensure};
use bywash_core::wire::ethernet::{self, EthernetRepr};
use bywash_core::wire::ipv4::{self, Fragmentation, Ipv4Repr, Ipv4View};
use bywash_core::wire::tcp::{Flags, Options, SackPermitted, TcpRepr, TcpView, Timestamps, seal};
use bywash_core::wire::{EtherType, IpProtocol, MacAddress, Sum};

use crate::ends::{CLIENT, PORT, SERVER};
use crate::memory::Frames;

/// The clients' first sequence number.
pub const ISS: u32 = 1000;
/// The first client's address; all of them are behind the gateway [`CLIENT`].
const FIRST: Ipv4Addr = Ipv4Addr::new(198, 19, 0, 1);
/// Clients of one address: all ports from 1024 on.
const PORTS: u32 = 64_512;

/// One forged client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its address.
    pub address: Ipv4Addr,
    /// Its port.
    pub port: u16,
}

impl Peer {
    /// Client `number`, from 0.
    pub fn numbered(number: u32) -> Self {
        let address = Ipv4Addr::from_bits(FIRST.to_bits() + number / PORTS);
        Self { address, port: (1024 + number % PORTS) as u16 }
    }

    /// The number of the client to which the server has sent this packet.
    fn number(self) -> u32 {
        (self.address.to_bits() - FIRST.to_bits()) * PORTS + u32::from(self.port) - 1024
    }

    /// Writes the SYN of this client.
    ///
    /// # Errors
    /// When `frames` is full.
    pub fn syn(self, frames: &mut Frames) -> Result<()> {
        let options = Options {
            mss: Some(1460),
            window_scale: Some(7),
            sack_permitted: SackPermitted::Present,
            timestamps: Some(Timestamps { value: 1, echo: 0 }),
            ..Options::NONE
        };
        self.write(frames, &Part { seq: ISS, ack: 0, flags: Flags::SYN, echo: 0, payload: &[] }, options)
    }

    /// Writes one segment of an open connection of this client.
    ///
    /// # Errors
    /// When `frames` is full.
    pub fn send(self, frames: &mut Frames, part: &Part<'_>) -> Result<()> {
        let timestamps = Some(Timestamps { value: 1, echo: part.echo });
        self.write(frames, part, Options { timestamps, ..Options::NONE })
    }

    fn write(self, frames: &mut Frames, part: &Part<'_>, options: Options) -> Result<()> {
        let repr = TcpRepr {
            source_port: self.port,
            destination_port: PORT,
            seq: part.seq,
            ack: part.ack,
            flags: part.flags,
            window: 65_535,
            urgent: 0,
            options,
        };
        let frame = frames.room().context("no room for another frame")?;
        let mac = |address: [u8; 4]| MacAddress([2, 0, 0, 0, 0, address[3]]);
        EthernetRepr { destination: mac(SERVER), source: mac(CLIENT), ether_type: EtherType::IPV4 }
            .emit(frame)?;
        let packet = &mut frame[ethernet::HEADER_LEN..];
        let header_len = repr.emit(&mut packet[ipv4::HEADER_LEN..])?;
        let segment_len = header_len + part.payload.len();
        let ip = Ipv4Repr {
            source: self.address,
            destination: SERVER.into(),
            protocol: IpProtocol::TCP,
            payload_len: segment_len as u16,
            traffic_class: 0,
            ttl: 64,
            identification: 0,
            fragmentation: Fragmentation::Forbidden,
        };
        ip.emit(packet)?;
        let segment = &mut packet[ipv4::HEADER_LEN..ipv4::HEADER_LEN + segment_len];
        segment[header_len..].copy_from_slice(part.payload);
        let pseudo = Sum::pseudo_v4(self.address.octets(), SERVER, IpProtocol::TCP.0, segment_len as u16);
        seal(segment, pseudo);
        frames.commit(ethernet::HEADER_LEN + ipv4::HEADER_LEN + segment_len);
        Ok(())
    }
}

/// What a segment of an open connection says.
#[derive(Clone, Copy, Debug)]
pub struct Part<'a> {
    /// SEG.SEQ.
    pub seq: u32,
    /// SEG.ACK.
    pub ack: u32,
    /// ACK, and perhaps more.
    pub flags: Flags,
    /// The server's timestamp that is echoed.
    pub echo: u32,
    /// The payload.
    pub payload: &'a [u8],
}

/// A segment that the server has sent.
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    /// To which client.
    pub peer: Peer,
    /// The client's number.
    pub number: u32,
    /// SEG.SEQ.
    pub seq: u32,
    /// Its control bits.
    pub flags: Flags,
    /// Its timestamp.
    pub timestamp: u32,
}

impl Answer {
    /// Reads a frame of the server.
    ///
    /// # Errors
    /// When it is not a TCP segment with a timestamp.
    pub fn read(frame: &[u8]) -> Result<Self> {
        let packet = frame.get(ethernet::HEADER_LEN..).context("a frame without a packet")?;
        let ip = Ipv4View::parse(packet)?;
        let repr = TcpRepr::of(&TcpView::parse(ip.payload())?);
        let peer = Peer { address: ip.destination(), port: repr.destination_port };
        let timestamp = repr.options.timestamps.context("the server leaves timestamps out")?.value;
        Ok(Self { peer, number: peer.number(), seq: repr.seq, flags: repr.flags, timestamp })
    }

    /// Writes the ACK of the SYN or FIN that this is.
    ///
    /// # Errors
    /// When it is something else, or `frames` is full.
    pub fn acknowledge(&self, frames: &mut Frames, own_seq: u32) -> Result<()> {
        let is_due = self.flags.intersects(Flags::SYN | Flags::FIN);
        ensure!(is_due, "the server answers with {:?}", self.flags);
        let part = Part {
            seq: own_seq,
            ack: self.seq.wrapping_add(1),
            flags: Flags::ACK,
            echo: self.timestamp,
            payload: &[],
        };
        self.peer.send(frames, &part)
    }
}
