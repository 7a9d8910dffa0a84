//! What happens to the connections: opened, found, timed, closed.

use std::time::{Duration as Elapsed, Instant as Clock};

use anyhow::{Context, Result, ensure};
use bywash_core::base::random::Random;
use bywash_core::base::time::Duration;
use bywash_core::shard::{ConnectionId, Host as _, Transport};
use bywash_core::table::{Lookup, TableReader, WORDS_V4};
use bywash_core::tcp::isn::Secrets;
use bywash_core::wire::hash::TupleHasher;
use bywash_core::wire::tcp::Flags;
use bywash_core::wire::{Address, Tuple};

use super::{SAMPLES_MAX, Scale, each};
use crate::ends::bywash::SEED;
use crate::ends::{End, PORT, SERVER};
use crate::forge::{Answer, ISS, Part, Peer};

/// Segments in a burst.
const BURST: u32 = 64;
/// Deadlines are spread over so long a time.
const SPREAD: Duration = Duration::from_secs(2);
/// Virtual time between two turns in which timers expire.
const STEP: Duration = Duration::from_micros(500);

impl Scale {
    /// Opens all connections and returns how long that took.
    pub(super) fn open(&mut self) -> Result<Elapsed> {
        let begin = Clock::now();
        let mut opened = 0;
        while opened < self.connections {
            let burst = BURST.min(self.connections - opened);
            let received = &mut self.server.wires().received;
            received.clear();
            for number in opened..opened + burst {
                Peer::numbered(number).syn(received)?;
            }
            self.turn();
            let wires = self.server.wires();
            wires.received.clear();
            for index in 0..wires.sent.len() {
                let answer = Answer::read(wires.sent.frame(index))?;
                self.acks[answer.number as usize] = answer.seq.wrapping_add(1);
                answer.acknowledge(&mut wires.received, ISS + 1)?;
            }
            wires.sent.clear();
            self.turn();
            self.server.wires().sent.clear();
            opened += burst;
            self.show(opened, self.connections, "connections are open");
        }
        Ok(begin.elapsed())
    }

    /// Looks connections up in the server's table, as other shards do.
    pub(super) fn look_up(&mut self) -> Result<()> {
        let tables = self.server.transport().stack().published(0);
        let hasher = TupleHasher::new(Secrets::from_seed(SEED).table);
        let samples = self.connections.min(SAMPLES_MAX);
        let tuples = (0..samples).map(|_| words(self.random.below(u64::from(self.connections)) as u32));
        let tuples = tuples.collect::<Option<Vec<_>>>().context("a tuple of IPv4")?;
        let begin = Clock::now();
        let found = tuples.iter().filter(|words| is_in(&tables.v4, &hasher, words)).count();
        let elapsed = begin.elapsed();
        ensure!(found == samples as usize, "only {found} of {samples} connections were found");
        println!("{:.1} ns to look one up in the table, in random order", each(elapsed, samples));
        Ok(())
    }

    /// Sends bare ACKs: parsing, look-up and input, without payload and answer.
    pub(super) fn acknowledge(&mut self) -> Result<()> {
        let samples = self.connections.min(SAMPLES_MAX).next_multiple_of(BURST);
        let mut elapsed = Elapsed::ZERO;
        for sample in (0..samples).step_by(BURST as usize) {
            let received = &mut self.server.wires().received;
            received.clear();
            for _ in 0..BURST {
                let number = self.random.below(u64::from(self.connections)) as u32;
                let ack = self.acks[number as usize];
                Peer::numbered(number).send(received, &part(ack, Flags::ACK))?;
            }
            let begin = Clock::now();
            self.turn();
            elapsed += begin.elapsed();
            self.show(sample, samples, "ACKs");
        }
        let sent = self.server.wires().sent.len();
        ensure!(sent == 0, "bare ACKs were answered by {sent} segments");
        println!("{:.1} ns to take in an ACK, in random order, {BURST} in a burst", each(elapsed, samples));
        Ok(())
    }

