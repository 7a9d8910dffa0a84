//! The end that asks, and what it measures.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use bywash_core::wire::ethernet::EthernetRepr;
use bywash_core::wire::ipv4::{Fragmentation, Ipv4Repr};
use bywash_core::wire::{EtherType, IpProtocol, MacAddress};
use bywash_xdp::lab::{CLIENT_IPV4, CLIENT_MAC, SERVER_IPV4, SERVER_MAC};

use super::end::End;
use super::{BURST, Control, PERIOD, ROUNDS, Role};
use crate::interrupt::Interrupt;
use crate::machine::median;

/// Frames on their way at one time in the reflection test.
const OUTSTANDING_MAX: u64 = 512;
/// A frame that is not back by then is lost.
const LOST_AFTER: Duration = Duration::from_millis(50);
/// How long the server's end may take to come up.
const PATIENCE: Duration = Duration::from_secs(5);

/// The end that asks.
pub(super) struct Client<'a> {
    end: End,
    control: &'a Control,
}

/// Medians of one frame length.
#[derive(Debug, Default)]
struct Samples {
    sunk_per_second: Vec<f64>,
    reflected_per_second: Vec<f64>,
    round_trip_p50_us: Vec<f64>,
    round_trip_p99_us: Vec<f64>,
}

impl<'a> Client<'a> {
    pub(super) fn new(end: End, control: &'a Control) -> Self {
        Self { end, control }
    }

    /// Asks until the first frame comes back.
    pub(super) fn wait_for_server(&mut self) -> Result<()> {
        self.control.set(Role::Reflect);
        let frame = frame(64)?;
        let begin = Instant::now();
        while self.round_trip(&frame).is_none() {
            if begin.elapsed() > PATIENCE {
                bail!("no frame comes back from the server's end");
            }
        }
        Ok(())
    }

    /// Measures and prints one frame length.
    pub(super) fn measure(&mut self, length: usize, interrupt: &Interrupt) -> Result<()> {
        let frame = frame(length)?;
        let mut samples = Samples::default();
        for _ in 0..ROUNDS {
            interrupt.check()?;
            samples.sunk_per_second.push(self.sink(&frame));
            samples.reflected_per_second.push(self.reflect(&frame));
            let times = self.round_trips(&frame)?;
            samples.round_trip_p50_us.push(times[times.len() / 2]);
            samples.round_trip_p99_us.push(times[times.len() * 99 / 100]);
        }
        let Samples { sunk_per_second, reflected_per_second, round_trip_p50_us, round_trip_p99_us } = samples;
        let (sunk, reflected) = (median(sunk_per_second), median(reflected_per_second));
        let gigabits = |rate: f64| rate * length as f64 * 8.0 / 1e9;
        println!("{length} bytes: sink {sunk:.0} frames/s, {:.2} Gbit/s", gigabits(sunk));
        println!("{length} bytes: reflect {reflected:.0} frames/s, {:.2} Gbit/s", gigabits(reflected));
        println!(
            "{length} bytes: round trip p50 {:.1} µs, p99 {:.1} µs",
            median(round_trip_p50_us),
            median(round_trip_p99_us)
        );
        Ok(())
    }

    /// One way, as fast as it goes: frames per second that the server's end takes.
    fn sink(&mut self, frame: &[u8]) -> f64 {
        self.control.set(Role::Sink);
        let received = || self.control.received.load(Ordering::Relaxed);
        let (before, begin) = (received(), Instant::now());
        while begin.elapsed() < PERIOD {
            self.end.send(frame, BURST);
        }
        (received() - before) as f64 / begin.elapsed().as_secs_f64()
    }

    /// There and back, many on their way: frames per second that come back.
    fn reflect(&mut self, frame: &[u8]) -> f64 {
        self.control.set(Role::Reflect);
        self.drain();
        let (mut outstanding, mut back) = (0_u64, 0_u64);
        let begin = Instant::now();
        let mut last = begin;
        while begin.elapsed() < PERIOD {
            let room = (OUTSTANDING_MAX - outstanding).min(BURST as u64);
            if room > 0 {
                outstanding += self.end.send(frame, room as usize);
            }
            let received = self.end.sink();
            back += received;
            outstanding = outstanding.saturating_sub(received);
            if received > 0 {
                last = Instant::now();
            } else if last.elapsed() > LOST_AFTER {
                outstanding = 0;
                last = Instant::now();
            }
        }
        let elapsed = begin.elapsed();
        self.drain();
        back as f64 / elapsed.as_secs_f64()
    }

    /// One frame at a time: sorted times in microseconds.
    fn round_trips(&mut self, frame: &[u8]) -> Result<Vec<f64>> {
        self.control.set(Role::Reflect);
        self.drain();
        let begin = Instant::now();
        let mut times = Vec::new();
        while begin.elapsed() < PERIOD {
            times.extend(self.round_trip(frame).map(|time| time.as_secs_f64() * 1e6));
        }
        times.sort_by(f64::total_cmp);
        if times.is_empty() {
            bail!("no frame came back");
        }
        Ok(times)
    }

    fn round_trip(&mut self, frame: &[u8]) -> Option<Duration> {
        let begin = Instant::now();
        self.end.send(frame, 1);
        while self.end.sink() == 0 {
            if begin.elapsed() > LOST_AFTER {
                return None;
            }
        }
        Some(begin.elapsed())
    }

    /// Until nothing has come for a while.
    fn drain(&mut self) {
        let mut last = Instant::now();
        while last.elapsed() < Duration::from_millis(5) {
            if self.end.sink() > 0 {
                last = Instant::now();
            }
        }
    }
}

/// A UDP datagram to the server, without UDP checksum.
fn frame(length: usize) -> Result<Vec<u8>> {
    let mut frame = vec![0; length];
    let ethernet = EthernetRepr {
        destination: MacAddress(SERVER_MAC),
        source: MacAddress(CLIENT_MAC),
        ether_type: EtherType::IPV4,
    };
    let ethernet_len = ethernet.emit(&mut frame)?;
    let ip_len = length.checked_sub(ethernet_len + 20).context("too short for IPv4")?;
    let ip = Ipv4Repr {
        source: CLIENT_IPV4,
        destination: SERVER_IPV4,
        protocol: IpProtocol::UDP,
        payload_len: ip_len as u16,
        traffic_class: 0,
        ttl: 64,
        identification: 0,
        fragmentation: Fragmentation::Forbidden,
    };
    let header_len = ip.emit(&mut frame[ethernet_len..])?;
    let udp = &mut frame[ethernet_len + header_len..];
    udp[..2].copy_from_slice(&7_u16.to_be_bytes());
    udp[2..4].copy_from_slice(&7_u16.to_be_bytes());
    udp[4..6].copy_from_slice(&(ip_len as u16).to_be_bytes());
    Ok(frame)
}
