//! The book in which the applications of all hosts write what they saw, and in which disagreements show.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;

use bywash_core::base::time::{Duration, Instant};
use bywash_core::shard::CloseReason;

use crate::fault::Tally;
use crate::script::{Ending, Script, Side};
use crate::trace::Trace;

/// Attempts to connect for one script at most.
const ATTEMPTS_MAX: u32 = 20;

/// What one end of a connection has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It does not exist yet.
    Waiting,
    /// It is open.
    Open,
    /// It is gone.
    Gone(CloseReason),
}

/// One connection in the book.
#[derive(Debug)]
pub struct Flow {
    /// What is to happen.
    pub script: Script,
    /// What each end has come to, client first.
    pub fates: [Fate; 2],
    attempts: u32,
    /// Whether one of its hosts has forgotten it.
    memory: Memory,
}

/// Whether both hosts still know of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Memory {
    Kept,
    Lost,
}

impl Flow {
    /// Whether nothing more is expected of it.
    fn is_over(&self) -> bool {
        let gone = |fate: &Fate| matches!(fate, Fate::Gone(_));
        if self.may_break() { self.fates.iter().any(gone) } else { self.fates.iter().all(gone) }
    }

    /// Whether a client with nothing to say waits for a server that does not know of it.
    fn is_unheard(&self) -> bool {
        self.script.parts[Side::Client as usize].total == 0 && self.fates == [Fate::Open, Fate::Waiting]
    }

    /// Whether it may end before all is said.
    fn may_break(&self) -> bool {
        self.script.aborts() || self.memory == Memory::Lost
    }
}

/// What an opened connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// The connection.
    Real,
    /// Made of an old ACK with a SYN cookie, after the connection itself was gone: a server that keeps nothing cannot
    /// know (RFC 4987 section 3.6).
    Ghost,
}

/// Whether servers answer SYNs without remembering them. What follows the handshake then must not overtake it: the server
/// does not know the connection yet, and resets it (RFC 4987 section 3.6; Linux does so, too).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cookies {
    /// Some do.
    On,
    /// None does.
    Off,
}

/// All connections of a world, and the first thing that went wrong.
#[derive(Debug)]
pub struct Ledger {
    /// By number.
    pub flows: Vec<Flow>,
    cookies: Cookies,
    /// By the client's end and the server's.
    ends: BTreeMap<(SocketAddr, SocketAddr), usize>,
    /// Connections to be tried again: when, and which.
    pub again: Vec<(Instant, usize)>,
    /// What went wrong first.
    pub failure: Option<String>,
    /// What happened.
    pub trace: Trace,
    /// What went wrong on purpose.
    pub tally: Tally,
    /// How connections ended, each end by itself.
    pub ends_seen: BTreeMap<String, u64>,
}

/// The book, shared by all programs of a world.
pub type SharedLedger = Rc<RefCell<Ledger>>;

impl Ledger {
    /// A book of connections that are all ahead.
    pub fn new(scripts: Vec<Script>, cookies: Cookies, trace: Trace) -> Self {
        let flow = |script| Flow { script, fates: [Fate::Waiting; 2], attempts: 0, memory: Memory::Kept };
        let flows = scripts.into_iter().map(flow).collect();
        Self {
            flows,
            cookies,
            ends: BTreeMap::new(),
            again: Vec::new(),
            failure: None,
            trace,
            tally: Tally::default(),
            ends_seen: BTreeMap::new(),
        }
    }

    /// Remembers what went wrong, if it is the first thing that did.
    pub fn fail(&mut self, now: Instant, what: String) {
        self.trace.note(now, &[0xdead], format_args!("FAILURE: {what}"));
        self.failure.get_or_insert(what);
    }

    /// A client is connecting from `local` to `remote`.
    pub fn connecting(&mut self, flow: usize, local: SocketAddr, remote: SocketAddr) {
        self.flows[flow].attempts += 1;
        self.ends.insert((local, remote), flow);
    }

    /// Whose connection has these ends.
    pub fn find(&self, client: SocketAddr, server: SocketAddr) -> Option<usize> {
        self.ends.get(&(client, server)).copied()
    }

