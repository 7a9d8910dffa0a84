//! What the device path itself allows: raw `AF_XDP` between the ends of a lab, no TCP on either side.
//!
//! The server's end runs on core 0, the client's on core 1, both spinning, one queue, native mode. Every figure of the
//! whole stack can be given as a fraction of these.

mod client;
mod end;

use std::num::NonZeroU16;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use bywash_xdp::lab::{CLIENT_INTERFACE, CLIENT_IPV4, Lab, SERVER_INTERFACE, SERVER_IPV4, Side};

use crate::interrupt::Interrupt;
use crate::machine::{Machine, Snapshot, pin};

use client::Client;
use end::{End, Place};

/// Frame lengths that are measured, in bytes: the smallest, and a full one.
const LENGTHS: [usize; 2] = [64, 1514];
/// Rounds; every figure is a median.
const ROUNDS: usize = 5;
/// Length of each measurement.
const PERIOD: Duration = Duration::from_millis(500);
/// Most frames of one burst.
const BURST: usize = 64;

/// What the server's end does with frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// Reads and drops them.
    Sink,
    /// Sends them back.
    Reflect,
    /// Nothing any more.
    Stop,
}

/// What the two ends share.
#[derive(Debug, Default)]
struct Control {
    role: AtomicU8,
    /// Frames that the server's end has received.
    received: AtomicU64,
}

impl Control {
    fn set(&self, role: Role) {
        let number = match role {
            Role::Sink => 0,
            Role::Reflect => 1,
            Role::Stop => 2,
        };
        self.role.store(number, Ordering::Relaxed);
    }

    fn role(&self) -> Role {
        match self.role.load(Ordering::Relaxed) {
            0 => Role::Sink,
            1 => Role::Reflect,
            _ => Role::Stop,
        }
    }
}

/// Measures and prints.
///
/// # Errors
/// Without root or two cores; or what the kernel refuses.
pub fn limit() -> Result<()> {
    println!("{}", Machine::read()?);
    let lab = Lab::builder("bywash-bench-limit").queues(NonZeroU16::MIN).build()?;
    let interrupt = Interrupt::catch()?;
    let control = Control::default();
    let begin = Snapshot::take()?;
    std::thread::scope(|scope| {
        let server = scope.spawn(|| serve(&lab, &control));
        let client = scope.spawn(|| ask(&lab, &control, &interrupt));
        let asked = client.join().map_err(|_| anyhow!("the client's end panicked"));
        control.set(Role::Stop);
        let served = server.join().map_err(|_| anyhow!("the server's end panicked"));
        served?.context("the server's end")?;
        asked?.context("the client's end")
    })?;
    println!("steal {:.1} %", begin.elapsed()?.steal_share() * 100.0);
    lab.remove()?;
    Ok(())
}

fn serve(lab: &Lab, control: &Control) -> Result<()> {
    lab.enter(Side::Server)?;
    pin(0)?;
    let mut end = End::open(&Place { interface: SERVER_INTERFACE, address: SERVER_IPV4 })?;
    loop {
        let received = match control.role() {
            Role::Sink => end.sink(),
            Role::Reflect => end.reflect(),
            Role::Stop => return Ok(()),
        };
        // Only this thread writes.
        let total = control.received.load(Ordering::Relaxed) + received;
        control.received.store(total, Ordering::Relaxed);
    }
}

fn ask(lab: &Lab, control: &Control, interrupt: &Interrupt) -> Result<()> {
    lab.enter(Side::Client)?;
    pin(1)?;
    let end = End::open(&Place { interface: CLIENT_INTERFACE, address: CLIENT_IPV4 })?;
    println!("raw AF_XDP, one queue, {}, bursts of {BURST}, both ends spinning", end.describe());
    let mut client = Client::new(end, control);
    client.wait_for_server()?;
    for length in LENGTHS {
        client.measure(length, interrupt)?;
    }
    Ok(())
}
