//! The stages of a request, each by itself: for instruction counts, and for times beside them.

mod codec;
mod path;
mod table;
mod timers;
mod wire;

use std::time::{Duration, Instant};

use bywash_core::codec::{LengthPrefixed, Lines, Raw};

/// One stage: what is measured, and what must be done before without being measured.
trait Stage {
    /// As often as the stage can be run after one preparation.
    const AT_ONCE: u32 = 4096;

    /// Before each [`Stage::run`].
    fn prepare(&mut self, _count: u32) {}

    /// Goes through the stage `count` times, at most [`Stage::AT_ONCE`].
    fn run(&mut self, count: u32);
}

/// A stage that is ready to be run. Make one with [`stage`].
pub struct Prepared(Box<dyn Run>);

impl Prepared {
    /// Goes through the stage `count` times, and returns how long that took.
    pub fn run(&mut self, count: u32) -> Duration {
        self.0.run(count)
    }
}

trait Run {
    fn run(&mut self, count: u32) -> Duration;
}

struct Counted<S>(S);

impl<S: Stage> Counted<S> {
    /// Its name is what instruction counts are toggled by.
    #[inline(never)]
    fn measured(&mut self, count: u32) {
        self.0.run(count);
    }
}

impl<S: Stage> Run for Counted<S> {
    fn run(&mut self, mut count: u32) -> Duration {
        let mut elapsed = Duration::ZERO;
        while count > 0 {
            let some = count.min(S::AT_ONCE);
            self.0.prepare(some);
            let begin = Instant::now();
            self.measured(some);
            elapsed += begin.elapsed();
            count -= some;
        }
        elapsed
    }
}

/// The names of all stages, with what one unit of each is.
pub const NAMES: [(&str, &str); 18] = [
    ("parse", "headers of a 130-byte frame into offsets"),
    ("verify", "its IPv4 and TCP checksums"),
    ("demux-hit", "hash of the tuple and look-up among 10,000"),
    ("demux-miss", "the same for a tuple that is not there"),
    ("table-insert", "an entry, beside 10,000"),
    ("table-remove", "an entry, beside 10,000"),
    ("timer-arm", "a timer that was not armed"),
    ("timer-later", "a timer that is armed already, for later"),
    ("timer-disarm", "an armed timer"),
    ("timer-expire", "a timer among 4,096 within 400 ms, cascades included"),
    ("timer-idle", "a look at a wheel in which nothing is due"),
    ("checksum-96", "a sum of 96 bytes"),
    ("copy-64", "a sum folded into a copy of 64 bytes"),
    ("codec-raw", "64 bytes, decoded and encoded"),
    ("codec-length", "a length-prefixed message of 64 bytes, decoded and encoded"),
    ("codec-lines", "a line of 64 bytes, decoded and encoded"),
    ("receive", "a 64-byte segment from frame to application, 32 in a burst; every 5th calls for an ACK"),
    ("send", "64 bytes from application to frame, 32 in a burst; every 5th segment is acknowledged"),
];

/// Prepares a stage by its name, or `None` if there is no such stage.
pub fn stage(name: &str) -> Option<Prepared> {
    fn ready<S: Stage + 'static>(stage: S) -> Prepared {
        Prepared(Box::new(Counted(stage)))
    }
    Some(match name {
        "parse" => ready(wire::Parse::new()),
        "verify" => ready(wire::Verify::new()),
        "demux-hit" => ready(table::Demux::hit()),
        "demux-miss" => ready(table::Demux::miss()),
        "table-insert" => ready(table::Insert::new()),
        "table-remove" => ready(table::Remove::new()),
        "timer-arm" => ready(timers::Arm::new()),
        "timer-later" => ready(timers::Later::new()),
        "timer-disarm" => ready(timers::Disarm::new()),
        "timer-expire" => ready(timers::Expire::new()),
        "timer-idle" => ready(timers::Idle::new()),
        "checksum-96" => ready(wire::Checksum::new()),
        "copy-64" => ready(wire::Copy::new()),
        "codec-raw" => ready(codec::Framing::new(Raw::default(), codec::raw())),
        "codec-length" => ready(codec::Framing::new(LengthPrefixed::default(), codec::length_prefixed())),
        "codec-lines" => ready(codec::Framing::new(Lines::default(), codec::line())),
        "receive" => ready(path::Receive::new()),
        "send" => ready(path::Send::new()),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stage_runs() {
        for (name, _) in NAMES {
            let mut prepared = stage(name).unwrap();
            // Each run checks itself.
            prepared.run(10_000);
        }
        assert!(stage("no such stage").is_none());
    }
}
