//! One connection of a scripted peer: what arrives, and what is said about it.

mod acks;
mod sending;

use std::net::SocketAddr;

use bywash_core::base::random::Random;
use bywash_core::base::time::{Duration, Instant};
use bywash_core::shard::CloseReason;
use bywash_core::wire::tcp::{Flags, SackPermitted};
use bywash_core::wire::{Address, MacAddress};

use super::habits::{Habits, Sack, Stamps};
use super::ranges::Ranges;
use super::segment::{self, Ends, Frame};
use crate::fault::Fault;
use crate::ledger::SharedLedger;
use crate::script::{Script, Side};
use crate::stream::Stream;
use sending::Sending;

/// How often SYN+ACK is sent.
const OPENINGS_MAX: u32 = 9;

/// What a connection has around it.
pub(super) struct Surroundings<'a> {
    pub(super) now: Instant,
    pub(super) habits: Habits,
    pub(super) random: &'a mut Random,
    pub(super) ledger: &'a SharedLedger,
    pub(super) outbox: &'a mut Vec<Vec<u8>>,
}

impl Surroundings<'_> {
    /// Whether something of a chance in a thousand happens; it is counted.
    fn happens(&mut self, chance: u64, fault: Fault) -> bool {
        let happens = self.random.chance_in(chance, 1000);
        if happens {
            self.count(fault);
        }
        happens
    }

    fn count(&self, fault: Fault) {
        self.ledger.borrow_mut().tally.count(fault);
    }
}

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// SYN+ACK was sent so often.
    Opening(u32),
    Open,
    /// Both streams have ended and are acknowledged; or it was reset.
    Over,
}

/// One connection.
pub(super) struct Connection {
    ends: Ends,
    macs: (MacAddress, MacAddress),
    flow: usize,
    stage: Stage,
    /// What the engine says, and how much of it.
    theirs: Stream,
    expected: u64,
    /// The sequence number of its SYN.
    irs: u32,
    received: Ranges,
    /// Where its FIN stands.
    fin_at: Option<u64>,
    /// Octets up to which a window was ever shown, and was shown last.
    edge_max: u64,
    edge: u64,
    /// No window until then.
    zero_until: Option<Instant>,
    /// Segments in order since the last ACK.
    unacknowledged: u32,
    ack_at: Option<Instant>,
    sack: Sack,
    stamps: Stamps,
    /// What the next timestamp echoes.
    ts_recent: u32,
    /// The most recent piece that came out of order.
    newest: Option<(u64, u64)>,
    scale: u8,
    sending: Sending,
}

impl Connection {
    /// Answers a SYN, if the book knows whose it is.
    pub(super) fn accept(around: &mut Surroundings<'_>, frame: &Frame<'_>) -> Option<Self> {
        let Ends { local, remote } = frame.ends;
        let flow = around.ledger.borrow().find(socket(remote), socket(local))?;
        let script = around.ledger.borrow().flows[flow].script.clone();
        let options = &frame.tcp.options;
        let habits = &around.habits;
        let permitted = options.sack_permitted == SackPermitted::Present;
        let scales = options.window_scale.zip(habits.scale);
        let mut connection = Self {
            ends: frame.ends,
            macs: frame.macs,
            flow,
            stage: Stage::Opening(0),
            theirs: script.stream(Side::Client),
            expected: script.parts[Side::Client as usize].total,
            irs: frame.tcp.seq,
            received: Ranges::default(),
            fin_at: None,
            edge_max: 0,
            edge: 0,
            zero_until: None,
            unacknowledged: 0,
            ack_at: None,
            sack: if permitted { habits.sack } else { Sack::Refused },
            stamps: if options.timestamps.is_some() { habits.timestamps } else { Stamps::Refused },
            ts_recent: options.timestamps.map_or(0, |stamps| stamps.value),
            newest: None,
            scale: scales.map_or(0, |(_, own)| own),
            sending: Sending::new(
                &script,
                around.random.next_u32(),
                frame,
                scales.map_or(0, |(peer, _)| peer),
            ),
        };
        connection.open(around);
        Some(connection)
    }

    /// Whether another connection may take its place.
    pub(super) fn is_over(&self) -> bool {
        self.stage == Stage::Over
    }

    /// Takes a segment of this connection.
    pub(super) fn handle(&mut self, around: &mut Surroundings<'_>, frame: &Frame<'_>) {
        let tcp = &frame.tcp;
        let offset = self.offset(tcp.seq);
        if tcp.flags.contains(Flags::RST) {
            return self.reset(around, offset);
        }
        if tcp.flags.contains(Flags::SYN) {
            match self.stage {
                Stage::Opening(_) if tcp.seq == self.irs => self.open(around),
                Stage::Opening(_) | Stage::Open | Stage::Over => self.acknowledge(around),
            }
            return;
        }
        if !tcp.flags.contains(Flags::ACK) {
            return;
        }
        if let Some(stamps) = tcp.options.timestamps
            && offset <= self.received.next() as i64
        {
            self.ts_recent = stamps.value;
        }
        if self.stage == Stage::Over {
            if tcp.flags.contains(Flags::FIN) || !frame.payload.is_empty() {
                self.acknowledge(around);
            }
            return;
        }
        match (self.sending.acknowledged(around.now, tcp), self.stage) {
            (Ok(()), _) => {}
            // The SYN was an old duplicate (RFC 9293 section 3.10.7.4, SYN-RECEIVED).
            (Err(_), Stage::Opening(_)) => return segment::refuse(frame, around.outbox),
            (Err(what), Stage::Open | Stage::Over) => return self.fail(around, &what),
        }
        if self.sending.is_heard() && matches!(self.stage, Stage::Opening(_)) {
            self.stage = Stage::Open;
            let _ = around.ledger.borrow_mut().opened(around.now, self.flow, Side::Server);
        }
        if let Err(what) = self.receive(around, frame, offset) {
            return self.fail(around, &what);
        }
        self.forge(around);
        self.send(around);
        self.finish(around);
    }

