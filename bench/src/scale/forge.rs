//! The clients' half of a handshake, written by hand.

use std::net::Ipv4Addr;

use anyhow::{Context, Result, ensure};
use bywash_core::wire::ethernet::{self, EthernetRepr};
use bywash_core::wire::ipv4::{self, Fragmentation, Ipv4Repr, Ipv4View};
use bywash_core::wire::tcp::{Flags, Options, SackPermitted, TcpRepr, TcpView, Timestamps, seal};
use bywash_core::wire::{EtherType, IpProtocol, MacAddress, Sum};

use crate::memory::Frames;

pub(super) const SERVER: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);
pub(super) const GATEWAY: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 2);
pub(super) const SERVER_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
pub(super) const CLIENT_MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];
pub(super) const PORT: u16 = 7;

/// The clients' first sequence number.
const ISS: u32 = 1000;

/// Writes the SYN of client `port` of the host with this number.
pub(super) fn syn(frames: &mut Frames, host: u32, port: u16) -> Result<()> {
    let options = Options {
        mss: Some(1460),
        window_scale: Some(7),
        sack_permitted: SackPermitted::Present,
        timestamps: Some(Timestamps { value: 1, echo: 0 }),
        ..Options::NONE
    };
    let source = Ipv4Addr::from_bits(Ipv4Addr::new(198, 19, 0, 1).to_bits() + host);
    let repr = segment(port, Flags::SYN, options);
    write(frames, source, &repr)
}

/// Writes the ACK that answers a SYN+ACK.
pub(super) fn ack(frames: &mut Frames, syn_ack: &[u8]) -> Result<()> {
    let packet = syn_ack.get(ethernet::HEADER_LEN..).context("a frame without a packet")?;
    let ip = Ipv4View::parse(packet)?;
    let answer = TcpRepr::of(&TcpView::parse(ip.payload())?);
    ensure!(answer.flags == Flags::SYN | Flags::ACK, "the server answers SYN with {:?}", answer.flags);
    let echo = answer.options.timestamps.context("the server leaves timestamps out")?.value;
    let options = Options { timestamps: Some(Timestamps { value: 1, echo }), ..Options::NONE };
    let repr = TcpRepr {
        seq: ISS + 1,
        ack: answer.seq.wrapping_add(1),
        ..segment(answer.destination_port, Flags::ACK, options)
    };
    write(frames, ip.destination(), &repr)
}

fn segment(source_port: u16, flags: Flags, options: Options) -> TcpRepr {
    TcpRepr {
        source_port,
        destination_port: PORT,
        seq: ISS,
        ack: 0,
        flags,
        window: 65_535,
        urgent: 0,
        options,
    }
}

fn write(frames: &mut Frames, source: Ipv4Addr, repr: &TcpRepr) -> Result<()> {
    let frame = frames.room().context("no room for another frame")?;
    let (source_mac, destination) = (MacAddress(CLIENT_MAC), MacAddress(SERVER_MAC));
    EthernetRepr { destination, source: source_mac, ether_type: EtherType::IPV4 }.emit(frame)?;
    let packet = &mut frame[ethernet::HEADER_LEN..];
    let segment_len = repr.emit(&mut packet[ipv4::HEADER_LEN..])?;
    let ip = Ipv4Repr {
        source,
        destination: SERVER,
        protocol: IpProtocol::TCP,
        payload_len: segment_len as u16,
        traffic_class: 0,
        ttl: 64,
        identification: 0,
        fragmentation: Fragmentation::Forbidden,
    };
    ip.emit(packet)?;
    let pseudo = Sum::pseudo_v4(source.octets(), SERVER.octets(), IpProtocol::TCP.0, segment_len as u16);
    let end = ipv4::HEADER_LEN + segment_len;
    seal(&mut packet[ipv4::HEADER_LEN..end], pseudo);
    frames.commit(ethernet::HEADER_LEN + end);
    Ok(())
}
