//! Which queues are served, and their sockets.

use bywash_xdp::nic::Interface;
use bywash_xdp::program::Program;
use bywash_xdp::socket::{self, ChecksumOffload, CopyMode, RingSizes, Setup, Socket, SocketConfig};
use bywash_xdp::umem::FrameSize;

use crate::config::{Config, Queues, ZeroCopy};
use crate::error::Error;

/// A queue and its socket.
pub(super) struct Opened {
    pub(super) queue: u32,
    pub(super) socket: Socket,
}

/// The queues to serve; all that the interface spreads frames to must be among them.
pub(super) fn choose(config: &Config, interface: &Interface) -> Result<Vec<u32>, Error> {
    let queues = interface.queues()?.receive;
    let chosen: Vec<u32> = match &config.queues {
        Queues::All => (0..queues).collect(),
        Queues::Count(count) => {
            // Names the queue that does not exist, or those that nobody would serve.
            interface.check_served(*count)?;
            (0..*count).collect()
        }
        Queues::List(list) => list.clone(),
    };
    if let Some(queue) = chosen.iter().copied().find(|queue| *queue >= queues) {
        let interface = interface.name().to_owned();
        return Err(bywash_xdp::Error::QueueOutOfRange { interface, queue, queues }.into());
    }
    let spread = interface.spread()?;
    if let Some(queue) = (0..spread).find(|queue| !chosen.contains(queue)) {
        interface.check_served(chosen.len() as u32)?;
        // As many as there are, but not the right ones.
        return Err(Error::QueueUnserved { interface: interface.name().to_owned(), queue, spread });
    }
    Ok(chosen)
}

/// Opens a socket on each queue and tells the program.
pub(super) fn open(
    config: &Config,
    interface: &Interface,
    queues: &[u32],
    program: &mut Program,
) -> Result<Vec<Opened>, Error> {
    let mut settings = settings(config, interface.index());
    if interface.mtu()? > settings.mtu_max() {
        settings.frame_size = FrameSize::Four;
    }
    interface.check_mtu(&settings)?;
    queues
        .iter()
        .map(|queue| {
            settings.queue = *queue;
            let socket = Socket::open(&settings)?;
            program.add_socket(*queue, &socket)?;
            Ok(Opened { queue: *queue, socket })
        })
        .collect()
}

fn settings(config: &Config, interface: u32) -> SocketConfig {
    let frames = config.frames;
    SocketConfig {
        // Twice the frames: the kernel publishes a received frame before it frees the fill entry.
        rings: RingSizes { fill: frames * 2, rx: frames, tx: frames, completion: frames },
        rx_frames: frames,
        tx_frames: frames,
        zero_copy: match config.zero_copy {
            ZeroCopy::Auto => socket::ZeroCopy::Preferred,
            ZeroCopy::Require => socket::ZeroCopy::Required,
            ZeroCopy::Off => socket::ZeroCopy::Never,
        },
        ..SocketConfig::new(interface, 0)
    }
}

/// How frames move and who computes checksums; what could be better goes to `reasons`.
pub(super) fn describe(opened: &[Opened], reasons: &mut Vec<String>) -> String {
    // The queues of one interface have one driver: the first speaks for all.
    let Some(first) = opened.first() else { return String::new() };
    let Setup { copy_mode, checksum, .. } = first.socket.setup();
    let copy = match copy_mode {
        CopyMode::ZeroCopy => "zero-copy",
        CopyMode::Copy { why_not_zero_copy } => {
            let why =
                why_not_zero_copy.as_ref().map(|error| format!("no zero-copy: the driver says {error}"));
            reasons.extend(why);
            "copy"
        }
    };
    let checksum = match checksum {
        ChecksumOffload::Device => "checksums offloaded",
        ChecksumOffload::Software => "checksums in software",
    };
    format!("{copy}, {checksum}")
}