    /// When [`Connection::expire`] has something to do.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let resend = self.sending.resend_at().filter(|_| self.stage != Stage::Over);
        [self.ack_at, self.zero_until, resend].into_iter().flatten().min()
    }

    /// Does what is due; false: the connection never came to be.
    pub(super) fn expire(&mut self, around: &mut Surroundings<'_>) -> bool {
        let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= around.now);
        if is_due(self.zero_until) {
            self.zero_until = None;
            self.acknowledge(around);
        }
        if self.ack_at.is_some_and(|at| at <= around.now) {
            self.acknowledge(around);
        }
        if self.stage != Stage::Over && self.sending.resend_at().is_some_and(|at| at <= around.now) {
            if let Stage::Opening(openings) = self.stage {
                if openings >= OPENINGS_MAX {
                    return false;
                }
                self.open(around);
            } else {
                self.resend(around);
            }
        }
        true
    }

    /// Place of a sequence number in the engine's stream.
    fn offset(&self, seq: u32) -> i64 {
        let next = self.received.next();
        let expected = self.irs.wrapping_add(1).wrapping_add(next as u32);
        next as i64 + i64::from(seq.wrapping_sub(expected) as i32)
    }

    /// Only what was in the window could be the engine's.
    fn reset(&mut self, around: &mut Surroundings<'_>, offset: i64) {
        let is_ours = (self.received.next() as i64..=self.edge_max as i64 + 1).contains(&offset);
        let was = self.stage;
        if !is_ours || was == Stage::Over {
            return;
        }
        self.stage = Stage::Over;
        self.ack_at = None;
        self.zero_until = None;
        if was == Stage::Open {
            let reason = CloseReason::ConnectionReset;
            around.ledger.borrow_mut().closed(around.now, self.flow, Side::Server, reason);
        }
    }

    fn receive(
        &mut self,
        around: &mut Surroundings<'_>,
        frame: &Frame<'_>,
        offset: i64,
    ) -> Result<(), String> {
        let len = frame.payload.len() as u64;
        let has_fin = frame.tcp.flags.contains(Flags::FIN);
        if len == 0 && !has_fin && offset >= self.received.next() as i64 {
            return Ok(());
        }
        let Ok(start) = u64::try_from(offset) else {
            // A probe below the window, or what was sent again needlessly.
            self.acknowledge(around);
            return Ok(());
        };
        let end = start + len;
        if let Some(at) = self.theirs.mismatch(start, frame.payload) {
            return Err(format!("octet {at} on the wire is wrong"));
        }
        if end > self.expected {
            return Err(format!("{end} octets on the wire of {}", self.expected));
        }
        // One octet more may be a probe of a closed window (RFC 9293 section 3.8.6.1).
        if end > self.edge_max + 1 {
            return Err(format!("octet {end} was sent, and the window ended at {}", self.edge_max));
        }
        if has_fin {
            if self.fin_at.is_some_and(|at| at != end) {
                return Err(format!("a FIN at {end} and another at {:?}", self.fin_at));
            }
            self.fin_at = Some(end);
        }
        let in_order = start <= self.received.next();
        // What a shrunk window leaves outside is not taken.
        self.received.add(start, end.min(self.edge.max(self.received.next())));
        if !in_order {
            self.newest = Some((start, end));
        }
        self.unacknowledged += 1;
        if around.random.chance_in(around.habits.renege, 1000) && self.received.renege() {
            self.newest = None;
            around.count(Fault::Renege);
        }
        self.consider_ack(around, in_order, has_fin);
        Ok(())
    }

    /// Whether the engine's stream has come to its end.
    fn has_ended(&self) -> bool {
        self.fin_at == Some(self.received.next())
    }

    fn finish(&mut self, around: &mut Surroundings<'_>) {
        if self.stage == Stage::Open && self.has_ended() && self.sending.is_done() {
            self.stage = Stage::Over;
            self.acknowledge(around);
            self.zero_until = None;
            let reason = CloseReason::Finished;
            around.ledger.borrow_mut().closed(around.now, self.flow, Side::Server, reason);
        }
    }

    fn fail(&self, around: &Surroundings<'_>, what: &str) {
        let what = format!("flow {} at the scripted peer: {what}", self.flow);
        around.ledger.borrow_mut().fail(around.now, what);
    }
}

fn socket((address, port): (Address, u16)) -> SocketAddr {
    SocketAddr::new(address.into(), port)
}

/// The part of a script that the peer plays.
fn own_part(script: &Script) -> &crate::script::Part {
    &script.parts[Side::Server as usize]
}

/// A peer's clock: milliseconds, from an odd place.
fn stamp(now: Instant) -> u32 {
    (now.as_millis() as u32).wrapping_add(0xffff_0000)
}

/// How long an ACK may wait (RFC 9293 section 3.8.6.3).
const ACK_DELAY: Duration = Duration::from_millis(200);
