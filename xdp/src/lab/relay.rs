//! The threads in the middle namespace that carry frames between its two links.
//!
//! Each direction has one lane per queue. A lane receives what arrived on its queue and sends from its own CPU, which
//! XPS ties to the queue of the same number: a flow keeps the queue that its sender chose, and moves when the sender
//! moves it.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::thread::{CpuSet, sched_setaffinity};

use super::counters::{RelayCounters, SharedCounters};
use super::delay_line::{DelayLine, Frame, VLAN_TAG_LEN, Weather};
use super::error::LabError;
use super::impairment::{Direction, Impairment};
use super::netlink::{VethShape, index_of};
use super::packet::{BATCH, Checksum, Fanout, PacketReceiver, PacketSender, Received};
use super::{MIDDLE_CLIENT_INTERFACE, MIDDLE_SERVER_INTERFACE};

/// Ethernet header, and two VLAN tags of which the kernel may have left one in the frame.
const FRAME_OVERHEAD: usize = 14 + 2 * VLAN_TAG_LEN;

/// The running relay. Dropping it stops and joins its threads.
#[derive(Debug)]
pub(super) struct Relay {
    to_server: Arc<Path>,
    to_client: Arc<Path>,
    stop: Arc<Stop>,
    lanes: Vec<JoinHandle<()>>,
}

/// How the lanes are laid out.
#[derive(Debug, Clone)]
pub(super) struct RelayConfig {
    pub(super) shape: VethShape,
    pub(super) seed: u64,
    pub(super) to_server: Impairment,
    pub(super) to_client: Impairment,
    /// One CPU for each queue, or none where queues outnumber CPUs: then the kernel's flow hash chooses the queue.
    pub(super) lane_cpus: Option<Vec<usize>>,
}

impl Relay {
    /// Starts the lanes. The calling thread must be in the middle namespace (threads inherit it), both links up.
    pub(super) fn start(config: &RelayConfig) -> Result<Self, LabError> {
        let stop = Stop::new().map_err(LabError::from)?;
        let mut relay = Self {
            to_server: Arc::new(Path::new(config.to_server)),
            to_client: Arc::new(Path::new(config.to_client)),
            stop: Arc::new(stop),
            lanes: Vec::new(),
        };
        for direction in [Direction::ToServer, Direction::ToClient] {
            for queue in 0..config.shape.queues {
                let lane = Lane::open(&relay, config, direction, queue)?;
                let name = format!("lab-relay-{queue}");
                relay.lanes.push(thread::Builder::new().name(name).spawn(move || lane.run())?);
            }
        }
        Ok(relay)
    }

    /// From now on frames of this direction suffer `impairment`; those on their way are not touched.
    pub(super) fn impair(&self, direction: Direction, impairment: Impairment) {
        self.path(direction).settings().impairment = impairment;
    }

    /// From now on and for `duration` no frame of this direction gets in; those on their way arrive.
    pub(super) fn blackout(&self, direction: Direction, duration: Duration) {
        self.path(direction).settings().blackout_until = Some(Instant::now() + duration);
    }

    pub(super) fn counters(&self, direction: Direction) -> RelayCounters {
        self.path(direction).counters.read()
    }

    fn path(&self, direction: Direction) -> &Arc<Path> {
        match direction {
            Direction::ToServer => &self.to_server,
            Direction::ToClient => &self.to_client,
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.stop.raise();
        for lane in self.lanes.drain(..) {
            // A lane that panicked has said so on stderr.
            let _ = lane.join();
        }
    }
}

/// Tells all lanes to end, also those that sleep.
#[derive(Debug)]
struct Stop {
    raised: AtomicBool,
    event: OwnedFd,
}

impl Stop {
    fn new() -> io::Result<Self> {
        Ok(Self { raised: AtomicBool::new(false), event: eventfd(0, EventfdFlags::CLOEXEC)? })
    }

    fn raise(&self) {
        self.raised.store(true, Ordering::Relaxed);
        // Writing 1 to a fresh eventfd cannot fail or block; it stays readable for every lane.
        let _ = rustix::io::write(&self.event, &1_u64.to_ne_bytes());
    }
}

/// What the lanes of one direction share.
#[derive(Debug)]
struct Path {
    settings: Mutex<Settings>,
    counters: SharedCounters,
}

#[derive(Debug)]
struct Settings {
    impairment: Impairment,
    blackout_until: Option<Instant>,
}

impl Path {
    fn new(impairment: Impairment) -> Self {
        Self {
            settings: Mutex::new(Settings { impairment, blackout_until: None }),
            counters: SharedCounters::default(),
        }
    }