    /// Arms a timer of the application for each connection, moves it, cancels it, lets it expire.
    pub(super) fn time(&mut self) -> Result<()> {
        let mut ids = Vec::with_capacity(self.connections as usize);
        self.server.transport().open_connections(&mut ids);
        ensure!(ids.len() == self.connections as usize, "{} connections are open", ids.len());
        shuffle(&mut ids, &mut self.random);
        self.progress.show("timers: arming, expiring");
        let arm = self.set_timers(&ids, Duration::ZERO);
        self.expect_timers(self.connections)?;
        let expire = self.expire();
        self.expect_timers(0)?;
        self.progress.show("timers: moving, cancelling");
        self.set_timers(&ids, Duration::ZERO);
        let later = self.set_timers(&ids, Duration::from_millis(10));
        let begin = Clock::now();
        let host = self.server.transport_mut().host();
        for id in &ids {
            host.set_timer(*id, None);
        }
        let cancel = begin.elapsed();
        let cancelled = self.expire();
        self.expect_timers(0)?;
        let of = |elapsed| each(elapsed, self.connections);
        println!("{:.1} ns to arm a connection's timer, in random order", of(arm));
        println!("{:.1} ns to move it to later", of(later));
        println!("{:.1} ns to cancel it", of(cancel));
        println!("{:.1} ns to expire it, turns and callback included", of(expire));
        println!("{:.1} ns to pass over a cancelled one", of(cancelled));
        Ok(())
    }

    /// Closes all connections from the clients' side and returns how long that took.
    pub(super) fn close(&mut self) -> Result<Elapsed> {
        let mut order: Vec<u32> = (0..self.connections).collect();
        shuffle(&mut order, &mut self.random);
        let begin = Clock::now();
        let mut closed = 0;
        for burst in order.chunks(BURST as usize) {
            let received = &mut self.server.wires().received;
            received.clear();
            for number in burst {
                let fin = part(self.acks[*number as usize], Flags::FIN | Flags::ACK);
                Peer::numbered(*number).send(received, &fin)?;
            }
            self.turn();
            let wires = self.server.wires();
            wires.received.clear();
            for index in 0..wires.sent.len() {
                Answer::read(wires.sent.frame(index))?.acknowledge(&mut wires.received, ISS + 2)?;
            }
            wires.sent.clear();
            self.turn();
            closed += burst.len() as u32;
            self.show(closed, self.connections, "connections are closed");
        }
        let elapsed = begin.elapsed();
        let report = self.server.transport().report();
        ensure!(report.is_idle() && self.server.connections() == 0, "something is left: {report:?}");
        Ok(elapsed)
    }

    fn set_timers(&mut self, ids: &[ConnectionId], later: Duration) -> Elapsed {
        let base = self.now + SPREAD + later;
        let host = self.server.transport_mut().host();
        // The same deadlines each time: those of one call differ from those of another by `later`.
        let mut random = Random::from_seed(2);
        let begin = Clock::now();
        for id in ids {
            let spread = Duration::from_nanos(random.below(SPREAD.as_nanos()));
            host.set_timer(*id, Some(base + spread));
        }
        begin.elapsed()
    }

    /// Lets time pass until all deadlines have.
    fn expire(&mut self) -> Elapsed {
        let end = self.now + SPREAD + SPREAD + Duration::from_millis(100);
        let begin = Clock::now();
        while self.now < end {
            self.turn();
            self.now += STEP;
        }
        begin.elapsed()
    }

    fn expect_timers(&self, count: u32) -> Result<()> {
        let armed = self.server.transport().report().timers;
        ensure!(armed == count as usize, "{armed} timers are armed, not {count}");
        Ok(())
    }
}

fn part(ack: u32, flags: Flags) -> Part<'static> {
    Part { seq: ISS + 1, ack, flags, echo: 0, payload: &[] }
}

/// The tuple of a client, as the table has it.
fn words(number: u32) -> Option<[u32; 3]> {
    let peer = Peer::numbered(number);
    let tuple = Tuple {
        local: Address::v4(SERVER),
        remote: Address::v4(peer.address.octets()),
        local_port: PORT,
        remote_port: peer.port,
    };
    tuple.words_v4()
}

#[inline]
fn is_in(table: &TableReader<WORDS_V4>, hasher: &TupleHasher, words: &[u32; 3]) -> bool {
    match table.find(hasher.v4(*words) as u32, words) {
        Lookup::Found(_) => true,
        Lookup::Absent | Lookup::Uncertain => false,
    }
}

fn shuffle<T>(values: &mut [T], random: &mut Random) {
    for index in (1..values.len()).rev() {
        values.swap(index, random.below(index as u64 + 1) as usize);
    }
}
