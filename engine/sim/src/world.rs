//! The clock, the switch and the turns.

mod host;
mod switch;

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::SocketAddr;
use std::rc::Rc;

use bywash_core::base::random::Random;
use bywash_core::base::time::{Duration, Instant};
use bywash_core::shard::{Host as _, Transport as _};

use crate::ledger::{Ledger, SharedLedger};
use crate::link::{Link, Weather};
use crate::mesh::Woken;
use crate::plan::{LISTEN_PORT, Plan, TIME_WAIT, address};
use crate::trace::{Speech, Trace};
use host::{SimHost, SimShard};
use switch::Switch;

/// How long a turn takes.
const TURN: Duration = Duration::from_micros(2);
/// How long a shard waits that has work left but could do nothing of it.
const BREATH: Duration = Duration::from_micros(100);
/// Turns in a row that did nothing, of one shard.
const IDLE_TURNS_MAX: u32 = 200_000;

/// Something that happens at its time.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Happening {
    Arrival { host: usize, frame: Vec<u8> },
    Connect { flow: usize },
    Rehash,
}

/// All hosts and what is between them.
pub struct World {
    now: Instant,
    start: Instant,
    calm_at: Instant,
    over_at: Instant,
    rehash: Option<Duration>,
    hosts: Vec<SimHost>,
    switch: Switch,
    /// By time, and by order of creation within it.
    happenings: BinaryHeap<Reverse<(Instant, u64, Happening)>>,
    created: u64,
    random: Random,
    ledger: SharedLedger,
}

/// How a world ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// Hash of all that happened.
    pub hash: u64,
    /// Virtual time that it took.
    pub elapsed: Duration,
    /// Frames that were received.
    pub frames: u64,
    /// Connections that were made.
    pub connections: u64,
    /// Segments that were sent again.
    pub retransmits: u64,
    /// What went wrong.
    pub failure: Option<String>,
}

impl World {
    /// The world of `plan` at its beginning.
    ///
    /// # Errors
    /// What is wrong with the plan.
    pub fn new(plan: Plan, speech: Speech) -> Result<Self, String> {
        let Plan { start, calm_at, over_at, hosts, links, scripts, rehash, stray, mut random } = plan;
        let trace = Trace::new(speech, start);
        let links = links.into_iter().map(|link| Link::new(link, random.next_u64())).collect();
        let switch = Switch::new(hosts.len(), links, stray, random.next_u64());
        let starts: Vec<_> = scripts.iter().map(|script| script.start_at).collect();
        let ledger = Rc::new(RefCell::new(Ledger::new(scripts, trace)));
        let hosts = hosts.iter().map(|host| SimHost::new(host, start, &mut random, &ledger));
        let mut world = Self {
            now: start,
            start,
            calm_at,
            over_at,
            rehash,
            hosts: hosts.collect::<Result<_, _>>()?,
            switch,
            happenings: BinaryHeap::new(),
            created: 0,
            random,
            ledger,
        };
        for (flow, at) in starts.into_iter().enumerate() {
            world.at(at, Happening::Connect { flow });
        }
        if let Some(rehash) = rehash {
            world.at(start + rehash, Happening::Rehash);
        }
        Ok(world)
    }

    /// Lets everything happen, and judges.
    pub fn run(mut self) -> Ending {
        let over_at = self.over_at;
        let mut failure = self.run_until(over_at, |world| world.ledger.borrow().is_over());
        if failure.is_none() && !self.ledger.borrow().is_over() {
            failure = Some(format!("not over after all that time:\n  {}", self.ledger.borrow().unfinished()));
        }
        if failure.is_none() {
            self.abort_the_rest();
            // An orphan may try for minutes to get rid of its FIN.
            let over_at = self.now + TIME_WAIT + Duration::from_secs(400);
            failure = self.run_until(over_at, World::is_idle).or_else(|| self.leaks());
        }
        let mut counters = bywash_core::stack::Counters::default();
        for shard in self.shards() {
            counters.add(shard.engine.stack().counters());
        }
        let hash = self.ledger.borrow().trace.hash();
        Ending {
            hash,
            elapsed: self.now - self.start,
            frames: counters.frames_received,
            connections: counters.passive_opens,
            retransmits: counters.retransmits,
            failure,
        }
    }

    /// Runs until `done`, or until `until`, or until something goes wrong.
    fn run_until(&mut self, until: Instant, done: impl Fn(&Self) -> bool) -> Option<String> {
        loop {
            if let Some(failure) = self.ledger.borrow_mut().failure.take() {
                return Some(failure);
            }
            if done(self) {
                return None;
            }
            let next = self.happenings.peek().map(|Reverse((at, _, _))| *at);
            let wake = self.shards().map(|shard| shard.wake_at).min();
            let at = [next, wake].into_iter().flatten().min().filter(|at| *at <= until)?;
            self.now = self.now.max(at);
            while let Some(Reverse((at, _, _))) = self.happenings.peek() {
                if *at > self.now {
                    break;
                }
                if let Some(Reverse((_, _, happening))) = self.happenings.pop() {
                    self.happen(happening);
                }
            }
            self.take_turns();
        }
    }

    fn shards(&self) -> impl Iterator<Item = &SimShard> {
        self.hosts.iter().flat_map(|host| &host.shards)
    }

    fn at(&mut self, at: Instant, happening: Happening) {
        self.created += 1;
        self.happenings.push(Reverse((at, self.created, happening)));
    }

