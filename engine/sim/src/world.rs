//! The clock, the switch and the turns.

mod events;
mod host;
mod switch;
mod turns;

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::rc::Rc;

use bywash_core::base::random::Random;
use bywash_core::base::time::{Duration, Instant};
use bywash_core::shard::{Host as _, Transport as _};
use bywash_core::stack::Counters;

use crate::coverage::Coverage;
use crate::ledger::{Cookies, Ledger, SharedLedger};
use crate::link::{Link, Weather};
use crate::plan::{HostPlan, Plan, TIME_WAIT};
use crate::trace::{Speech, Trace};
use events::Happening;
use host::{EngineHost, Node, SimShard};
use switch::Switch;

/// All hosts and what is between them.
pub struct World {
    now: Instant,
    start: Instant,
    calm_at: Instant,
    over_at: Instant,
    rehash: Option<Duration>,
    hosts: Vec<Node>,
    switch: Switch,
    /// By time, and by order of creation within it.
    happenings: BinaryHeap<Reverse<(Instant, u64, Happening)>>,
    created: u64,
    random: Random,
    ledger: SharedLedger,
    /// What happened on hosts before they rebooted.
    counters: Counters,
}

/// How a world ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// Hash of all that happened.
    pub hash: u64,
    /// Virtual time that it took.
    pub elapsed: Duration,
    /// What it has seen.
    pub coverage: Coverage,
    /// What went wrong.
    pub failure: Option<String>,
}

impl World {
    /// The world of `plan` at its beginning.
    ///
    /// # Errors
    /// What is wrong with the plan.
    pub fn new(plan: Plan, speech: Speech) -> Result<Self, String> {
        let Plan { start, calm_at, over_at, hosts, links, scripts, rehash, stray, upheavals, mut random } =
            plan;
        let trace = Trace::new(speech, start);
        let links = links.into_iter().map(|link| Link::new(link, random.next_u64())).collect();
        let switch = Switch::new(hosts.len(), links, stray, random.next_u64());
        let starts: Vec<_> = scripts.iter().map(|script| script.start_at).collect();
        let cookies = if hosts.iter().any(HostPlan::sends_cookies) { Cookies::On } else { Cookies::Off };
        let ledger = Rc::new(RefCell::new(Ledger::new(scripts, cookies, trace)));
        let hosts = hosts.into_iter().map(|host| Node::new(host, start, &mut random, &ledger));
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
            counters: Counters::default(),
        };
        for (flow, at) in starts.into_iter().enumerate() {
            world.at(at, Happening::Connect { flow });
        }
        if let Some(rehash) = rehash {
            world.at(start + rehash, Happening::Rehash);
        }
        for upheaval in upheavals {
            world.at(upheaval.at, Happening::Upheaval { host: upheaval.host, what: upheaval.what });
        }
        Ok(world)
    }

    /// Lets everything happen, and judges.
    pub fn run(mut self) -> Ending {
        let over_at = self.over_at;
        let mut failure = self.run_until(over_at, |world| world.ledger.borrow().is_over());
        let unfinished = self.ledger.borrow().unfinished();
        failure = failure.or(unfinished.map(|flows| format!("not over after all that time:\n  {flows}")));
        if failure.is_none() {
            self.abort_the_rest();
            // An orphan may try for minutes to get rid of its FIN.
            let over_at = self.now + TIME_WAIT + Duration::from_secs(400);
            failure = self.run_until(over_at, World::is_idle).or_else(|| self.leaks());
        }
        let mut counters = self.counters.clone();
        for shard in self.shards() {
            counters.add(shard.engine.stack().counters());
        }
        let ledger = self.ledger.borrow();
        let (tally, ends) = (ledger.tally.clone(), ledger.ends_seen.clone());
        Ending {
            hash: ledger.trace.hash(),
            elapsed: self.now - self.start,
            coverage: Coverage { worlds: 1, tally, counters, ends },
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
            let wake = self.hosts.iter().filter_map(Node::wake_at).min();
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

    fn engines(&self) -> impl Iterator<Item = &EngineHost> {
        self.hosts.iter().filter_map(Node::engine)
    }

    fn shards(&self) -> impl Iterator<Item = &SimShard> {
        self.engines().flat_map(|host| &host.shards)
    }

    fn at(&mut self, at: Instant, happening: Happening) {
        self.created += 1;
        self.happenings.push(Reverse((at, self.created, happening)));
    }

    fn weather(&self) -> Weather {
        if self.now < self.calm_at { Weather::Stormy } else { Weather::Calm }
    }

    /// Ends what an aborting or rebooted peer has left behind: nobody else would.
    fn abort_the_rest(&mut self) {
        for host in &mut self.hosts {
            match host {
                Node::Peer(peer) => peer.forget(),
                Node::Engine(host) => {
                    for shard in &mut host.shards {
                        for id in shard.program.open() {
                            shard.engine.host().abort(id);
                        }
                        shard.wake_at = self.now;
                    }
                }
            }
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
