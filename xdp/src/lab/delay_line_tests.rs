use std::time::{Duration, Instant};

use super::*;
use crate::lab::impairment::Probability;

const LEN: usize = 64;

fn frame(line: &mut DelayLine, mark: u8) -> Frame {
    let mut buffer = line.take_buffer();
    buffer[..LEN].fill(mark);
    buffer[12..14].copy_from_slice(&[0x08, 0x00]);
    Frame { buffer, start: 0, end: LEN }
}

fn drain(line: &mut DelayLine, now: Instant) -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    while let Some(frame) = line.poll_frame(now) {
        out.push(frame.bytes().to_vec());
        line.give_back(frame);
        line.counters.sent += 1;
    }
    out
}

fn marks(frames: &[Vec<u8>]) -> Vec<u8> {
    frames.iter().map(|f| f[0]).collect()
}

fn assert_adds_up(c: RelayCounters) {
    assert_eq!(
        c.received + c.duplicated,
        c.sent + c.lost + c.blacked_out + c.oversized + c.overflowed + c.send_failed + c.held,
        "{c:?}"
    );
}

fn percent(frames: u32) -> Probability {
    Probability::percent(frames).expect("at most 100")
}

#[test]
fn without_impairment_frames_leave_at_once_and_in_order() {
    let mut line = DelayLine::new(1, LEN);
    let now = Instant::now();
    for mark in 0..100 {
        let f = frame(&mut line, mark);
        line.handle_frame(f, Weather::Open(Impairment::NONE), now);
    }
    assert_eq!(line.poll_at(), Some(now));
    assert_eq!(marks(&drain(&mut line, now)), (0..100).collect::<Vec<u8>>());
    assert_eq!(line.poll_at(), None);
    assert_adds_up(line.counters);
}

#[test]
fn delay_and_jitter_hold_frames_and_keep_their_order() {
    let mut line = DelayLine::new(2, LEN);
    let delay = Duration::from_millis(10);
    let jitter = Duration::from_millis(5);
    let weather = Weather::Open(Impairment { delay, jitter, ..Impairment::NONE });
    let start = Instant::now();
    let entrance = |mark: u8| start + Duration::from_millis(2) * u32::from(mark);
    let mut waits = Vec::new();
    for mark in 0..100 {
        let f = frame(&mut line, mark);
        line.handle_frame(f, weather, entrance(mark));
    }
    assert_eq!(line.counters.held, 100);
    while let Some(due) = line.poll_at() {
        let left = drain(&mut line, due);
        for mark in marks(&left) {
            assert_eq!(usize::from(mark), waits.len(), "out of order");
            waits.push(due - entrance(mark));
        }
    }
    assert_eq!(waits.len(), 100);
    assert!(waits.iter().all(|&wait| (delay..=delay + jitter).contains(&wait)), "{waits:?}");
    assert!(waits.iter().any(|&wait| wait < delay + jitter / 3), "{waits:?}");
    assert!(waits.iter().any(|&wait| wait > delay + jitter * 2 / 3), "{waits:?}");
    assert_adds_up(line.counters);
}

#[test]
fn a_shorter_delay_does_not_let_younger_frames_overtake() {
    let mut line = DelayLine::new(3, LEN);
    let now = Instant::now();
    let late = Impairment { delay: Duration::from_millis(10), ..Impairment::NONE };
    let first = frame(&mut line, 1);
    line.handle_frame(first, Weather::Open(late), now);
    let second = frame(&mut line, 2);
    line.handle_frame(second, Weather::Open(Impairment::NONE), now);
    assert!(drain(&mut line, now + Duration::from_millis(9)).is_empty());
    assert_eq!(marks(&drain(&mut line, now + Duration::from_millis(10))), [1, 2]);
}

