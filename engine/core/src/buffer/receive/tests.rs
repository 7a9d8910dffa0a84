use super::*;
use crate::buffer::{ChunkPool, SendConfig, Span};
use alloc::vec::Vec;

pub(super) fn config(classes: [(u32, u32); CLASSES], receive_buffer_max: u32, ranges: u16) -> ReceiveConfig {
    let classes = classes.map(|(size, count)| SizeClass { size, count });
    ReceiveConfig { classes, receive_memory_max: 1 << 30, receive_buffer_max, reassembly_ranges_max: ranges }
}

pub(super) fn small_pool() -> ReceivePool {
    ReceivePool::new(&config([(16, 8), (64, 8), (256, 4), (1024, 4)], 896, 4)).unwrap()
}

pub(super) fn in_use(pool: &ReceivePool) -> [u32; CLASSES] {
    pool.counters().classes.map(|class| class.in_use)
}

#[test]
fn bytes_read_from_the_buffer_give_it_back() {
    let mut pool = small_pool();
    let mut held = None;
    pool.append_in_order(&mut held, b"hello").unwrap();
    assert_eq!(pool.readable(held.as_ref()), b"hello");
    assert_eq!(in_use(&pool), [1, 0, 0, 0]);
    assert_eq!(pool.consume(&mut held, 2), 2);
    assert_eq!(pool.readable(held.as_ref()), b"llo");
    assert_eq!(pool.consume(&mut held, 9), 3);
    assert_eq!((held, in_use(&pool)), (None, [0; CLASSES]));
}

#[test]
fn a_filled_hole_joins_without_a_copy() {
    let mut pool = small_pool();
    let mut held = None;
    let late = pool.insert(&mut held, 4, b"efgh").unwrap();
    assert_eq!((late.new_bytes, late.in_order), (4, 0));
    assert_eq!(pool.readable(held.as_ref()), b"");
    let hole = pool.append_in_order(&mut held, b"abcd").unwrap();
    assert_eq!((hole.new_bytes, hole.in_order), (4, 8));
    assert_eq!(pool.readable(held.as_ref()), b"abcdefgh");
    let ReceiveCounters { copied_bytes, moved_bytes, .. } = pool.counters();
    assert_eq!((copied_bytes, moved_bytes), (8, 0));
    pool.release(&mut held);
}

#[test]
fn bytes_delivered_from_the_frame_move_the_ranges_up() {
    let mut pool = small_pool();
    let mut held = None;
    pool.insert(&mut held, 4, b"ef").unwrap();
    pool.insert(&mut held, 8, b"ij").unwrap();
    let delivered = pool.advance(&mut held, 5).unwrap();
    let duplicate = Some(Span { start: 4, end: 5 });
    assert_eq!(delivered, Inserted { new_bytes: 4, in_order: 6, duplicate });
    assert_eq!(pool.readable(held.as_ref()), b"f");
    assert_eq!(pool.advance(&mut held, 1), Err(Refusal::Unread));
    pool.consume(&mut held, 1);
    assert_eq!(pool.ranges(held.as_ref()).collect::<Vec<_>>(), [Span { start: 2, end: 4 }]);
    let rest = pool.advance(&mut held, 100).unwrap();
    assert_eq!((rest.new_bytes, rest.in_order), (98, 100));
    assert_eq!((held, in_use(&pool)), (None, [0; CLASSES]));
}

