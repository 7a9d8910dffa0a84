//! The book in which the applications of all hosts write what they saw, and in which disagreements show.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;

use bywash_core::base::time::{Duration, Instant};
use bywash_core::shard::CloseReason;

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
}

impl Flow {
    /// Whether nothing more is expected of it.
    fn is_over(&self) -> bool {
        let gone = |fate: &Fate| matches!(fate, Fate::Gone(_));
        if self.script.aborts() { self.fates.iter().any(gone) } else { self.fates.iter().all(gone) }
    }
}

/// All connections of a world, and the first thing that went wrong.
#[derive(Debug)]
pub struct Ledger {
    /// By number.
    pub flows: Vec<Flow>,
    /// By the client's end and the server's.
    ends: BTreeMap<(SocketAddr, SocketAddr), usize>,
    /// Connections to be tried again: when, and which.
    pub again: Vec<(Instant, usize)>,
    /// What went wrong first.
    pub failure: Option<String>,
    /// What happened.
    pub trace: Trace,
}

/// The book, shared by all programs of a world.
pub type SharedLedger = Rc<RefCell<Ledger>>;

impl Ledger {
    /// A book of connections that are all ahead.
    pub fn new(scripts: Vec<Script>, trace: Trace) -> Self {
        let flow = |script| Flow { script, fates: [Fate::Waiting; 2], attempts: 0 };
        let flows = scripts.into_iter().map(flow).collect();
        Self { flows, ends: BTreeMap::new(), again: Vec::new(), failure: None, trace }
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

    /// One end is open.
    pub fn opened(&mut self, now: Instant, flow: usize, side: Side) {
        self.trace.note(now, &[1, flow as u64, side as u64], format_args!("flow {flow} {side:?} opened"));
        let fate = &mut self.flows[flow].fates[side as usize];
        match fate {
            Fate::Waiting => *fate = Fate::Open,
            Fate::Open | Fate::Gone(_) => self.fail(now, format!("flow {flow} {side:?} opened twice")),
        }
    }

    /// One end is gone; `told` is what it should have been if nobody aborted.
    pub fn closed(&mut self, now: Instant, flow: usize, side: Side, reason: CloseReason) {
        let what = format_args!("flow {flow} {side:?} closed: {reason}");
        self.trace.note(now, &[2, flow as u64, side as u64, reason as u64], what);
        let never_opened = self.flows[flow].fates[side as usize] == Fate::Waiting;
        if never_opened && self.may_try_again(flow, reason) {
            self.again.push((now + Duration::from_secs(1), flow));
            return;
        }
        let entry = &mut self.flows[flow];
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
            (_, _) => entry.script.aborts(),
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

    /// Whether nothing more is expected of any connection.
    pub fn is_over(&self) -> bool {
        self.again.is_empty() && self.flows.iter().all(Flow::is_over)
    }

    /// The connections that are not over, for a report.
    pub fn unfinished(&self) -> String {
        let open = self.flows.iter().enumerate().filter(|(_, flow)| !flow.is_over());
        let lines =
            open.map(|(number, flow)| format!("flow {number}: {:?} of {:?}", flow.fates, flow.script));
        lines.collect::<Vec<_>>().join("\n  ")
    }
}
