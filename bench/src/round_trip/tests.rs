//! Both stacks answer everything, and a replayed server does what the recorded one did.

use super::*;
use crate::ends::{Bywash, Smoltcp};

const LOADS: [Load; 5] = [
    Load::new(1, 1),
    Load::new(32, 32),
    Load::new(1, 32),
    Load { segments: Segments::Merged, ..Load::new(1, 32) },
    // More than 40 ms from one request of a connection to the next: ACKs are segments of their own.
    Load { round_ns: 2_000_000, ..Load::new(1024, 32) },
];

fn answers_everything<I: Implementation>() {
    for load in LOADS {
        let mut pair = Pair::<I>::new(load);
        pair.measured(100);
        pair.finish();
    }
}

#[test]
fn our_engine_answers_every_request() {
    answers_everything::<Bywash>();
}

#[test]
fn smoltcp_answers_every_request() {
    answers_everything::<Smoltcp>();
}

/// Every reply leaves, and nothing else: the ACKs are on board.
fn replays<I: Implementation>() {
    for load in [LOADS[0], LOADS[1]] {
        let mut replay = Replay::<I>::new(load, 20);
        replay.record(20);
        replay.measured();
        assert_eq!(replay.sent(), 20 * u64::from(load.batch), "{} with {load}", I::NAME);
        // More than are replayed at a time.
        replay.run(30);
        assert_eq!(replay.sent(), 50 * u64::from(load.batch), "{} with {load}", I::NAME);
    }
}

#[test]
fn our_server_answers_a_recording() {
    replays::<Bywash>();
}

#[test]
fn smoltcps_server_answers_a_recording() {
    replays::<Smoltcp>();
}
