//! Both stacks answer everything, and a replayed server does what the recorded one did.

use super::*;

const LOADS: [Load; 4] = [
    Load { connections: 1, batch: 1, segments: Segments::Each },
    Load { connections: 32, batch: 32, segments: Segments::Each },
    Load { connections: 1, batch: 32, segments: Segments::Each },
    Load { connections: 1, batch: 32, segments: Segments::Merged },
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
        let recording = Recording::new::<I>(load, 50);
        let mut replay = Replay::<I>::new(&recording);
        replay.measured(recording.rounds());
        assert_eq!(replay.sent(), recording.requests(), "{} with {load}", I::NAME);
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