#[test]
fn refusals_change_nothing_and_are_counted() {
    let mut pool = ReceivePool::new(&config([(16, 1), (64, 1), (256, 0), (1024, 0)], 56, 2)).unwrap();
    let (mut first, mut second, mut third) = (None, None, None);
    assert_eq!(pool.insert(&mut first, 50, &[0; 7]), Err(Refusal::BufferMax));
    assert_eq!(pool.insert(&mut first, u32::MAX, &[0; 7]), Err(Refusal::BufferMax));
    assert_eq!(first, None);
    pool.insert(&mut first, 2, &[1]).unwrap();
    pool.insert(&mut first, 4, &[1]).unwrap();
    assert_eq!(pool.insert(&mut first, 6, &[1]), Err(Refusal::RangesMax));
    assert!(pool.insert(&mut first, 5, &[1]).is_ok());
    pool.append_in_order(&mut second, &[2; 10]).unwrap();
    assert_eq!(pool.append_in_order(&mut third, &[3]), Err(Refusal::Exhausted));
    assert_eq!(pool.insert(&mut first, 20, &[1]), Err(Refusal::RangesMax));
    let taken = pool.take(second.as_ref()).unwrap();
    assert_eq!(pool.append_in_order(&mut second, &[4]), Err(Refusal::Taken));
    pool.put(taken);
    let counters = pool.counters();
    let reasons =
        [Refusal::BufferMax, Refusal::RangesMax, Refusal::Exhausted, Refusal::Taken, Refusal::Unread];
    assert_eq!(reasons.map(|reason| counters.refusals(reason)), [2, 2, 1, 1, 0]);
    assert_eq!(counters.classes[0].refusals, 1);
    pool.release(&mut first);
    pool.release(&mut second);
    assert_eq!((third, in_use(&pool)), (None, [0; CLASSES]));
}

#[test]
fn a_taken_buffer_leaves_the_pool_usable_and_comes_back() {
    let mut pool = small_pool();
    let (mut held, mut other) = (None, None);
    pool.append_in_order(&mut held, b"request").unwrap();
    let buffer = pool.take(held.as_ref()).unwrap();
    assert!(pool.take(held.as_ref()).is_none());
    assert_eq!(pool.readable(held.as_ref()), b"");
    pool.append_in_order(&mut other, b"other").unwrap();
    assert_eq!(&buffer[..], b"request");
    assert_eq!(pool.counters().taken, 1);
    pool.put(buffer);
    pool.consume(&mut held, 3);
    assert_eq!(pool.readable(held.as_ref()), b"uest");
    pool.release(&mut held);
    pool.release(&mut other);
    assert_eq!((in_use(&pool), pool.counters().taken), ([0; CLASSES], 0));
}

#[test]
fn a_buffer_released_while_taken_is_free_once_it_is_back() {
    let mut pool = small_pool();
    let mut held = None;
    pool.append_in_order(&mut held, b"last words").unwrap();
    let buffer = pool.take(held.as_ref()).unwrap();
    pool.release(&mut held);
    assert_eq!((&held, in_use(&pool)), (&None, [1, 0, 0, 0]));
    assert_eq!(&buffer[..], b"last words");
    pool.put(buffer);
    assert_eq!(in_use(&pool), [0; CLASSES]);
    pool.append_in_order(&mut held, b"again").unwrap();
    assert_eq!(pool.readable(held.as_ref()), b"again");
    pool.release(&mut held);
}

#[cfg(debug_assertions)]
#[test]
#[should_panic(expected = "1 receive buffers were dropped")]
fn a_dropped_buffer_is_reported() {
    let mut pool = small_pool();
    let mut held = None;
    pool.append_in_order(&mut held, b"lost").unwrap();
    drop(pool.take(held.as_ref()));
    let _ = pool.take(held.as_ref());
}

#[test]
fn configurations_that_cannot_work_are_refused() {
    let good = config([(16, 8), (64, 8), (256, 4), (1024, 4)], 896, 4);
    let refused = |change: fn(&mut ReceiveConfig)| {
        let mut config = good.clone();
        change(&mut config);
        ReceivePool::new(&config).err()
    };
    assert_eq!(refused(|_| {}), None);
    assert_eq!(refused(|config| config.classes[2].size = 64), Some(ConfigError::ClassSize { class: 2 }));
    assert_eq!(
        refused(|config| config.classes[1].count = u32::MAX),
        Some(ConfigError::ClassCount { class: 1 })
    );
    let max = Some(ConfigError::ReceiveBufferMax { allowed: 896 });
    assert_eq!(refused(|config| config.receive_buffer_max = 897), max);
    assert_eq!(refused(|config| config.receive_buffer_max = 0), max);
    assert_eq!(refused(|config| config.reassembly_ranges_max = 0), Some(ConfigError::ReassemblyRangesMax));
    let needed = 16 * 8 + 64 * 8 + 256 * 4 + 1024 * 4;
    assert_eq!(
        refused(|config| config.receive_memory_max = 5759),
        Some(ConfigError::MemoryMax { needed, allowed: 5759 })
    );
    assert_eq!(
        refused(|config| config.classes.iter_mut().for_each(|class| class.count = 0)),
        Some(ConfigError::NoBuffers)
    );
}

