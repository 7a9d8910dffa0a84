//! The application of one shard: plays its side of every script and checks all that it is told.

use std::collections::{BTreeMap, BTreeSet};

use bywash_core::base::time::Instant;
use bywash_core::shard::{CloseReason, ConnectionId, Events, Host, Origin};

use crate::ledger::{Opening, SharedLedger};
use crate::script::{End, Ending, Part, Reading, Script, Side};

/// One open connection as its application sees it.
#[derive(Debug)]
struct Session {
    flow: usize,
    side: Side,
    script: Script,
    sent: u64,
    received: u64,
    end: End,
    stage: Stage,
    pause: Pause,
    /// Received octets since the last pause.
    unpaused: u64,
}

/// How far a session has gone with its own ending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// It sends.
    Talking,
    /// It has ended its stream.
    Listening,
    /// It has closed or aborted: it must not be told anything but the end.
    Done,
}

/// Whether a session reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pause {
    Reading,
    Paused,
}

/// The application of one shard.
#[derive(Debug)]
pub struct Program {
    ledger: SharedLedger,
    sessions: BTreeMap<ConnectionId, Session>,
    /// Connections that are being opened, and for which flow.
    opening: BTreeMap<ConnectionId, usize>,
    /// Connections that nobody has opened, and that end at once.
    ghosts: BTreeSet<ConnectionId>,
}

impl Program {
    /// A program that writes into `ledger`.
    pub fn new(ledger: SharedLedger) -> Self {
        Self { ledger, sessions: BTreeMap::new(), opening: BTreeMap::new(), ghosts: BTreeSet::new() }
    }

    /// `id` is being opened for `flow`.
    pub fn connecting(&mut self, id: ConnectionId, flow: usize) {
        self.opening.insert(id, flow);
    }

    /// Keys of all open connections.
    pub fn open(&self) -> Vec<ConnectionId> {
        self.sessions.keys().chain(self.opening.keys()).copied().collect()
    }

    fn fail(&self, now: Instant, what: String) {
        self.ledger.borrow_mut().fail(now, what);
    }

    /// Writes what may be written, and ends what is to be ended.
    fn advance<H: Host>(&mut self, host: &mut H, id: ConnectionId) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let refused = session.speak(host, id);
        session.finish(host, id);
        if let Some(what) = refused {
            self.fail(host.now(), what);
        }
    }
}

impl Session {
    fn part(&self) -> &Part {
        &self.script.parts[self.side as usize]
    }

    /// Octets that the peer sends in all.
    fn expected(&self) -> u64 {
        self.script.parts[self.side.other() as usize].total
    }

    fn speak<H: Host>(&mut self, host: &mut H, id: ConnectionId) -> Option<String> {
        let stream = self.script.stream(self.side);
        while self.stage == Stage::Talking {
            let part = self.part();
            let allowed = part.gate.allowed(part.total, self.received, self.end) - self.sent;
            let len = host.send_space(id).min(part.write_max).min(allowed as usize);
            if len == 0 {
                return None;
            }
            let written = if len.is_multiple_of(3) {
                match host.reserve(id, len) {
                    Ok(room) => {
                        stream.write(self.sent, &mut room[..len]);
                        host.commit(id, len);
                        Ok(len)
                    }
                    Err(_) => self.push(host, id, len),
                }
            } else {
                self.push(host, id, len)
            };
            match written {
                Ok(written) => self.sent += written as u64,
                Err(what) => return Some(what),
            }
            if written.is_ok_and(|written| written < len) {
                return None;
            }
        }
        None
    }

    fn push<H: Host>(&self, host: &mut H, id: ConnectionId, len: usize) -> Result<usize, String> {
        let mut bytes = vec![0; len];
        self.script.stream(self.side).write(self.sent, &mut bytes);
        host.write(id, &bytes).map_err(|error| format!("flow {} {:?}: {error}", self.flow, self.side))
    }

    fn finish<H: Host>(&mut self, host: &mut H, id: ConnectionId) {
        let all_sent = self.sent == self.part().total;
        let ending = self.part().ending;
        match (self.stage, ending) {
            (Stage::Done, _) => {}
            (_, Ending::AbortAt(octets)) if self.sent + self.received >= octets => {
                self.stage = Stage::Done;
                host.abort(id);
            }
            (Stage::Talking, Ending::Shutdown | Ending::AbortAt(_)) if all_sent => {
                self.stage = Stage::Listening;
                host.shutdown(id);
            }
            (Stage::Talking, Ending::Close) if all_sent && self.received == self.expected() => {
                self.stage = Stage::Done;
                host.close(id);
            }
            (Stage::Talking, Ending::Follow) if all_sent && self.end == End::Seen => {
                self.stage = Stage::Done;
                host.close(id);
            }
            (_, _) => {}
        }
    }