#[test]
fn reordered_frames_are_overtaken_by_those_within_the_hold() {
    let mut line = DelayLine::new(4, LEN);
    let now = Instant::now();
    let always = Impairment { reorder: Probability::ALWAYS, ..Impairment::NONE };
    let first = frame(&mut line, 1);
    line.handle_frame(first, Weather::Open(always), now);
    let second = frame(&mut line, 2);
    line.handle_frame(second, Weather::Open(Impairment::NONE), now);
    assert_eq!(marks(&drain(&mut line, now)), [2]);
    assert_eq!(marks(&drain(&mut line, now + always.reorder_hold)), [1]);
    assert_eq!(line.counters.reordered, 1);
    assert_adds_up(line.counters);
}

#[test]
fn each_share_is_kept_and_every_frame_is_accounted_for() {
    let mut line = DelayLine::new(5, LEN);
    let now = Instant::now();
    let impairment =
        Impairment { loss: percent(10), duplicate: percent(20), corrupt: percent(30), ..Impairment::NONE };
    let mut sent = Vec::new();
    for _ in 0..10_000 {
        let f = frame(&mut line, 7);
        line.handle_frame(f, Weather::Open(impairment), now);
        sent.append(&mut drain(&mut line, now));
    }
    let c = line.counters;
    assert_adds_up(c);
    assert_eq!(c.held, 0);
    assert_eq!(c.sent, sent.len() as u64);
    assert!((800..1200).contains(&c.lost), "{c:?}");
    assert!((1600..2000).contains(&c.duplicated), "{c:?}");
    assert!((2400..3000).contains(&c.corrupted), "{c:?}");
    let whole = frame(&mut line, 7).bytes().to_vec();
    let flipped = |f: &Vec<u8>| f.iter().zip(&whole).map(|(a, b)| (a ^ b).count_ones()).sum::<u32>();
    assert!(sent.iter().all(|f| flipped(f) <= 1 && f[..14] == whole[..14]));
    assert!(sent.iter().any(|f| flipped(f) == 1));
}

#[test]
fn frames_other_than_ip_are_not_corrupted() {
    let mut line = DelayLine::new(6, LEN);
    let now = Instant::now();
    let mut arp = frame(&mut line, 0);
    arp.buffer[12..14].copy_from_slice(&[0x08, 0x06]);
    let before = arp.bytes().to_vec();
    let always = Impairment { corrupt: Probability::ALWAYS, ..Impairment::NONE };
    line.handle_frame(arp, Weather::Open(always), now);
    assert_eq!(drain(&mut line, now), [before]);
    assert_eq!(line.counters.corrupted, 0);
}

#[test]
fn a_blackout_takes_every_frame() {
    let mut line = DelayLine::new(7, LEN);
    let now = Instant::now();
    for mark in 0..10 {
        let f = frame(&mut line, mark);
        line.handle_frame(f, Weather::Blackout, now);
    }
    assert!(drain(&mut line, now).is_empty());
    assert_eq!(line.counters.blacked_out, 10);
    assert_adds_up(line.counters);
}

#[test]
fn the_line_has_an_end() {
    let mut line = DelayLine::new(8, LEN);
    let now = Instant::now();
    let slow = Impairment { delay: Duration::from_secs(1), ..Impairment::NONE };
    for _ in 0..HELD_FRAMES_MAX + 3 {
        let f = frame(&mut line, 0);
        line.handle_frame(f, Weather::Open(slow), now);
    }
    assert_eq!(line.counters.overflowed, 3);
    assert_eq!(line.counters.held, HELD_FRAMES_MAX as u64);
    assert_adds_up(line.counters);
}

#[test]
fn the_same_seed_decides_the_same() {
    let run = |seed| {
        let mut line = DelayLine::new(seed, LEN);
        let now = Instant::now();
        let impairment = Impairment { loss: percent(50), ..Impairment::NONE };
        for mark in 0..200 {
            let f = frame(&mut line, mark);
            line.handle_frame(f, Weather::Open(impairment), now);
        }
        marks(&drain(&mut line, now))
    };
    assert_eq!(run(9), run(9));
    assert_ne!(run(9), run(10));
}
