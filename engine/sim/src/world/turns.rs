//! Whose turn it is, and what comes of it.

use bywash_core::base::time::{Duration, Instant};
use bywash_core::shard::Transport as _;

use super::World;
use super::events::Happening;
use super::host::{EngineHost, Node};
use crate::mesh::Woken;

/// How long a turn takes.
const TURN: Duration = Duration::from_micros(2);
/// How long a shard waits that has work left but could do nothing of it.
const BREATH: Duration = Duration::from_micros(100);
/// Turns in a row that did nothing, of one shard.
const IDLE_TURNS_MAX: u32 = 200_000;

impl World {
    pub(super) fn take_turns(&mut self) {
        for host in 0..self.hosts.len() {
            for shard in 0..self.hosts[host].shards() {
                if self.hosts[host].engine().is_some_and(|host| host.shards[shard].wake_at <= self.now) {
                    self.take_turn(host, shard);
                }
            }
            if let Node::Peer(peer) = &mut self.hosts[host] {
                peer.expire(self.now);
                for frame in peer.take_frames() {
                    self.carry(host, &frame);
                }
            }
        }
        let again = std::mem::take(&mut self.ledger.borrow_mut().again);
        for (at, flow) in again {
            self.at(at, Happening::Connect { flow });
        }
    }

    fn take_turn(&mut self, number: usize, shard: usize) {
        let now = self.now;
        let Node::Engine(host) = &mut self.hosts[number] else { return };
        if let Err(what) = turn(host, shard, now) {
            self.ledger.borrow_mut().fail(now, format!("host {number} shard {shard} {what}"));
        }
        self.transmit(number, shard);
        let Node::Engine(host) = &mut self.hosts[number] else { return };
        for shard in &mut host.shards {
            if shard.mesh.take_woken() == Woken::Yes {
                shard.wake_at = shard.wake_at.min(now + TURN).max(shard.stalled_until);
            }
        }
    }

    /// Sends what a shard has committed on its way.
    fn transmit(&mut self, host: usize, shard: usize) {
        let Node::Engine(engine) = &mut self.hosts[host] else { return };
        for sent in engine.shards[shard].engine.port_mut().take_committed() {
            let departure = self.carry(host, &sent.buffer[..sent.len]);
            if let Node::Engine(engine) = &mut self.hosts[host] {
                engine.shards[shard].engine.port_mut().lend(sent.buffer, departure);
            }
        }
    }

    /// Sends a frame on its way to all that get it, and says when the device is done with it.
    fn carry(&mut self, from: usize, frame: &[u8]) -> Instant {
        let (now, weather) = (self.now, self.weather());
        let mut departure = now;
        for to in self.switch.receivers(from, frame) {
            let passage = self.switch.link(from, to).carry(now, weather, frame);
            let mut ledger = self.ledger.borrow_mut();
            ledger.trace.frame(now, (from, to), frame, passage.faults);
            ledger.tally.count_all(passage.faults);
            drop(ledger);
            departure = departure.max(passage.departure);
            for (at, frame) in passage.arrivals {
                self.at(at, Happening::Arrival { host: to, frame });
            }
            if let Some((at, frame)) = passage.answer {
                self.at(at, Happening::Arrival { host: from, frame });
            }
        }
        departure
    }
}

/// One turn of a shard, and what must hold after it.
fn turn(host: &mut EngineHost, shard: usize, now: Instant) -> Result<(), String> {
    let shard = &mut host.shards[shard];
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
        return Err("turns and turns and does nothing".to_owned());
    }
    shard.engine.stack().check().map_err(|broken| broken.to_string())?;
    match shard.engine.port().missing_frames() {
        0 => Ok(()),
        missing => Err(format!("lost {missing} frames")),
    }
}
