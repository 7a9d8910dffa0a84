//! One end of a raw link: a program, a socket, and frames forwarded without a look.

use std::net::{IpAddr, Ipv4Addr};

use anyhow::Result;
use bywash_xdp::nic::Interface;
use bywash_xdp::program::{Mode, Program};
use bywash_xdp::socket::{CopyMode, Receiver, Socket, SocketConfig, Transmitter, TxChecksum};

use super::BURST;

/// Where an end stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) interface: &'static str,
    /// Frames to this address are ours.
    pub(super) address: Ipv4Addr,
}

/// Whether the kernel copies frames between the device and our memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Copying {
    No,
    Yes,
}

/// A socket on queue 0, with the program that feeds it.
pub(super) struct End {
    receiver: Receiver,
    transmitter: Transmitter,
    copying: Copying,
    /// Detaches when dropped.
    _program: Program,
}

impl End {
    /// Attaches to an interface of the calling thread's namespace.
    pub(super) fn open(place: &Place) -> Result<Self> {
        let interface = Interface::by_name(place.interface)?;
        let mut program = Program::load()?;
        program.attach(interface.name(), Mode::Native)?;
        let socket = Socket::open(&SocketConfig::new(interface.index(), 0))?;
        let copying = match &socket.setup().copy_mode {
            CopyMode::ZeroCopy => Copying::No,
            CopyMode::Copy { .. } => Copying::Yes,
        };
        program.own(IpAddr::V4(place.address))?;
        program.add_socket(0, &socket)?;
        let (receiver, transmitter) = socket.split();
        Ok(Self { receiver, transmitter, copying, _program: program })
    }

    /// How it was attached and bound.
    pub(super) fn describe(&self) -> &'static str {
        match self.copying {
            Copying::No => "native mode, zero-copy",
            Copying::Yes => "native mode, copy",
        }
    }

    /// Takes a burst and drops it; answers how many frames there were.
    pub(super) fn sink(&mut self) -> u64 {
        self.receiver.receive(BURST).len() as u64
    }

    /// Takes a burst and sends it back.
    pub(super) fn reflect(&mut self) -> u64 {
        self.transmitter.reclaim();
        let mut burst = self.receiver.receive(BURST);
        let count = burst.len();
        for index in 0..count {
            exchange_addresses(burst.bytes_mut(index));
            let length = burst.bytes(index).len();
            // A frame that finds no room is lost, as on a switch; the client counts only what returns.
            let _lost = self.transmitter.reflect(&mut burst, index, length, TxChecksum::Complete);
        }
        drop(burst);
        self.flush();
        count as u64
    }

    /// Sends `count` copies of `frame`, or as many as there is room for; answers how many.
    pub(super) fn send(&mut self, frame: &[u8], count: usize) -> u64 {
        self.transmitter.reclaim();
        let mut sent = 0;
        while sent < count {
            let Some(mut reservation) = self.transmitter.reserve() else { break };
            reservation[..frame.len()].copy_from_slice(frame);
            reservation.commit(frame.len(), TxChecksum::Complete);
            sent += 1;
        }
        self.flush();
        sent as u64
    }

    fn flush(&mut self) {
        // What remains goes with the next flush: both ends call it all the time.
        let _flush = self.transmitter.flush();
    }
}

/// Exchanges source and destination of Ethernet and IPv4; the checksum does not mind their order.
fn exchange_addresses(frame: &mut [u8]) {
    if let Some((destination, source)) = frame.get_mut(..12).map(|both| both.split_at_mut(6)) {
        destination.swap_with_slice(source);
    }
    if let Some((source, destination)) = frame.get_mut(26..34).map(|both| both.split_at_mut(4)) {
        source.swap_with_slice(destination);
    }
}
