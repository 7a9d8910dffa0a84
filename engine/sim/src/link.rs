//! One direction between two hosts, and what it does to frames.

use std::collections::VecDeque;

use bywash_core::base::random::Random;
use bywash_core::base::time::{Duration, Instant};

use crate::fault::corrupt::{Damage, damage};
use crate::fault::loss::{Loss, LossConfig};
use crate::fault::mark::{Marking, mark};
use crate::fault::outage::{Period, Spike};
use crate::fault::reorder::ReorderConfig;
use crate::fault::too_big::{self, Manners};
use crate::fault::{Fault, Faults};

/// Whether links do harm beyond delay, a bounded rate and a bounded MTU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weather {
    /// They do: anything may happen to a frame, and only safety can be asked for.
    Stormy,
    /// They do not: everything must come to its end.
    Calm,
}

/// What a link does. Chances are in millionths, for each frame.
#[derive(Clone, Debug, Default)]
pub struct LinkConfig {
    /// Time on the way.
    pub delay: Duration,
    /// Added to that at random, up to this much; frames may overtake each other by it in stormy weather.
    pub jitter: Duration,
    /// Frames are lost.
    pub loss: LossConfig,
    /// A frame arrives twice.
    pub duplicate: u64,
    /// Frames are held back.
    pub reorder: ReorderConfig,
    /// A frame is damaged.
    pub corrupt: u64,
    /// Bits per second; 0: no bound.
    pub rate: u64,
    /// Frames that wait for the rate at most; what comes then is lost, in any weather.
    pub queue_max: usize,
    /// Frames in the queue from which on those that can bear it are marked; 0: never.
    pub mark_from: usize,
    /// Times in which nothing gets through.
    pub outages: Vec<Period>,
    /// Times in which the way is longer.
    pub spikes: Vec<Spike>,
    /// Octets of the longest packet from a time on, in order of time; as long as they like before.
    pub mtus: Vec<(Instant, u16)>,
    /// Whether the router tells who sends longer ones.
    pub manners: Manners,
}

/// One direction between two hosts.
#[derive(Debug)]
pub struct Link {
    config: LinkConfig,
    random: Random,
    loss: Loss,
    /// When each frame that waits for the rate has left.
    departures: VecDeque<Instant>,
    /// When the last frame arrives that keeps its place.
    last_arrival: Instant,
}

/// How a frame fares on a link.
#[derive(Debug)]
pub struct Passage {
    /// When the sender's device is done with it.
    pub departure: Instant,
    /// When it arrives, and as what.
    pub arrivals: Vec<(Instant, Vec<u8>)>,
    /// What a router on the way says to the sender, and when that arrives.
    pub answer: Option<(Instant, Vec<u8>)>,
    /// What it has met.
    pub faults: Faults,
}

/// Octets of a link header.
const LINK_LEN: usize = 14;

impl Passage {
    fn lost(departure: Instant, fault: Fault) -> Self {
        Self { departure, arrivals: Vec::new(), answer: None, faults: Faults::only(fault) }
    }
}

impl Link {
    /// A link with its own source of chance.
    pub fn new(config: LinkConfig, seed: u64) -> Self {
        let loss = Loss::new(config.loss);
        let random = Random::from_seed(seed);
        Self { config, random, loss, departures: VecDeque::new(), last_arrival: Instant::ZERO }
    }

    /// Sends `frame` on its way at `now`.
    pub fn carry(&mut self, now: Instant, weather: Weather, frame: &[u8]) -> Passage {
        while self.departures.pop_front_if(|at| *at <= now).is_some() {}
        if self.config.rate > 0 && self.departures.len() >= self.config.queue_max {
            return Passage::lost(now, Fault::Overflow);
        }
        let departure = self.depart(now, frame.len());
        if let Some(mtu) = self.mtu(now).filter(|mtu| frame.len() > LINK_LEN + usize::from(*mtu)) {
            return self.refuse(departure, frame, mtu);
        }
        if weather == Weather::Stormy
            && let Some(fault) = self.lose(now)
        {
            return Passage::lost(departure, fault);
        }
        let mut faults = Faults::default();
        let mut frame = frame.to_vec();
        self.mark(&mut frame, &mut faults);
        let arrivals = match weather {
            Weather::Calm => {
                let at = departure + self.config.delay + self.jitter();
                self.last_arrival = self.last_arrival.max(at);
                vec![(self.last_arrival, frame)]
            }
            Weather::Stormy => self.batter(now, departure, frame, &mut faults),
        };
        Passage { departure, arrivals, answer: None, faults }
    }

    fn depart(&mut self, now: Instant, len: usize) -> Instant {
        if self.config.rate == 0 {
            return now;
        }
        let start = self.departures.back().map_or(now, |last| (*last).max(now));
        let nanos = len as u64 * 8 * 1_000_000_000 / self.config.rate;
        let departure = start + Duration::from_nanos(nanos);
        self.departures.push_back(departure);
        departure
    }

    fn mtu(&self, now: Instant) -> Option<u16> {
        self.config.mtus.iter().rev().find(|(from, _)| *from <= now).map(|(_, mtu)| *mtu)
    }

    fn refuse(&self, departure: Instant, frame: &[u8], mtu: u16) -> Passage {
        match self.config.manners {
            Manners::Silent => Passage::lost(departure, Fault::BlackHole),
            Manners::Tells => {
                let at = departure + self.config.delay;
                let answer = too_big::answer(frame, mtu).map(|answer| (at, answer));
                Passage { answer, ..Passage::lost(departure, Fault::TooBig) }
            }
        }
    }

    fn lose(&mut self, now: Instant) -> Option<Fault> {
        if self.config.outages.iter().any(|period| period.contains(now)) {
            return Some(Fault::Outage);
        }
        self.loss.draw(&mut self.random)
    }

    fn mark(&self, frame: &mut [u8], faults: &mut Faults) {
        let LinkConfig { rate, mark_from, .. } = self.config;
        if rate > 0 && mark_from > 0 && self.departures.len() > mark_from && mark(frame) == Marking::Marked {
            faults.insert(Fault::Mark);
        }
    }

    /// What happens to a frame in stormy weather that is not lost.
    fn batter(
        &mut self,
        now: Instant,
        departure: Instant,
        mut frame: Vec<u8>,
        faults: &mut Faults,
    ) -> Vec<(Instant, Vec<u8>)> {
        let mut at = departure + self.config.delay + self.jitter();
        for spike in self.config.spikes.iter().filter(|spike| spike.period.contains(now)) {
            at += spike.late;
            faults.insert(Fault::Spike);
        }
        if let Some(late) = self.config.reorder.draw(&mut self.random) {
            at += late;
            faults.insert(Fault::Reorder);
        }
        let mut arrivals = Vec::new();
        if self.random.chance_in(self.config.duplicate, 1_000_000) {
            faults.insert(Fault::Duplicate);
            arrivals.push((at + self.config.reorder.late(&mut self.random), frame.clone()));
        }
        if self.random.chance_in(self.config.corrupt, 1_000_000)
            && damage(&mut frame, &mut self.random) == Damage::Done
        {
            faults.insert(Fault::Corrupt);
        }
        arrivals.push((at, frame));
        arrivals
    }

    fn jitter(&mut self) -> Duration {
        Duration::from_nanos(self.random.below(self.config.jitter.as_nanos() + 1))
    }
}