    /// Checks what is shown and says how much of it is read.
    fn read(&mut self, bytes: &[u8], end: End) -> Result<usize, String> {
        let stream = self.script.stream(self.side.other());
        if let Some(position) = stream.mismatch(self.received, bytes) {
            return Err(format!("octet {position} is wrong"));
        }
        if self.received + bytes.len() as u64 > self.expected() {
            return Err("more octets than were sent".to_owned());
        }
        let read = match (self.part().reading, end) {
            (Reading::Messages(len), End::Ahead) => bytes.len() - bytes.len() % len,
            (Reading::Messages(_) | Reading::Eager | Reading::Pausing { .. }, _) => bytes.len(),
        };
        self.received += read as u64;
        self.unpaused += read as u64;
        Ok(read)
    }

    /// Whether it may be told anything at all.
    fn check_awake(&self, what: &str) -> Result<(), String> {
        match (self.stage, self.pause) {
            (Stage::Done, _) => Err(format!("{what} after it was closed")),
            (_, Pause::Paused) => Err(format!("{what} while reading was paused")),
            (Stage::Talking | Stage::Listening, Pause::Reading) => Ok(()),
        }
    }

    fn blame(&self, what: &str) -> String {
        format!("flow {} {:?}: {what} (after {} received)", self.flow, self.side, self.received)
    }
}

impl<H: Host> Events<H> for Program {
    fn opened(&mut self, host: &mut H, id: ConnectionId, origin: Origin) {
        let Some(info) = host.info(id) else {
            return self.fail(host.now(), "an opened connection has no ends".to_owned());
        };
        let (flow, side) = match origin {
            Origin::Connected => (self.opening.remove(&id), Side::Client),
            Origin::Accepted => (self.ledger.borrow().find(info.remote, info.local), Side::Server),
        };
        let Some(flow) = flow else {
            return self.fail(host.now(), format!("{info:?} was opened by nobody"));
        };
        let mut ledger = self.ledger.borrow_mut();
        if ledger.opened(host.now(), flow, side) == Opening::Ghost {
            self.ghosts.insert(id);
            host.abort(id);
            return;
        }
        let script = ledger.flows[flow].script.clone();
        drop(ledger);
        let session = Session {
            flow,
            side,
            script,
            sent: 0,
            received: 0,
            end: End::Ahead,
            stage: Stage::Talking,
            pause: Pause::Reading,
            unpaused: 0,
        };
        self.sessions.insert(id, session);
        self.advance(host, id);
    }

    fn received(&mut self, host: &mut H, id: ConnectionId, bytes: &[u8]) -> usize {
        let Some(session) = self.sessions.get_mut(&id) else {
            self.fail(host.now(), "octets for a stranger".to_owned());
            return bytes.len();
        };
        let read = session.check_awake("octets").and_then(|()| session.read(bytes, End::Ahead));
        let read = match read {
            Ok(read) => read,
            Err(what) => {
                let what = session.blame(&what);
                self.fail(host.now(), what);
                return bytes.len();
            }
        };
        if let Reading::Pausing { after, pause } = session.part().reading
            && session.unpaused >= after
        {
            session.unpaused = 0;
            session.pause = Pause::Paused;
            host.pause_reading(id);
            host.set_timer(id, Some(host.now() + pause));
        }
        self.advance(host, id);
        read
    }

    fn end_of_stream(&mut self, host: &mut H, id: ConnectionId, unread: &[u8]) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return self.fail(host.now(), "the end of a stranger's stream".to_owned());
        };
        let mut read =
            session.check_awake("the end of the stream").and_then(|()| session.read(unread, End::Seen));
        if session.end == End::Seen {
            read = Err("the stream ended twice".to_owned());
        }
        if session.received != session.expected() && !session.script.aborts() {
            read = Err(format!("the stream ended before its {} octets", session.expected()));
        }
        session.end = End::Seen;
        if let Err(what) = read {
            let what = session.blame(&what);
            self.fail(host.now(), what);
        }
        self.advance(host, id);
    }

    fn writable(&mut self, host: &mut H, id: ConnectionId) {
        if self.sessions.get(&id).is_none_or(|session| session.stage != Stage::Talking) {
            self.fail(host.now(), "writable, and nobody writes".to_owned());
        }
        self.advance(host, id);
    }

    fn timer(&mut self, host: &mut H, id: ConnectionId) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return self.fail(host.now(), "a stranger's timer".to_owned());
        };
        session.pause = Pause::Reading;
        host.resume_reading(id);
    }

    fn closed(&mut self, host: &mut H, id: ConnectionId, reason: CloseReason) {
        let now = host.now();
        if let Some(flow) = self.opening.remove(&id) {
            return self.ledger.borrow_mut().closed(now, flow, Side::Client, reason);
        }
        if self.ghosts.remove(&id) {
            return;
        }
        let Some(session) = self.sessions.remove(&id) else {
            return self.fail(now, "a stranger is gone".to_owned());
        };
        let is_whole = session.sent == session.part().total && session.received == session.expected();
        if reason == CloseReason::Finished && !is_whole && !session.script.aborts() {
            self.fail(now, session.blame("finished before all was said"));
        }
        self.ledger.borrow_mut().closed(now, session.flow, session.side, reason);
    }
}
