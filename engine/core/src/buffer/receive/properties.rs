//! Random segments of several connections on one pool, beside a plain model of what they should hold.

use super::tests::{config, in_use, small_pool};
use super::*;
use crate::buffer::Span;
use alloc::vec;
use alloc::vec::Vec;
use proptest::prelude::*;

#[derive(Debug, Clone, Copy)]
enum Step {
    Insert { offset: u32, len: usize },
    Append(usize),
    Consume(u32),
    Advance(u32),
    TakeAndPut(u32),
    Release,
}

fn step() -> impl Strategy<Value = Step> {
    let offset = prop_oneof![3 => 0..20u32, 3 => 0..120u32, 1 => 0..1000u32];
    let len = prop_oneof![3 => 0..12usize, 2 => 0..60usize, 1 => 0..300usize];
    prop_oneof![
        10 => (offset, len).prop_map(|(offset, len)| Step::Insert { offset, len }),
        6 => (0..40usize).prop_map(Step::Append),
        8 => (0..60u32).prop_map(Step::Consume),
        4 => (0..30u32).prop_map(Step::Advance),
        2 => (0..60u32).prop_map(Step::TakeAndPut),
        1 => Just(Step::Release),
    ]
}

/// What one connection's buffer should hold: unread bytes, then by offset the byte and when it last came.
#[derive(Default, Clone)]
struct Oracle {
    unread: Vec<u8>,
    beyond: Vec<Option<(u8, u32)>>,
    stamp: u32,
}

impl Oracle {
    fn ranges(&self) -> Vec<(Span, u32)> {
        let mut ranges: Vec<(Span, u32)> = Vec::new();
        for (at, byte) in self.beyond.iter().enumerate() {
            let (at, Some((_, stamp))) = (at as u32, byte) else { continue };
            match ranges.last_mut() {
                Some((span, latest)) if span.end == at => {
                    span.end += 1;
                    *latest = (*latest).max(*stamp);
                }
                Some(_) | None => ranges.push((Span { start: at, end: at + 1 }, *stamp)),
            }
        }
        ranges
    }

    /// The ranges as SACK wants them.
    fn recent(&self) -> Vec<Span> {
        let mut ranges = self.ranges();
        ranges.sort_by_key(|&(_, stamp)| core::cmp::Reverse(stamp));
        ranges.into_iter().map(|(span, _)| span).collect()
    }

    fn write(&mut self, offset: usize, bytes: &[u8]) -> Inserted {
        self.stamp += 1;
        let end = offset + bytes.len();
        self.beyond.resize(self.beyond.len().max(end), None);
        let segment = &mut self.beyond[offset..end];
        let duplicate = segment.iter().position(Option::is_some).map(|start| {
            let len = segment[start..].iter().take_while(|byte| byte.is_some()).count();
            Span { start: (offset + start) as u32, end: (offset + start + len) as u32 }
        });
        let mut new_bytes = 0;
        for (place, &byte) in segment.iter_mut().zip(bytes) {
            new_bytes += u32::from(place.is_none());
            *place = Some((place.map_or(byte, |(held, _)| held), self.stamp));
        }
        Inserted { new_bytes, in_order: self.merge(), duplicate }
    }

    fn merge(&mut self) -> u32 {
        let ready = self.beyond.iter().take_while(|byte| byte.is_some()).count();
        self.unread.extend(self.beyond.drain(..ready).flatten().map(|(byte, _)| byte));
        ready as u32
    }

    fn consume(&mut self, len: u32) -> u32 {
        let len = self.unread.len().min(len as usize);
        self.unread.drain(..len);
        len as u32
    }
}

#[derive(Default)]
struct Pair {
    held: Option<ReceiveBufferId>,
    oracle: Oracle,
    salt: u8,
}

