//! Two stacks on a wire in memory: one asks, the other answers, both close. Virtual time; every frame is printed.
//!
//! `cargo run -p bywash-core --example two_stacks`

use std::error::Error;
use std::net::IpAddr;

use bywash_core::base::time::{Duration, Instant};
use bywash_core::endpoint::{Endpoint, Event, How, Link, ReadError};
use bywash_core::port::Medium;
use bywash_core::stack::{ListenOptions, LocalAddress, Ownership, StackConfig};
use bywash_core::wire::tcp::TcpView;
use bywash_core::wire::{Cidr, Kind, MacAddress, classify};

/// How long a frame takes from one host to the other.
const DELAY: Duration = Duration::from_millis(10);

fn main() -> Result<(), Box<dyn Error>> {
    let mut now = Instant::from_secs(1);
    let mut client = host("198.18.0.1", MacAddress([2, 0, 0, 0, 0, 1]), now)?;
    let mut server = host("198.18.0.2", MacAddress([2, 0, 0, 0, 0, 2]), now)?;
    let listener = server.listen(ListenOptions { port: 7, backlog: 8, ..ListenOptions::default() })?;
    let calling = client.connect("198.18.0.2:7".parse()?, None)?;
    client.write(calling, b"how deep is the water?")?;
    let mut called = None;
    let mut is_over = false;
    while !is_over {
        // One way, then the other, each with its delay.
        carry(&mut now, "client", &mut client, &mut server);
        while let Some(event) = server.poll_event() {
            println!("{:>9} server: {event:?}", at(now));
            match event {
                Event::Acceptable(_) => called = server.accept(listener),
                Event::Readable(socket) => {
                    let mut question = [0; 64];
                    let len = server.read(socket, &mut question)?;
                    println!("{:>9} server reads {:?}", at(now), String::from_utf8_lossy(&question[..len]));
                    server.write(socket, b"seven fathoms")?;
                }
                Event::EndOfStream(socket) => server.close(socket),
                Event::Connected(_) | Event::Writable(_) | Event::Lingered { .. } | Event::Closed { .. } => {}
            }
        }
        carry(&mut now, "server", &mut server, &mut client);
        while let Some(event) = client.poll_event() {
            println!("{:>9} client: {event:?}", at(now));
            match event {
                Event::Readable(socket) => {
                    let mut answer = [0; 64];
                    let len = client.read(socket, &mut answer)?;
                    println!("{:>9} client reads {:?}", at(now), String::from_utf8_lossy(&answer[..len]));
                    client.shutdown(socket, How::Write);
                }
                Event::EndOfStream(socket) => {
                    assert_eq!(client.read(socket, &mut [0; 1]), Err(ReadError::EndOfStream));
                }
                Event::Closed { socket, .. } => {
                    client.close(socket);
                    is_over = true;
                }
                Event::Connected(_) | Event::Writable(_) | Event::Lingered { .. } | Event::Acceptable(_) => {}
            }
        }
    }
    assert!(called.is_some());
    println!("{:>9} connections in TIME_WAIT at the client: {}", at(now), client.report().time_wait);
    Ok(())
}

fn host(address: &str, mac: MacAddress, now: Instant) -> Result<Endpoint, Box<dyn Error>> {
    let address: IpAddr = address.parse()?;
    let cidr = Cidr::new(address.into(), 24).ok_or("a prefix length")?;
    let addresses = vec![LocalAddress { cidr, ownership: Ownership::Owned }];
    let config = StackConfig { addresses, connections_max: 64, ..StackConfig::default() };
    // Fixed, so that every run prints the same; random and secret anywhere else.
    Ok(Endpoint::new(config, Link::ethernet(mac, 1500), [42; 32], now)?)
}

/// Carries all that `from` has to send; time passes up to the arrival, or to the next deadline when nothing is sent.
fn carry(now: &mut Instant, name: &str, from: &mut Endpoint, to: &mut Endpoint) {
    let mut frames = Vec::new();
    while let Some(frame) = from.poll_frame() {
        println!("{:>9} {name} sends {}", at(*now), describe(frame));
        frames.push(frame.to_vec());
    }
    *now += DELAY;
    from.advance(*now);
    to.handle_frames(*now, frames.iter().map(Vec::as_slice));
}

fn describe(frame: &[u8]) -> String {
    let Ok(packet) = classify(frame, Medium::Ethernet) else { return "something strange".into() };
    match packet.kind {
        Kind::Tcp(_) => match TcpView::parse(packet.transport(frame)) {
            Ok(tcp) => format!(
                "TCP {:?} seq {} ack {} window {}, {} octets",
                tcp.flags(),
                tcp.seq(),
                tcp.ack(),
                tcp.window(),
                tcp.payload().len()
            ),
            Err(error) => error.to_string(),
        },
        _ => format!("{} octets of something else (ARP, most likely)", frame.len()),
    }
}

fn at(now: Instant) -> String {
    format!("{} ms", now.since(Instant::from_secs(1)).as_millis())
}
