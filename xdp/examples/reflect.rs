//! A raw reflector: sends every frame of one queue back to where it came from, without a copy.
//!
//! `reflect INTERFACE ADDRESS [QUEUE] [--generic] [--seconds N]`, as root. ADDRESS becomes ours: all frames to it are
//! reflected with their MAC addresses, and for IPv4 also their IP addresses, exchanged. ARP is not answered: give the
//! peer a neighbour entry (`ip neigh add ADDRESS lladdr MAC dev PEER`).

use std::{
    env,
    error::Error,
    net::IpAddr,
    time::{Duration, Instant},
};

use bywash_xdp::{
    nic::Interface,
    program::{Mode, Program},
    socket::{Receiver, Socket, SocketConfig, Transmitter, TxChecksum},
};

const USAGE: &str = "usage: reflect INTERFACE ADDRESS [QUEUE] [--generic] [--seconds N]";

struct Arguments {
    interface: String,
    address: IpAddr,
    queue: u32,
    mode: Mode,
    duration: Option<Duration>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let Arguments { interface, address, queue, mode, duration } = arguments()?;
    let interface = Interface::by_name(&interface)?;
    let config = SocketConfig::new(interface.index(), queue);
    interface.check_mtu(&config)?;
    let mut program = Program::load()?;
    let attachment = program.attach(interface.name(), mode)?;
    println!("{}: {:?}", attachment.interface(), attachment.mode());
    let socket = Socket::open(&config)?;
    println!("queue {queue}: {:?}", socket.setup());
    program.own(address)?;
    program.add_socket(queue, &socket)?;
    println!("reflecting frames to {address}; {} is {}", interface.name(), interface.mac()?);

    let (mut receiver, mut transmitter) = socket.split();
    let start = Instant::now();
    while duration.is_none_or(|duration| start.elapsed() < duration) {
        turn(&mut receiver, &mut transmitter)?;
    }
    println!("program: {}", program.counters()?);
    println!("receive: {:?} {:?}", receiver.counters(), receiver.frames());
    println!("transmit: {:?} {:?}", transmitter.counters(), transmitter.frames());
    println!("kernel: {:?}", receiver.statistics()?);
    Ok(())
}

/// One burst; sleeps a little when there is none.
fn turn(receiver: &mut Receiver, transmitter: &mut Transmitter) -> Result<(), Box<dyn Error>> {
    transmitter.reclaim();
    let mut burst = receiver.receive(64);
    let is_idle = burst.is_empty();
    for index in 0..burst.len() {
        exchange_addresses(burst.bytes_mut(index));
        let length = burst.bytes(index).len();
        // A frame that finds no room is dropped and counted, as a switch would.
        let _dropped = transmitter.reflect(&mut burst, index, length, TxChecksum::Complete);
    }
    drop(burst);
    let flush = transmitter.flush();
    if is_idle && flush.remaining == 0 {
        receiver.wait(Some(Duration::from_millis(100)))?;
    }
    Ok(())
}

/// Exchanges source and destination; the Internet checksum does not mind their order.
fn exchange_addresses(frame: &mut [u8]) {
    let (destination, source) = frame[..12].split_at_mut(6);
    destination.swap_with_slice(source);
    if frame.len() >= 34 && frame[12..14] == [8, 0] {
        let (source, destination) = frame[26..34].split_at_mut(4);
        source.swap_with_slice(destination);
    }
}

fn arguments() -> Result<Arguments, Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let interface = arguments.next().ok_or(USAGE)?;
    let address = arguments.next().ok_or(USAGE)?.parse()?;
    let mut parsed = Arguments { interface, address, queue: 0, mode: Mode::Auto, duration: None };
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--generic" => parsed.mode = Mode::Generic,
            "--seconds" => {
                parsed.duration = Some(Duration::from_secs(arguments.next().ok_or(USAGE)?.parse()?));
            }
            queue => parsed.queue = queue.parse().map_err(|_| USAGE)?,
        }
    }
    Ok(parsed)
}
