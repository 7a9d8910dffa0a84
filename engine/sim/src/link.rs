//! One direction between two hosts, and what it does to frames.

use std::collections::VecDeque;

use bywash_core::base::random::Random;
use bywash_core::base::time::{Duration, Instant};

/// Whether links do harm beyond delay and a bounded rate.
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
    /// A frame is lost.
    pub loss: u64,
    /// A burst of losses begins.
    pub burst: u64,
    /// Frames lost in a burst at most.
    pub burst_max: u64,
    /// A frame arrives twice.
    pub duplicate: u64,
    /// A frame is held back, up to this much longer.
    pub hold_back: u64,
    /// How long at most.
    pub hold_back_max: Duration,
    /// Bits are flipped, behind the link header and not in ARP: those are the frame check sequence's to protect.
    pub corrupt: u64,
    /// Bits per second; 0: no bound.
    pub rate: u64,
    /// Frames that wait for the rate at most; what comes then is lost, in any weather.
    pub queue_max: usize,
    /// Times in which nothing gets through: from, to.
    pub blackouts: Vec<(Instant, Instant)>,
}

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It arrives, once.
    Delivered,
    /// It arrives twice.
    Duplicated,
    /// It arrives late.
    HeldBack,
    /// It arrives damaged.
    Corrupted,
    /// It is lost.
    Lost,
    /// It found a full queue.
    Congested,
}

/// One direction between two hosts.
#[derive(Debug)]
pub struct Link {
    config: LinkConfig,
    random: Random,
    /// When each frame that waits for the rate has left.
    departures: VecDeque<Instant>,
    burst_left: u64,
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
    /// In one word.
    pub fate: Fate,
}

impl Link {
    /// A link with its own source of chance.
    pub fn new(config: LinkConfig, seed: u64) -> Self {
        let random = Random::from_seed(seed);
        Self { config, random, departures: VecDeque::new(), burst_left: 0, last_arrival: Instant::ZERO }
    }

    /// Sends `frame` on its way at `now`.
    pub fn carry(&mut self, now: Instant, weather: Weather, frame: &[u8]) -> Passage {
        while self.departures.pop_front_if(|at| *at <= now).is_some() {}
        if self.config.rate > 0 && self.departures.len() >= self.config.queue_max {
            return Passage { departure: now, arrivals: Vec::new(), fate: Fate::Congested };
        }
        let departure = self.depart(now, frame.len());
        let dark = self.config.blackouts.iter().any(|(from, to)| (*from..*to).contains(&now));
        let mut fate = match weather {
            Weather::Stormy if dark => Fate::Lost,
            Weather::Stormy => self.draw(frame),
            Weather::Calm => Fate::Delivered,
        };
        let mut arrivals = Vec::new();
        match fate {
            Fate::Lost | Fate::Congested => {}
            Fate::Delivered => arrivals.push((self.arrival(departure, weather), frame.to_vec())),
            Fate::Duplicated => {
                arrivals.push((self.arrival(departure, weather), frame.to_vec()));
                arrivals.push((self.arrival(departure, weather) + self.held_back(), frame.to_vec()));
            }
            Fate::HeldBack => {
                arrivals.push((self.arrival(departure, weather) + self.held_back(), frame.to_vec()));
            }
            Fate::Corrupted => {
                let mut damaged = frame.to_vec();
                if !self.damage(&mut damaged) {
                    fate = Fate::Delivered;
                }
                arrivals.push((self.arrival(departure, weather), damaged));
            }
        }
        Passage { departure, arrivals, fate }
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

    fn draw(&mut self, frame: &[u8]) -> Fate {
        let config = &self.config;
        let mut chance = |millionths| self.random.chance_in(millionths, 1_000_000);
        if self.burst_left > 0 {
            self.burst_left -= 1;
            return Fate::Lost;
        }
        if chance(config.burst) {
            self.burst_left = self.random.below(config.burst_max.max(1));
            return Fate::Lost;
        }
        if chance(config.loss) {
            Fate::Lost
        } else if chance(config.duplicate) {
            Fate::Duplicated
        } else if chance(config.hold_back) {
            Fate::HeldBack
        } else if chance(config.corrupt) && !is_arp(frame) {
            Fate::Corrupted
        } else {
            Fate::Delivered
        }
    }

    fn arrival(&mut self, departure: Instant, weather: Weather) -> Instant {
        let jitter = self.random.below(self.config.jitter.as_nanos() + 1);
        let at = departure + self.config.delay + Duration::from_nanos(jitter);
        match weather {
            Weather::Stormy => at,
            Weather::Calm => {
                self.last_arrival = self.last_arrival.max(at);
                self.last_arrival
            }
        }
    }

    fn held_back(&mut self) -> Duration {
        Duration::from_nanos(self.random.below(self.config.hold_back_max.as_nanos() + 1))
    }

    /// Flips up to 15 bits in a row, which a 16-bit sum always finds. False: there was nothing to damage.
    fn damage(&mut self, frame: &mut [u8]) -> bool {
        let Some(behind) = frame.len().checked_sub(LINK_HEADER_LEN).filter(|len| *len > 2) else {
            return false;
        };
        let pattern = 1 + self.random.below(0x7fff) as u16;
        let place = LINK_HEADER_LEN + self.random.below(behind as u64 - 1) as usize;
        let [high, low] = pattern.to_be_bytes();
        frame[place] ^= high;
        frame[place + 1] ^= low;
        true
    }
}

const LINK_HEADER_LEN: usize = 14;

fn is_arp(frame: &[u8]) -> bool {
    frame.get(12..14) == Some(&[0x08, 0x06])
}