/// Unread bytes always stay at `level` while `total` bytes flow through in pieces.
fn moved_while_streaming(level: u32, piece: u32, total: u32) -> (u64, u64) {
    let mut pool = small_pool();
    let mut held = None;
    let mut bytes = (0..).map(|at: u32| (at % 251) as u8);
    let mut read = (0..).map(|at: u32| (at % 251) as u8);
    let mut take = |len: u32| bytes.by_ref().take(len as usize).collect::<Vec<_>>();
    pool.append_in_order(&mut held, &take(level)).unwrap();
    for _ in 0..total / piece {
        pool.append_in_order(&mut held, &take(piece)).unwrap();
        let readable = &pool.readable(held.as_ref())[..piece as usize];
        assert!(readable.iter().copied().eq(read.by_ref().take(piece as usize)));
        pool.consume(&mut held, piece);
    }
    pool.release(&mut held);
    assert_eq!(in_use(&pool), [0; CLASSES]);
    (pool.counters().moved_bytes, pool.counters().copied_bytes)
}

#[test]
fn each_byte_is_moved_a_bounded_number_of_times() {
    for level in [1, 7, 15, 16, 60, 63, 200, 255, 512, 800, 895] {
        for piece in [1, 3, 13, 100] {
            if level + piece > 896 {
                continue;
            }
            let (moved, copied) = moved_while_streaming(level, piece, 20_000);
            assert!(moved <= 7 * copied, "level {level}, piece {piece}: {moved} moved for {copied}");
        }
    }
}

#[test]
fn without_a_larger_buffer_moving_waits_until_it_pays() {
    let mut pool = ReceivePool::new(&config([(16, 1), (64, 1), (256, 0), (1024, 0)], 56, 2)).unwrap();
    let (mut held, mut other) = (None, None);
    pool.append_in_order(&mut held, &[1; 16]).unwrap();
    pool.append_in_order(&mut other, &[2; 17]).unwrap();
    pool.consume(&mut held, 1);
    assert_eq!(pool.append_in_order(&mut held, &[3]), Err(Refusal::Exhausted));
    assert_eq!((pool.readable(held.as_ref()), pool.counters().moved_bytes), (&[1; 15][..], 0));
    pool.consume(&mut held, 1);
    pool.append_in_order(&mut held, &[3, 4]).unwrap();
    assert_eq!((pool.counters().compactions, pool.counters().moved_bytes), (1, 14));
    pool.release(&mut held);
    pool.release(&mut other);
}

#[test]
fn the_defaults_fit_any_amount_of_memory() {
    assert_eq!(ReceivePool::new(&ReceiveConfig::with_memory(0)).err(), Some(ConfigError::NoBuffers));
    assert_eq!(ChunkPool::new(&SendConfig::with_memory(0)).err(), Some(ConfigError::NoBuffers));
    let buffer_max = [20, 22, 25, 30].map(|shift| {
        assert!(ChunkPool::new(&SendConfig::with_memory(1 << shift)).is_ok());
        let config = ReceiveConfig::with_memory(1 << shift);
        assert!(ReceivePool::new(&config).is_ok());
        config.receive_buffer_max >> 10
    });
    assert_eq!(buffer_max, [112, 896, 896, 896]);
}