    fn settings(&self) -> std::sync::MutexGuard<'_, Settings> {
        // Every critical section is a plain load or store, so the value is whole even if a holder panicked.
        self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn weather(&self, now: Instant) -> Weather {
        let settings = self.settings();
        match settings.blackout_until {
            Some(until) if now < until => Weather::Blackout,
            Some(_) | None => Weather::Open(settings.impairment),
        }
    }
}

/// One queue of one direction.
struct Lane {
    receiver: PacketReceiver,
    sender: PacketSender,
    line: DelayLine,
    path: Arc<Path>,
    stop: Arc<Stop>,
    cpu: Option<usize>,
    /// Buffers that the next frames are received into.
    incoming: Vec<Box<[u8]>>,
    outgoing: Vec<Frame>,
}

impl Lane {
    fn open(relay: &Relay, config: &RelayConfig, direction: Direction, queue: u16) -> Result<Self, LabError> {
        let (from, to, group) = match direction {
            Direction::ToServer => (MIDDLE_CLIENT_INTERFACE, MIDDLE_SERVER_INTERFACE, 1),
            Direction::ToClient => (MIDDLE_SERVER_INTERFACE, MIDDLE_CLIENT_INTERFACE, 2),
        };
        let fanout = (config.shape.queues > 1).then_some(Fanout { group });
        let receiver = index_of(from)
            .and_then(|index| PacketReceiver::open(index, fanout))
            .map_err(|source| LabError::Relay { action: "listen", interface: from, source })?;
        let sender = index_of(to).and_then(PacketSender::open).map_err(|source| LabError::Relay {
            action: "send",
            interface: to,
            source,
        })?;
        let lane_number = (u64::from(group) << 16) | u64::from(queue);
        let buffer_len = VLAN_TAG_LEN + config.shape.mtu as usize + FRAME_OVERHEAD;
        let mut line =
            DelayLine::new(config.seed ^ lane_number.wrapping_mul(0xd134_2543_de82_ef95), buffer_len);
        let incoming = (0..BATCH).map(|_| line.take_buffer()).collect();
        Ok(Self {
            receiver,
            sender,
            line,
            path: Arc::clone(relay.path(direction)),
            stop: Arc::clone(&relay.stop),
            cpu: config.lane_cpus.as_ref().and_then(|cpus| cpus.get(usize::from(queue)).copied()),
            incoming,
            outgoing: Vec::with_capacity(BATCH),
        })
    }

    fn run(mut self) {
        if let Some(cpu) = self.cpu {
            let mut set = CpuSet::new();
            set.set(cpu);
            // The CPU was in the allowed set a moment ago; without the pin, only the queue may differ.
            let _ = sched_setaffinity(None, &set);
        }
        let mut received = Vec::with_capacity(BATCH);
        while !self.stop.raised.load(Ordering::Relaxed) {
            let got_frames = self.take_frames(&mut received);
            self.send_due();
            if got_frames {
                self.publish();
            } else {
                self.line.counters.socket_dropped += self.receiver.take_dropped();
                self.publish();
                self.sleep();
            }
        }
    }

    /// Moves waiting frames into the delay line; false if there were none.
    fn take_frames(&mut self, received: &mut Vec<Received>) -> bool {
        if let Err(error) = self.receiver.receive(&mut self.incoming, received) {
            if error.kind() != io::ErrorKind::WouldBlock && error.kind() != io::ErrorKind::Interrupted {
                self.line.counters.receive_errors += 1;
            }
            return false;
        }
        let now = Instant::now();
        let weather = self.path.weather(now);
        for (i, &outcome) in received.iter().enumerate() {
            match outcome {
                Received::Oversized => {
                    self.line.counters.received += 1;
                    self.line.counters.oversized += 1;
                }
                Received::Frame { start, end, checksum } => {
                    if checksum == Checksum::Partial {
                        self.line.counters.partial_checksum += 1;
                    }
                    let spare = self.line.take_buffer();
                    let buffer = std::mem::replace(&mut self.incoming[i], spare);
                    self.line.handle_frame(Frame { buffer, start, end }, weather, now);
                }
            }
        }
        !received.is_empty()
    }

    fn send_due(&mut self) {
        let now = Instant::now();
        loop {
            while self.outgoing.len() < BATCH {
                let Some(frame) = self.line.poll_frame(now) else { break };
                self.outgoing.push(frame);
            }
            if self.outgoing.is_empty() {
                return;
            }
            let gone = match self.sender.send(&self.outgoing) {
                Ok(sent) => {
                    self.line.counters.sent += sent as u64;
                    sent
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
                Err(_) => {
                    self.line.counters.send_failed += 1;
                    1
                }
            };
            for frame in self.outgoing.drain(..gone) {
                self.line.give_back(frame);
            }
        }
    }

    /// Adds what this turn counted to the direction's counters.
    fn publish(&mut self) {
        self.path.counters.add(std::mem::take(&mut self.line.counters));
    }

    /// Waits for a frame, for the next one to be due, or for the end.
    fn sleep(&self) {
        let timeout = self.line.poll_at().map(|due| timespec(due.saturating_duration_since(Instant::now())));
        let mut descriptors = [
            PollFd::from_borrowed_fd(self.receiver.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(self.stop.event.as_fd(), PollFlags::IN),
        ];
        // Interrupted or not: the loop looks at everything anew.
        let _ = poll(&mut descriptors, timeout.as_ref());
    }
}

fn timespec(duration: Duration) -> Timespec {
    Timespec { tv_sec: duration.as_secs() as i64, tv_nsec: i64::from(duration.subsec_nanos()) }
}

#[cfg(test)]
#[path = "relay_tests.rs"]
mod tests;