impl Pair {
    fn insert(&mut self, pool: &mut ReceivePool, offset: u32, len: usize, plenty: bool) {
        self.salt = self.salt.wrapping_mul(5).wrapping_add(1);
        let bytes: Vec<u8> = (0..len).map(|at| self.salt.wrapping_add(at as u8)).collect();
        let mut after = self.oracle.clone();
        let expected = if len == 0 { Inserted::default() } else { after.write(offset as usize, &bytes) };
        let result = pool.insert(&mut self.held, offset, &bytes);
        match result {
            Ok(inserted) => {
                assert_eq!(inserted, expected);
                assert!(after.unread.len() + after.beyond.len() <= 896 && after.ranges().len() <= 4);
                self.oracle = after;
            }
            Err(Refusal::BufferMax) => {
                assert!(self.oracle.unread.len() + offset as usize + len > 896);
            }
            Err(Refusal::RangesMax) => assert!(after.ranges().len() > 4 && offset > 0),
            Err(Refusal::Exhausted) => assert!(!plenty),
            Err(Refusal::Taken | Refusal::Unread) => panic!("{result:?}"),
        }
    }

    fn advance(&mut self, pool: &mut ReceivePool, len: u32) {
        let result = pool.advance(&mut self.held, len);
        if !self.oracle.unread.is_empty() {
            assert_eq!(result, Err(Refusal::Unread));
            return;
        }
        let bytes = vec![0; len as usize];
        let expected = if len == 0 { Inserted::default() } else { self.oracle.write(0, &bytes) };
        assert_eq!(result, Ok(expected));
        self.oracle.consume(len);
    }

    fn apply(&mut self, pool: &mut ReceivePool, step: Step, plenty: bool) {
        match step {
            Step::Insert { offset, len } => self.insert(pool, offset, len, plenty),
            Step::Append(len) => self.insert(pool, 0, len, plenty),
            Step::Consume(len) => {
                assert_eq!(pool.consume(&mut self.held, len), self.oracle.consume(len));
            }
            Step::Advance(len) => self.advance(pool, len),
            Step::TakeAndPut(len) => {
                let taken = pool.take(self.held.as_ref());
                assert_eq!(taken.is_some(), !self.oracle.unread.is_empty());
                if let Some(buffer) = taken {
                    assert_eq!(&buffer[..], self.oracle.unread);
                    pool.put(buffer);
                }
                assert_eq!(pool.consume(&mut self.held, len), self.oracle.consume(len));
            }
            Step::Release => {
                pool.release(&mut self.held);
                self.oracle = Oracle { stamp: self.oracle.stamp, ..Oracle::default() };
            }
        }
        let held = self.held.as_ref();
        assert_eq!(pool.readable(held), self.oracle.unread);
        assert_eq!(pool.window(held) as usize, 896 - self.oracle.unread.len());
        assert_eq!(pool.ranges(held).collect::<Vec<_>>(), self.oracle.recent());
        let empty = self.oracle.unread.is_empty() && self.oracle.ranges().is_empty();
        assert_eq!(held.is_none(), empty);
    }
}

fn run(mut pool: ReceivePool, steps: Vec<(usize, Step)>, plenty: bool) {
    let mut pairs = [Pair::default(), Pair::default(), Pair::default()];
    for (at, step) in steps {
        pairs[at].apply(&mut pool, step, plenty);
    }
    for pair in &mut pairs {
        pool.release(&mut pair.held);
    }
    assert_eq!(in_use(&pool), [0; CLASSES]);
}

proptest! {
    #[test]
    fn stores_match_an_oracle_and_a_large_pool_never_refuses(
        steps in prop::collection::vec((0..3usize, step()), 1..150),
    ) {
        run(small_pool(), steps, true);
    }

    #[test]
    fn stores_match_an_oracle_also_when_the_pool_is_exhausted(
        steps in prop::collection::vec((0..3usize, step()), 1..150),
    ) {
        let pool = ReceivePool::new(&config([(16, 1), (64, 1), (256, 1), (1024, 1)], 896, 4)).unwrap();
        run(pool, steps, false);
    }
}