    /// One end is open, or it seems so.
    pub fn opened(&mut self, now: Instant, flow: usize, side: Side) -> Opening {
        self.trace.note(now, &[1, flow as u64, side as u64], format_args!("flow {flow} {side:?} opened"));
        let fate = &mut self.flows[flow].fates[side as usize];
        match (*fate, side) {
            (Fate::Waiting, _) => {
                *fate = Fate::Open;
                Opening::Real
            }
            (Fate::Gone(_), Side::Server) if self.cookies == Cookies::On => Opening::Ghost,
            (Fate::Gone(_) | Fate::Open, _) => {
                self.fail(now, format!("flow {flow} {side:?} opened twice"));
                Opening::Ghost
            }
        }
    }

    /// One end is gone; `told` is what it should have been if nobody aborted.
    pub fn closed(&mut self, now: Instant, flow: usize, side: Side, reason: CloseReason) {
        let what = format_args!("flow {flow} {side:?} closed: {reason}");
        self.trace.note(now, &[2, flow as u64, side as u64, reason as u64], what);
        *self.ends_seen.entry(reason.to_string()).or_default() += 1;
        let never_opened = self.flows[flow].fates[side as usize] == Fate::Waiting;
        if never_opened && self.may_try_again(flow, reason) {
            self.again.push((now + Duration::from_secs(1), flow));
            return;
        }
        let entry = &mut self.flows[flow];
        let is_unheard = entry.is_unheard();
        if self.cookies == Cookies::On && side == Side::Client && reason == CloseReason::ConnectionReset {
            entry.memory = Memory::Lost;
        }
        entry.fates[side as usize] = Fate::Gone(reason);
        let own = entry.script.parts[side as usize].ending;
        let is_right = match (own, reason) {
            (Ending::AbortAt(_), CloseReason::Aborted) | (_, CloseReason::Finished) => true,
            (
                _,
                CloseReason::OutOfMemory
                | CloseReason::MessageTooLong
                | CloseReason::Drained
                | CloseReason::ConnectionRefused,
            ) => false,
            (_, _) => entry.may_break() || is_unheard,
        };
        if !is_right {
            self.fail(now, format!("flow {flow} {side:?}: {reason}"));
        }
    }

    /// Whether an attempt to connect may have failed for this reason, in stormy weather.
    fn may_try_again(&self, flow: usize, reason: CloseReason) -> bool {
        matches!(reason, CloseReason::HostUnreachable | CloseReason::TimedOut)
            && self.flows[flow].attempts < ATTEMPTS_MAX
    }

    /// A host has lost its memory: its ends of connections are gone, and nobody was told.
    pub fn forget(&mut self, now: Instant, host: usize) {
        self.trace.note(now, &[3, host as u64], format_args!("host {host} reboots"));
        for flow in &mut self.flows {
            let has_begun = flow.attempts > 0 && flow.fates.iter().any(|fate| !matches!(fate, Fate::Gone(_)));
            let sides = [flow.script.client, flow.script.server];
            if !has_begun || !sides.contains(&host) {
                continue;
            }
            flow.memory = Memory::Lost;
            let is_opening = flow.fates[0] == Fate::Waiting;
            for (fate, side) in flow.fates.iter_mut().zip(sides) {
                // A server that has only heard a SYN will hear it again.
                let was_there = match fate {
                    Fate::Waiting => flow.script.client == host || !is_opening,
                    Fate::Open => true,
                    Fate::Gone(_) => false,
                };
                if side == host && was_there {
                    *fate = Fate::Gone(CloseReason::Aborted);
                }
            }
        }
    }

    /// Whether nothing more is expected of any connection.
    pub fn is_over(&self) -> bool {
        self.again.is_empty() && self.flows.iter().all(Flow::is_over)
    }

    /// The connections that should be over, for a report. One that a host has forgotten may wait for ever: nobody
    /// asks whether it is still there. A client may, too, that has nothing to say to a server that has answered it with a
    /// cookie: the ACK that was lost is not asked for again (RFC 4987 section 3.6).
    pub fn unfinished(&self) -> Option<String> {
        let is_late = |flow: &Flow| flow.memory == Memory::Kept && !flow.is_over() && !flow.is_unheard();
        let late = self.flows.iter().enumerate().filter(|(_, flow)| is_late(flow));
        let lines: Vec<_> = late
            .map(|(number, flow)| format!("flow {number}: {:?} of {:?}", flow.fates, flow.script))
            .collect();
        (!lines.is_empty()).then(|| lines.join("\n  "))
    }
}
