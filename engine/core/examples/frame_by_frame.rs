//! One stack driven with frames made by hand: what it answers to a SYN, to an ACK with data, to a FIN. Layer 3, so that
//! a frame is an IP packet.
//!
//! `cargo run -p bywash-core --example frame_by_frame`

use std::error::Error;
use std::net::Ipv4Addr;

use bywash_core::base::time::{Duration, Instant};
use bywash_core::endpoint::{Endpoint, Event, Link};
use bywash_core::port::Medium;
use bywash_core::stack::{ListenOptions, LocalAddress, Ownership, StackConfig};
use bywash_core::wire::ipv4::{Fragmentation, Ipv4Repr};
use bywash_core::wire::tcp::{self, Flags, Options, TcpRepr, TcpView};
use bywash_core::wire::{Cidr, IpProtocol, Sum, classify};

const OURS: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);
const PEER: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 2);

fn main() -> Result<(), Box<dyn Error>> {
    let mut now = Instant::from_secs(1);
    let cidr = Cidr::new(std::net::IpAddr::from(OURS).into(), 24).ok_or("a prefix length")?;
    let addresses = vec![LocalAddress { cidr, ownership: Ownership::Owned }];
    let config = StackConfig { addresses, connections_max: 16, ..StackConfig::default() };
    let mut stack = Endpoint::new(config, Link::ip(1500), [42; 32], now)?;
    let listener = stack.listen(ListenOptions { port: 80, backlog: 4, ..ListenOptions::default() })?;

    // The handshake, with nothing but an MSS offered.
    let mss = Options { mss: Some(1000), ..Options::NONE };
    stack.handle_frame(now, &packet(Flags::SYN, 100, 0, mss, b""));
    let syn_ack = answer(&mut stack, now).ok_or("a SYN is answered")?;
    assert_eq!((syn_ack.flags, syn_ack.ack), (Flags::SYN | Flags::ACK, 101));
    let theirs = syn_ack.seq + 1;
    stack.handle_frame(now, &packet(Flags::ACK, 101, theirs, Options::NONE, b""));
    assert_eq!(stack.poll_event(), Some(Event::Acceptable(listener)));
    let socket = stack.accept(listener).ok_or("a connection waits")?;

    // Five octets: the ACK comes after the delay, and the window shows what was not read.
    stack.handle_frame(now, &packet(Flags::ACK | Flags::PSH, 101, theirs, Options::NONE, b"hello"));
    assert_eq!((stack.poll_event(), stack.unread(socket)), (Some(Event::Readable(socket)), 5));
    assert!(answer(&mut stack, now).is_none());
    now += Duration::from_millis(41);
    stack.advance(now);
    let ack = answer(&mut stack, now).ok_or("an ACK is due")?;
    assert_eq!(ack.ack, 106);

    // An answer that is never acknowledged comes again. A deadline may be an early look, at which nothing happens yet.
    stack.write(socket, b"bye")?;
    let first = answer(&mut stack, now).ok_or("what is written leaves")?;
    let again = loop {
        now = stack.deadline().ok_or("it is timed")?;
        stack.advance(now);
        if let Some(again) = answer(&mut stack, now) {
            break again;
        }
    };
    assert_eq!((again.seq, again.len), (first.seq, 3));

    // RST, because five octets were never read.
    stack.close(socket);
    let rst = answer(&mut stack, now).ok_or("a close is told")?;
    assert!(rst.flags.contains(Flags::RST));
    Ok(())
}

/// What matters of a segment.
struct Answer {
    flags: Flags,
    seq: u32,
    ack: u32,
    len: usize,
}

/// The next packet that the stack sends, printed.
fn answer(stack: &mut Endpoint, now: Instant) -> Option<Answer> {
    let frame = stack.poll_frame()?;
    let packet = classify(frame, Medium::Ip).ok()?;
    let tcp = TcpView::parse(packet.transport(frame)).ok()?;
    let answer = Answer { flags: tcp.flags(), seq: tcp.seq(), ack: tcp.ack(), len: tcp.payload().len() };
    let ms = now.since(Instant::from_secs(1)).as_millis();
    println!("{ms:>5} ms  {:?} seq {} ack {} {} octets", answer.flags, answer.seq, answer.ack, answer.len);
    Some(answer)
}

/// An IPv4 packet from the peer's port 40000 to our port 80, checksums right.
fn packet(flags: Flags, seq: u32, ack: u32, options: Options, payload: &[u8]) -> Vec<u8> {
    println!("          the peer sends {flags:?} seq {seq} ack {ack} {} octets", payload.len());
    let repr = TcpRepr {
        source_port: 40_000,
        destination_port: 80,
        seq,
        ack,
        flags,
        window: 65_535,
        urgent: 0,
        options,
    };
    let mut segment = vec![0; repr.header_len() + payload.len()];
    let header_len = repr.emit(&mut segment).expect("room for the header");
    segment[header_len..].copy_from_slice(payload);
    let (from, to) = (PEER.octets(), OURS.octets());
    let pseudo = Sum::pseudo_v4(from, to, IpProtocol::TCP.0, segment.len() as u16);
    tcp::seal(&mut segment[..header_len], pseudo.add(Sum::of(payload)));
    let ip = Ipv4Repr {
        source: PEER,
        destination: OURS,
        protocol: IpProtocol::TCP,
        payload_len: segment.len() as u16,
        traffic_class: 0,
        ttl: 64,
        identification: 1,
        fragmentation: Fragmentation::Forbidden,
    };
    let mut packet = vec![0; 20];
    ip.emit(&mut packet).expect("room for the header");
    packet.extend_from_slice(&segment);
    packet
}