    fn weather(&self) -> Weather {
        if self.now < self.calm_at { Weather::Stormy } else { Weather::Calm }
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Arrival { host, frame } => {
                let SimHost { shards, latency } = &mut self.hosts[host];
                let queue = self.switch.queue(&frame, shards.len(), &mut self.random);
                let shard = &mut shards[queue];
                shard.engine.port_mut().deliver(frame);
                let delay = Duration::from_nanos(self.random.below(latency.as_nanos() + 1));
                shard.wake_at = shard.wake_at.min(self.now + delay);
            }
            Happening::Connect { flow } => self.connect(flow),
            Happening::Rehash => {
                self.switch.rehash(self.random.next_u64());
                if let (Some(rehash), Weather::Stormy) = (self.rehash, self.weather()) {
                    self.at(self.now + rehash, Happening::Rehash);
                }
            }
        }
    }

    fn connect(&mut self, flow: usize) {
        let script = self.ledger.borrow().flows[flow].script.clone();
        let shards = &mut self.hosts[script.client].shards;
        let shard = self.random.below(shards.len() as u64) as usize;
        let SimShard { engine, program, wake_at, .. } = &mut shards[shard];
        let remote = SocketAddr::new(address(script.server, script.family).into(), LISTEN_PORT);
        match engine.host().connect(remote, None) {
            Ok(id) => {
                program.connecting(id, flow);
                if let Some(info) = engine.host().info(id) {
                    self.ledger.borrow_mut().connecting(flow, info.local, info.remote);
                }
            }
            Err(error) => self.ledger.borrow_mut().fail(self.now, format!("flow {flow}: {error}")),
        }
        *wake_at = self.now;
    }

    fn take_turns(&mut self) {
        for host in 0..self.hosts.len() {
            for shard in 0..self.hosts[host].shards.len() {
                if self.hosts[host].shards[shard].wake_at <= self.now {
                    self.take_turn(host, shard);
                }
            }
        }
        let again = std::mem::take(&mut self.ledger.borrow_mut().again);
        for (at, flow) in again {
            self.at(at, Happening::Connect { flow });
        }
    }

    fn take_turn(&mut self, host: usize, number: usize) {
        let now = self.now;
        let shard = &mut self.hosts[host].shards[number];
        shard.engine.port_mut().reclaim(now);
        let turn = shard.engine.turn(now, &mut shard.program);
        shard.idle_turns = if turn.work == 0 { shard.idle_turns + 1 } else { 0 };
        let pause = if turn.work == 0 { BREATH } else { TURN };
        shard.wake_at = match (turn.again, shard.engine.deadline()) {
            (true, _) => now + pause,
            (false, Some(deadline)) => deadline.max(now + pause),
            (false, None) => Instant::FAR_FUTURE,
        };
        if shard.idle_turns > IDLE_TURNS_MAX {
            let what = format!("host {host} shard {number} turns and turns and does nothing");
            self.ledger.borrow_mut().fail(now, what);
        }
        if let Err(broken) = shard.engine.stack().check() {
            self.ledger.borrow_mut().fail(now, format!("host {host} shard {number}: {broken}"));
        }
        if shard.engine.port().missing_frames() != 0 {
            self.ledger.borrow_mut().fail(now, format!("host {host} shard {number} lost a frame"));
        }
        self.transmit(host, number);
        for shard in &mut self.hosts[host].shards {
            if shard.mesh.take_woken() == Woken::Yes {
                shard.wake_at = shard.wake_at.min(now + TURN);
            }
        }
    }

    /// Sends what a shard has committed on its way.
    fn transmit(&mut self, host: usize, number: usize) {
        let (now, weather) = (self.now, self.weather());
        for sent in self.hosts[host].shards[number].engine.port_mut().take_committed() {
            let frame = &sent.buffer[..sent.len];
            let mut departure = now;
            for to in self.switch.receivers(host, frame) {
                let passage = self.switch.link(host, to).carry(now, weather, frame);
                self.ledger.borrow_mut().trace.frame(now, host, to, frame, passage.fate);
                departure = departure.max(passage.departure);
                for (at, frame) in passage.arrivals {
                    self.at(at, Happening::Arrival { host: to, frame });
                }
            }
            self.hosts[host].shards[number].engine.port_mut().lend(sent.buffer, departure);
        }
    }

    /// Ends what an aborting peer has left behind: nobody else would.
    fn abort_the_rest(&mut self) {
        for shard in self.hosts.iter_mut().flat_map(|host| &mut host.shards) {
            for id in shard.program.open() {
                shard.engine.host().abort(id);
            }
            shard.wake_at = self.now;
        }
    }

    /// Whether nothing is open, under way or remembered.
    fn is_idle(&self) -> bool {
        let is_idle = |shard: &SimShard| shard.waiting() == 0 && shard.engine.report().is_idle();
        self.happenings.is_empty() && self.shards().all(is_idle)
    }

    /// What is still in use at the end.
    fn leaks(&self) -> Option<String> {
        let leaks: Vec<_> = self
            .shards()
            .enumerate()
            .filter_map(|(number, shard)| Some(format!("shard {number} (of all): {}", shard.leak()?)))
            .collect();
        (!leaks.is_empty()).then(|| format!("left at the end: {}", leaks.join("\n  ")))
    }
}
